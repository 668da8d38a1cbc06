//! Checkpoints of the log: they verify, they never shrink, and one size has one root.

use super::VerificationError;
use crate::error::ContractError;
use const_oid::ObjectIdentifier;
use der::Decode;
use psd::key::Algorithm;
use psdd_wire::checkpoint::{Checkpoint, LogKey};
use psdd_wire::message::ApplianceResponse;
use psdd_wire::receipt::{Receipt, ReceiptError, Verifier};
use std::sync::{Arc, Mutex, PoisonError};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The newest checkpoint seen, and what is needed to judge the next.
pub(crate) struct Checkpoints {
    origin: String,
    key: LogKey,
    newest: Mutex<Option<Seen>>,
    receipts: Verifier,
}

#[derive(Clone)]
struct Seen {
    note: Arc<str>,
    checkpoint: Checkpoint,
}

/// What was known when a request went out: no answer to it may be behind that.
pub(crate) struct Floor(Option<Seen>);

impl Floor {
    /// The note to send along.
    pub(crate) fn note(&self) -> Option<&str> {
        self.0.as_ref().map(|seen| &*seen.note)
    }
}

impl Checkpoints {
    /// For the log of this appliance.
    pub(crate) fn of(appliance: &ApplianceResponse) -> Result<Self, ContractError> {
        let algorithm = algorithm(&appliance.log_spki).ok_or(ContractError::LogKey)?;
        let key = LogKey { algorithm, spki: appliance.log_spki.clone() };
        let receipts = Verifier::of_log(&key.spki).ok_or(ContractError::LogKey)?;
        Ok(Self { origin: appliance.origin.clone(), key, newest: Mutex::new(None), receipts })
    }

    /// Whether this is the appliance whose log is watched.
    pub(crate) fn is_of(&self, appliance: &ApplianceResponse) -> bool {
        self.origin == appliance.origin && self.key.spki == appliance.log_spki
    }

    /// Whether a record stands in the log, by its receipt.
    pub(crate) fn prove(&self, receipt: &Receipt, record: &[u8]) -> Result<(), ReceiptError> {
        self.receipts.verify(receipt, record).map(|_root| ())
    }

    /// What is known now.
    pub(crate) fn floor(&self) -> Floor {
        Floor(self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Judges the checkpoint of an answer to a request that went out at `floor`. Answers overtake each other, so it may be older
    /// than the newest, but never older than the floor.
    pub(crate) fn judge(&self, floor: &Floor, note: Option<&str>) -> Result<(), VerificationError> {
        let Some(note) = note else {
            return match &floor.0 {
                Some(seen) => Err(VerificationError::RolledBack { told: None, seen: seen.checkpoint.size }),
                None => Ok(()),
            };
        };
        let known = self.floor().0.into_iter().chain(floor.0.clone()).find(|seen| &*seen.note == note);
        let told = match known {
            Some(seen) => seen.checkpoint,
            None => Checkpoint::verified(note, &self.origin, &self.key)?,
        };
        if let Some(seen) = &floor.0 {
            compare(&told, &seen.checkpoint)?;
            if told.size < seen.checkpoint.size {
                return Err(VerificationError::RolledBack { told: Some(told.size), seen: seen.checkpoint.size });
            }
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some(seen) if seen.checkpoint.size >= told.size => compare(&told, &seen.checkpoint),
            Some(_) | None => {
                *newest = Some(Seen { note: note.into(), checkpoint: told });
                Ok(())
            }
        }
    }
}

fn compare(told: &Checkpoint, seen: &Checkpoint) -> Result<(), VerificationError> {
    if told.size == seen.size && told.root != seen.root {
        return Err(VerificationError::Forked { size: told.size });
    }
    Ok(())
}

fn algorithm(spki: &[u8]) -> Option<Algorithm> {
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    if info.algorithm.oid == ED25519 {
        return Some(Algorithm::Ed25519);
    }
    (info.algorithm.parameters_oid().ok()? == P256).then_some(Algorithm::EcdsaP256)
}
