//! `psdctl certify verify`: whether the two areas of a piece, its mark and its certification, belong together.

use super::check::number_of;
use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::input;
use crate::inspect::{InspectError, inspector};
use crate::output::{count, print, print_json, table};
use crate::vendor::ListError;
use clap::Args;
use psd::certification::{Certification, Paid};
use psdd_certification::CertificationNumber;
use psdd_client::{AuthorityClient, CertifiedPiece, Client, ClientError};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl certify verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Asks the vendor door, which knows the numbers of this client's tenant; what it tells is verified. With --authority it asks the
authority door, which knows all of them; what that tells is the appliance's word, which `psdctl inspect` judges.

Exit code 0: every number and indicium belong together. 1: some do not. docs/certification.md says what each verdict means."
)]
pub struct Verify {
    /// The number, in any writing, or the whole printed line
    #[arg(num_args = 1.., value_name = "NUMBER|LINE", required_unless_present = "scans")]
    text: Vec<String>,
    /// The indicium on the piece: hex, base64, or a file of either or of bytes; left out where there is none
    #[arg(long, value_name = "MARK", conflicts_with = "scans")]
    indicium: Option<String>,
    /// Scans of many pieces: CSV with the columns number and indicium (hex or base64, or empty)
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    scans: Option<PathBuf>,
    /// Ask the authority door, as an inspector
    #[arg(long)]
    authority: bool,
}

/// Who is asked.
enum Door {
    Vendor(Client),
    Authority(AuthorityClient),
}

impl Door {
    async fn open(&self, number: &str) -> Result<(CertifiedPiece, Certification), ClientError> {
        match self {
            Door::Vendor(client) => client.certification_by_number(number).await,
            Door::Authority(door) => door.certification_by_number(number).await,
        }
    }

    fn failed(&self, error: ClientError) -> CtlError {
        match self {
            Door::Vendor(_) => error.into(),
            Door::Authority(_) => InspectError::from(error).into(),
        }
    }
}

/// What stands on a piece.
struct Scan {
    line: Option<u64>,
    number: String,
    indicium: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    number: String,
    verdict: &'static str,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    piece: Option<Piece>,
}

/// What was certified.
#[derive(Serialize)]
struct Piece {
    psd: String,
    leaf: u64,
    date: String,
    class: String,
    destination: String,
    due: String,
    paid: String,
    debited: String,
}

pub(super) async fn run(global: &Global, command: &Verify) -> Result<Exit, CtlError> {
    let scans = match &command.scans {
        Some(path) => read(path)?,
        None => {
            let indicium = command.indicium.as_deref().map(input::one_mark).transpose()?.map(|mark| mark.bytes);
            vec![Scan { line: None, number: command.text.join(" "), indicium }]
        }
    };
    let door = if command.authority {
        Door::Authority(inspector(global)?)
    } else {
        let config = CtlConfig::read(global.config.as_deref())?;
        Door::Vendor(Client::connect(config.client()).await?)
    };
    let mut reports = Vec::with_capacity(scans.len());
    for scan in &scans {
        reports.push(judge(&door, scan).await?);
    }
    let good = reports.iter().filter(|report| report.verdict == "belongs").count();
    if global.json {
        print_json(&reports)?;
    } else {
        print(&drawn(&reports, good))?;
    }
    Ok(if good == reports.len() { Exit::Done } else { Exit::Negative })
}

fn read(path: &Path) -> Result<Vec<Scan>, CtlError> {
    let unreadable = |source: std::io::Error| ListError::Unreadable { path: path.to_owned(), source };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|error| unreadable(error.into()))?;
    let header = reader.headers().map_err(|error| unreadable(error.into()))?.clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    let missing = || unreadable(std::io::Error::other("the header has no column `number`"));
    let (number, indicium) = (column("number").ok_or_else(missing)?, column("indicium"));
    let mut scans = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(error.into()))?;
        let text = indicium.and_then(|column| record.get(column)).filter(|text| !text.is_empty());
        // What cannot be read as bytes belongs to no certification: it is judged as what it is.
        let bytes = text.map(|text| input::from_text(text).unwrap_or_default());
        let line = record.position().map(csv::Position::line);
        scans.push(Scan { line, number: record.get(number).unwrap_or_default().to_owned(), indicium: bytes });
    }
    if scans.is_empty() {
        return Err(ListError::Empty { path: path.to_owned() }.into());
    }
    Ok(scans)
}

async fn judge(door: &Door, scan: &Scan) -> Result<Report, CtlError> {
    let (line, written) = (scan.line, scan.number.clone());
    let told = |number, verdict, says: String, piece| Ok(Report { line, number, verdict, says, piece });
    let number: CertificationNumber = match number_of(&scan.number) {
        Ok(number) => number,
        Err(says) => return told(written, "misread", says, None),
    };
    let (piece, certification) = match door.open(&number.to_string()).await {
        Ok(found) => found,
        Err(ClientError::Refused(problem)) if problem.facts.code == "number-unknown" => {
            return told(number.to_string(), "unknown", problem.to_string(), None);
        }
        Err(error) => return Err(door.failed(error)),
    };
    let (verdict, says) = verdict(&certification.paid, scan.indicium.as_deref());
    told(number.to_string(), verdict, says.to_owned(), Some(of(&piece, &certification)))
}

/// Whether what stands on the piece is what the certification says was paid.
fn verdict(paid: &Paid, shown: Option<&[u8]>) -> (&'static str, &'static str) {
    match (paid, shown) {
        (Paid::Mark(mark), Some(shown)) if mark.digest == psdd_wire::sha256(shown) => {
            ("belongs", "the indicium is the one that paid for this certification")
        }
        (Paid::Mark(_), Some(_)) => ("other-indicium", "another indicium paid for this certification"),
        (Paid::Mark(_), None) => ("indicium-missing", "an indicium paid for this certification, and none is shown"),
        (Paid::Nothing | Paid::Imprint(_), Some(_)) => {
            ("other-indicium", "no indicium paid for this certification, and one is shown")
        }
        (Paid::Nothing | Paid::Imprint(_), None) => ("belongs", "no indicium paid for this certification"),
    }
}

fn of(piece: &CertifiedPiece, certification: &Certification) -> Piece {
    Piece {
        psd: piece.psd.to_string(),
        leaf: piece.leaf,
        date: certification.date.to_string(),
        class: certification.rated.class.to_string(),
        destination: certification.destination.to_string(),
        due: piece.due.to_string(),
        paid: piece.paid.to_string(),
        debited: piece.debited.to_string(),
    }
}

fn drawn(reports: &[Report], good: usize) -> String {
    if let [report] = reports {
        let mut rows = vec![vec!["number".to_owned(), report.number.clone()]];
        rows.push(vec!["verdict".to_owned(), format!("{}: {}", report.verdict, report.says)]);
        if let Some(piece) = &report.piece {
            let Piece { psd, leaf, date, class, destination, due, paid, debited } = piece;
            rows.push(vec!["certified by".to_owned(), format!("{psd}, record {}", count(*leaf))]);
            rows.push(vec!["piece".to_owned(), format!("{class} to {destination}, mailed {date}")]);
            rows.push(vec!["due; paid before; debited".to_owned(), format!("{due}; {paid}; {debited}")]);
        }
        return table(&[], &[], rows);
    }
    let rows = reports.iter().filter(|report| report.verdict != "belongs").map(|report| {
        let line = report.line.map(|line| line.to_string()).unwrap_or_default();
        vec![line, report.number.clone(), report.verdict.to_owned(), report.says.clone()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let many = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX));
    let others =
        if rows.is_empty() { String::new() } else { table(&["line", "number", "verdict", "because"], &[], rows) };
    format!("{} of {} pieces: number and indicium belong together\n{others}", many(good), many(reports.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::certification::{MarkId, PayingMark};

    #[test]
    fn only_the_indicium_that_paid_belongs_and_none_where_none_did() {
        let amount = psd::PostageAmount::from_mills(500).unwrap();
        let id = MarkId { psd: "PS010000000001".parse().unwrap(), ascending: amount };
        let mark = Paid::Mark(PayingMark { id, digest: psdd_wire::sha256(b"mark"), postage: amount });
        let rows = [
            (&mark, Some(&b"mark"[..]), "belongs"),
            (&mark, Some(b"nark"), "other-indicium"),
            (&mark, None, "indicium-missing"),
            (&Paid::Nothing, None, "belongs"),
            (&Paid::Imprint(amount), None, "belongs"),
            (&Paid::Imprint(amount), Some(b"mark"), "other-indicium"),
        ];
        for (paid, shown, expected) in rows {
            assert_eq!(verdict(paid, shown).0, expected, "{paid:?} {shown:?}");
        }
    }
}
