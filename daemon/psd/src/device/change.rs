//! Changes that a ceremony, the custodian of keys or an operator makes to a PSD: each is judged as its record would be.

use super::{Psd, ReplayError};
use crate::custody::{KeyStep, Revocation, RevocationReason};
use crate::key::{Algorithm, Role};
use crate::lifecycle::{Lifecycle, LockReason};
use crate::record::{Event, Stamp};
use crate::time::UnixMillis;
use std::sync::Arc;

/// What is to change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A key that was made in a token becomes one of this PSD.
    AddKey {
        /// CKA_ID.
        key_id: Arc<[u8]>,
        /// What it may sign.
        role: Role,
        /// How it signs.
        algorithm: Algorithm,
        /// The token, by its name in the configuration.
        token: Arc<str>,
        /// Public half, SPKI DER; empty for a secret key.
        spki: Arc<[u8]>,
        /// Salted hash of what the token wrapped.
        wrapped: Option<[u8; 32]>,
    },
    /// A certificate, which the caller has verified, is installed.
    InstallCertificate {
        /// CKA_ID of its key.
        key_id: Arc<[u8]>,
        /// Its serial number.
        serial: u32,
        /// The certificate and then its issuers up to but without the root, DER.
        chain: Vec<Arc<[u8]>>,
    },
    /// A key takes a step.
    Key {
        /// CKA_ID.
        key_id: Arc<[u8]>,
        /// Which.
        step: KeyStep,
        /// From when on; the time of the record where absent.
        since: Option<UnixMillis>,
        /// Why, where it is revoked.
        reason: Option<RevocationReason>,
    },
    /// The operators' lock.
    Lock,
    /// Its end.
    Unlock,
    /// The next state of its life.
    Become(Lifecycle),
}

impl Psd {
    /// Makes a change, if its record would follow from those before.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn change(&mut self, change: &Change, at: UnixMillis) -> Result<Event, ReplayError> {
        let stamp = Stamp { sequence: self.state.sequence + 1, ..self.stamp() };
        if let Change::Key { step: KeyStep::Acknowledged, .. } = change {
            let what = "a key is acknowledged by an instruction of the authority and by nobody else";
            return Err(ReplayError::Contradiction { psd: stamp.psd, sequence: stamp.sequence, what });
        }
        let event = self.event_of(change, stamp, at);
        self.replay(&event, at)?;
        Ok(event)
    }

    /// Takes the authority's word that verifiers know the certificate of a key, which [`crate::authority::acknowledgeable`] admits.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn acknowledge(&mut self, key_id: Arc<[u8]>, at: UnixMillis) -> Result<Event, ReplayError> {
        let stamp = Stamp { sequence: self.state.sequence + 1, ..self.stamp() };
        let event = Event::KeyStateChanged { stamp, key_id, step: KeyStep::Acknowledged, since: at, reason: None };
        self.replay(&event, at)?;
        Ok(event)
    }

    /// Revokes a key by the authority's instruction, which [`crate::key_order::revocable`] admits.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn revoke_key(
        &mut self,
        key_id: Arc<[u8]>,
        Revocation { since, reason }: Revocation,
        at: UnixMillis,
    ) -> Result<Event, ReplayError> {
        self.change(&Change::Key { key_id, step: KeyStep::Revoked, since: Some(since), reason: Some(reason) }, at)
    }

    /// Takes the authority's order that the key of a role changes, which [`crate::key_order::changeable`] admits.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn order_key_change(&mut self, role: Role, at: UnixMillis) -> Result<Event, ReplayError> {
        let stamp = Stamp { sequence: self.state.sequence + 1, ..self.stamp() };
        let event = Event::KeyChangeOrdered { stamp, role };
        self.replay(&event, at)?;
        Ok(event)
    }

    /// Takes the authority's acceptance of an audit report, by its digest: the PSD is inspected.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn accept_audit(&mut self, digest: [u8; 32], at: UnixMillis) -> Result<Event, ReplayError> {
        let stamp = Stamp { sequence: self.state.sequence + 1, ..self.stamp() };
        let event = Event::AuditAccepted { stamp, digest };
        self.replay(&event, at)?;
        Ok(event)
    }

    /// Locks it for want of an inspection, which the caller says is overdue at this time.
    ///
    /// # Errors
    ///
    /// What does not hold; the PSD is as it was.
    pub fn lock_overdue(&mut self, at: UnixMillis) -> Result<Event, ReplayError> {
        let stamp = Stamp { sequence: self.state.sequence + 1, ..self.stamp() };
        let (lifecycle, locks) = (self.state.lifecycle, self.state.locks.with(LockReason::InspectionOverdue));
        let event = Event::LifecycleChanged { stamp, lifecycle, locks };
        self.replay(&event, at)?;
        Ok(event)
    }

    fn event_of(&self, change: &Change, stamp: Stamp, at: UnixMillis) -> Event {
        let (lifecycle, locks) = (self.state.lifecycle, self.state.locks);
        match change.clone() {
            Change::AddKey { key_id, role, algorithm, token, spki, wrapped } => {
                Event::KeyCreated { stamp, key_id, role, algorithm, token, spki, wrapped }
            }
            Change::InstallCertificate { key_id, serial, chain } => {
                Event::CertificateInstalled { stamp, key_id, serial, chain }
            }
            Change::Key { key_id, step, since, reason } => {
                Event::KeyStateChanged { stamp, key_id, step, since: since.unwrap_or(at), reason }
            }
            Change::Lock => Event::LifecycleChanged { stamp, lifecycle, locks: locks.with(LockReason::Operator) },
            Change::Unlock => Event::LifecycleChanged { stamp, lifecycle, locks: locks.without(LockReason::Operator) },
            Change::Become(lifecycle) => Event::LifecycleChanged { stamp, lifecycle, locks },
        }
    }
}
