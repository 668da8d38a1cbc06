//! A key of the authority's that is not installed anywhere: its certificate says what it is for, and leads to the root.

use crate::certificate::{ChainError, parsed, subject, verify_end_entity};
use crate::profile::{UNIT, only};
use psd::UnixMillis;
use psd::record::AuthorityPurpose;

/// A certificate is not that of an authority key for a purpose.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthorityKeyError {
    /// It does not lead to the root, or was not valid.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// For something else.
    #[error("{subject} is not a certificate for OU={wanted}, the authority's {wanted} key")]
    Purpose {
        /// Subject of the certificate.
        subject: String,
        /// What it should be for.
        wanted: &'static str,
    },
}

/// The public half (SPKI, DER) of the key for a purpose which this certificate is of. The root must have issued it, it must be valid at
/// `at`, and the one OU of its subject names the purpose: `funds`, `inspection` or `policy`.
pub fn verify_authority_key(
    certificate: &[u8],
    root: &[u8],
    purpose: AuthorityPurpose,
    at: UnixMillis,
) -> Result<Vec<u8>, AuthorityKeyError> {
    let key = verify_end_entity(&[certificate], root, at)?;
    let leaf = parsed(certificate).map_err(ChainError::from)?;
    let wanted = purpose.as_str();
    if only(&leaf, UNIT).as_deref() == Some(wanted) {
        return Ok(key.spki);
    }
    Err(AuthorityKeyError::Purpose { subject: subject(&leaf), wanted })
}
