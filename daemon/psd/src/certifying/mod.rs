//! What certifications are made by: the rate tables that were taken and the scales that are registered, as the log says (docs/ledger.md, kinds 32 to 34).
//!
//! Owns which records a new set of tables and scales needs, whether such a record follows from those before it, and whether a certification names a
//! table and a scale that were in force where it stands. Refuses to read files and to price or weigh anything. Called by the core before a new
//! set comes into force, by replay and verification, and by inspectors.

mod founded;
mod scale;
mod standing;
mod table;

pub use founded::Unfounded;
pub use scale::{ReadingsSigned, RegisteredScale, ScaleError, WeightNotOf};
pub use standing::{Standing, standing};
pub use table::TakenTable;

use crate::id::{RateName, ScaleId};
use crate::record::Event;
use std::collections::BTreeMap;

/// Most characters of a text in the entry of a scale.
pub const LONGEST_LINE: usize = 80;

/// Tables and scales as files have them: what certifications are to be made by from now on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Basis {
    /// Every published table, the old ones too.
    pub tables: Vec<TakenTable>,
    /// Every scale of the registry, each name once.
    pub scales: Vec<RegisteredScale>,
}

/// Tables and scales as the records so far have them. Grows with these records, not with pieces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Certifying {
    tables: BTreeMap<(RateName, u64), TakenTable>,
    scales: BTreeMap<ScaleId, RegisteredScale>,
}

/// Tables and scales that do not follow from those before them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CertifyingError {
    /// One version, two tables.
    #[error(
        "rate table {name} version {version} stands in the log already, with other bytes or other days; a version is published once: have the \
         authority publish the new table under the next version"
    )]
    SameVersion {
        /// The table.
        name: RateName,
        /// Its version.
        version: u64,
    },
    /// A table that was taken is not there any more.
    #[error(
        "rate table {name} version {version} stands in the log and is not among the tables any more, though lower versions are: these would pass for \
         the ones in force; put the published table back"
    )]
    Missing {
        /// The table.
        name: RateName,
        /// Its version.
        version: u64,
    },
    /// A record that says nothing new.
    #[error("scale {0} is registered as it stands in the log already")]
    NothingNew(ScaleId),
    /// A scale that is none.
    #[error("scale {0} is not registered, so it cannot be removed")]
    NotRegistered(ScaleId),
}

impl Certifying {
    /// The records that the log needs before certifications are made by this: none where it says all of it already. Tables come first, then scales that
    /// are removed, then those that are new or changed, each in the order of names.
    ///
    /// # Errors
    ///
    /// When a table contradicts one that was taken, or one that was taken is missing between those that are there.
    pub fn changes_to(&self, basis: &Basis) -> Result<Vec<Event>, CertifyingError> {
        let tables: BTreeMap<_, _> = basis.tables.iter().map(|table| (table.key(), table)).collect();
        let scales: BTreeMap<_, _> = basis.scales.iter().map(|scale| (&scale.scale, scale)).collect();
        self.check_whole(&tables)?;
        let mut events = Vec::new();
        for table in tables.into_values() {
            match self.tables.get(&table.key()) {
                Some(taken) if taken == table => {}
                Some(_) => return Err(same_version(table)),
                None => events.push(Event::RatesTaken(table.clone())),
            }
        }
        let gone = self.scales.keys().filter(|scale| !scales.contains_key(scale));
        events.extend(gone.map(|scale| Event::ScaleRemoved { scale: scale.clone() }));
        let changed = scales.into_values().filter(|scale| self.scales.get(&scale.scale) != Some(scale));
        events.extend(changed.map(|scale| Event::ScaleRegistered(scale.clone())));
        Ok(events)
    }

    /// Above the lowest version of a table that is there, each that was taken is there as well: else an older one would pass for the one in force.
    fn check_whole(&self, tables: &BTreeMap<(RateName, u64), &TakenTable>) -> Result<(), CertifyingError> {
        for key @ (name, version) in self.tables.keys() {
            let lower = tables.range((name.clone(), 0)..key.clone()).next().is_some();
            if lower && !tables.contains_key(key) {
                return Err(CertifyingError::Missing { name: name.clone(), version: *version });
            }
        }
        Ok(())
    }

    /// Whether a record follows; others than those of tables and scales always do.
    ///
    /// # Errors
    ///
    /// When it contradicts those before it, or says what they say already.
    pub fn check(&self, event: &Event) -> Result<(), CertifyingError> {
        match event {
            Event::RatesTaken(table) if self.tables.contains_key(&table.key()) => Err(same_version(table)),
            Event::ScaleRegistered(scale) if self.scales.get(&scale.scale) == Some(scale) => {
                Err(CertifyingError::NothingNew(scale.scale.clone()))
            }
            Event::ScaleRemoved { scale } if !self.scales.contains_key(scale) => {
                Err(CertifyingError::NotRegistered(scale.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Takes in a record without checking it.
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::RatesTaken(table) => drop(self.tables.insert(table.key(), table.clone())),
            Event::ScaleRegistered(scale) => drop(self.scales.insert(scale.scale.clone(), scale.clone())),
            Event::ScaleRemoved { scale } => drop(self.scales.remove(scale)),
            _ => {}
        }
    }

    /// Scales that are registered, by name.
    pub fn scales(&self) -> impl ExactSizeIterator<Item = &RegisteredScale> {
        self.scales.values()
    }

    /// A scale that is registered.
    pub fn scale(&self, scale: &ScaleId) -> Option<&RegisteredScale> {
        self.scales.get(scale)
    }

    /// A table that was taken.
    pub fn table(&self, name: &RateName, version: u64) -> Option<&TakenTable> {
        self.tables.get(&(name.clone(), version))
    }

    /// Tables that were taken, by name and version.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &TakenTable> {
        self.tables.values()
    }
}

fn same_version(table: &TakenTable) -> CertifyingError {
    CertifyingError::SameVersion { name: table.name.clone(), version: table.version }
}

/// The slot of a table's record.
pub fn rates_slot(name: &RateName, version: u64) -> String {
    format!("rates:{name}:{version}")
}

/// The slot of a scale's records.
pub fn scale_slot(scale: &ScaleId) -> String {
    format!("scale:{scale}")
}

#[cfg(test)]
mod tests;
