//! Records back into state, each checked against the one before it.

use super::{CertifiedKey, Identity, PendingValue, Psd, Purpose, State};
use crate::certification::{Proof, proof_of};
use crate::custody::{Activation, KeyLife, KeyStep, Revocation, RevocationReason};
use crate::digital_token::Party;
use crate::id::PsdId;
use crate::indicium::{LicensingZip, format_named};
use crate::key::{Algorithm, Key, Role};
use crate::key_order::Unchangeable;
use crate::lifecycle::{Lifecycle, LockReason, Locks};
use crate::money::PostageAmount;
use crate::record::{Applied, CertifiedPiece, Event, InRun, Indicium, Stamp};
use crate::register::Registers;
use crate::time::UnixMillis;
use std::sync::Arc;

/// A record does not follow from those before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// A record of a PSD that was never created, or one that begins a second life.
    #[error("PSD {0} is not known, or is created twice")]
    UnknownPsd(PsdId),
    /// A gap or a repetition in the PSD's own numbering.
    #[error("PSD {psd}: record {found} where {expected} must follow")]
    Sequence {
        /// The PSD.
        psd: PsdId,
        /// In the record.
        found: u64,
        /// Next in turn.
        expected: u64,
    },
    /// The registers after the event are not those before it moved by the event.
    #[error("PSD {psd}, record {sequence}: the registers do not follow from the record before it")]
    Registers {
        /// The PSD.
        psd: PsdId,
        /// The record.
        sequence: u64,
    },
    /// A fact in the record contradicts the PSD's state.
    #[error("PSD {psd}, record {sequence}: {what}")]
    Contradiction {
        /// The PSD.
        psd: PsdId,
        /// The record.
        sequence: u64,
        /// What does not hold.
        what: &'static str,
    },
}

impl Psd {
    /// The PSD that its first record, of this time, describes; `None` where the record is of another kind or names an unknown layout, or one whose marks are
    /// not of its currency.
    pub fn from_created(event: &Event, at: UnixMillis) -> Option<Self> {
        let Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, currency, zips } =
            event
        else {
            return None;
        };
        let identity = Identity {
            psd: stamp.psd,
            tenant: tenant.clone(),
            licence: licence.clone(),
            licensing_zip: LicensingZip::from_number(*licensing_zip)?,
            format: format_named(format).filter(|format| format.counts(*currency))?,
            software_id: *software_id,
            limits: *limits,
            currency: *currency,
            zips: *zips,
        };
        let mut psd = Psd::new(identity, at);
        psd.state.sequence = 1;
        (stamp.sequence == 1 && stamp.registers == Registers::default()).then_some(psd)
    }

    /// Takes in the next record of this PSD, of this time, checking that it follows.
    pub fn replay(&mut self, event: &Event, at: UnixMillis) -> Result<(), ReplayError> {
        let psd = self.identity.psd;
        let Some(stamp) = event.stamp().filter(|stamp| stamp.psd == psd) else {
            return Err(ReplayError::UnknownPsd(psd));
        };
        let expected = self.state.sequence + 1;
        if stamp.sequence != expected {
            return Err(ReplayError::Sequence { psd, found: stamp.sequence, expected });
        }
        if self.registers_after(event) != Some(stamp.registers) {
            return Err(ReplayError::Registers { psd, sequence: stamp.sequence });
        }
        self.check(event, stamp)?;
        self.fold(event, at);
        Ok(())
    }

    /// Takes in a fact without checking that it follows: for state rebuilt from the records that still matter, whose
    /// completeness the state digest proves.
    pub fn fold(&mut self, event: &Event, at: UnixMillis) {
        if let Some(stamp) = event.stamp() {
            self.state.sequence = stamp.sequence;
            self.state.registers = stamp.registers;
        }
        match event {
            Event::KeyCreated { stamp, key_id, role, algorithm, token, spki, wrapped } => {
                let key = Key {
                    key_id: Arc::clone(key_id),
                    role: *role,
                    algorithm: *algorithm,
                    token: Arc::clone(token),
                    spki: Arc::clone(spki),
                    certificate_serial: None,
                };
                let (wrapped, life) = (*wrapped, KeyLife::begun(at));
                let mut added = CertifiedKey { key, chain: Arc::from([]), wrapped, life };
                if added.is_certified() && !self.state.has_used(*role) {
                    added.life.activated = Some(activation(stamp, at));
                }
                self.state.keys = self.state.keys.iter().cloned().chain([added]).collect();
            }
            Event::CertificateInstalled { stamp, key_id, serial, chain } => {
                let role = self.state.key(key_id).map(|certified| certified.key.role);
                let first = role.is_some_and(|role| !self.state.has_used(role));
                self.change_key(key_id, |certified| {
                    certified.key.certificate_serial = Some(*serial);
                    certified.chain = chain.as_slice().into();
                    certified.life.certified = Some(at);
                    // The first of a role signs from its certificate on; those after it from the record that says so.
                    if first {
                        certified.life.activated = Some(activation(stamp, at));
                    }
                });
            }
            Event::KeyStateChanged { stamp, key_id, step, since, reason } => self.change_key(key_id, |certified| {
                let life = &mut certified.life;
                match (step, reason) {
                    (KeyStep::Activated, _) => life.activated = Some(activation(stamp, at)),
                    (KeyStep::Acknowledged, _) => life.acknowledged = Some(*since),
                    (KeyStep::Retired, _) => life.retired = Some(*since),
                    (KeyStep::Destroyed, _) => life.destroyed = Some(*since),
                    (KeyStep::Revoked, reason) => {
                        let reason = reason.unwrap_or(RevocationReason::Unspecified);
                        life.revoked = Some(Revocation { since: *since, reason });
                    }
                }
            }),
            Event::LifecycleChanged { lifecycle, locks, .. } => {
                self.state.lifecycle = *lifecycle;
                self.state.locks = *locks;
            }
            Event::ValueRequested { value_sequence, amount, purpose, request, .. } => {
                let (sequence, amount, purpose, request) = (*value_sequence, *amount, *purpose, Arc::clone(request));
                self.state.pending = Some(PendingValue { sequence, purpose, amount, request });
            }
            Event::ValueApplied { value_sequence, applied, .. } => {
                self.ended(*value_sequence, purpose_of(*applied));
                if let Applied::Download { .. } = applied {
                    self.state.inspected = at;
                }
            }
            Event::AuditAccepted { .. } => {
                self.state.inspected = at;
                self.state.locks = self.state.locks.without(LockReason::InspectionOverdue);
            }
            Event::KeyChangeOrdered { role, .. } => self.state.order_change(*role, at),
            Event::ValueVoided { value_sequence, .. } => {
                self.state.value_sequence = *value_sequence;
                self.state.pending = None;
            }
            Event::RunOpened { run, .. } => Arc::make_mut(&mut self.state.runs).opened(run),
            Event::RunClosed { closed, .. } => Arc::make_mut(&mut self.state.runs).closed(&closed.id),
            Event::Withdrawn { value_sequence, .. } => {
                self.state.lifecycle = Lifecycle::Withdrawn;
                self.ended(*value_sequence, Purpose::Withdrawal);
            }
            Event::Genesis(_)
            | Event::PsdCreated { .. }
            | Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::AuthorityKeyInstalled { .. }
            | Event::InstructionTaken { .. }
            | Event::CeilingSet { .. }
            | Event::InspectionPeriodsSet { .. }
            | Event::AuthorityPolicySet { .. }
            | Event::CeremonyBegun { .. }
            | Event::CeremonyStep { .. }
            | Event::CeremonyEnded { .. }
            | Event::OperatorsChanged { .. }
            | Event::Revoked { .. }
            | Event::RefusalsNoted { .. }
            | Event::RatesTaken(_)
            | Event::ScaleRegistered(_)
            | Event::ScaleRemoved { .. }
            | Event::Indicium(_)
            | Event::Certification(_) => {}
        }
    }

    fn change_key(&mut self, key_id: &[u8], change: impl FnOnce(&mut CertifiedKey)) {
        let mut keys = self.state.keys.to_vec();
        if let Some(certified) = keys.iter_mut().find(|certified| *certified.key.key_id == *key_id) {
            change(certified);
        }
        self.state.keys = keys.into();
    }

    fn registers_after(&self, event: &Event) -> Option<Registers> {
        let before = self.state.registers;
        match event {
            Event::Indicium(Indicium { postage: debit, .. })
            | Event::Certification(CertifiedPiece { debited: debit, .. }) => before.debited(*debit).ok(),
            Event::ValueApplied { amount, .. } => before.loaded(*amount).ok(),
            Event::RunClosed { closed, .. } => before.settled(closed.settled()).ok(),
            Event::Withdrawn { .. } => Some(before.withdrawn()),
            Event::Genesis(_)
            | Event::PsdCreated { .. }
            | Event::KeyCreated { .. }
            | Event::KeyStateChanged { .. }
            | Event::CertificateInstalled { .. }
            | Event::LifecycleChanged { .. }
            | Event::ValueRequested { .. }
            | Event::ValueVoided { .. }
            | Event::AuditAccepted { .. }
            | Event::KeyChangeOrdered { .. }
            | Event::RunOpened { .. }
            | Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::AuthorityKeyInstalled { .. }
            | Event::InstructionTaken { .. }
            | Event::CeilingSet { .. }
            | Event::InspectionPeriodsSet { .. }
            | Event::AuthorityPolicySet { .. }
            | Event::CeremonyBegun { .. }
            | Event::CeremonyStep { .. }
            | Event::CeremonyEnded { .. }
            | Event::OperatorsChanged { .. }
            | Event::Revoked { .. }
            | Event::RefusalsNoted { .. }
            | Event::RatesTaken(_)
            | Event::ScaleRegistered(_)
            | Event::ScaleRemoved { .. } => Some(before),
        }
    }

    fn beyond_limits(&self, event: &Event, stamp: &Stamp) -> Option<&'static str> {
        let limits = &self.identity.limits;
        match event {
            Event::Indicium(Indicium { postage, .. })
                if !(limits.smallest_postage..=limits.largest_postage).contains(postage) =>
            {
                Some("the postage is beyond the limits")
            }
            Event::Certification(CertifiedPiece { debited, .. }) if *debited > limits.largest_postage => {
                Some("the debit is beyond the limits")
            }
            Event::ValueRequested { purpose: Purpose::Download, amount, .. }
                if !(limits.smallest_refill..=limits.largest_refill).contains(amount) =>
            {
                Some("the refill is beyond the limits")
            }
            Event::ValueApplied { .. } if stamp.registers.descending() > limits.largest_descending => {
                Some("the descending register is above its limit")
            }
            _ => None,
        }
    }

    fn check(&self, event: &Event, stamp: &Stamp) -> Result<(), ReplayError> {
        let state = &self.state;
        let wrong = match event {
            Event::PsdCreated { .. } => Some("the PSD is created twice"),
            Event::KeyCreated { key_id, .. } if state.keys.iter().any(|k| k.key.key_id == *key_id) => {
                Some("the key id exists already")
            }
            Event::KeyCreated { role, algorithm, .. } if self.weakens(*role, *algorithm) => {
                Some("the key is weaker than the one before it")
            }
            Event::CertificateInstalled { key_id, .. } => match state.key(key_id) {
                None => Some("the certificate is for a key that was never made"),
                // A new certificate takes a new key: what activated the old one would be superseded with it.
                Some(certified) if certified.key.certificate_serial.is_some() => {
                    Some("a second certificate is installed for a key")
                }
                Some(certified) if !certified.life.is_sound() => {
                    Some("the certificate is for a key that is retired, destroyed or revoked")
                }
                Some(_) => None,
            },
            Event::KeyStateChanged { key_id, step, .. } => match state.key(key_id) {
                None => Some("the key was never made"),
                Some(certified) => {
                    let in_use = state.key_in_use(certified.key.role).is_some_and(|used| used.key.key_id == *key_id);
                    // What signs nothing any more is in use for nothing.
                    let in_use = in_use && !matches!(state.lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped);
                    certified.life.admit(*step, certified.is_certified(), in_use).err()
                }
            },
            Event::KeyChangeOrdered { role, .. } => {
                state.admit_change_order(*role).err().map(Unchangeable::contradiction)
            }
            Event::LifecycleChanged { lifecycle, .. }
                if *lifecycle != state.lifecycle && !state.lifecycle.may_become(*lifecycle) =>
            {
                Some("the lifecycle cannot take that step")
            }
            Event::LifecycleChanged { lifecycle, locks, .. } => overdue_wrongly(state, *lifecycle, *locks),
            Event::ValueRequested { .. } | Event::ValueApplied { .. } | Event::Withdrawn { .. }
                if !matches!(state.lifecycle, Lifecycle::Authorised | Lifecycle::Active) =>
            {
                Some("value moves while the PSD is neither authorised nor active")
            }
            Event::ValueRequested { value_sequence, .. }
                if *value_sequence != state.value_sequence + 1 || state.pending.is_some() =>
            {
                Some("the value request is out of turn")
            }
            Event::ValueRequested { purpose: Purpose::Refund(spoiled), .. }
                if state.refunded.contains(&spoiled.ascending) =>
            {
                Some("the postage of a piece is asked back twice")
            }
            Event::ValueRequested { purpose: Purpose::Withdrawal, amount, .. }
                if *amount != state.registers.descending() =>
            {
                Some("the withdrawal is not over all that is left")
            }
            Event::ValueApplied { value_sequence, amount, applied, .. }
                if !state.has_pending(*value_sequence, *amount, |purpose| purpose == purpose_of(*applied)) =>
            {
                Some("the value applied is not the value requested")
            }
            Event::ValueVoided { value_sequence, amount, .. }
                if !state.has_pending(*value_sequence, *amount, |purpose| purpose != Purpose::Withdrawal) =>
            {
                Some("the value given up is not the value requested")
            }
            Event::Withdrawn { value_sequence, amount, .. }
                if !state.has_pending(*value_sequence, *amount, |purpose| purpose == Purpose::Withdrawal) =>
            {
                Some("the withdrawal acknowledged is not the one asked for")
            }
            Event::ValueRequested { purpose: Purpose::Withdrawal, .. } if state.runs.open().next().is_some() => {
                Some("the withdrawal is asked for while a run is open")
            }
            Event::RunOpened { run, .. } if state.runs.knows(&run.id) => Some("a run is opened twice"),
            Event::RunOpened { .. } if state.lifecycle != Lifecycle::Active || state.is_withdrawing() => {
                Some("a run is opened while the PSD is not active")
            }
            Event::RunClosed { closed, .. } => match state.runs.open_named(&closed.id) {
                None => Some("a run is closed that is not open"),
                Some(run) => run.admits_closing(closed).err(),
            },
            Event::Certification(CertifiedPiece { run: Some(InRun { id, dues }), .. })
                if state.runs.open_named(id).is_none_or(|run| run.tariffs.len() != dues.len()) =>
            {
                Some("a piece is certified in a run that is not open, or not under its tariffs")
            }
            Event::Indicium(_) | Event::Certification(_) if state.is_withdrawing() => {
                Some("a piece was signed during the withdrawal")
            }
            Event::Indicium(_) | Event::Certification(_)
                if state.lifecycle != Lifecycle::Active || !state.locks.is_empty() =>
            {
                Some("a piece was signed while the PSD was not active")
            }
            Event::Certification(piece)
                if proof_of(&piece.certification) == Proof::Signature
                    && state.key_in_use(Role::Certification).is_none() =>
            {
                Some("a piece was certified while no certification key was in use")
            }
            Event::Indicium(_) if state.key_in_use(Role::Indicium).is_none() => {
                Some("a piece was signed while no indicium key was in use")
            }
            Event::Indicium(piece)
                if piece.token.is_some()
                    && Party::BOTH.iter().any(|party| state.key_in_use(party.role()).is_none()) =>
            {
                Some("a digital token was made while a key of a half of it was not in use")
            }
            _ => None,
        };
        let (psd, sequence) = (stamp.psd, stamp.sequence);
        let wrong = wrong.or_else(|| self.beyond_limits(event, stamp));
        wrong.map_or(Ok(()), |what| Err(ReplayError::Contradiction { psd, sequence, what }))
    }
}

impl Psd {
    /// Whether a key of this algorithm would be weaker than the newest of its role.
    fn weakens(&self, role: Role, algorithm: Algorithm) -> bool {
        self.state.newest_key(role).is_some_and(|newest| algorithm.strength_bits() < newest.algorithm.strength_bits())
    }
}

/// What is wrong with the lock reason of an overdue inspection, as far as the PSD itself tells: it is set while the PSD is active, and by
/// nothing but itself; it ends by an acceptance only. Whether the inspection was due, the periods of the licence tell.
fn overdue_wrongly(state: &State, lifecycle: Lifecycle, locks: Locks) -> Option<&'static str> {
    let overdue = |locks: Locks| locks.has(LockReason::InspectionOverdue);
    match (overdue(state.locks), overdue(locks)) {
        (true, false) => Some("the lock for an overdue inspection ends without the authority's acceptance"),
        (false, true)
            if (state.lifecycle, lifecycle) != (Lifecycle::Active, Lifecycle::Active)
                || locks != state.locks.with(LockReason::InspectionOverdue) =>
        {
            Some("the lock for an overdue inspection comes with another change, or to a PSD that is not active")
        }
        _ => None,
    }
}

const fn activation(stamp: &Stamp, at: UnixMillis) -> Activation {
    Activation { at, sequence: stamp.sequence, registers: stamp.registers }
}

/// What ends with an application.
const fn purpose_of(applied: Applied) -> Purpose {
    match applied {
        Applied::Download { .. } => Purpose::Download,
        Applied::Refund(spoiled) => Purpose::Refund(spoiled),
    }
}

impl State {
    fn has_pending(&self, sequence: u64, amount: PostageAmount, purpose: impl Fn(Purpose) -> bool) -> bool {
        let pending = self.pending.as_ref();
        pending
            .is_some_and(|pending| (pending.sequence, pending.amount) == (sequence, amount) && purpose(pending.purpose))
    }
}
