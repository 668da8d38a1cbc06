//! A file of an inspection, judged anew from nothing but itself and what the reader trusts.

use super::certifying::certifying;
use super::{Evidence, FORMAT, tables};
use crate::audit::judge;
use crate::certifying::calibration_findings;
use crate::finding::{Code, Finding};
use crate::inspect::key_findings;
use crate::mirror::{PinError, UpdateError};
use crate::view::PsdView;
use psd::key::Role;
use psd::lifecycle::Lifecycle;
use psd::record::{Event, Record};
use psd::tree::{hashes_of, leaf_hash, root_of_path};
use psd::{PsdId, UnixMillis};
use psdd_wire::certificate::AuthorityRoot;
use std::collections::{BTreeMap, BTreeSet};

/// What the reader trusts; at least one of the two.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    /// The authority's root certificate, DER.
    pub authority_root: Option<Vec<u8>>,
    /// The appliance's log key, SPKI DER.
    pub log_spki: Option<Vec<u8>>,
}

/// The first thing that is not so.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not a page of this kind.
    #[error("it holds no evidence of an inspection that can be read")]
    NoEvidence,
    /// Of another version.
    #[error("its evidence is of the form {0:?}, which this program does not know")]
    Format(String),
    /// Nothing is trusted.
    #[error("name what you trust: the authority's root, the appliance's log key, or both")]
    NoAnchor,
    /// The page is not the one that its evidence gives.
    #[error("line {line} of the page is not what its evidence gives: it says {found:?}, and the evidence {expected:?}")]
    Page {
        /// Counted from one.
        line: usize,
        /// In the file.
        found: String,
        /// By the evidence.
        expected: String,
    },
    /// Another anchor.
    #[error("the evidence is of another {0} than the one given")]
    Anchor(&'static str),
    /// The checkpoint does not hold.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] UpdateError),
    /// The genesis.
    #[error("leaf 0: {0}")]
    Genesis(#[from] PinError),
    /// A record that is not in the log.
    #[error("record {0} is not in the log under the checkpoint")]
    Inclusion(u64),
    /// A record that ought to be there.
    #[error("record {0}, which the tables name, is missing")]
    Missing(u64),
    /// The reports do not give what is shown of them.
    #[error("the audit shown is not what the signed reports give: {0}")]
    Audit(String),
    /// Findings that are shown or left out.
    #[error("the findings shown are not those of the evidence: {0}")]
    Findings(String),
    /// A table.
    #[error("{psd}: {what} shown is {shown}, and the evidence gives {given}")]
    Table {
        /// The device, or the appliance.
        psd: String,
        /// Which cell.
        what: &'static str,
        /// In the table.
        shown: String,
        /// By the evidence.
        given: String,
    },
}

/// What was judged again.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Verified {
    /// Name of the appliance.
    pub appliance: String,
    /// `development` or `production`.
    pub environment: String,
    /// When it was inspected.
    pub inspected_ms: u64,
    /// Records of the log then.
    pub records: u64,
    /// Root over them, hex.
    pub root: String,
    /// Log key, SPKI hex: to be compared where none was given.
    pub log_key: String,
    /// Records in the file, each in the log.
    pub included: usize,
    /// Reports that were judged again.
    pub reports: usize,
    /// PSDs whose registers the log proves.
    pub registers: usize,
    /// PSDs whose state and keys their signed report gives.
    pub states: usize,
    /// PSDs without a report whose life had ended, by a record.
    pub ended: usize,
    /// PSDs without a report of which the file shows no certified device key; that they have none the file cannot prove.
    pub silent: usize,
    /// PSDs in the table. That there are no others only the mirror can say.
    pub psds: usize,
    /// Red findings shown.
    pub red: usize,
    /// Amber ones.
    pub amber: usize,
}

/// Judges a page.
///
/// # Errors
///
/// The first thing that is not so, see [`ReportError`].
pub fn verify(html: &str, anchors: &Anchors) -> Result<Verified, ReportError> {
    let evidence = Evidence::of_page(html).ok_or(ReportError::NoEvidence)?;
    if evidence.format != FORMAT {
        return Err(ReportError::Format(evidence.format.chars().take(40).collect()));
    }
    anchored(&evidence, anchors)?;
    let checkpoint = evidence.pin.verified(&evidence.note)?;
    let mut records: BTreeMap<u64, &[u8]> = BTreeMap::new();
    for included in &evidence.records {
        let path = hashes_of(&included.path).unwrap_or_default();
        let root = root_of_path(included.leaf, leaf_hash(&included.record), checkpoint.size, &path);
        if root != Some(checkpoint.root) {
            return Err(ReportError::Inclusion(included.leaf));
        }
        records.insert(included.leaf, &included.record);
    }
    evidence.pin.admit(records.get(&0).ok_or(ReportError::Missing(0))?)?;
    tables::head(&evidence, &checkpoint, &records)?;
    let reports = audit(&evidence)?;
    let (registers, states) = tables::psds(&evidence, &records)?;
    let (ended, silent) = unreported(&evidence, &records)?;
    certifying(&evidence, &records)?;
    findings(&evidence, &records)?;
    // The last, so that what is named first is what is wrong, and not where the page shows it.
    same(html, &evidence.page())?;
    let view = &evidence.view;
    let of = |severity| view.findings.iter().filter(|finding| finding.severity == severity).count();
    Ok(Verified {
        appliance: view.appliance.clone(),
        environment: view.environment.clone(),
        inspected_ms: view.inspected_ms,
        records: checkpoint.size,
        root: view.root.clone(),
        log_key: crate::mirror::hex(&evidence.pin.log_spki),
        included: records.len(),
        reports,
        registers,
        states,
        ended,
        silent,
        psds: view.psds.len(),
        red: of(crate::finding::Severity::Red),
        amber: of(crate::finding::Severity::Amber),
    })
}

fn anchored(evidence: &Evidence, anchors: &Anchors) -> Result<(), ReportError> {
    if anchors.authority_root.is_none() && anchors.log_spki.is_none() {
        return Err(ReportError::NoAnchor);
    }
    if let Some(root) = &anchors.authority_root {
        let root = AuthorityRoot::from_der(root).map_err(PinError::from)?;
        if *root.der() != *evidence.pin.authority_root {
            return Err(ReportError::Anchor("authority root"));
        }
    }
    if anchors.log_spki.as_ref().is_some_and(|spki| *spki != evidence.pin.log_spki) {
        return Err(ReportError::Anchor("log key"));
    }
    Ok(())
}

/// The reports, judged again with what the log had.
fn audit(evidence: &Evidence) -> Result<usize, ReportError> {
    let audit = &evidence.audit;
    let wrong = |what: &str| ReportError::Audit(what.to_owned());
    let held = evidence.held.iter().map(|(psd, held)| Ok((psd.parse::<PsdId>()?, held.clone())));
    let held: Result<BTreeMap<PsdId, _>, psd::id::NameError> = held.collect();
    let held = held.ok().ok_or_else(|| wrong("what the log had names no PSD"))?;
    let (view, found) = judge(audit, &held, &evidence.pin, &evidence.rules);
    if evidence.view.inspected_ms != audit.answered_ms {
        return Err(wrong("the time is not that of the answers"));
    }
    let Some(shown) = &evidence.view.audit else { return Err(wrong("no report is shown")) };
    for (shown, given) in shown.reports.iter().zip(&view.reports) {
        let line = shown.lines.iter().zip(&given.lines).find(|(shown, given)| shown != given);
        if let Some((shown, line)) = line {
            return Err(ReportError::Audit(format!("{}, {}: {:?}", given.psd, shown.name, line.said)));
        }
    }
    if *shown != view {
        return Err(wrong("reports are missing or added"));
    }
    same_findings(evidence, &found, Code::is_of_audit)?;
    Ok(view.reports.len())
}

/// Why PSDs that were asked are without a report: so many whose life ended by a record in the file, and so many that are shown without a
/// certified device key. Any other must be a finding.
fn unreported(evidence: &Evidence, records: &BTreeMap<u64, &[u8]>) -> Result<(usize, usize), ReportError> {
    let reported = evidence.view.audit.iter().flat_map(|audit| &audit.reports);
    let reported: BTreeSet<&str> = reported.map(|report| report.psd.as_str()).collect();
    let told = evidence.view.findings.iter().filter(|finding| finding.code == Code::NoReport);
    let told: BTreeSet<&str> = told.filter_map(|finding| finding.psd.as_deref()).collect();
    let asked = |psd: &&PsdView| evidence.audit.psds.as_ref().is_none_or(|psds| psds.contains(&psd.psd));
    let (mut ended, mut silent) = (0, 0);
    for psd in evidence.view.psds.iter().filter(asked) {
        let id = psd.psd.as_str();
        if reported.contains(id) || told.contains(id) {
            continue;
        }
        let has_key = psd.keys.iter().any(|key| key.role == Role::Device.to_string() && key.state == "in use");
        match psd.ended_leaf.map(|leaf| record(records, leaf)).transpose()?.flatten() {
            Some(record) if ends(&record.event, id) => ended += 1,
            _ if has_key || psd.ended_leaf.is_some() => {
                return Err(ReportError::Audit(format!(
                    "{id} was asked, and nothing in the file says why it is silent"
                )));
            }
            _ => silent += 1,
        }
    }
    Ok((ended, silent))
}

/// Whether the life of this PSD ends with the event.
fn ends(event: &Event, psd: &str) -> bool {
    let of_it = event.stamp().is_some_and(|stamp| stamp.psd.to_string() == psd);
    let over = match event {
        Event::Withdrawn { .. } => true,
        Event::LifecycleChanged { lifecycle, .. } => matches!(lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped),
        _ => false,
    };
    of_it && over
}

/// Findings of these codes that are shown must be these, and no others.
fn same_findings(evidence: &Evidence, given: &[Finding], of: impl Fn(Code) -> bool) -> Result<(), ReportError> {
    let mut shown: Vec<&Finding> = evidence.view.findings.iter().filter(|finding| of(finding.code)).collect();
    let mut given: Vec<&Finding> = given.iter().filter(|finding| of(finding.code)).collect();
    let key = |finding: &&Finding| (finding.code, finding.psd.clone(), finding.leaves.clone(), finding.says.clone());
    shown.sort_by_key(key);
    given.sort_by_key(key);
    let added = shown.iter().find(|shown| !given.contains(shown));
    let missing = given.iter().find(|given| !shown.contains(given));
    let told = |finding: &Finding| format!("{}, {:?}", finding.code.as_str(), finding.says);
    if let Some(missing) = missing {
        return Err(ReportError::Findings(format!("missing is {}", told(missing))));
    }
    if let Some(added) = added {
        return Err(ReportError::Findings(format!("not given is {}", told(added))));
    }
    if shown.len() == given.len() { Ok(()) } else { Err(ReportError::Findings("one is shown twice".to_owned())) }
}

/// What follows from keys and rules; and what other findings name must be in the file.
fn findings(evidence: &Evidence, records: &BTreeMap<u64, &[u8]>) -> Result<(), ReportError> {
    let view = &evidence.view;
    let given: Vec<Finding> = view
        .psds
        .iter()
        .flat_map(|psd| {
            key_findings(&psd.psd, &psd.lifecycle, &psd.keys, &evidence.rules, UnixMillis(view.inspected_ms))
        })
        .collect();
    same_findings(evidence, &given, |code| {
        matches!(code, Code::KeyOverdue | Code::CertificateExpired | Code::CertificateExpiring)
    })?;
    let given = calibration_findings(&view.scales, &evidence.rules, UnixMillis(view.inspected_ms));
    same_findings(evidence, &given, |code| code == Code::CalibrationDue)?;
    let named = view.findings.iter().flat_map(|finding| &finding.leaves);
    let missing = named.into_iter().find(|leaf| **leaf < view.records && !records.contains_key(leaf));
    if let Some(leaf) = missing {
        return Err(ReportError::Missing(*leaf));
    }
    let severities = view.findings.iter().find(|finding| finding.severity != finding.code.severity());
    match severities {
        Some(finding) => Err(ReportError::Findings(format!("{} has another severity", finding.code.as_str()))),
        None => Ok(()),
    }
}

fn same(html: &str, expected: &str) -> Result<(), ReportError> {
    if html == expected {
        return Ok(());
    }
    let cut = |line: Option<&str>| line.unwrap_or("nothing").chars().take(160).collect::<String>();
    let (mut found, mut wanted) = (html.split('\n'), expected.split('\n'));
    let mut line = 1;
    loop {
        match (found.next(), wanted.next()) {
            (Some(found), Some(wanted)) if found == wanted => line += 1,
            (found, wanted) => {
                let (found, expected) = differing(found.unwrap_or("nothing"), wanted.unwrap_or("nothing"));
                return Err(ReportError::Page { line, found: cut(Some(found)), expected: cut(Some(expected)) });
            }
        }
    }
}

/// Both from a little before where they part.
fn differing<'a>(found: &'a str, expected: &'a str) -> (&'a str, &'a str) {
    let common = found.char_indices().zip(expected.chars()).find(|((_, one), other)| one != other);
    let at = common.map_or(found.len().min(expected.len()), |((at, _), _)| at);
    let mut from = at.saturating_sub(30);
    while !found.is_char_boundary(from) {
        from -= 1;
    }
    (found.get(from..).unwrap_or(found), expected.get(from..).unwrap_or(expected))
}

/// A record of the file.
pub(super) fn record(records: &BTreeMap<u64, &[u8]>, leaf: u64) -> Result<Option<Record>, ReportError> {
    let bytes = records.get(&leaf).ok_or(ReportError::Missing(leaf))?;
    Ok(Record::decode(bytes).ok().filter(|record| !matches!(record.event, Event::Genesis(_)) || leaf == 0))
}
