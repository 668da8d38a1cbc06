//! Readings that a scale signs by a key of its own.
//!
//! COSE_Sign1 over the claims, without a certificate: the registry of scales has the key. What a reading must satisfy besides is judged
//! there (crate `psdd-certification`).

use crate::cose::{CoseError, Sign1};
use crate::spki::PublicKey;
use crate::text;
use psd::ScaleId;
use serde::{Deserialize, Serialize};

/// Content type of a reading.
pub const SCALE_READING: &str = "application/psdd-scale-reading+cbor";

/// What a scale signs, in the order of deterministic encoding.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ReadingClaims {
    /// When it was read, milliseconds since 1970, by the scale's clock.
    pub time: u64,
    /// The scale, as the registry names it.
    #[serde(with = "text")]
    pub scale: ScaleId,
    /// Milligrams; below zero where the scale said so.
    pub weight: i64,
}

impl ReadingClaims {
    /// The claims as a message that waits for the signature of the scale's key (SPKI, DER); `None` where the key is of a kind that signs
    /// nothing here.
    pub fn unsigned(&self, spki: &[u8]) -> Option<Sign1> {
        let key = PublicKey::of_spki(spki)?;
        Some(Sign1::unsigned_by(key.kind(), SCALE_READING, None, crate::encode(self)))
    }

    /// What a message says, whoever signed it: it names the scale, whose key then has to verify it.
    ///
    /// # Errors
    ///
    /// Not a reading in the one form documented.
    pub fn claimed(bytes: &[u8]) -> Result<Self, CoseError> {
        Self::of(&Sign1::parse(bytes)?)
    }

    /// Reads a reading that this key (SPKI, DER) signed.
    ///
    /// # Errors
    ///
    /// Not a reading in the one form documented, or not signed by this key.
    pub fn signed_by(bytes: &[u8], spki: &[u8]) -> Result<Self, CoseError> {
        let message = Sign1::parse(bytes)?;
        message.verify(SCALE_READING, spki)?;
        Self::of(&message)
    }

    fn of(message: &Sign1) -> Result<Self, CoseError> {
        if message.content_type != SCALE_READING {
            return Err(CoseError::ContentType(message.content_type.clone()));
        }
        let claims: Self = crate::read(&message.payload)?;
        // What is written in another way says the same to one reader and something else to the next.
        if crate::encode(&claims) != message.payload || message.certificate.is_some() {
            let problem = "a reading is deterministic CBOR, and no certificate goes with it";
            return Err(CoseError::Form(minicbor::decode::Error::message(problem)));
        }
        Ok(claims)
    }
}
