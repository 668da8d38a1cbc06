//! What a ceremony leaves behind: who approved, what was done, when, with which public keys.

use crate::cose::{CoseError, Sign1};
use serde::{Deserialize, Serialize};

/// Content type of the COSE_Sign1.
pub const TRANSCRIPT: &str = "application/psdd-ceremony-transcript+cbor";
/// Most lines and most keys that it names; the log has them all.
pub const MOST_LINES: usize = 128;

/// Payload of the transcript. Fields in the order of deterministic encoding (RFC 8949 §4.2.1).
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TranscriptClaims {
    /// Keys that were made, the first [`MOST_LINES`].
    pub keys: Vec<TranscriptKey>,
    /// When it began, milliseconds since 1970.
    pub begun: u64,
    /// When its last step was done.
    pub ended: u64,
    /// What was done, the first [`MOST_LINES`].
    pub lines: Vec<String>,
    /// How many steps it had.
    pub steps: u64,
    /// SHA-256 of the file.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
    /// Its number.
    pub number: u64,
    /// The appliance.
    pub appliance: String,
    /// Who approved, in the order of the approvals.
    pub approvers: Vec<String>,
}

/// A key that was made.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TranscriptKey {
    /// Device, role and generation, in words.
    pub key: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
}

impl TranscriptClaims {
    /// What the log key signed.
    ///
    /// # Errors
    ///
    /// When the bytes are no transcript, or not by this key.
    pub fn verify(bytes: &[u8], log_spki: &[u8]) -> Result<Self, CoseError> {
        let message = Sign1::parse(bytes)?;
        message.verify(TRANSCRIPT, log_spki)?;
        Ok(crate::read(&message.payload)?)
    }
}
