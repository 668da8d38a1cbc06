//! The whole appliance as its records describe it.

use psd::clock::ClockReading;
use psd::device::ReplayError;
use psd::record::{AuthorityPurpose, Event, Genesis, Record};
use psd::{Psd, PsdId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An appliance, rebuilt from records.
#[derive(Clone, Debug)]
pub struct Appliance {
    /// Leaf 0.
    pub genesis: Genesis,
    /// Certificates of the authority, DER, by purpose.
    pub authority_keys: BTreeMap<u8, Arc<[u8]>>,
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
    /// The PSD's own rules.
    #[error(transparent)]
    Psd(#[from] ReplayError),
}

impl Appliance {
    /// The appliance as leaf 0 describes it.
    pub fn born(record: &Record) -> Result<Self, FollowError> {
        let Event::Genesis(genesis) = &record.event else { return Err(FollowError::Genesis) };
        Ok(Self { genesis: genesis.clone(), authority_keys: BTreeMap::new(), psds: BTreeMap::new(), latest: record.at })
    }

    /// Takes in the next record after leaf 0, checking that it follows. State digests are the caller's to check.
    pub fn follow(&mut self, record: &Record) -> Result<(), FollowError> {
        self.check_time(record.at)?;
        match &record.event {
            Event::Genesis(_) => return Err(FollowError::Genesis),
            Event::PsdCreated { stamp, .. } => {
                let psd = Psd::from_created(&record.event).filter(|_| !self.psds.contains_key(&stamp.psd));
                self.psds.insert(stamp.psd, psd.ok_or(ReplayError::UnknownPsd(stamp.psd))?);
            }
            event => match event.stamp() {
                Some(stamp) => {
                    let psd = self.psds.get_mut(&stamp.psd).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
                    psd.replay(event)?;
                }
                None => self.fold_appliance(event),
            },
        }
        Ok(())
    }

    /// Takes in a live record without checking that it follows.
    pub(crate) fn fold(&mut self, record: &Record) -> Result<(), FollowError> {
        match &record.event {
            Event::Genesis(_) => return Err(FollowError::Genesis),
            Event::PsdCreated { stamp, .. } => {
                let psd = Psd::from_created(&record.event).ok_or(ReplayError::UnknownPsd(stamp.psd))?;
                self.psds.insert(stamp.psd, psd);
            }
            event => match event.stamp() {
                Some(stamp) => {
                    self.psds.get_mut(&stamp.psd).ok_or(ReplayError::UnknownPsd(stamp.psd))?.fold(event);
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
        if let Event::AuthorityKeyInstalled { purpose, certificate } = event {
            self.authority_keys.insert(purpose.number(), Arc::clone(certificate));
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
