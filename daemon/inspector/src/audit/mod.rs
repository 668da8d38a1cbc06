//! Device audits, held against the log.
//!
//! Owns the judgement of reports: whether a PSD's device key signed it for this challenge, and of every line whether the log proves it, the
//! log contradicts it, or the device alone says it. Asks nobody: who sends the challenge hands over what came back. The state of each PSD at
//! the record that its report names is taken while the fold goes by ([`Watch`]).

mod hold;
mod judge;
mod lines;
mod word;

pub use hold::{Held, Watch};
pub use judge::judge;
pub(crate) use word::{end_of, state_word};

use crate::finding::Finding;
use psd::PsdId;
use psdd_wire::audit::{AuditClaims, AuditFailure, AuditResponse};
use psdd_wire::cose::Sign1;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// What was asked of an appliance, and what came back. The reports are signed; the rest is the inspector's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Fresh randomness.
    pub challenge: ByteBuf,
    /// Just before it was sent, milliseconds since 1970 by the inspector's clock.
    pub asked_ms: u64,
    /// When the last answer was there.
    pub answered_ms: u64,
    /// The PSDs asked for; absent: all.
    pub psds: Option<Vec<String>>,
    /// COSE_Sign1 each.
    pub reports: Vec<ByteBuf>,
    /// PSDs that gave none, as the appliance says.
    pub failures: Vec<AuditFailure>,
}

impl Audit {
    /// The answer to a challenge that was sent and answered at these times.
    pub fn new(
        challenge: &[u8],
        (asked_ms, answered_ms): (u64, u64),
        psds: Option<&[PsdId]>,
        told: AuditResponse,
    ) -> Self {
        let psds = psds.map(|psds| psds.iter().map(ToString::to_string).collect());
        let AuditResponse { reports, failures, .. } = told;
        Self { challenge: ByteBuf::from(challenge), asked_ms, answered_ms, psds, reports, failures }
    }

    /// What a report says before anything of it is verified: which state it is to be held against.
    pub(crate) fn claimed(report: &[u8]) -> Option<AuditClaims> {
        let message = Sign1::parse(report).ok()?;
        psdd_wire::read(&message.payload).ok()
    }

    /// The signed checkpoints that came with the reports, to be held against the mirror.
    pub fn checkpoints(&self) -> BTreeSet<String> {
        self.reports.iter().filter_map(|report| Self::claimed(report)?.checkpoint).collect()
    }

    /// The reports of which the device key signed every line and the log proves what it can, by device ID, of an audit and its judgement: nothing in
    /// them is contradicted or not covered yet, and no finding of the audit is about their PSD.
    pub fn sound(&self, view: &AuditView, findings: &[Finding]) -> BTreeMap<PsdId, &[u8]> {
        let blemished = |psd: &str| findings.iter().any(|f| f.code.is_of_audit() && f.psd.as_deref() == Some(psd));
        let holds = |report: &&ReportView| {
            let stands = |line: &LineView| matches!(line.standing, Standing::Proven | Standing::Asserted);
            report.lines.iter().all(stands) && !blemished(&report.psd)
        };
        let sound: BTreeSet<&str> = view.reports.iter().filter(holds).map(|report| report.psd.as_str()).collect();
        let claimed = self.reports.iter().filter_map(|report| Some((Self::claimed(report)?.psd, report.as_slice())));
        claimed.filter(|(psd, _)| sound.contains(psd.to_string().as_str())).collect()
    }

    /// Whether a PSD was asked.
    fn asks(&self, psd: PsdId) -> bool {
        self.psds.as_ref().is_none_or(|psds| psds.contains(&psd.to_string()))
    }
}

/// By what a line of a report stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// By records of the log.
    Proven,
    /// By the device alone.
    Asserted,
    /// By the device alone until the log covers its record.
    Uncovered,
    /// The log says otherwise.
    Contradicted,
}

impl Standing {
    /// The word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Proven => "proven",
            Standing::Asserted => "asserted",
            Standing::Uncovered => "uncovered",
            Standing::Contradicted => "contradicted",
        }
    }
}

/// A line of a report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineView {
    /// What it is about.
    pub name: String,
    /// What the device says.
    pub said: String,
    /// By what it stands.
    pub standing: Standing,
    /// The leaf that shows it, where one does.
    pub leaf: Option<u64>,
    /// What the log says, where that is something else.
    pub log: Option<String>,
}

/// A report, judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportView {
    /// Device ID.
    pub psd: String,
    /// Number of the PSD's record that it is about.
    pub sequence: u64,
    /// Leaf of that record, once the log covers it.
    pub leaf: Option<u64>,
    /// Its lines.
    pub lines: Vec<LineView>,
}

/// An audit, judged: the reports that their PSDs signed for the challenge, in the order of device IDs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditView {
    /// The challenge, hex.
    pub challenge: String,
    /// When it was sent.
    pub asked_ms: u64,
    /// When the last answer was there.
    pub answered_ms: u64,
    /// The reports.
    pub reports: Vec<ReportView>,
}

impl AuditView {
    /// Lines that stand like this.
    pub fn count(&self, standing: Standing) -> u64 {
        let lines = self.reports.iter().flat_map(|report| &report.lines);
        u64::try_from(lines.filter(|line| line.standing == standing).count()).unwrap_or(u64::MAX)
    }
}
