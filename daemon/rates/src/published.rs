//! Tables as the postal authority publishes them: COSE_Sign1 by its policy key over the bytes of the TOML text.

use crate::build::LONGEST_TABLE;
use crate::error::TableError;
use crate::table::Table;
use psd::record::AuthorityPurpose;
use psd::{MailingDate, UnixMillis};
use psdd_wire::authority_key::{AuthorityKeyError, authority_key};
use psdd_wire::cose::{CoseError, Sign1};

pub use psdd_wire::cose::RATES as CONTENT_TYPE;

/// How names of files end that hold a published table.
pub const EXTENSION: &str = "cose";
/// Most bytes of such a file: the text, and signature and certificate around it.
pub const LONGEST_PUBLISHED: usize = LONGEST_TABLE + 8_192;

/// A table that the authority signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    table: Table,
    bytes: Vec<u8>,
}

/// Bytes that are no table of the authority's.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// Not a signed table.
    #[error("not a signed rate table: {0}")]
    Form(#[source] CoseError),
    /// Nobody named.
    #[error("the signed table does not carry the certificate of the key that signed it")]
    NoCertificate,
    /// A key that may not publish tables.
    #[error("the key that signed the table may not publish one: {0}")]
    Signer(#[from] AuthorityKeyError),
    /// Its certificate is of a time to come.
    #[error(
        "the certificate of the key that signed the table is not valid before {0}, and that is not yet; look at the clock"
    )]
    NotYet(UnixMillis),
    /// Its certificate ends before the table begins.
    #[error(
        "the certificate of the key that signed the table ends on {ends}, before the table is in force on {from}; sign it with the policy key \
         that comes after"
    )]
    Ended {
        /// Last moment of the certificate.
        ends: UnixMillis,
        /// First day of the table.
        from: MailingDate,
    },
    /// Not signed by it.
    #[error("the signature of the table: {0}")]
    Signature(#[source] CoseError),
    /// Not text.
    #[error("the table is no text: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// Not in order.
    #[error("the table is signed, but not in order:\n{0}")]
    Table(#[from] TableError),
}

impl Published {
    /// Opens a signed table: signer first, then signature, then the table.
    ///
    /// The policy key must have come into force by `now`, and its certificate must not have ended before the table's first day. That it ended
    /// later changes nothing: what was published stays so, and is there to price the pieces of its time.
    ///
    /// # Errors
    ///
    /// With the first of them that does not hold.
    pub fn open(bytes: &[u8], root: &[u8], now: UnixMillis) -> Result<Self, PublishedError> {
        let message = Sign1::parse(bytes).map_err(PublishedError::Form)?;
        let carried = message.certificate.as_deref().ok_or(PublishedError::NoCertificate)?;
        let key = authority_key(carried, root, AuthorityPurpose::Policy)?;
        if now < *key.valid.start() {
            return Err(PublishedError::NotYet(*key.valid.start()));
        }
        message.verify(CONTENT_TYPE, &key.spki).map_err(PublishedError::Signature)?;
        let table = Table::parse(std::str::from_utf8(&message.payload)?)?;
        if *key.valid.end() < table.from().begins() {
            return Err(PublishedError::Ended { ends: *key.valid.end(), from: table.from() });
        }
        Ok(Self { table, bytes: bytes.to_vec() })
    }

    /// The table.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// What was opened, whole: it can be opened again.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
