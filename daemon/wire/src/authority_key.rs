//! A key of the authority's that is not installed anywhere: its certificate says what it is for, and leads to the root.

use crate::certificate::{ChainError, end_entity, subject};
use crate::profile::{UNIT, only};
use psd::UnixMillis;
use psd::record::AuthorityPurpose;
use std::ops::RangeInclusive;

/// A certificate is not that of an authority key for a purpose.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthorityKeyError {
    /// It does not lead to the root.
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

/// A key of the authority's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorityKey {
    /// Public half, SPKI DER.
    pub spki: Vec<u8>,
    /// When its certificate is valid, and its issuers' are.
    pub valid: RangeInclusive<UnixMillis>,
}

/// The key for a purpose which this certificate is of. The root must have issued it, and the one OU of its subject names the purpose:
/// `funds`, `inspection` or `policy`. Whether it is valid at the time that matters is the caller's to judge.
pub fn authority_key(
    certificate: &[u8],
    root: &[u8],
    purpose: AuthorityPurpose,
) -> Result<AuthorityKey, AuthorityKeyError> {
    let (leaf, key, valid) = end_entity(&[certificate], root)?;
    let wanted = purpose.as_str();
    if only(&leaf, UNIT).as_deref() == Some(wanted) {
        return Ok(AuthorityKey { spki: key.spki, valid });
    }
    Err(AuthorityKeyError::Purpose { subject: subject(&leaf), wanted })
}
