//! Certifications against the scales and rate tables that the log has before them, and how many each of those stands behind.

use super::Fold;
use crate::finding::Code;
use psd::certification::Certification;
use psd::certifying::{Certifying, Unfounded, rates_slot, scale_slot};
use psd::record::{Event, Record};
use psd::{PsdId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was certified by scales and tables, by the slots of their records. Only what the log ever had is counted, so that this grows with its records of
/// scales and tables, and not with what certifications name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certified {
    pub(crate) scales: BTreeMap<String, Weighings>,
    pub(crate) tables: BTreeMap<String, u64>,
}

/// Certifications that name a scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weighings {
    pub(crate) certifications: u64,
    /// All weights together, milligrams.
    pub(crate) weight_mg: u64,
    /// Time of the latest reading, by the scale's clock.
    pub(crate) last_reading_ms: u64,
}

impl Certified {
    fn note(&mut self, certifying: &Certifying, certification: &Certification) {
        let Certification { weighed, rated, .. } = certification;
        if certifying.scale(&weighed.scale).is_some() {
            let of = self.scales.entry(scale_slot(&weighed.scale)).or_default();
            of.certifications += 1;
            of.weight_mg = of.weight_mg.saturating_add(weighed.weight_mg);
            of.last_reading_ms = of.last_reading_ms.max(weighed.taken.0);
        }
        if certifying.table(&rated.rates, rated.version).is_some_and(|table| table.digest == rated.digest) {
            *self.tables.entry(rates_slot(&rated.rates, rated.version)).or_default() += 1;
        }
    }
}

impl Fold {
    /// Judges what a certification rests on by the records before it.
    pub(super) fn weighed(&mut self, leaf: u64, time: UnixMillis, psd: PsdId, certification: &Certification) {
        let Some(appliance) = &self.appliance else { return };
        self.certified.note(&appliance.certifying, certification);
        let unfounded: Vec<Unfounded> = appliance.certifying.unfounded(certification).collect();
        for what in unfounded {
            let says = format!("the certification at record {leaf}: {what}");
            self.find(code(&what), Some(psd), &[leaf], time, says);
        }
    }
}

impl Fold {
    /// The same of a run that is announced.
    pub(super) fn announced(&mut self, leaf: u64, record: &Record) {
        let (Event::RunOpened { stamp, run, .. }, Some(appliance)) = (&record.event, &self.appliance) else { return };
        if let Some(what) = appliance.certifying.unfounded_run(run) {
            let says = format!("the run announced at record {leaf}: {what}");
            self.find(code(&what), Some(stamp.psd), &[leaf], record.at.time, says);
        }
    }
}

const fn code(what: &Unfounded) -> Code {
    match what {
        Unfounded::ScaleUnregistered(_) => Code::ScaleUnregistered,
        Unfounded::NotCalibrated { .. } => Code::ScaleNotCalibrated,
        Unfounded::WeightNotOfScale { .. } => Code::WeightNotOfScale,
        Unfounded::RatesNotTaken { .. } => Code::RatesNotTaken,
        Unfounded::RatesNotInForce { .. } => Code::RatesNotInForce,
    }
}
