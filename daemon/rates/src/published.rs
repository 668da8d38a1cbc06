//! Tables as the postal authority publishes them: COSE_Sign1 by its policy key over the bytes of the TOML text.

use crate::error::TableError;
use crate::table::Table;
use psd::UnixMillis;
use psd::record::AuthorityPurpose;
use psdd_wire::authority_key::{AuthorityKeyError, verify_authority_key};
use psdd_wire::cose::{CoseError, Sign1};

pub use psdd_wire::cose::RATES as CONTENT_TYPE;

/// A table that the authority signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    table: Table,
    bytes: Vec<u8>,
}

/// Whose signature is accepted.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// That of the policy key which is installed.
    Installed {
        /// Its certificate, DER: the table must carry the same.
        certificate: &'a [u8],
        /// Its public half, SPKI DER.
        spki: &'a [u8],
    },
    /// That of any policy key which the authority's root certified.
    Root {
        /// The root's certificate, DER.
        root: &'a [u8],
        /// When its certificate must be valid.
        at: UnixMillis,
    },
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
    /// Another key.
    #[error("the table carries another certificate than that of the policy key which is installed")]
    OtherKey,
    /// A key that may not publish tables.
    #[error("the key that signed the table may not publish one: {0}")]
    Signer(#[from] AuthorityKeyError),
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
    /// # Errors
    ///
    /// With the first of them that does not hold.
    pub fn open(bytes: &[u8], trust: &Trust<'_>) -> Result<Self, PublishedError> {
        let message = Sign1::parse(bytes).map_err(PublishedError::Form)?;
        let carried = message.certificate.as_deref().ok_or(PublishedError::NoCertificate)?;
        let spki = match trust {
            Trust::Installed { certificate, spki } if carried == *certificate => spki.to_vec(),
            Trust::Installed { .. } => return Err(PublishedError::OtherKey),
            Trust::Root { root, at } => verify_authority_key(carried, root, AuthorityPurpose::Policy, *at)?,
        };
        message.verify(CONTENT_TYPE, &spki).map_err(PublishedError::Signature)?;
        let table = Table::parse(std::str::from_utf8(&message.payload)?)?;
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
