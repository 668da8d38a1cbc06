//! Public keys of operators, holders of shares and hosts: ECDSA or ECDH keys on P-256, in their one DER form.

use crate::spki::{PEM_BEGIN as BEGIN, PEM_END as END, spki_of_pem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Everything before the point (RFC 5480 §2): id-ecPublicKey, secp256r1, a bit string of an uncompressed point.
const PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A point of P-256 as SubjectPublicKeyInfo.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct P256PublicKey(Arc<[u8]>);

/// What was given is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not PEM.
    #[error("no public key in PEM: a block that begins with {BEGIN}, and nothing else")]
    Pem,
    /// Another kind of key.
    #[error("not an uncompressed public key on P-256 (make one with `psdctl operator keygen`)")]
    Kind,
}

impl P256PublicKey {
    /// From SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    ///
    /// For keys of other kinds, compressed points and points that are not on the curve.
    pub fn from_spki(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let point = spki.strip_prefix(&PREFIX[..26]).filter(|point| point.len() == 65 && point[0] == PREFIX[26]);
        let point = point.ok_or(PublicKeyError::Kind)?;
        let parsed = aws_lc_rs::signature::ParsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point);
        if parsed.is_ok() { Ok(Self(spki.into())) } else { Err(PublicKeyError::Kind) }
    }

    /// From an uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
    ///
    /// # Errors
    ///
    /// For points of other forms and those that are not on the curve.
    pub fn from_point(point: &[u8]) -> Result<Self, PublicKeyError> {
        Self::from_spki(&[&PREFIX[..26], point].concat())
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(&self.0)
    }

    /// The digest in groups of four hex digits, as people read it to one another.
    pub fn fingerprint(&self) -> String {
        super::field::to_groups(&self.digest())
    }

    /// PEM, with a line feed at the end.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(&self.0);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    /// Whether a signature (r‖s, ECDSA with SHA-256) over a message is of this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        crate::checkpoint::verify_p256(&self.0, message, signature)
    }
}

impl FromStr for P256PublicKey {
    type Err = PublicKeyError;

    /// From PEM (RFC 7468 §13).
    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        Self::from_spki(&spki_of_pem(text).ok_or(PublicKeyError::Pem)?)
    }
}

impl fmt::Debug for P256PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P256PublicKey({})", self.fingerprint())
    }
}
