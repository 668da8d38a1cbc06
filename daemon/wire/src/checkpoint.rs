//! Checkpoints of the log: C2SP signed notes (docs/ledger.md, "Checkpoints").

use aws_lc_rs::{digest, signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::key::Algorithm;

/// What a checkpoint says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Origin of the log.
    pub origin: String,
    /// Tree size.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: [u8; 32],
}

/// The public half of a log key.
#[derive(Clone, Debug)]
pub struct LogKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// SPKI, DER.
    pub spki: Vec<u8>,
}

/// Why a note is no checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note with three lines of text and a signature.
    #[error("not a checkpoint in the form of a C2SP signed note")]
    Form,
    /// Of another log.
    #[error("the checkpoint is of log {0:?}")]
    Origin(String),
    /// No signature of this key that verifies.
    #[error("no signature on the checkpoint verifies under the log's key")]
    Signature,
}

/// The origin of an appliance's log.
pub fn origin(appliance: &psd::ApplianceId) -> String {
    format!("psdd.log/{appliance}")
}

/// The root in a note that was verified before.
pub fn root_in(note: &str) -> Option<[u8; 32]> {
    note.split('\n').nth(2).and_then(|root| STANDARD.decode(root).ok()?.try_into().ok())
}

impl Checkpoint {
    /// The text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The note with this signature.
    pub fn note(&self, key: &LogKey, signature: &[u8]) -> String {
        let mut blob = key.id(&self.origin).to_vec();
        blob.extend_from_slice(signature);
        format!("{}\n\u{2014} {} {}\n", self.body(), self.origin, STANDARD.encode(blob))
    }

    /// Reads a note and verifies its signature.
    pub fn verified(note: &str, origin: &str, key: &LogKey) -> Result<Self, CheckpointError> {
        let (body, signatures) = note.split_once("\n\n").ok_or(CheckpointError::Form)?;
        let mut lines = body.split('\n');
        let (Some(found), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form);
        };
        let size: u64 = size.parse().ok().ok_or(CheckpointError::Form)?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(CheckpointError::Form)?;
        let checkpoint = Self { origin: found.to_owned(), size, root };
        if checkpoint.body() != format!("{body}\n") {
            return Err(CheckpointError::Form);
        }
        if found != origin {
            return Err(CheckpointError::Origin(found.to_owned()));
        }
        let signed = signatures.lines().filter_map(|line| line.strip_prefix("\u{2014} ")?.split_once(' '));
        let by_name = signed.filter(|(name, _)| *name == origin).filter_map(|(_, blob)| STANDARD.decode(blob).ok());
        let mut ours = by_name.filter(|blob| blob.len() > 4 && blob[..4] == key.id(origin));
        let text = checkpoint.body();
        if ours.any(|blob| key.verifies(text.as_bytes(), &blob[4..])) {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Signature)
        }
    }
}

impl LogKey {
    /// The log key of a genesis, by its SPKI: one for Ed25519 has 44 bytes (RFC 8410 §4), one for P-256 91.
    pub fn of_spki(spki: &[u8]) -> Self {
        let algorithm = if spki.len() == 44 { Algorithm::Ed25519 } else { Algorithm::EcdsaP256 };
        Self { algorithm, spki: spki.to_vec() }
    }

    fn id(&self, origin: &str) -> [u8; 4] {
        let mut text = format!("{origin}\n").into_bytes();
        match self.algorithm {
            Algorithm::Ed25519 => {
                text.push(0x01);
                text.extend_from_slice(raw_ed25519(&self.spki));
            }
            Algorithm::EcdsaP256 => {
                text.push(0xff);
                text.extend_from_slice(b"ecdsa-p256-sha256\n");
                text.extend_from_slice(&self.spki);
            }
            // No log key is of these, and none verifies; the id only has to be another one.
            Algorithm::EcdsaP384 | Algorithm::HmacSha256 => {
                text.push(0xff);
                text.extend_from_slice(format!("{}\n", self.algorithm).as_bytes());
                text.extend_from_slice(&self.spki);
            }
        }
        let hash = digest::digest(&digest::SHA256, &text);
        let mut id = [0; 4];
        id.copy_from_slice(&hash.as_ref()[..4]);
        id
    }

    fn verifies(&self, message: &[u8], signed: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => signature::UnparsedPublicKey::new(&signature::ED25519, raw_ed25519(&self.spki))
                .verify(message, signed)
                .is_ok(),
            Algorithm::EcdsaP256 => verify_p256(&self.spki, message, signed),
            Algorithm::EcdsaP384 | Algorithm::HmacSha256 => false,
        }
    }
}

/// Verifies an ECDSA P-256 signature (r‖s over SHA-256) under a public key given as SPKI, DER.
pub fn verify_p256(spki: &[u8], message: &[u8], signed: &[u8]) -> bool {
    // The key of a P-256 SPKI is its last 65 bytes, an uncompressed point.
    let Some(point) = spki.len().checked_sub(65).map(|at| &spki[at..]) else { return false };
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signed).is_ok()
}

/// The last 32 bytes of an Ed25519 SPKI (RFC 8410 §4).
fn raw_ed25519(spki: &[u8]) -> &[u8] {
    &spki[spki.len().saturating_sub(32)..]
}
