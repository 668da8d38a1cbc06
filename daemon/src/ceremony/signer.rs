//! A message signed in a token, COSE_Sign1, outside of the core.

use super::CeremonyFailure;
use psd::key::Role;
use psdd_hsm::link::{Link, SignFrame};
use psdd_hsm::protocol::{Form, Messages};
use psdd_wire::cose::Sign1;
use psdd_wire::spki::PublicKey;
use std::sync::Arc;
use std::time::Duration;

/// A key of a token, by what is known of it outside.
pub(super) struct Signer<'k> {
    /// What it signs.
    pub(super) role: Role,
    /// CKA_ID.
    pub(super) key_id: &'k Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub(super) spki: &'k [u8],
}

impl Signer<'_> {
    /// What the key is to sign, as a message that waits for its signature.
    ///
    /// # Errors
    ///
    /// [`CeremonyFailure::Refused`] when its public half cannot be read.
    pub(super) fn message(&self, content_type: &str, payload: Vec<u8>) -> Result<Sign1, CeremonyFailure> {
        let unreadable =
            || CeremonyFailure::Refused(format!("the public half of the {} key cannot be read", self.role));
        let kind = PublicKey::of_spki(self.spki).ok_or_else(unreadable)?.kind();
        Ok(Sign1::unsigned_by(kind, content_type, None, payload))
    }

    /// Signs, and verifies what the token gives before anybody has it.
    ///
    /// # Errors
    ///
    /// [`CeremonyFailure::Token`] when the token does not sign, [`CeremonyFailure::WrongSignature`] when it signs wrongly.
    pub(super) fn sign(&self, link: &Link, message: Sign1, patience: Duration) -> Result<Vec<u8>, CeremonyFailure> {
        let content_type = message.content_type.clone();
        let signature = self.sign_structure(link, &message.to_be_signed(), patience)?;
        let bytes = message.with_signature(&signature);
        let verified = Sign1::parse(&bytes).and_then(|signed| signed.verify(&content_type, self.spki));
        verified.map(|()| bytes).map_err(CeremonyFailure::WrongSignature)
    }

    /// What the token gives for a Sig_structure, unverified.
    pub(super) fn sign_structure(
        &self,
        link: &Link,
        structure: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, CeremonyFailure> {
        let mut messages = Messages::with_capacity(1, structure.len());
        messages.push(structure);
        let (key_id, role) = (Arc::clone(self.key_id), self.role);
        let frame = SignFrame { key_id, role, form: Form::CoseSign1, floor: 0, messages };
        let signatures = link.blocking().sign(&frame, patience)?;
        Ok(signatures.iter().next().unwrap_or_default().to_vec())
    }
}
