//! Scales and rate tables as the log has them, for whoever inspects: plain data, and calibrations that ask for something.

use crate::finding::{Code, Finding};
use crate::fold::Certified;
use crate::rules::Rules;
use psd::certifying::{Certifying, RegisteredScale, Standing, TakenTable, rates_slot, scale_slot, standing};
use psd::{MailingDate, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A scale that is registered, as its record has it. Days are `YYYY-MM-DD`, in UTC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleView {
    /// Its name.
    pub scale: String,
    /// Who made it.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// Where it stands.
    pub site: String,
    /// Number of the calibration certificate.
    pub certificate: String,
    /// Who issued it.
    pub issuer: String,
    /// First day on which it counts.
    pub valid_from: String,
    /// Last day on which it counts.
    pub valid_until: String,
    /// Greatest load, milligrams.
    pub capacity_mg: u64,
    /// Smallest load, milligrams.
    pub minimum_mg: u64,
    /// Readings are multiples of it, milligrams.
    pub resolution_mg: u64,
    /// `never`, `optional` or `required`.
    pub signed: String,
    /// `valid`, `due`, `overdue` or `not yet valid`, at the time of the inspection.
    pub standing: String,
    /// Until the calibration begins or ends, or since it ended.
    pub days: Option<u64>,
    /// The record.
    pub leaf: u64,
    /// Certifications that name it, whatever its entry said at their time.
    pub certifications: u64,
    /// What they weigh together, milligrams.
    pub weight_mg: u64,
    /// Time of the latest reading that was certified.
    pub last_reading_ms: Option<u64>,
}

/// A rate table that was taken, as its record has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatesView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of the table, hex.
    pub digest: String,
    /// First day of mailing that it is for.
    pub from: String,
    /// Last one, where it says so.
    pub until: Option<String>,
    /// `in force`, `to come` or `over`, on the day of the inspection.
    pub state: String,
    /// The record.
    pub leaf: u64,
    /// Pieces certified by it.
    pub pieces: u64,
}

/// Every scale that is registered, by name.
pub(crate) fn scales(
    certifying: &Certifying,
    live: &BTreeMap<String, u64>,
    certified: &Certified,
    (rules, now): (&Rules, UnixMillis),
) -> Vec<ScaleView> {
    let view = |scale: &RegisteredScale| {
        let slot = scale_slot(&scale.scale);
        let uses = certified.scales.get(&slot).copied().unwrap_or_default();
        ScaleView {
            certifications: uses.certifications,
            weight_mg: uses.weight_mg,
            last_reading_ms: (uses.certifications > 0).then_some(uses.last_reading_ms),
            ..ScaleView::of(scale, live.get(&slot).copied().unwrap_or(0), rules, now)
        }
    };
    certifying.scales().map(view).collect()
}

/// Every table that was taken, by name and version.
pub(crate) fn tables(
    certifying: &Certifying,
    live: &BTreeMap<String, u64>,
    certified: &Certified,
    now: UnixMillis,
) -> Vec<RatesView> {
    let view = |table: &TakenTable| {
        let slot = rates_slot(&table.name, table.version);
        let (pieces, leaf) = (certified.tables.get(&slot).copied(), live.get(&slot).copied());
        let today = MailingDate::of(now);
        let in_force = today.and_then(|today| certifying.rates_in_force(&table.name, today));
        let state = match today {
            _ if in_force == Some(table) => "in force",
            Some(today) if table.from > today => "to come",
            _ => "over",
        };
        RatesView { pieces: pieces.unwrap_or(0), ..RatesView::of(table, leaf.unwrap_or(0), state) }
    };
    certifying.tables().map(view).collect()
}

impl ScaleView {
    /// As its record at this leaf says, without what was certified.
    pub(crate) fn of(scale: &RegisteredScale, leaf: u64, rules: &Rules, now: UnixMillis) -> Self {
        let standing = scale.standing(now, rules.calibration_notice_days);
        Self {
            scale: scale.scale.to_string(),
            maker: scale.maker.to_string(),
            model: scale.model.to_string(),
            site: scale.site.to_string(),
            certificate: scale.certificate.to_string(),
            issuer: scale.issuer.to_string(),
            valid_from: scale.from.to_string(),
            valid_until: scale.until.to_string(),
            capacity_mg: scale.capacity_mg,
            minimum_mg: scale.minimum_mg,
            resolution_mg: scale.resolution_mg,
            signed: scale.signed.as_str().to_owned(),
            standing: standing.as_str().to_owned(),
            days: standing.days(),
            leaf,
            certifications: 0,
            weight_mg: 0,
            last_reading_ms: None,
        }
    }
}

impl RatesView {
    /// As its record at this leaf says, without what was certified.
    pub(crate) fn of(table: &TakenTable, leaf: u64, state: &str) -> Self {
        Self {
            name: table.name.to_string(),
            version: table.version,
            digest: table.digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            from: table.from.to_string(),
            until: table.until.map(|until| until.to_string()),
            state: state.to_owned(),
            leaf,
            pieces: 0,
        }
    }
}

/// Calibrations that ended, or end soon.
pub(crate) fn calibration_findings(scales: &[ScaleView], rules: &Rules, now: UnixMillis) -> Vec<Finding> {
    let finding = |scale: &ScaleView| {
        let days = (scale.valid_from.parse().ok()?, scale.valid_until.parse().ok()?);
        let ScaleView { scale, site, certificate, valid_until, leaf, .. } = scale;
        let of = format!("the calibration of scale {scale} ({site}) by certificate {certificate}");
        let says = match standing(days, now, rules.calibration_notice_days) {
            Standing::Valid | Standing::NotYetValid { .. } => return None,
            Standing::Due { days } => format!("{of} ends after {valid_until}, in {days} days"),
            Standing::Overdue { .. } => {
                format!("{of} ended after {valid_until}, and the scale is registered still; its readings do not count")
            }
        };
        Some(Finding::new(Code::CalibrationDue, None, &[*leaf], days.1.begins().0, says))
    };
    scales.iter().filter_map(finding).collect()
}
