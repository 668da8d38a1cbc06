//! A fleet as its evidence shows it: plain data for tables, JSON and pages.

use crate::audit::AuditView;
use crate::certifying::{RatesView, ScaleView};
use crate::finding::{Finding, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An appliance with all its PSDs. Amounts are decimal text in the currency of the PSD; times are milliseconds since 1970, UTC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetView {
    /// Name of the appliance.
    pub appliance: String,
    /// `development` or `production`.
    pub environment: String,
    /// Records inspected.
    pub records: u64,
    /// Root of the signed checkpoint over them, hex.
    pub root: String,
    /// When it was inspected.
    pub inspected_ms: u64,
    /// Time of the last record.
    pub last_record_ms: u64,
    /// Pieces of all PSDs.
    pub pieces: u64,
    /// The clock.
    pub clock: ClockView,
    /// What the authority instructed as its own policy, if it ever did.
    #[serde(default)]
    pub policy: Option<PolicyView>,
    /// Scales that are registered, by name.
    #[serde(default)]
    pub scales: Vec<ScaleView>,
    /// Rate tables that were taken, by name and version.
    #[serde(default)]
    pub rates: Vec<RatesView>,
    /// Red ones first, then by code, PSD and time.
    pub findings: Vec<Finding>,
    /// By device ID.
    pub psds: Vec<PsdView>,
    /// All PSDs together, the last days on which there was a record.
    pub days: Vec<DayView>,
    /// All PSDs together, the last hours in which a piece was signed.
    pub hours: Vec<HourView>,
    /// What PSDs answered to a challenge, where one was sent.
    pub audit: Option<AuditView>,
}

/// How something stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Light {
    /// A red finding.
    Red,
    /// An amber finding, or a PSD that is locked or not active.
    Amber,
    /// Neither.
    Green,
}

impl Light {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Light::Red => "red",
            Light::Amber => "amber",
            Light::Green => "green",
        }
    }
}

impl From<Severity> for Light {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Red => Light::Red,
            Severity::Amber => Light::Amber,
        }
    }
}

impl FleetView {
    /// The same with an audit and what it found.
    #[must_use]
    pub fn audited(mut self, audit: AuditView, findings: Vec<Finding>) -> Self {
        self.audit = Some(audit);
        self.findings.extend(findings);
        self.findings
            .sort_by(|a, b| (a.severity, a.code, &a.psd, a.time_ms).cmp(&(b.severity, b.code, &b.psd, b.time_ms)));
        self
    }

    /// Whether the evidence contradicts itself, or value may be lost.
    pub fn has_red(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Red)
    }

    /// How every PSD stands, by device ID.
    pub fn lights(&self) -> BTreeMap<&str, Light> {
        let standing = |psd: &PsdView| {
            let quiet = psd.locks.is_empty() && psd.lifecycle == "active";
            if quiet { Light::Green } else { Light::Amber }
        };
        let mut lights: BTreeMap<&str, Light> = self.psds.iter().map(|psd| (psd.psd.as_str(), standing(psd))).collect();
        for finding in &self.findings {
            let light = finding.psd.as_deref().and_then(|psd| lights.get_mut(psd));
            if let Some(light) = light {
                *light = (*light).min(finding.severity.into());
            }
        }
        lights
    }
}

/// The clock by the last record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockView {
    /// `token`, `host` or `development`.
    pub source: String,
    /// Error bound at the last record.
    pub error_ms: u32,
    /// The largest error bound of the days in [`FleetView::days`].
    pub largest_error_ms: u32,
    /// Where that was.
    pub largest_error_leaf: u64,
    /// Clock epoch.
    pub epoch: u32,
}

/// The authority's own policy by its newest record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyView {
    /// Rises by one with every text.
    pub version: u64,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// Cedar; empty where it forbids nothing more.
    pub text: String,
    /// Its record.
    pub leaf: u64,
}

/// A PSD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PsdView {
    /// Device ID.
    pub psd: String,
    /// Whose it is.
    pub tenant: String,
    /// Under which licence.
    pub licence: String,
    /// Layout of its marks.
    pub format: String,
    /// ISO 4217.
    pub currency: String,
    /// State.
    pub lifecycle: String,
    /// Why it is locked, if it is.
    pub locks: Vec<String>,
    /// Records of it.
    pub sequence: u64,
    /// Value ever used.
    pub ascending: String,
    /// Value left.
    pub descending: String,
    /// Value ever loaded, by its own register.
    pub control_total: String,
    /// Pieces ever signed, by its own register.
    pub pieces: u64,
    /// Its last record.
    pub last_leaf: u64,
    /// The record by which its life ended, if it has.
    pub ended_leaf: Option<u64>,
    /// Time of that.
    pub last_record_ms: u64,
    /// Downloads of value.
    pub downloads: u64,
    /// The last one.
    pub last_download: Option<MovementView>,
    /// What is asked for and not ended: number of the download.
    pub pending: Option<u64>,
    /// Refunds of spoiled marks.
    pub refunds: u64,
    /// Their sum.
    pub refunded: String,
    /// Every key it ever had, in order of creation.
    pub keys: Vec<KeyView>,
    /// The last days on which there was a record.
    pub days: Vec<DayView>,
    /// The last hours in which it signed.
    pub hours: Vec<HourView>,
}

/// A movement of value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovementView {
    /// Its record.
    pub leaf: u64,
    /// Time of that.
    pub time_ms: u64,
    /// How much.
    pub amount: String,
}

/// A key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyView {
    /// `indicium`, `certification`, `device`, `token-mac` or `postal-mac`.
    pub role: String,
    /// CKA_ID, hex.
    pub key_id: String,
    /// How it signs.
    pub algorithm: String,
    /// `created`, `certified`, `in use`, `superseded`, `retired`, `revoked` or `destroyed`.
    pub state: String,
    /// When it was made.
    pub created_ms: u64,
    /// When it took over.
    pub activated_ms: Option<u64>,
    /// Days since then, where it is in use.
    pub age_days: Option<u64>,
    /// Serial number of its certificate.
    pub serial: Option<u32>,
    /// The last instant of its certificate and of all issuers.
    pub expires_ms: Option<u64>,
    /// Since when it is revoked.
    pub revoked_ms: Option<u64>,
    /// Since when it is ordered, of a key in use, that one made later takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_ms: Option<u64>,
    /// The leaf by which it took over or, before that, was certified or made.
    pub leaf: Option<u64>,
}

/// A day, UTC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayView {
    /// `2026-11-20`.
    pub day: String,
    /// Pieces signed.
    pub pieces: u64,
    /// Their postage, without currency.
    pub postage: String,
    /// First record of the day.
    pub first_leaf: u64,
    /// Last record of the day.
    pub last_leaf: u64,
}

/// An hour, UTC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourView {
    /// Its first instant.
    pub begins_ms: u64,
    /// Pieces signed.
    pub pieces: u64,
}
