//! `psdctl certify verify`: whether the two areas of a piece, its mark and its certification, belong together.

use super::check::number_of;
use crate::cli::Global;
use crate::door::Door;
use crate::error::{CtlError, Exit};
use crate::input;
use crate::output::{count, print, print_json, table};
use crate::vendor::{Cells, List, Row};
use clap::Args;
use psd::certification::{Certification, Paid};
use psdd_certification::CertificationNumber;
use psdd_client::{CertifiedPiece, ClientError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Scans of many pieces: CSV with the columns number and indicium (hex or base64, or empty), and optionally reference
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    scans: Option<PathBuf>,
    /// Ask the authority door, as an inspector
    #[arg(long)]
    authority: bool,
}

/// What stands on a piece.
#[derive(Clone)]
struct Scan {
    /// Of the file, where it is from one.
    line: Option<u64>,
    number: String,
    /// None where there is none; else its bytes, or why they are none.
    indicium: Result<Option<Vec<u8>>, String>,
    reference: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
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
        Some(path) => List::read(path)?.rows,
        None => {
            let indicium = command.indicium.as_deref().map(input::one_mark).transpose()?.map(|mark| mark.bytes);
            vec![Scan { line: None, number: command.text.join(" "), indicium: Ok(indicium), reference: None }]
        }
    };
    let door = Door::of(global, command.authority).await?;
    let mut reports = Vec::with_capacity(scans.len());
    for scan in &scans {
        reports.push(judge(&door, scan).await?);
    }
    tell_copies(&mut reports);
    let good = reports.iter().filter(|report| report.verdict == "belongs").count();
    if global.json {
        print_json(&reports)?;
    } else {
        print(&drawn(&reports, good))?;
    }
    Ok(if good == reports.len() { Exit::Done } else { Exit::Negative })
}

impl Row for Scan {
    const REQUIRED: &'static [&'static str] = &["number", "indicium"];
    const OPTIONAL: &'static [&'static str] = &["reference"];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let (number, indicium) = (cells.text("number").to_owned(), cells.text("indicium"));
        let indicium = Some(indicium).filter(|text| !text.is_empty());
        let reference = Some(cells.text("reference").to_owned()).filter(|text| !text.is_empty());
        // What a scanner makes of a torn mark is no fault of the file: it is judged as what it is.
        let indicium = indicium
            .map(|text| input::from_text(text).ok_or_else(|| "the indicium is neither hex nor base64".to_owned()));
        Some(Self { line: Some(cells.line()), number, indicium: indicium.transpose(), reference })
    }

    fn line(&self) -> u64 {
        self.line.unwrap_or_default()
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

/// Of pieces that are all right by themselves, those whose number stood on another before: one of them carries a copy.
fn tell_copies(reports: &mut [Report]) {
    let mut first: BTreeMap<String, u64> = BTreeMap::new();
    for report in reports.iter_mut().filter(|report| report.verdict == "belongs") {
        let line = report.line.unwrap_or_default();
        let earlier = *first.entry(report.number.clone()).or_insert(line);
        if earlier != line {
            report.verdict = "repeated";
            report.says = format!("the same number stands on line {earlier}: one of the two pieces carries a copy");
        }
    }
}

async fn judge(door: &Door, scan: &Scan) -> Result<Report, CtlError> {
    let (line, written) = (scan.line, scan.number.clone());
    let told = |number, verdict, says: String, piece| {
        Ok(Report { line, reference: scan.reference.clone(), number, verdict, says, piece })
    };
    let number: CertificationNumber = match number_of(&scan.number) {
        Ok(number) => number,
        Err(says) => return told(written, "misread", says, None),
    };
    let indicium = match &scan.indicium {
        Ok(indicium) => indicium.as_deref(),
        Err(says) => return told(number.to_string(), "misread", says.clone(), None),
    };
    let number_text = number.to_string();
    let opened = match door {
        Door::Vendor(client) => client.certification_by_number(&number_text).await,
        Door::Authority(door) => door.certification_by_number(&number_text).await,
    };
    let (piece, certification) = match opened {
        Ok(found) => found,
        Err(ClientError::Refused(problem)) if problem.facts.code == "number-unknown" => {
            let says = problem.detail.clone().unwrap_or_default();
            return told(number.to_string(), "unknown", says, None);
        }
        Err(error) => return Err(door.failed(error)),
    };
    let (verdict, says) = verdict(&certification.paid, indicium);
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
    fn a_file_of_scans_is_read_as_every_list_and_what_a_scanner_tore_is_no_fault_of_it() {
        let path = PathBuf::from("scans.csv");
        let rows = List::<Scan>::of(&path, b"\xef\xbb\xbfindicium,number\r\n0102,A\r\n,B\r\nzz,C\r\n").unwrap().rows;
        let told: Vec<_> = rows.iter().map(|scan| (scan.line, &*scan.number, scan.indicium.is_err())).collect();
        assert_eq!(told, [(Some(2), "A", false), (Some(3), "B", false), (Some(4), "C", true)]);
        assert_eq!((rows[0].indicium.clone(), rows[1].indicium.clone()), (Ok(Some(vec![1, 2])), Ok(None)));
        for (text, says) in [
            ("number,indicum\nA,01\n", "\"indicum\" is not known"),
            ("number\nA\n", "\"indicium\" is missing"),
            ("number,indicium\r\nA,01\r\nB,02,03\r\n", "scans.csv:3:3: 3 columns"),
            ("number,indicium\nA,01\nB,02,03\n", "scans.csv:3:3: 3 columns"),
        ] {
            let error = List::<Scan>::of(&path, text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_number_that_stands_on_two_pieces_is_told() {
        let report = |line, number: &str, verdict| Report {
            line: Some(line),
            reference: None,
            number: number.to_owned(),
            verdict,
            says: String::new(),
            piece: None,
        };
        let mut reports = [
            report(2, "A", "belongs"),
            report(3, "B", "belongs"),
            report(4, "A", "other-indicium"),
            report(5, "A", "belongs"),
        ];
        tell_copies(&mut reports);
        let verdicts = reports.each_ref().map(|report| report.verdict);
        assert_eq!(verdicts, ["belongs", "belongs", "other-indicium", "repeated"]);
        assert!(reports[3].says.contains("line 2"), "{}", reports[3].says);
    }

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
