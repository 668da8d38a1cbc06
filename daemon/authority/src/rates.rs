//! Rate tables signed by the policy key, which is what makes them the authority's.

use crate::directory::AuthorityDir;
use crate::instructions::Purpose;
use crate::keys::{KeyError, SignError, certificate_of};
use crate::serve::{ClockError, now};
use psdd_rates::{CONTENT_TYPE, Published, PublishedError, Table, TableError};

/// A table with the authority's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedTable {
    /// The table.
    pub table: Table,
    /// COSE_Sign1 by the policy key over the bytes of its text.
    pub bytes: Vec<u8>,
}

/// Why a table is not signed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Not text.
    #[error("not a rate table: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// Not in order.
    #[error("the rate table is not in order, and was not signed:\n{0}")]
    Table(#[from] TableError),
    /// The policy key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Who reads it would refuse it.
    #[error("the table was signed and is not written, since appliances would refuse it: {0}")]
    Refused(#[from] PublishedError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// It did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Signs a table that is in order, and that appliances take.
pub fn publish(dir: &AuthorityDir, text: &[u8]) -> Result<SignedTable, PublishError> {
    let table = Table::parse(std::str::from_utf8(text)?)?;
    let bytes = Purpose::Policy.key(dir)?.sign(CONTENT_TYPE, text.to_vec())?;
    Published::open(&bytes, &certificate_of(&dir.root_certificate())?, now()?)?;
    Ok(SignedTable { table, bytes })
}
