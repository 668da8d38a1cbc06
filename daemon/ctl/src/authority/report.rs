//! `psdctl authority report` and `settle`.

use super::{At, AuthorityError, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, money, print, print_json, table};
use clap::Args;
use psd::{PostageAmount, PsdId};
use psdd_authority::books::{PsdLine, Report};
use psdd_client::PsdView;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl authority report`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl --config post-1 --json vendor psds > registers.json
  psdctl authority report /srv/authority --registers registers.json

Exit code 1 when something does not reconcile.")]
pub struct ReportArgs {
    #[command(flatten)]
    at: At,
    /// What PSDs say now: the output of `psdctl --json vendor psds`; may be given several times, one for each appliance
    #[arg(long, value_name = "FILE")]
    registers: Vec<PathBuf>,
}

/// Arguments of `psdctl authority settle`.
#[derive(Args, Debug)]
pub struct Settle {
    #[command(flatten)]
    at: At,
    /// Number of the finding
    #[arg(long)]
    finding: u64,
    /// What was found out, and what was done
    #[arg(long)]
    note: String,
}

/// What a PSD says now.
struct Now {
    control_total: PostageAmount,
}

#[derive(Serialize)]
struct Told {
    reconciles: bool,
    psds: Vec<Line>,
    unknown_psds: Vec<String>,
    totals: Totals,
    findings: Vec<FindingView>,
}

#[derive(Serialize)]
struct Line {
    psd: String,
    appliance: String,
    licence: String,
    standing: String,
    authorised: String,
    refunds: String,
    void: String,
    withdrawn: String,
    applied: String,
    open: String,
    booked: String,
    said: Option<String>,
    said_at: Option<String>,
    now: Option<String>,
    difference: Option<String>,
    findings: u64,
    reconciles: bool,
}

#[derive(Serialize)]
struct Totals {
    deposited: String,
    refunded: String,
    balances: String,
    in_psds: String,
    open: String,
    conserved: bool,
    wrong_accounts: Vec<String>,
}

#[derive(Serialize)]
struct FindingView {
    finding: u64,
    time: String,
    psd: String,
    download: u64,
    code: String,
    detail: String,
    settled: Option<String>,
    note: Option<String>,
}

pub(super) fn report(global: &Global, command: &ReportArgs) -> Result<Exit, AuthorityError> {
    let report = command.at.books()?.1.report()?;
    let mut now = BTreeMap::new();
    for path in &command.registers {
        now.append(&mut registers(path)?);
    }
    let told = told(&report, &now);
    if global.json {
        print_json(&told)?;
    } else {
        print(&drawn(&report, &told))?;
    }
    Ok(if told.reconciles { Exit::Done } else { Exit::Negative })
}

pub(super) fn settle(global: &Global, command: &Settle) -> Result<Exit, AuthorityError> {
    if !command.at.books()?.1.settle(command.finding, &command.note, now()?)? {
        return Err(AuthorityError::NoFinding(command.finding));
    }
    if global.json {
        print_json(&serde_json::json!({ "finding": command.finding, "settled": true }))?;
    } else {
        print(&format!("finding {} is settled\n", command.finding))?;
    }
    Ok(Exit::Done)
}

fn registers(path: &Path) -> Result<BTreeMap<PsdId, Now>, AuthorityError> {
    let text = std::fs::read(path).map_err(|source| AuthorityError::Unreadable { path: path.to_owned(), source })?;
    let views: Vec<PsdView> = serde_json::from_slice(&text)
        .map_err(|source| AuthorityError::NotRegisters { path: path.to_owned(), source })?;
    Ok(views.iter().map(|view| (view.psd, Now { control_total: view.registers.control_total })).collect())
}

fn told(report: &Report, now: &BTreeMap<PsdId, Now>) -> Told {
    let psds: Vec<Line> = report.psds.iter().map(|line| one(line, now.get(&line.psd))).collect();
    let known = |psd: &&PsdId| report.psds.iter().any(|line| line.psd == **psd);
    let unknown_psds: Vec<String> = now.keys().filter(|psd| !known(psd)).map(ToString::to_string).collect();
    let totals = &report.totals;
    let findings = report.findings.iter().map(|finding| FindingView {
        finding: finding.id,
        time: finding.time.to_string(),
        psd: finding.psd.clone(),
        download: finding.number,
        code: finding.code.clone(),
        detail: finding.detail.clone(),
        settled: finding.settled.as_ref().map(|(time, _)| time.to_string()),
        note: finding.settled.as_ref().map(|(_, note)| note.clone()),
    });
    Told {
        reconciles: totals.conserved() && unknown_psds.is_empty() && psds.iter().all(|line| line.reconciles),
        unknown_psds,
        totals: Totals {
            deposited: totals.deposited.to_string(),
            refunded: totals.refunded.to_string(),
            balances: totals.balances.to_string(),
            in_psds: totals.in_psds.to_string(),
            open: totals.open.to_string(),
            conserved: totals.conserved(),
            wrong_accounts: totals.wrong_accounts.clone(),
        },
        findings: findings.collect(),
        psds,
    }
}

fn one(line: &PsdLine, now: Option<&Now>) -> Line {
    let newest = now.map(|now| now.control_total).or(line.said.map(|(said, _)| said));
    Line {
        psd: line.psd.to_string(),
        appliance: line.appliance.clone(),
        licence: line.licence.clone(),
        standing: line.standing.clone(),
        authorised: line.authorised.to_string(),
        refunds: line.refunds.to_string(),
        void: line.void.to_string(),
        withdrawn: line.withdrawn.to_string(),
        applied: line.applied.to_string(),
        open: line.open.to_string(),
        booked: line.booked.to_string(),
        said: line.said.map(|(said, _)| said.to_string()),
        said_at: line.said.map(|(_, time)| time.to_string()),
        now: now.map(|now| now.control_total.to_string()),
        difference: newest.map(|said| difference(line, said)),
        findings: line.findings,
        reconciles: line.reconciles() && now.is_none_or(|now| line.allows(now.control_total)),
    }
}

/// What the PSD's control total is above or below the nearest one that the books allow.
fn difference(line: &PsdLine, said: PostageAmount) -> String {
    if line.allows(said) {
        return "0.00".to_owned();
    }
    match (said.checked_sub(line.booked), line.booked.checked_sub(said)) {
        (Some(above), _) => format!("+{above}"),
        (None, Some(below)) => format!("-{below}"),
        (None, None) => "none".to_owned(),
    }
}

fn drawn(report: &Report, told: &Told) -> String {
    let headings = [
        "PSD",
        "standing",
        "authorised",
        "refunds",
        "void",
        "withdrawn",
        "applied",
        "open",
        "booked",
        "PSD says",
        "said at",
        "difference",
        "findings",
        "",
    ];
    let rows = told.psds.iter().map(|line| {
        let said = line.now.clone().or_else(|| line.said.clone()).unwrap_or_else(|| "nothing yet".to_owned());
        let at = if line.now.is_some() { "now".to_owned() } else { line.said_at.clone().unwrap_or_default() };
        let amounts = [&line.authorised, &line.refunds, &line.void, &line.withdrawn, &line.applied, &line.open];
        let mut row = vec![line.psd.clone(), line.standing.clone()];
        row.extend(amounts.into_iter().cloned());
        row.extend([line.booked.clone(), said, at, line.difference.clone().unwrap_or_default(), count(line.findings)]);
        row.push(if line.reconciles { "ok" } else { "DIFFERS" }.to_owned());
        row
    });
    let mut text = table(&headings, &[2, 3, 4, 5, 6, 7, 8, 9, 11, 12], rows);
    for psd in &told.unknown_psds {
        text.push_str(&format!("{psd} is in the registers and not in the books\n"));
    }
    let totals = &report.totals;
    let rows = [
        ("paid in", money(totals.deposited)),
        ("+ refunds paid", money(totals.refunded)),
        ("= on accounts", money(totals.balances)),
        ("+ in PSDs, used or not", money(totals.in_psds)),
        ("+ authorised, not known to be applied", money(totals.open)),
        ("value is conserved", if totals.conserved() { "yes" } else { "NO" }.to_owned()),
    ];
    text.push('\n');
    text.push_str(&table(&[], &[1], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value])));
    for account in &totals.wrong_accounts {
        text.push_str(&format!("account {account} is not the sum of its postings\n"));
    }
    let open: Vec<_> = told.findings.iter().filter(|finding| finding.settled.is_none()).collect();
    if !open.is_empty() {
        let rows = open.into_iter().map(|finding| {
            let number = finding.finding.to_string();
            vec![number, finding.time.clone(), finding.psd.clone(), finding.code.clone(), finding.detail.clone()]
        });
        text.push('\n');
        text.push_str(&table(&["finding", "time", "PSD", "code", "what"], &[0], rows));
    }
    text.push_str(if told.reconciles { "\neverything reconciles\n" } else { "\nNOT everything reconciles\n" });
    text
}
