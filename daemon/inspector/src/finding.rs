//! What an inspection finds, each with the leaves that show it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The evidence contradicts itself, or value may be lost: act.
    Red,
    /// Out of the ordinary, or soon out of order: ask.
    Amber,
}

/// What was found (docs/inspection.md says of each what it means and what to do).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Ascending + descending is not the control total, or the control total moved without authorised value.
    ControlTotal,
    /// The registers do not follow from the record before.
    Registers,
    /// A gap or a repetition in the numbering of a PSD's records.
    SequenceGap,
    /// One idempotency key stands for two pieces.
    DuplicateKey,
    /// Two pieces of a device have the same ascending register.
    DuplicateMark,
    /// An indicium paid for two certifications.
    PaidTwice,
    /// An indicium that is said to have paid for a certification does not stand in the log before it.
    PaidUnproven,
    /// The postage of an indicium came back, or was asked to, and it paid for a certification.
    PaidAndRefunded,
    /// A piece is not of the run it names, or a run was closed with another sum than that of its pieces.
    RunContradicted,
    /// A certification says that something was debited, and its record debits something else.
    CertificationWithoutDebit,
    /// A certification names a scale that the log does not have before it.
    ScaleUnregistered,
    /// A certification names a scale whose calibration did not hold at the reading.
    ScaleNotCalibrated,
    /// A certification says a weight that its scale cannot read.
    WeightNotOfScale,
    /// A certification is rated by a table that the log does not have before it, or has otherwise.
    RatesNotTaken,
    /// A certification is rated by a table that was not the one in force on its day of mailing.
    RatesNotInForce,
    /// Time runs backwards.
    TimeBackwards,
    /// A record stands where lifecycle, locks, limits or the order of things do not permit it.
    NotPermitted,
    /// The signature of an indicium does not verify under the certified key.
    BadSignature,
    /// A symbol says something else than its record.
    MarkDiffers,
    /// A symbol names a certificate whose key was not certified or not in use.
    MarkKey,
    /// A certificate does not lead to the authority's root, or is not that of its key.
    Certificate,
    /// Value moved, or was asked for, without a signed message that says so.
    ValueUnproven,
    /// The authority's instruction and what was done do not belong together.
    Instruction,
    /// The appliance's own digest of all state is not that of the records.
    StateDigest,
    /// A record that is none by docs/ledger.md.
    Malformed,
    /// The certificate of a key in use ran out.
    CertificateExpired,
    /// The log says otherwise than a PSD's report.
    AuditContradicted,
    /// A report that the device key did not sign for this challenge.
    AuditInvalid,
    /// A PSD that must answer gave no report.
    NoReport,
    /// A production appliance with a software token.
    SoftwareToken,
    /// The appliance's own scrub of its ledger found something.
    Scrub,
    /// Another program runs than the one the inspector named.
    Program,
    /// The certificate of a key in use runs out soon.
    CertificateExpiring,
    /// A key is in use for longer than the inspector allows.
    KeyOverdue,
    /// A PSD is soon to be inspected, or should have been.
    InspectionDue,
    /// A run should have been counted and closed.
    RunUnclosed,
    /// The calibration of a registered scale ended, or ends soon.
    CalibrationDue,
    /// The clock's error bound was larger than the inspector allows.
    ClockError,
    /// A day's pieces are far from those of the days before.
    Velocity,
    /// More of the pieces were refunded than the inspector expects.
    RefundRate,
    /// No checkpoint covers the record that a report is about.
    AuditUncovered,
    /// A PSD's clock is not within its bounds of the inspector's, or stopped.
    ClockDiffers,
    /// The last scrub of the ledger is older than the inspector allows.
    ScrubOverdue,
}

impl Code {
    /// The stable word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::ControlTotal => "control-total",
            Code::Registers => "registers",
            Code::SequenceGap => "sequence-gap",
            Code::DuplicateKey => "duplicate-key",
            Code::DuplicateMark => "duplicate-mark",
            Code::PaidTwice => "paid-twice",
            Code::PaidUnproven => "paid-unproven",
            Code::PaidAndRefunded => "paid-and-refunded",
            Code::RunContradicted => "run-contradicted",
            Code::CertificationWithoutDebit => "certification-without-debit",
            Code::ScaleUnregistered => "scale-unregistered",
            Code::ScaleNotCalibrated => "scale-not-calibrated",
            Code::WeightNotOfScale => "weight-not-of-scale",
            Code::RatesNotTaken => "rates-not-taken",
            Code::RatesNotInForce => "rates-not-in-force",
            Code::TimeBackwards => "time-backwards",
            Code::NotPermitted => "not-permitted",
            Code::BadSignature => "bad-signature",
            Code::MarkDiffers => "mark-differs",
            Code::MarkKey => "mark-key",
            Code::Certificate => "certificate",
            Code::ValueUnproven => "value-unproven",
            Code::Instruction => "instruction",
            Code::StateDigest => "state-digest",
            Code::Malformed => "malformed",
            Code::CertificateExpired => "certificate-expired",
            Code::CertificateExpiring => "certificate-expiring",
            Code::KeyOverdue => "key-overdue",
            Code::InspectionDue => "inspection-due",
            Code::RunUnclosed => "run-unclosed",
            Code::CalibrationDue => "calibration-due",
            Code::ClockError => "clock-error",
            Code::Velocity => "velocity",
            Code::RefundRate => "refund-rate",
            Code::AuditContradicted => "audit-contradicted",
            Code::AuditInvalid => "audit-invalid",
            Code::NoReport => "no-report",
            Code::SoftwareToken => "software-token",
            Code::Scrub => "scrub",
            Code::Program => "program",
            Code::AuditUncovered => "audit-uncovered",
            Code::ClockDiffers => "clock-differs",
            Code::ScrubOverdue => "scrub-overdue",
        }
    }

    /// Whether it is an audit that shows it, and not the records alone.
    pub(crate) const fn is_of_audit(self) -> bool {
        matches!(
            self,
            Code::AuditContradicted
                | Code::AuditInvalid
                | Code::NoReport
                | Code::SoftwareToken
                | Code::Scrub
                | Code::Program
                | Code::AuditUncovered
                | Code::ClockDiffers
                | Code::ScrubOverdue
        )
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Code::ControlTotal
            | Code::Registers
            | Code::SequenceGap
            | Code::DuplicateKey
            | Code::DuplicateMark
            | Code::PaidTwice
            | Code::PaidUnproven
            | Code::PaidAndRefunded
            | Code::RunContradicted
            | Code::CertificationWithoutDebit
            | Code::ScaleUnregistered
            | Code::ScaleNotCalibrated
            | Code::WeightNotOfScale
            | Code::RatesNotTaken
            | Code::RatesNotInForce
            | Code::TimeBackwards
            | Code::NotPermitted
            | Code::BadSignature
            | Code::MarkDiffers
            | Code::MarkKey
            | Code::Certificate
            | Code::ValueUnproven
            | Code::Instruction
            | Code::StateDigest
            | Code::Malformed
            | Code::CertificateExpired
            | Code::AuditContradicted
            | Code::AuditInvalid
            | Code::NoReport
            | Code::SoftwareToken
            | Code::Scrub
            | Code::Program => Severity::Red,
            Code::CertificateExpiring
            | Code::KeyOverdue
            | Code::InspectionDue
            | Code::RunUnclosed
            | Code::CalibrationDue
            | Code::ClockError
            | Code::Velocity
            | Code::RefundRate
            | Code::AuditUncovered
            | Code::ClockDiffers
            | Code::ScrubOverdue => Severity::Amber,
        }
    }
}

/// Leaves that one finding names; the others are counted.
pub const MOST_LEAVES: usize = 16;

/// One thing that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What.
    pub code: Code,
    /// The device, where it is about one.
    pub psd: Option<String>,
    /// The leaves that show it, at most [`MOST_LEAVES`]; the first is where it was found first.
    pub leaves: Vec<u64>,
    /// How often it was found.
    pub times: u64,
    /// When it was found first: time of the record, milliseconds since 1970, UTC.
    pub time_ms: u64,
    /// One sentence about the first time, with what was found and expected.
    pub says: String,
}

impl Finding {
    pub(crate) fn new(code: Code, psd: Option<String>, leaves: &[u64], time_ms: u64, says: String) -> Self {
        let leaves = leaves.iter().copied().take(MOST_LEAVES).collect();
        Self { severity: code.severity(), code, psd, leaves, times: 1, time_ms, says }
    }
}

/// Findings of the fold: one for each code and device, so that a log that is wrong everywhere fills no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found(BTreeMap<(Code, Option<String>), Finding>);

impl Found {
    pub(crate) fn resumed(findings: Vec<Finding>) -> Self {
        Self(findings.into_iter().map(|finding| ((finding.code, finding.psd.clone()), finding)).collect())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Finding> {
        self.0.values()
    }

    pub(crate) fn add(&mut self, new: Finding) {
        match self.0.entry((new.code, new.psd.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(new);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.times += 1;
                let room = MOST_LEAVES.saturating_sub(known.leaves.len());
                known.leaves.extend(new.leaves.into_iter().take(room));
            }
        }
    }
}
