//! The whole appliance as its records describe it. Called by recovery and verification of a ledger, and by inspectors.

use crate::authority::{AboveCeiling, AuthorityState};
use crate::certification::MarkId;
use crate::certifying::{Certifying, CertifyingError};
use crate::clock::ClockReading;
use crate::device::{Psd, ReplayError, State};
use crate::governance::{Governance, check_operators};
use crate::id::PsdId;
use crate::lifecycle::LockReason;
use crate::policy::NotTheNext;
use crate::record::{Applied, AuthorityPurpose, CertifiedPiece, Event, Genesis, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An appliance, rebuilt from records.
#[derive(Clone, Debug)]
pub struct Appliance {
    /// Leaf 0.
    pub genesis: Genesis,
    /// Certificates of the authority, DER, by purpose.
    pub authority_keys: BTreeMap<u8, Arc<[u8]>>,
    /// What the authority instructed, and the value of licences.
    pub authority: AuthorityState,
    /// Operators, ceremonies and who was revoked.
    pub governance: Governance,
    /// Rate tables and scales that certifications are made by.
    pub certifying: Certifying,
    /// Every PSD.
    pub psds: BTreeMap<PsdId, Psd>,
    /// Latest reading in any record.
    pub latest: ClockReading,
}

/// A record does not follow from those before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FollowError {
    /// Leaf 0 is something else, or a later leaf is a genesis.
    #[error("genesis stands at leaf 0 and nowhere else")]
    Genesis,
    /// Time or epoch runs backwards.
    #[error("time runs backwards: {found} after {before}")]
    Time {
        /// In the record.
        found: String,
        /// In an earlier record.
        before: String,
    },
    /// The state digest is not that of the state before it.
    #[error("the state digest is not that of the records before it")]
    StateDigest,
    /// The number of an instruction does not rise.
    #[error("instruction {found} of the authority's {purpose} key follows {before}")]
    Instruction {
        /// Which key.
        purpose: &'static str,
        /// In the record.
        found: u64,
        /// Before it.
        before: u64,
    },
    /// Operators, a ceremony or a revocation out of order.
    #[error("{0}")]
    Governance(&'static str),
    /// More value than a licence may load.
    #[error(transparent)]
    Ceiling(#[from] AboveCeiling),
    /// The sums of the licence are not those of its downloads.
    #[error("the value loaded under the licence so far is not the sum of its downloads")]
    Loaded,
    /// A PSD is locked for want of an inspection that was not due.
    #[error("PSD {0} is locked for an overdue inspection, and none was due by the records before")]
    NotDue(PsdId),
    /// The version of the authority's policy does not rise by one.
    #[error(transparent)]
    Policy(#[from] NotTheNext),
    /// A table or a scale that contradicts the records before it.
    #[error(transparent)]
    Certifying(#[from] CertifyingError),
    /// A certification is paid by an indicium whose postage came back, or was asked to.
    #[error("a certification is paid by the indicium of {} with the ascending register {}, whose postage came back or was asked to", .0.psd, .0.ascending)]
    PaidByRefunded(MarkId),
    /// The PSD's own rules.
    #[error(transparent)]
    Psd(#[from] ReplayError),
}

impl Appliance {
    /// The PSD of an event as it stands now, where the event is not one of the many, pieces, that no instruction can lead to.
    pub fn standing(&self, event: &Event) -> Option<State> {
        let stamp = event.stamp().filter(|_| event.debit().is_none())?;
        Some(self.psds.get(&stamp.psd)?.state().clone())
    }

    /// The appliance as leaf 0 describes it.
    pub fn born(record: &Record) -> Result<Self, FollowError> {
        let Event::Genesis(genesis) = &record.event else { return Err(FollowError::Genesis) };
        // Without operators nobody ever approves a ceremony.
        if !genesis.operators.is_empty() || genesis.quorum > 0 {
            check_operators(&genesis.operators, genesis.quorum).map_err(FollowError::Governance)?;
        }
        Ok(Self {
            genesis: genesis.clone(),
            authority_keys: BTreeMap::new(),
            authority: AuthorityState::default(),
            governance: Governance::born(genesis),
            certifying: Certifying::default(),
            psds: BTreeMap::new(),
            latest: record.at,
        })
    }

    /// Takes in the next record after leaf 0, checking that it follows. State digests are the caller's to check.
    pub fn follow(&mut self, record: &Record) -> Result<(), FollowError> {
        self.check_time(record.at)?;
        match &record.event {
            Event::Genesis(_) => return Err(FollowError::Genesis),
            Event::PsdCreated { stamp, .. } => {
                let psd =
                    Psd::from_created(&record.event, record.at.time).filter(|_| !self.psds.contains_key(&stamp.psd));
                self.psds.insert(stamp.psd, psd.ok_or(ReplayError::UnknownPsd(stamp.psd))?);
            }
            event => match event.stamp() {
                Some(stamp) => {
                    self.check_overdue(record)?;
                    self.check_payment(event)?;
                    let psd = self.psds.get_mut(&stamp.psd).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
                    psd.replay(event, record.at.time)?;
                    self.check_loaded(record)?;
                    self.fold_loaded(record);
                }
                None => {
                    self.check_instruction(event)?;
                    if let Event::AuthorityPolicySet { version, .. } = event {
                        self.authority.policy().check_next(*version)?;
                    }
                    self.governance.check(event).map_err(FollowError::Governance)?;
                    self.certifying.check(event)?;
                    self.fold_appliance(event);
                }
            },
        }
        Ok(())
    }

    /// Takes in a record without checking that it follows: a live one, or one that an inspector has objected to.
    pub fn fold(&mut self, record: &Record) -> Result<(), FollowError> {
        match &record.event {
            Event::Genesis(_) => return Err(FollowError::Genesis),
            Event::PsdCreated { stamp, .. } => {
                let psd = Psd::from_created(&record.event, record.at.time).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
                self.psds.insert(stamp.psd, psd);
            }
            event => match event.stamp() {
                Some(stamp) => {
                    self.psds
                        .get_mut(&stamp.psd)
                        .ok_or(ReplayError::UnknownPsd(stamp.psd))?
                        .fold(event, record.at.time);
                    self.fold_loaded(record);
                }
                None => self.fold_appliance(event),
            },
        }
        self.latest = self.latest_of(record.at);
        Ok(())
    }

    /// The authority's certificate for a purpose, DER.
    pub fn authority_key(&self, purpose: AuthorityPurpose) -> Option<&Arc<[u8]>> {
        self.authority_keys.get(&purpose.number())
    }

    fn fold_appliance(&mut self, event: &Event) {
        match event {
            Event::AuthorityKeyInstalled { purpose, certificate } => {
                self.authority_keys.insert(purpose.number(), Arc::clone(certificate));
            }
            Event::InstructionTaken { purpose, number, .. } => self.authority.instructed(*purpose, *number),
            Event::CeilingSet { licence, period, amount } => self.authority.set_ceiling(licence, *period, *amount),
            Event::InspectionPeriodsSet { licence, periods } => {
                self.authority.set_inspection_periods(licence, *periods);
            }
            Event::AuthorityPolicySet { version, text } => self.authority.set_policy(*version, text),
            Event::RatesTaken(_) | Event::ScaleRegistered(_) | Event::ScaleRemoved { .. } => {
                self.certifying.fold(event)
            }
            event => self.governance.fold(event),
        }
    }

    fn check_instruction(&self, event: &Event) -> Result<(), FollowError> {
        let Event::InstructionTaken { purpose, number, .. } = event else { return Ok(()) };
        let (found, before) = (*number, self.authority.newest(*purpose));
        if found > before {
            return Ok(());
        }
        Err(FollowError::Instruction { purpose: purpose.as_str(), found, before })
    }

    /// The lock for an overdue inspection is set only when the inspection is due under the periods of the licence.
    fn check_overdue(&self, record: &Record) -> Result<(), FollowError> {
        let Event::LifecycleChanged { stamp, locks, .. } = &record.event else { return Ok(()) };
        let psd = self.psds.get(&stamp.psd).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
        let overdue = LockReason::InspectionOverdue;
        if !locks.has(overdue) || psd.state().locks.has(overdue) {
            return Ok(());
        }
        let next = self.authority.inspection_due(&psd.identity().licence, psd.state().inspected);
        if next.is_some_and(|next| record.at.time >= next.due) { Ok(()) } else { Err(FollowError::NotDue(stamp.psd)) }
    }

    /// An indicium whose postage came back pays nothing.
    fn check_payment(&self, event: &Event) -> Result<(), FollowError> {
        let Event::Certification(CertifiedPiece { mark: Some(mark), .. }) = event else { return Ok(()) };
        let payer = self.psds.get(&mark.psd).ok_or(ReplayError::UnknownPsd(mark.psd))?;
        if payer.state().gives_back(mark.ascending) { Err(FollowError::PaidByRefunded(*mark)) } else { Ok(()) }
    }

    /// Value loaded is under the ceilings of its licence, and told by the sums.
    fn check_loaded(&self, record: &Record) -> Result<(), FollowError> {
        let Event::ValueApplied { stamp, amount, applied: Applied::Download { loaded }, .. } = &record.event else {
            return Ok(());
        };
        let psd = self.psds.get(&stamp.psd).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
        let admitted = self.authority.admit(&psd.identity().licence, *amount, record.at.time)?;
        if admitted == *loaded { Ok(()) } else { Err(FollowError::Loaded) }
    }

    fn fold_loaded(&mut self, record: &Record) {
        if let Event::ValueApplied { stamp, applied: Applied::Download { loaded }, .. } = &record.event
            && let Some(psd) = self.psds.get(&stamp.psd)
        {
            self.authority.loaded(&psd.identity().licence, *loaded, record.at.time);
        }
    }

    fn latest_of(&self, at: ClockReading) -> ClockReading {
        if (at.epoch, at.time) >= (self.latest.epoch, self.latest.time) { at } else { self.latest }
    }

    fn check_time(&mut self, at: ClockReading) -> Result<(), FollowError> {
        if (at.epoch, at.time) < (self.latest.epoch, self.latest.time) {
            return Err(FollowError::Time { found: at.to_string(), before: self.latest.to_string() });
        }
        self.latest = at;
        Ok(())
    }
}
