//! `psdctl ledger verify`.

use super::LedgerError;
use super::judge::WireJudge;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::output::{count, hex, money, print, print_json, table};
use crate::progress::bar;
use clap::Args;
use psd::PostageAmount;
use psdd_ledger::verify::{Finding, Outcome, Settings, Summary, verify};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `psdctl ledger verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Directory of the ledger: `state_dir` of psdd, or a copy of it
    dir: PathBuf,
    /// The postal authority's root, PEM; without it the root that leaf 0 names is believed
    #[arg(long, value_name = "ROOT.pem")]
    appliance_root: Option<PathBuf>,
    /// Threads that verify signatures
    #[arg(long, default_value_t = threads())]
    threads: usize,
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

#[derive(Serialize)]
struct Report {
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<FindingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<SummaryView>,
}

#[derive(Serialize)]
struct FindingView {
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    text: String,
}

#[derive(Serialize)]
struct SummaryView {
    appliance: String,
    environment: &'static str,
    records: u64,
    pieces: u64,
    checkpoints: u64,
    signed_size: u64,
    personal_fields: u64,
    root: String,
    root_was_given: bool,
    seconds: f64,
    psds: Vec<PsdView>,
}

#[derive(Serialize)]
struct PsdView {
    psd: String,
    tenant: String,
    currency: String,
    ascending: String,
    descending: String,
    control_total: String,
    pieces: u64,
    records: u64,
}

pub(super) fn run(global: &Global, command: &Verify) -> Result<Exit, CtlError> {
    let root_was_given = command.appliance_root.is_some();
    let authority_root = command.appliance_root.as_ref().map(read_root).transpose()?;
    let settings = Settings { authority_root, threads: command.threads.max(1) };
    let bar = bar(0, "records");
    let outcome = verify(&command.dir, &WireJudge, &settings, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.records);
    });
    bar.finish_and_clear();
    match outcome.map_err(LedgerError::from)? {
        Outcome::Holds(summary) => {
            if global.json {
                let summary = Some(summary_view(&summary, root_was_given));
                print_json(&Report { holds: true, finding: None, summary })?;
            } else {
                print(&for_people(&summary, root_was_given))?;
            }
            Ok(Exit::Done)
        }
        Outcome::Broken(finding) => {
            if global.json {
                let finding = Some(FindingView { leaf: finding.leaf, text: finding.fault.to_string() });
                print_json(&Report { holds: false, finding, summary: None })?;
            } else {
                print(&verdict(&finding))?;
            }
            Ok(Exit::Negative)
        }
    }
}

fn read_root(path: &PathBuf) -> Result<Vec<u8>, LedgerError> {
    let der = CertificateDer::from_pem_file(path);
    der.map(|der| der.to_vec()).map_err(|source| LedgerError::Root { path: path.clone(), source })
}

fn verdict(finding: &Finding) -> String {
    format!(
        "The ledger does NOT hold. The first thing that is wrong:\n\n  {finding}\n\n\
         Keep the directory as it is and tell the postal authority.\n"
    )
}

fn for_people(summary: &Summary, root_was_given: bool) -> String {
    let rows = summary.psds.iter().map(|psd| {
        let registers = &psd.registers;
        vec![
            psd.psd.to_string(),
            psd.tenant.to_string(),
            psd.currency.to_string(),
            money(registers.ascending()),
            money(registers.descending()),
            money(registers.control_total()),
            count(registers.piece_count()),
            count(psd.sequence),
        ]
    });
    let currencies: BTreeSet<&str> = summary.psds.iter().map(|psd| psd.currency.as_str()).collect();
    let sum = |of: fn(&psd::Registers) -> PostageAmount| {
        if currencies.len() > 1 {
            return String::new();
        }
        let each = summary.psds.iter().map(|psd| of(&psd.registers));
        let total = each.into_iter().try_fold(PostageAmount::ZERO, PostageAmount::checked_add);
        total.map_or_else(|| "beyond any amount".to_owned(), money)
    };
    let records: u64 = summary.psds.iter().map(|psd| psd.sequence).sum();
    let total = vec![
        "all".to_owned(),
        format!("{} PSDs", count(summary.psds.len())),
        if currencies.len() > 1 { "several".to_owned() } else { currencies.iter().copied().collect() },
        sum(psd::Registers::ascending),
        sum(psd::Registers::descending),
        sum(psd::Registers::control_total),
        count(summary.pieces),
        count(records),
    ];
    let headings = ["psd", "tenant", "currency", "ascending", "descending", "control total", "pieces", "records"];
    let mut text = table(&headings, &[3, 4, 5, 6, 7], rows.chain([total]));
    let seconds = summary.elapsed.as_secs_f64();
    let of_root =
        if root_was_given { "the root given" } else { "the root that leaf 0 names, which was not compared with any" };
    let unsigned = summary.records - summary.signed_size;
    text.push_str(&format!(
        "\nThe ledger of {} ({}) holds.\n  {} records, {} pieces with their proofs, {} personal fields\n  \
         {} signed checkpoints; the newest covers {} records, {unsigned} came after it\n  root {}\n  \
         certificates lead to {of_root}\n  {seconds:.1} s, {} records/s\n",
        summary.genesis.appliance,
        summary.genesis.environment.as_str(),
        count(summary.records),
        count(summary.pieces),
        count(summary.bodies),
        count(summary.checkpoints),
        count(summary.signed_size),
        hex(&summary.root),
        rate(summary),
    ));
    text
}

fn rate(summary: &Summary) -> String {
    let per_second = u128::from(summary.records) * 1_000_000 / summary.elapsed.as_micros().max(1);
    count(per_second)
}

fn summary_view(summary: &Summary, root_was_given: bool) -> SummaryView {
    let psds = summary.psds.iter().map(|psd| PsdView {
        psd: psd.psd.to_string(),
        tenant: psd.tenant.to_string(),
        currency: psd.currency.to_string(),
        ascending: psd.registers.ascending().to_string(),
        descending: psd.registers.descending().to_string(),
        control_total: psd.registers.control_total().to_string(),
        pieces: psd.registers.piece_count(),
        records: psd.sequence,
    });
    SummaryView {
        appliance: summary.genesis.appliance.to_string(),
        environment: summary.genesis.environment.as_str(),
        records: summary.records,
        pieces: summary.pieces,
        checkpoints: summary.checkpoints,
        signed_size: summary.signed_size,
        personal_fields: summary.bodies,
        root: hex(&summary.root),
        root_was_given,
        seconds: summary.elapsed.as_secs_f64(),
        psds: psds.collect(),
    }
}
