//! Mail runs (SEEDS.md C; docs/certification.md, "Runs"): announced by a manifest, certified piece by piece, counted at the end.
//!
//! A manifest says how many pieces go to each ZIP; which tariff each ZIP has by it is computed by the caller. The pieces are certified by these
//! tariffs. When the run is closed the pieces are counted, the tariffs are found again by that count, and what the pieces paid too little is
//! debited at once. Here is what a run is, and that sum. Every piece is recorded with what it owes under each tariff of its run, so that the log alone
//! shows whether the sum is right.

mod tally;

pub use tally::{NotOfRun, Tally};

use crate::certification::Certification;
use crate::id::{RateName, RunId};
use crate::money::PostageAmount;
use crate::time::MailingDate;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most ZIPs of a run: the record of a run is an entry of the log, and has 65,535 bytes at most.
pub const MOST_DESTINATIONS: usize = 10_000;
/// Most pieces that are announced for a run, for the same reason.
pub const MOST_ANNOUNCED: u64 = 1_000_000;
/// Most tariffs that the pieces of a run can have.
pub const MOST_TARIFFS: usize = 16;
/// Most open runs of a PSD.
pub const MOST_OPEN: usize = 16;
/// A run is closed at the latest so many days after its day of mailing; else its PSD opens no other.
pub const LATEST_CLOSING_DAYS: i64 = 3;

/// A run is announced at most so many days before its day of mailing.
pub const FURTHEST_DAYS: i64 = 30;

/// What a piece of a run owes under each tariff of the run, in the order of the tariffs.
pub type Dues = Arc<[PostageAmount]>;

/// A run as it was announced, with what it qualified for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// All but its destinations.
    terms: RunTerms,
    destinations: Arc<[Destination]>,
}

/// What is alike in all pieces of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunTerms {
    /// Its name, unique within the tenant.
    pub id: RunId,
    /// SHA-256 of the manifest as received.
    pub digest: [u8; 32],
    /// Day of mailing.
    pub date: MailingDate,
    /// Name of the rate table.
    pub rates: RateName,
    /// Its version.
    pub version: u64,
    /// SHA-256 of the table as published.
    pub rates_digest: [u8; 32],
    /// Class of mail.
    pub class: RateName,
    /// Every tariff that its pieces can have under the discounts claimed.
    pub tariffs: Arc<[RateName]>,
}

/// Pieces for one ZIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The ZIP, five digits.
    pub zip: u32,
    /// How many are announced; one at least.
    pub pieces: u32,
    /// Their tariff, by its place among those of the run.
    pub tariff: u8,
}

/// What was counted for one ZIP of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Pieces certified.
    pub pieces: u32,
    /// Their tariff by the count, by its place among those of the run.
    pub tariff: u8,
}

/// A run that was counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClosedRun {
    /// Its name.
    pub id: RunId,
    /// Leaf of the record by which it was opened.
    pub opened: u64,
    /// What its pieces owed beyond what was paid for them, by the tariffs that they have by the count.
    pub owed: PostageAmount,
    /// What was debited for them when they were certified.
    pub debited: PostageAmount,
    /// For each ZIP announced, in their order.
    pub counted: Arc<[Counted]>,
}

/// What cannot be announced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// None, or too many.
    #[error("a run goes to 1 to {MOST_DESTINATIONS} ZIPs, this one to {0}; split it")]
    Destinations(usize),
    /// Too many.
    #[error("a run has at most {MOST_ANNOUNCED} pieces, this one {0}; split it")]
    Pieces(u64),
    /// Twice, or not in order.
    #[error("ZIP {0:05} stands twice or out of order")]
    Order(u32),
    /// Without a piece, or no ZIP.
    #[error("{0:05} is no ZIP, or has no piece")]
    Empty(u32),
    /// None, too many, or one of nothing.
    #[error("a run has 1 to {MOST_TARIFFS} tariffs, this one {0}; claim fewer discounts")]
    Tariffs(usize),
}

impl Run {
    /// A run with these destinations, ascending by ZIP.
    ///
    /// # Errors
    ///
    /// What cannot be announced.
    pub fn new(terms: RunTerms, destinations: Vec<Destination>) -> Result<Self, RunError> {
        if !(1..=MOST_DESTINATIONS).contains(&destinations.len()) {
            return Err(RunError::Destinations(destinations.len()));
        }
        let tariffs = terms.tariffs.len();
        if !(1..=MOST_TARIFFS).contains(&tariffs) || destinations.iter().any(|to| usize::from(to.tariff) >= tariffs) {
            return Err(RunError::Tariffs(tariffs));
        }
        if let Some(wrong) = destinations.windows(2).find(|pair| pair[0].zip >= pair[1].zip) {
            return Err(RunError::Order(wrong[1].zip));
        }
        if let Some(wrong) = destinations.iter().find(|to| to.pieces == 0 || to.zip > 99_999) {
            return Err(RunError::Empty(wrong.zip));
        }
        let run = Self { terms, destinations: destinations.into() };
        match run.announced() {
            announced if announced > MOST_ANNOUNCED => Err(RunError::Pieces(announced)),
            _ => Ok(run),
        }
    }

    /// Its destinations, ascending by ZIP.
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// Where a ZIP stands among them.
    pub fn place(&self, zip: u32) -> Option<usize> {
        self.destinations.binary_search_by_key(&zip, |to| to.zip).ok()
    }

    /// All pieces announced.
    pub fn announced(&self) -> u64 {
        self.destinations.iter().map(|to| u64::from(to.pieces)).sum()
    }

    /// The tariff that a ZIP has by the manifest.
    pub fn tariff(&self, zip: u32) -> Option<&RateName> {
        let to = self.destinations[self.place(zip)?];
        self.terms.tariffs.get(usize::from(to.tariff))
    }

    /// Whether a certification is one of this run, by what it says and what it owes under each tariff.
    ///
    /// # Errors
    ///
    /// What is not as announced.
    pub fn admits(&self, certification: &Certification, dues: &[PostageAmount]) -> Result<(), &'static str> {
        let (terms, rated) = (&self.terms, &certification.rated);
        let to = self.place(certification.destination.zip()).map(|place| usize::from(self.destinations[place].tariff));
        let to = to.ok_or("its destination is not in the manifest")?;
        let same = [
            (certification.run.as_ref() == Some(&terms.id), "it names another run"),
            (certification.date == terms.date, "its day of mailing is not that of the run"),
            (rated.class == terms.class, "its class is not that of the run"),
            (rated.digest == terms.rates_digest, "its rate table is not that of the run"),
            (dues.len() == terms.tariffs.len(), "it is not rated under each tariff of the run"),
            (terms.tariffs.get(to) == Some(&rated.tariff), "its tariff is not the one its ZIP qualified for"),
            (dues.get(to) == Some(&certification.due), "what is due is not that of its tariff"),
        ];
        same.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what))
    }

    /// Whether the run can be closed so, as far as its announcement tells.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub fn admits_closing(&self, closed: &ClosedRun) -> Result<(), &'static str> {
        let tariffs = self.terms.tariffs.len();
        let known = closed.counted.iter().all(|counted| usize::from(counted.tariff) < tariffs);
        match closed.counted.len() == self.destinations.len() && known {
            true => Ok(()),
            false => Err("a run is closed with other destinations or tariffs than were announced"),
        }
    }

    /// How far each ZIP is from the one before it, the first from zero: what records have in the place of ZIPs.
    pub fn zip_steps(&self) -> Vec<u64> {
        let mut before = 0;
        let step = |to: &Destination| u64::from(to.zip - std::mem::replace(&mut before, to.zip));
        self.destinations.iter().map(step).collect()
    }
}

impl std::ops::Deref for Run {
    type Target = RunTerms;

    fn deref(&self) -> &RunTerms {
        &self.terms
    }
}

impl Destination {
    /// Destinations from [`Run::zip_steps`], pieces and tariffs; nothing where they do not go together.
    pub fn of_steps(steps: &[u64], pieces: &[u64], tariffs: &[u8]) -> Option<Vec<Self>> {
        if steps.len() != pieces.len() || steps.len() != tariffs.len() {
            return None;
        }
        let mut zip = 0u32;
        let destination = |((step, pieces), tariff): ((&u64, &u64), &u8)| {
            zip = zip.checked_add(u32::try_from(*step).ok()?)?;
            Some(Self { zip, pieces: u32::try_from(*pieces).ok()?, tariff: *tariff })
        };
        steps.iter().zip(pieces).zip(tariffs).map(destination).collect()
    }
}

impl ClosedRun {
    /// What is debited by the closing: what was owed beyond what had been debited.
    pub fn settled(&self) -> PostageAmount {
        self.owed.checked_sub(self.debited).unwrap_or(PostageAmount::ZERO)
    }

    /// What had been debited beyond what was owed. It is told, and not given back.
    pub fn overpaid(&self) -> PostageAmount {
        self.debited.checked_sub(self.owed).unwrap_or(PostageAmount::ZERO)
    }

    /// Pieces counted.
    pub fn pieces(&self) -> u64 {
        self.counted.iter().map(|counted| u64::from(counted.pieces)).sum()
    }
}

/// The runs of a PSD.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs {
    open: BTreeMap<RunId, Arc<Run>>,
    over: BTreeSet<RunId>,
}

impl Runs {
    /// Those that are open, by name.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.open.values()
    }

    /// The open run of this name.
    pub fn open_named(&self, id: &RunId) -> Option<&Arc<Run>> {
        self.open.get(id)
    }

    /// Whether there ever was a run of this name.
    pub fn knows(&self, id: &RunId) -> bool {
        self.open.contains_key(id) || self.over.contains(id)
    }

    pub(crate) fn opened(&mut self, run: &Arc<Run>) {
        self.open.insert(run.id.clone(), Arc::clone(run));
    }

    pub(crate) fn closed(&mut self, id: &RunId) {
        self.open.remove(id);
        self.over.insert(id.clone());
    }
}

#[cfg(test)]
mod tests;
