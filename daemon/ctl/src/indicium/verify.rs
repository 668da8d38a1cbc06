//! `psdctl indicium verify`.

use super::certificates::CertificateFiles;
use super::revocation::RevocationFiles;
use crate::authority::AuthorityError;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::input::{Mark, decode, marks};
use crate::output::{count, priced, print, print_json, table};
use crate::render::days;
use clap::Args;
use psdd_client::verify::Revocations;
use psdd_client::verify::offline::{Bundle, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// With more marks than this, a table shows only those that are not valid.
const MOST_ROWS: usize = 40;

const BY_DAY: &str = "checked, by the day of mailing (UTC)";
const NOT_CHECKED: &str = "not checked; name lists with --crl or --status";

/// Arguments of `psdctl indicium verify`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl indicium verify mark.bin --certificates bundle.pem --authority-root root.pem --crl psd-ca.crl

Exit code 0: every mark is valid, or was when signed. 1: one is not. 2: certificates or lists cannot be gone by.
A mark says a day and no time: verdicts on revoked keys are by whole days of UTC, and on the day itself the stricter one.
Where a record of the piece is proven in the appliance's log, its time is finer and goes first.")]
pub struct Verify {
    /// Marks: hex, base64, files of either or of bytes, results files of `vendor sign`, or - for stdin
    #[arg(required = true)]
    inputs: Vec<String>,
    #[command(flatten)]
    files: CertificateFiles,
    #[command(flatten)]
    lists: RevocationFiles,
}

#[derive(Serialize)]
struct Judged {
    from: String,
    verdict: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postage: Option<String>,
    specimen: bool,
    #[serde(skip)]
    good: bool,
}

#[derive(Serialize)]
struct Report {
    results: Vec<Judged>,
    revocation: &'static str,
    summary: BTreeMap<&'static str, usize>,
}

pub(super) fn run(global: &Global, command: &Verify) -> Result<Exit, CtlError> {
    let bundle = command.files.bundle(global)?;
    let now = psdd_authority::serve::now().map_err(AuthorityError::from)?;
    let revocations = command.lists.read(&command.files, global, now)?;
    let mut results = Vec::new();
    for input in &command.inputs {
        results.extend(marks(input)?.into_iter().map(|mark| judge(&bundle, &revocations, mark)));
    }
    let mut summary = BTreeMap::new();
    for judged in &results {
        *summary.entry(judged.verdict).or_insert(0) += 1;
    }
    let all_good = results.iter().all(|judged| judged.good);
    let revocation = if command.lists.are_named() { BY_DAY } else { NOT_CHECKED };
    let report = Report { results, revocation, summary };
    if global.json {
        print_json(&report)?
    } else {
        print(&drawn(&report))?
    }
    Ok(if all_good { Exit::Done } else { Exit::Negative })
}

fn judge(bundle: &Bundle, revocations: &Revocations, mark: Mark) -> Judged {
    match decode(&mark) {
        Ok(decoded) => {
            let verdict = revocations.judge(&decoded, bundle.judge(&decoded));
            Judged {
                from: mark.from,
                verdict: verdict.code(),
                reason: verdict.to_string(),
                date: Some(days(&decoded)),
                device: Some(decoded.device),
                postage: Some(priced(decoded.postage, decoded.currency)),
                specimen: decoded.specimen,
                good: verdict.is_good(),
            }
        }
        Err(error) => Judged {
            from: mark.from,
            verdict: "unreadable",
            reason: error.to_string(),
            device: None,
            date: None,
            postage: None,
            specimen: false,
            good: false,
        },
    }
}

fn drawn(report: &Report) -> String {
    let all = report.results.len() <= MOST_ROWS;
    let shown = report.results.iter().filter(|judged| all || judged.verdict != Verdict::Valid.code());
    let rows: Vec<_> = shown
        .map(|judged| {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let specimen = if judged.specimen { ", specimen" } else { "" };
            let verdict = format!("{}{specimen}", judged.reason);
            vec![judged.from.clone(), text(&judged.device), text(&judged.date), text(&judged.postage), verdict]
        })
        .collect();
    let mut out = String::new();
    if !rows.is_empty() {
        out.push_str(&table(&["mark", "device", "date", "postage", "verdict"], &[3], rows));
    }
    let parts: Vec<_> = report.summary.iter().map(|(verdict, number)| format!("{} {verdict}", count(number))).collect();
    out.push_str(&format!("{} marks: {}\n", count(report.results.len()), parts.join(", ")));
    out.push_str(&format!("revocation: {}\n", report.revocation));
    out
}
