//! Whether a certification names a scale and a table that were in force where it stands in the log.

use super::{Certifying, TakenTable, WeightNotOf};
use crate::certification::{Certification, Weighed};
use crate::id::{RateName, ScaleId};
use crate::run::Run;
use crate::time::{MailingDate, UnixMillis};

/// A certification rests on something that the records before it do not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfounded {
    /// No such scale is registered there.
    #[error("scale {0}, on which it was weighed, is not registered by the records before it")]
    ScaleUnregistered(ScaleId),
    /// The calibration did not hold.
    #[error("scale {scale} was read at {taken}, and its calibration is from {from} to {until}")]
    NotCalibrated {
        /// The scale.
        scale: ScaleId,
        /// Time of the reading.
        taken: UnixMillis,
        /// First day.
        from: MailingDate,
        /// Last day.
        until: MailingDate,
    },
    /// The scale cannot read that.
    #[error("scale {scale} cannot have read {weight_mg} mg: {source}")]
    WeightNotOfScale {
        /// The scale.
        scale: ScaleId,
        /// Milligrams.
        weight_mg: u64,
        /// Why.
        source: WeightNotOf,
    },
    /// No such table, or another one under its name and version.
    #[error("{name} version {version}, by which it was rated, {what}")]
    RatesNotTaken {
        /// The table.
        name: RateName,
        /// Its version.
        version: u64,
        /// In the log.
        what: &'static str,
    },
    /// Another table was in force, or none.
    #[error("{name} version {version}, by which it was rated, was not in force on {date}, but {}", .in_force.map_or_else(|| "none".to_owned(), |version| format!("version {version}")))]
    RatesNotInForce {
        /// The table.
        name: RateName,
        /// Its version.
        version: u64,
        /// Day of mailing.
        date: MailingDate,
        /// The version that was, where one was.
        in_force: Option<u64>,
    },
}

impl Certifying {
    /// What a certification that stands right behind these records rests on and they do not have: of its scale at most one thing, of its table another.
    pub fn unfounded(&self, certification: &Certification) -> impl Iterator<Item = Unfounded> {
        let Certification { weighed, rated, date, run, .. } = certification;
        // The table of a run is the one that was in force when it was announced, which is judged there.
        let on = if run.is_some() { None } else { Some(*date) };
        let rated = self.rated((&rated.rates, rated.version, &rated.digest), on);
        self.weighed(weighed).err().into_iter().chain(rated.err())
    }

    /// What a run that is announced right behind these records rests on and they do not have.
    pub fn unfounded_run(&self, run: &Run) -> Option<Unfounded> {
        self.rated((&run.rates, run.version, &run.rates_digest), Some(run.date)).err()
    }

    /// The table of a name that is in force on a day of mailing: the highest version that has begun, unless it has ended.
    pub fn rates_in_force(&self, name: &RateName, on: MailingDate) -> Option<&TakenTable> {
        let versions = self.tables.range((name.clone(), 0)..=(name.clone(), u64::MAX));
        let begun = versions.rev().map(|(_, table)| table).find(|table| table.from <= on);
        begun.filter(|table| table.until.is_none_or(|until| on <= until))
    }

    fn weighed(&self, weighed: &Weighed) -> Result<(), Unfounded> {
        let Weighed { weight_mg, scale, taken } = weighed;
        let registered = self.scales.get(scale).ok_or_else(|| Unfounded::ScaleUnregistered(scale.clone()))?;
        if !registered.is_calibrated(*taken) {
            let (from, until) = (registered.from, registered.until);
            return Err(Unfounded::NotCalibrated { scale: scale.clone(), taken: *taken, from, until });
        }
        let (scale, weight_mg) = (scale.clone(), *weight_mg);
        registered.reads(weight_mg).map_err(|source| Unfounded::WeightNotOfScale { scale, weight_mg, source })
    }

    /// That a table is in the log and, where a day is given, in force on it.
    fn rated(
        &self,
        (name, version, digest): (&RateName, u64, &[u8; 32]),
        on: Option<MailingDate>,
    ) -> Result<(), Unfounded> {
        let name = name.clone();
        match self.tables.get(&(name.clone(), version)) {
            None => {
                let what = "was not taken by the records before it";
                Err(Unfounded::RatesNotTaken { name, version, what })
            }
            Some(taken) if taken.digest != *digest => {
                let what = "has another digest in the log";
                Err(Unfounded::RatesNotTaken { name, version, what })
            }
            Some(_) => {
                let Some(date) = on else { return Ok(()) };
                let in_force = self.rates_in_force(&name, date).map(|table| table.version);
                if in_force == Some(version) {
                    return Ok(());
                }
                Err(Unfounded::RatesNotInForce { name, version, date, in_force })
            }
        }
    }
}
