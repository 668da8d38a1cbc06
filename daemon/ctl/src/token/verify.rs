//! `psdctl token verify`: whether a half of a digital token is of what stands on the piece.

use crate::cli::Global;
use crate::door::Door;
use crate::error::{CtlError, Exit};
use crate::output::{count, print, print_json, table};
use crate::vendor::{Cells, List, Row};
use clap::Args;
use psdd_client::{ClientError, HalfVerdict, InLog, TokenQuery, TokenVerdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `psdctl token verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "The vendor door judges the vendor's half, of the PSDs of this client's tenant; with --authority the authority door judges the post's, of every
PSD. Each says as well whether the log has the token. What it tells is the appliance's word.

Exit code 0: every token holds and stands in the log. 1: some do not. docs/certification.md says what each verdict means."
)]
pub struct Verify {
    /// The token as it is printed
    #[arg(value_name = "TOKEN", required_unless_present = "scans", conflicts_with = "scans")]
    token: Option<String>,
    /// Device ID
    #[arg(long, value_name = "ID", required_unless_present = "scans")]
    psd: Option<String>,
    /// Number of the piece among those of the PSD
    #[arg(long, value_name = "NUMBER", required_unless_present = "scans")]
    piece: Option<u64>,
    /// Postage
    #[arg(long, value_name = "AMOUNT", required_unless_present = "scans")]
    postage: Option<String>,
    /// Day of mailing, YYYY-MM-DD
    #[arg(long, value_name = "DATE", required_unless_present = "scans")]
    date: Option<String>,
    /// ZIP, ZIP+4 or delivery point of the destination
    #[arg(long, value_name = "ZIP", required_unless_present = "scans")]
    destination: Option<String>,
    /// The recipient's address as it is written; without it the destination is a delivery point
    #[arg(long, value_name = "ADDRESS", conflicts_with = "scans")]
    recipient: Option<String>,
    /// Scans of many pieces: CSV with the columns psd, piece, postage, date, destination, recipient and token, and optionally reference
    #[arg(long, value_name = "FILE")]
    scans: Option<PathBuf>,
    /// Ask the authority door, as an inspector
    #[arg(long)]
    authority: bool,
}

async fn judge(door: &Door, query: &TokenQuery<'_>) -> Result<TokenVerdict, ClientError> {
    match door {
        Door::Vendor(client) => client.judge_token(query).await,
        Door::Authority(door) => door.judge_token(query).await,
    }
}

/// The code of a client that has no try left.
const SPENT: &str = "token-tries-spent";

/// Judges every scan. What is refused of one from a file is said of it: it keeps nobody from the verdicts about the others.
async fn judge_all(door: &Door, scans: &[Scan]) -> Result<Vec<Report>, CtlError> {
    let mut reports = Vec::with_capacity(scans.len());
    let mut spent: Option<String> = None;
    for scan in scans {
        let judged = match &spent {
            Some(says) => Err(says.clone()),
            None => match judge(door, &scan.query).await {
                Ok(told) => Ok(told),
                Err(ClientError::Refused(problem)) if scan.line.is_some() && !problem.facts.retry => {
                    let says = format!("{}: {}", problem.title, problem.detail.as_deref().unwrap_or_default());
                    spent = Some(says.clone()).filter(|_| problem.facts.code == SPENT);
                    Err(says)
                }
                Err(error) => return Err(door.failed(error)),
            },
        };
        reports.push(match judged {
            Ok(told) => report(scan, told),
            Err(says) => not_judged(scan, says),
        });
    }
    Ok(reports)
}

/// What stands on a piece.
struct Scan {
    /// Of the file, where it is from one.
    line: Option<u64>,
    query: TokenQuery<'static>,
    reference: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    psd: String,
    piece: u64,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    half: Option<String>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    says: String,
}

pub(super) async fn run(global: &Global, command: &Verify) -> Result<Exit, CtlError> {
    let scans = match (&command.scans, by_hand(command)) {
        (Some(path), _) => List::read(path)?.rows,
        (None, query) => query.map(|query| Scan { line: None, query, reference: None }).into_iter().collect(),
    };
    let door = Door::of(global, command.authority).await?;
    let mut reports = judge_all(&door, &scans).await?;
    tell_copies(&mut reports);
    let good = reports.iter().filter(|report| report.verdict == "holds").count();
    if global.json {
        print_json(&reports)?;
    } else {
        print(&drawn(&reports, good))?;
    }
    Ok(if good == reports.len() { Exit::Done } else { Exit::Negative })
}

fn by_hand(command: &Verify) -> Option<TokenQuery<'static>> {
    let text = |field: &Option<String>| field.clone().map(Into::into);
    Some(TokenQuery {
        psd: text(&command.psd)?,
        date: text(&command.date)?,
        token: text(&command.token)?,
        pieces: command.piece?,
        postage: text(&command.postage)?,
        recipient: text(&command.recipient),
        destination: text(&command.destination)?,
    })
}

impl Row for Scan {
    const REQUIRED: &'static [&'static str] = &["psd", "piece", "postage", "date", "destination", "recipient", "token"];
    const OPTIONAL: &'static [&'static str] = &["reference"];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let number = cells.text("piece").parse::<u64>().ok();
        if number.is_none() {
            let found = cells.text("piece").to_owned();
            cells.fault("piece", format!("piece {found:?} is no number of a piece"));
        }
        let text = |column| cells.text(column).to_owned().into();
        let query = TokenQuery {
            psd: text("psd"),
            date: text("date"),
            token: text("token"),
            pieces: number?,
            postage: text("postage"),
            recipient: some(cells.text("recipient")).map(Into::into),
            destination: text("destination"),
        };
        Some(Self { line: Some(cells.line()), query, reference: some(cells.text("reference")) })
    }

    fn line(&self) -> u64 {
        self.line.unwrap_or_default()
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

fn report(scan: &Scan, told: TokenVerdict) -> Report {
    let TokenVerdict { key, log, psd, half, leaf, says, verdict, .. } = told;
    let verdict = match (verdict, log) {
        (HalfVerdict::Misread, _) => "misread",
        (HalfVerdict::DoesNotHold, _) => "does-not-hold",
        (HalfVerdict::Holds, Some(InLog::Same)) => "holds",
        (HalfVerdict::Holds, Some(InLog::Other | InLog::None) | None) => "not-in-log",
    };
    let TokenQuery { pieces, token, .. } = &scan.query;
    let (piece, token) = (*pieces, token.to_string());
    Report {
        line: scan.line,
        reference: scan.reference.clone(),
        psd: psd.to_string(),
        piece,
        token,
        half: Some(half),
        verdict,
        key,
        leaf,
        says,
    }
}

fn not_judged(scan: &Scan, says: String) -> Report {
    let TokenQuery { psd, pieces, token, .. } = &scan.query;
    Report {
        line: scan.line,
        reference: scan.reference.clone(),
        psd: psd.to_string(),
        piece: *pieces,
        token: token.to_string(),
        half: None,
        verdict: "not-judged",
        key: None,
        leaf: None,
        says,
    }
}

/// Of tokens that hold, those of a piece that stood on a line before: the same token twice is one piece too many.
fn tell_copies(reports: &mut [Report]) {
    let mut first: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for report in reports.iter_mut().filter(|report| report.verdict == "holds") {
        let line = report.line.unwrap_or_default();
        let earlier = *first.entry((report.psd.clone(), report.piece)).or_insert(line);
        if earlier != line {
            report.verdict = "repeated";
            report.says = format!("the same piece stands on line {earlier}: one of the two carries a copy");
        }
    }
}

fn drawn(reports: &[Report], good: usize) -> String {
    if let [report] = reports {
        let mut rows = vec![vec!["token".to_owned(), report.token.clone()]];
        rows.push(vec!["piece".to_owned(), format!("{} of {}", count(report.piece), report.psd)]);
        rows.push(vec!["verdict".to_owned(), format!("{}: {}", report.verdict, report.says)]);
        let made_by = report.key.zip(report.half.as_ref());
        rows.extend(
            made_by.map(|(key, half)| vec!["made by".to_owned(), format!("key {key} of its role ({half} half)")]),
        );
        rows.extend(report.leaf.map(|leaf| vec!["record".to_owned(), count(leaf)]));
        return table(&[], &[], rows);
    }
    let rows = reports.iter().filter(|report| report.verdict != "holds").map(|report| {
        let line = report.line.map(|line| line.to_string()).unwrap_or_default();
        let piece = format!("{} of {}", count(report.piece), report.psd);
        vec![line, piece, report.token.clone(), report.verdict.to_owned(), report.says.clone()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let many = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX));
    let columns = &["line", "piece", "token", "verdict", "because"];
    let others = if rows.is_empty() { String::new() } else { table(columns, &[], rows) };
    format!("{} of {} tokens hold\n{others}", many(good), many(reports.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::ListError;

    const HEADER: &str = "psd,piece,postage,date,destination,recipient,token,reference\n";

    fn scans(rows: &str) -> Result<Vec<Scan>, ListError> {
        List::of(&PathBuf::from("scans.csv"), format!("{HEADER}{rows}").as_bytes()).map(|list| list.rows)
    }

    #[test]
    fn a_file_of_scans_is_read_as_every_list() {
        let rows = scans(
            "PS010000000001,7,0.73,2026-11-20,20500,\"A, 1 Main St\",12345 67890 6,r\nPS010000000001,8,0.73,2026-11-20,20500-0003-12,,torn,\n",
        );
        let rows = rows.unwrap();
        let told: Vec<_> =
            rows.iter().map(|scan| (scan.line, scan.query.pieces, scan.query.recipient.as_deref())).collect();
        assert_eq!(told, [(Some(2), 7, Some("A, 1 Main St")), (Some(3), 8, None)]);
        assert_eq!((&*rows[1].query.token, rows[0].reference.as_deref()), ("torn", Some("r")));
        let error = scans("PS010000000001,x,0.73,2026-11-20,20500,,1,\n").err().unwrap().to_string();
        assert!(error.contains("scans.csv:2:2") && error.contains("no number of a piece"), "{error}");
    }

    #[test]
    fn a_half_that_holds_counts_where_the_log_has_the_token() {
        let scan = |line| Scan {
            line: Some(line),
            ..scans("PS010000000001,7,0.73,2026-11-20,20500,A,12345 67890 6,\n").unwrap().remove(0)
        };
        let told = |verdict, log| TokenVerdict {
            key: None,
            log,
            psd: "PS010000000001".parse().unwrap(),
            half: "vendor".to_owned(),
            leaf: None,
            says: String::new(),
            verdict,
            checkpoint: None,
        };
        let rows = [
            (HalfVerdict::Holds, Some(InLog::Same), "holds"),
            (HalfVerdict::Holds, Some(InLog::Other), "not-in-log"),
            (HalfVerdict::Holds, Some(InLog::None), "not-in-log"),
            (HalfVerdict::DoesNotHold, Some(InLog::Same), "does-not-hold"),
            (HalfVerdict::Misread, None, "misread"),
        ];
        for (verdict, log, expected) in rows {
            assert_eq!(report(&scan(2), told(verdict, log)).verdict, expected, "{verdict:?} {log:?}");
        }
        let mut both = [2, 3].map(|line| report(&scan(line), told(HalfVerdict::Holds, Some(InLog::Same))));
        tell_copies(&mut both);
        assert_eq!(both.each_ref().map(|report| report.verdict), ["holds", "repeated"]);
        assert!(both[1].says.contains("line 2"), "{}", both[1].says);
    }
}
