//! Registers, states and keys as they are shown, against what is signed.

use super::Evidence;
use super::verify::{ReportError, record};
use crate::audit::{Audit, end_of, state_word};
use crate::finding::Severity;
use crate::mirror::hex;
use crate::view::{KeyView, PolicyView, PsdView};
use psd::record::{Event, Stamp};
use psdd_wire::audit::{AuditKey, Logged};
use psdd_wire::checkpoint::Checkpoint;
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;

/// Cells of one PSD, scale or rate table, or of the appliance.
pub(super) struct Cells<'a>(pub(super) &'a str);

impl Cells<'_> {
    pub(super) fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &'static str,
        shown: &T,
        given: &T,
    ) -> Result<(), ReportError> {
        if shown == given {
            return Ok(());
        }
        let (shown, given) = (format!("{shown:?}"), format!("{given:?}"));
        Err(ReportError::Table { psd: self.0.to_owned(), what, shown, given })
    }
}

/// Name, environment, size and root, and the authority's policy, where one is shown.
pub(super) fn head(
    evidence: &Evidence,
    checkpoint: &Checkpoint,
    records: &BTreeMap<u64, &[u8]>,
) -> Result<(), ReportError> {
    let view = &evidence.view;
    let cells = Cells("appliance");
    cells.same("the name", &view.appliance, &evidence.pin.appliance)?;
    cells.same("the number of records", &view.records, &checkpoint.size)?;
    cells.same("the root", &view.root, &hex(&checkpoint.root))?;
    if let Some(psd::record::Record { event: Event::Genesis(genesis), .. }) = record(records, 0)? {
        cells.same("the environment", &view.environment.as_str(), &genesis.environment.as_str())?;
    }
    if let Some(PolicyView { version, digest, text, leaf }) = &view.policy {
        let given = record(records, *leaf)?.and_then(|record| match record.event {
            Event::AuthorityPolicySet { version, text } => {
                Some((version, hex(&text.digest()), text.as_str().to_owned()))
            }
            _ => None,
        });
        cells.same("the authority's policy", &Some((*version, digest.clone(), text.clone())), &given)?;
    }
    cells.same("the number of pieces", &view.pieces, &view.psds.iter().map(|psd| psd.pieces).sum())
}

/// Every PSD: so many whose registers the log proves, and so many whose report gives state and keys.
pub(super) fn psds(evidence: &Evidence, records: &BTreeMap<u64, &[u8]>) -> Result<(usize, usize), ReportError> {
    let (mut proven, mut reported) = (0, 0);
    let reports = reported_states(evidence);
    for psd in &evidence.view.psds {
        match record(records, psd.last_leaf)?.and_then(|record| record.event.stamp().copied()) {
            Some(stamp) => {
                by_record(psd, &stamp)?;
                proven += 1;
            }
            // What is no record shows nothing, and is a finding.
            None => {
                let told =
                    |found: &crate::Finding| found.severity == Severity::Red && found.psd.as_ref() == Some(&psd.psd);
                if !evidence.view.findings.iter().any(told) {
                    return Err(ReportError::Findings(format!("record {} of {} is none", psd.last_leaf, psd.psd)));
                }
            }
        }
        if let Some(logged) = reports.get(&psd.psd).filter(|logged| logged.sequence == psd.sequence) {
            by_report(psd, logged, evidence)?;
            reported += 1;
        }
    }
    for (id, held) in &evidence.held {
        let (Some(leaf), Some(logged)) = (held.leaf, &held.logged) else { continue };
        let cells = Cells(id);
        let stamp = record(records, leaf)?.and_then(|record| record.event.stamp().copied());
        let Some(stamp) = stamp else { continue };
        cells.same("the device of the record of its report", id, &stamp.psd.to_string())?;
        cells.same("the number of the record of its report", &logged.sequence, &stamp.sequence)?;
        cells.same("the registers by the log", &logged.registers, &stamp.registers.into())?;
    }
    Ok((proven, reported))
}

/// What the reports that hold say, where the log does not contradict them.
fn reported_states(evidence: &Evidence) -> BTreeMap<String, Logged> {
    let shown = evidence.view.audit.iter().flat_map(|audit| &audit.reports);
    let agreed: Vec<&String> = shown
        .filter(|report| report.lines.iter().all(|line| line.log.is_none()) && report.leaf.is_some())
        .map(|report| &report.psd)
        .collect();
    let claims = evidence.audit.reports.iter().filter_map(|report| Audit::claimed(report));
    claims.map(|claims| (claims.psd.to_string(), claims.logged)).filter(|(psd, _)| agreed.contains(&psd)).collect()
}

fn by_record(psd: &PsdView, stamp: &Stamp) -> Result<(), ReportError> {
    let (cells, registers) = (Cells(&psd.psd), &stamp.registers);
    cells.same("the device of its last record", &psd.psd, &stamp.psd.to_string())?;
    cells.same("the number of its last record", &psd.sequence, &stamp.sequence)?;
    cells.same("the ascending register", &psd.ascending, &registers.ascending().to_string())?;
    cells.same("the descending register", &psd.descending, &registers.descending().to_string())?;
    cells.same("the control total", &psd.control_total, &registers.control_total().to_string())?;
    cells.same("the number of pieces", &psd.pieces, &registers.piece_count())
}

fn by_report(psd: &PsdView, logged: &Logged, evidence: &Evidence) -> Result<(), ReportError> {
    let cells = Cells(&psd.psd);
    cells.same("the state", &psd.lifecycle, &logged.state)?;
    cells.same("the locks", &psd.locks, &logged.locks)?;
    cells.same("the tenant", &psd.tenant, &logged.tenant.to_string())?;
    cells.same("the licence", &psd.licence, &logged.licence.to_string())?;
    cells.same("the format", &psd.format, &logged.format)?;
    cells.same("the currency", &psd.currency, &logged.currency.to_string())?;
    cells.same("what is under way", &psd.pending, &logged.pending.as_ref().map(|pending| pending.sequence))?;
    // One that came after its record a report leaves out rightly.
    if let Some(given) = &logged.last_download {
        let shown = psd.last_download.as_ref();
        cells.same("the record of the last download", &shown.map(|shown| shown.leaf), &Some(given.leaf))?;
        cells.same("the time of the last download", &shown.map(|shown| shown.time_ms), &Some(given.time))?;
        let amount = given.amount.to_string();
        cells.same("the amount of the last download", &shown.map(|shown| &shown.amount), &Some(&amount))?;
    }
    cells.same("the number of keys", &psd.keys.len(), &logged.keys.len())?;
    psd.keys.iter().zip(&logged.keys).try_for_each(|(shown, given)| key(&cells, shown, given, evidence))
}

fn key(cells: &Cells<'_>, shown: &KeyView, given: &AuditKey, evidence: &Evidence) -> Result<(), ReportError> {
    cells.same("the role of a key", &shown.role, &given.role)?;
    cells.same("the identifier of a key", &shown.key_id, &hex(&given.key_id))?;
    cells.same("the algorithm of a key", &shown.algorithm, &given.algorithm)?;
    cells.same("the state of a key", &shown.state.as_str(), &state_word(given.state))?;
    cells.same("the serial number of a certificate", &shown.serial, &given.serial)?;
    cells.same("when a key was made", &shown.created_ms, &given.created)?;
    cells.same("when a key took over", &shown.activated_ms, &given.activated)?;
    let age = given.activated.filter(|_| shown.state == "in use");
    let age = age.map(|at| evidence.view.inspected_ms.saturating_sub(at) / DAY_MS);
    cells.same("the age of a key", &shown.age_days, &age)?;
    let root = end_of(&[&evidence.pin.authority_root]);
    // The second that a certificate names is a part of its life.
    let ends = given.not_after.map(|end| root.map_or(end, |root| root.min(end)).saturating_add(999));
    cells.same("the end of a certificate", &shown.expires_ms, &ends)
}
