//! Reports, judged.

use super::lines::{self, NOT_TOLD, hex};
use super::{Audit, AuditView, Held, LineView, ReportView, Standing};
use crate::finding::{Code, Finding};
use crate::mirror::Pin;
use crate::rules::Rules;
use psd::{PsdId, UnixMillis};
use psdd_wire::audit::{Asserted, AuditClaims};
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::cose::Sign1;
use std::collections::{BTreeMap, BTreeSet};

const DAY_MS: u64 = 86_400_000;

/// Judges the answers to a challenge by what the log knows. `pin` says whose reports and whose certificates are believed.
///
/// The time is that of the audit: judged again years later, the same comes out.
pub fn judge(audit: &Audit, held: &BTreeMap<PsdId, Held>, pin: &Pin, rules: &Rules) -> (AuditView, Vec<Finding>) {
    let root = AuthorityRoot::from_der(&pin.authority_root).map_err(|error| format!("the authority's root: {error}"));
    let (findings, of_appliance, notes) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let mut judged = Judged { audit, pin, root, rules, findings, of_appliance, notes };
    let mut reports: BTreeMap<PsdId, ReportView> = BTreeMap::new();
    for report in &audit.reports {
        let claimed = Audit::claimed(report);
        let psd = claimed.as_ref().map(|claims| claims.psd);
        let known = psd.and_then(|psd| Some((psd, held.get(&psd)?)));
        let Some((psd, held)) = known else {
            judged.find(Code::AuditInvalid, psd, &[], "the report is of no PSD that the log knows".to_owned());
            continue;
        };
        match judged.verified(report, psd, held) {
            Ok(claims) => {
                let view = judged.report(&claims, held);
                if reports.insert(psd, view).is_some() {
                    judged.find(Code::AuditInvalid, Some(psd), &[], "the PSD gave two reports".to_owned());
                }
            }
            Err(what) => judged.find(Code::AuditInvalid, Some(psd), &[], format!("the report does not hold: {what}")),
        }
    }
    for (psd, held) in held.iter().filter(|(psd, held)| held.must_answer && audit.asks(**psd)) {
        if !reports.contains_key(psd) {
            let id = psd.to_string();
            let why = audit.failures.iter().find(|failure| failure.psd == id);
            let why = why.map_or_else(
                || "and the appliance does not say why".to_owned(),
                |failure| format!("{}: {}", failure.code, failure.detail),
            );
            let leaves: Vec<u64> = held.leaf.into_iter().collect();
            judged.find(Code::NoReport, Some(*psd), &leaves, format!("the PSD gave no report that holds, {why}"));
        }
    }
    let Judged { mut findings, of_appliance, .. } = judged;
    findings.extend(of_appliance.into_values());
    let view = AuditView {
        challenge: hex(&audit.challenge),
        asked_ms: audit.asked_ms,
        answered_ms: audit.answered_ms,
        reports: reports.into_values().collect(),
    };
    (view, findings)
}

struct Judged<'a> {
    audit: &'a Audit,
    pin: &'a Pin,
    root: Result<AuthorityRoot, String>,
    rules: &'a Rules,
    findings: Vec<Finding>,
    /// What all PSDs of an appliance have in common is told once, with how many reports say it.
    of_appliance: BTreeMap<(Code, String), Finding>,
    /// Checkpoints that verified: all reports of one page have the same.
    notes: BTreeSet<String>,
}

impl Judged<'_> {
    fn find(&mut self, code: Code, psd: Option<PsdId>, leaves: &[u64], says: String) {
        let psd = psd.map(|psd| psd.to_string());
        self.findings.push(Finding::new(code, psd, leaves, self.audit.answered_ms, says));
    }

    /// `kind` keeps apart what is told apart, `says` is the sentence about the first.
    fn find_common(&mut self, code: Code, kind: &str, says: String) {
        let new = Finding::new(code, None, &[], self.audit.answered_ms, says);
        let known = self.of_appliance.entry((code, kind.to_owned()));
        known.and_modify(|known| known.times += 1).or_insert(new);
    }

    /// A report that the device key which the log certified signed for this challenge.
    fn verified(&mut self, report: &[u8], psd: PsdId, held: &Held) -> Result<AuditClaims, String> {
        let root = self.root.as_ref().map_err(Clone::clone)?;
        let certified = root.certify(&held.chain).map_err(|error| format!("the device key's certificate: {error}"))?;
        if !certified.valid_at(UnixMillis(self.audit.answered_ms)) {
            return Err("the device key's certificate is not valid now".to_owned());
        }
        if certified.psd() != Some(psd) {
            return Err("the device key's certificate is of another device".to_owned());
        }
        let message = Sign1::parse(report).map_err(|error| error.to_string())?;
        if message.certificate.as_deref() != held.chain.first().map(|der| der.as_slice()) {
            return Err("its certificate is not that of the device key in the log".to_owned());
        }
        let (challenge, appliance) = (&self.audit.challenge, &self.pin.appliance);
        let claims = AuditClaims::verify(report, certified.spki(), challenge, appliance);
        let claims = claims.map_err(|error| error.to_string())?;
        let note = claims.checkpoint.as_ref().filter(|note| !self.notes.contains(*note));
        if let Some(note) = note {
            self.pin.verified(note).map_err(|error| format!("the checkpoint in it: {error}"))?;
            self.notes.insert(note.clone());
        }
        Ok(claims)
    }

    fn report(&mut self, claims: &AuditClaims, held: &Held) -> ReportView {
        let (psd, sequence) = (claims.psd, claims.logged.sequence);
        let stale = sequence < held.before;
        let mut view =
            ReportView { psd: psd.to_string(), sequence, leaf: held.leaf.filter(|_| !stale), lines: Vec::new() };
        if stale {
            let says = format!(
                "the report is about record {sequence} of the PSD, though the log had its record {} before the challenge",
                held.before
            );
            self.find(Code::AuditContradicted, Some(psd), &[], says);
        } else if held.logged.is_none() {
            let says =
                format!("the report is about record {sequence} of the PSD, which no signed checkpoint covers yet");
            self.find(Code::AuditUncovered, Some(psd), &[], says);
        }
        let logged = held.logged.as_ref().filter(|_| !stale).map(lines::logged);
        let said = lines::logged(&claims.logged);
        for (name, said) in &said {
            let log = logged.as_ref().map(|logged| logged.iter().find(|(known, _)| known == name));
            let log = log.map(|line| line.map_or("nothing", |(_, text)| text));
            let standing = match log {
                None if stale => Standing::Contradicted,
                None => Standing::Uncovered,
                Some(log) if log == said => Standing::Proven,
                Some(_) if name == "last download" && said == NOT_TOLD => Standing::Asserted,
                Some(_) => Standing::Contradicted,
            };
            let leaf = held.leaves.get(name).copied();
            let log = log.filter(|_| standing == Standing::Contradicted).map(str::to_owned);
            if let Some(log) = &log {
                let leaves: Vec<u64> = leaf.into_iter().collect();
                let says = format!("{name}: the device says {said}; the log says {log}");
                self.find(Code::AuditContradicted, Some(psd), &leaves, says);
            }
            view.lines.push(LineView { name: name.clone(), said: said.clone(), standing, leaf, log });
        }
        // What the log has and the report keeps to itself.
        for (name, log) in logged.iter().flatten().filter(|(name, _)| !said.iter().any(|(known, _)| known == name)) {
            let leaf = held.leaves.get(name).copied();
            let leaves: Vec<u64> = leaf.into_iter().collect();
            self.find(
                Code::AuditContradicted,
                Some(psd),
                &leaves,
                format!("{name}: the device says nothing; the log says {log}"),
            );
            let (name, said, log) = (name.clone(), "nothing".to_owned(), Some(log.clone()));
            view.lines.push(LineView { name, said, standing: Standing::Contradicted, leaf, log });
        }
        let asserted = lines::asserted(&claims.asserted).into_iter();
        let line = |(name, said)| LineView { name, said, standing: Standing::Asserted, leaf: None, log: None };
        view.lines.extend(asserted.map(line));
        // Where the log knows it, the device does not choose it.
        let environment = &held.logged.as_ref().unwrap_or(&claims.logged).environment;
        self.asserted(psd, &claims.asserted, environment);
        view
    }

    /// What the device says of itself, by the rules.
    fn asserted(&mut self, psd: PsdId, asserted: &Asserted, environment: &str) {
        self.clock(psd, asserted);
        let hsm = &asserted.hsm;
        if environment == "production" && hsm.validated == "software" {
            let says = format!(
                "{psd} is in token {} of {}: a software token in a production appliance",
                hsm.serial, hsm.family
            );
            self.find_common(Code::SoftwareToken, "", says);
        }
        let most = self.rules.longest_scrub_age_days;
        match &asserted.scrub {
            Some(scrub) if scrub.finding.is_some() => {
                let what = scrub.finding.as_deref().unwrap_or_default();
                let says = format!("the scrub of the ledger that ended at {} found: {what}", UnixMillis(scrub.time));
                self.find_common(Code::Scrub, "", says);
            }
            Some(scrub) if self.audit.asked_ms.saturating_sub(scrub.time) / DAY_MS > u64::from(most) => {
                let says = format!(
                    "the last scrub of the ledger ended at {}; {most} days are allowed",
                    UnixMillis(scrub.time)
                );
                self.find_common(Code::ScrubOverdue, "", says);
            }
            Some(_) => {}
            None => {
                let says = "no scrub of the ledger ended since the program started".to_owned();
                self.find_common(Code::ScrubOverdue, "none", says);
            }
        }
        let Some(wanted) = self.rules.program else { return };
        let runs = asserted.binary.as_ref().map(|digest| digest.as_slice());
        if runs != Some(&wanted.0[..]) {
            let runs = runs.map_or_else(|| "an unknown program".to_owned(), hex);
            self.find_common(Code::Program, &runs, format!("{runs} runs, and not {wanted}"));
        }
    }

    /// The device's clock against the inspector's: it was read between question and answer.
    fn clock(&mut self, psd: PsdId, asserted: &Asserted) {
        let Some(clock) = &asserted.clock else {
            let why = asserted.clock_stopped.as_deref().unwrap_or("it does not say why");
            self.find_common(Code::ClockDiffers, "stopped", format!("{psd} has no trusted time: {why}"));
            return;
        };
        let within = u64::from(clock.error_ms) + u64::from(self.rules.largest_clock_error_ms);
        let (asked, answered) = (self.audit.asked_ms, self.audit.answered_ms);
        if (asked.saturating_sub(within)..=answered.saturating_add(within)).contains(&clock.time) {
            return;
        }
        let says = format!(
            "{psd} said {} between {} and {} of the inspector's clock; its error bound of {} ms and {} ms more are allowed",
            UnixMillis(clock.time),
            UnixMillis(asked),
            UnixMillis(answered),
            clock.error_ms,
            self.rules.largest_clock_error_ms
        );
        self.find_common(Code::ClockDiffers, "", says);
    }
}
