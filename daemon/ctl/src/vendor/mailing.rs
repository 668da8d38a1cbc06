//! A mailing list: one CSV row a piece, all of it checked before anything is sent.

use psd::PostageAmount;
use psd::indicium::{Destination, RateCategory};
use sha2::{Digest, Sha256};
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

/// Columns that must be there, in any order.
const REQUIRED: [&str; 5] = ["address", "zip4", "weight_g", "class", "postage"];
const REFERENCE: &str = "reference";
/// So many faults are told at once.
const MOST_FAULTS: usize = 20;
const LONGEST_ADDRESS: usize = 512;
const LONGEST_REFERENCE: usize = 64;
/// Heaviest piece, grams: 70 lb, the limit of US mail.
const HEAVIEST_G: u64 = 31_751;

/// A mailing list that can be sent.
#[derive(Clone, Debug)]
pub struct Mailing {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The pieces, in the order of the file.
    pub rows: Vec<MailingRow>,
}

/// One piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailingRow {
    /// Line of the file, counted from one.
    pub line: u64,
    /// Name, street and place, separated by a comma and a blank.
    pub address: String,
    /// ZIP, ZIP+4 or delivery point.
    pub destination: Destination,
    /// Weight in grams.
    pub weight_g: u64,
    /// Rate category.
    pub class: RateCategory,
    /// Postage.
    pub postage: PostageAmount,
    /// The sender's reference.
    pub reference: Option<String>,
}

/// One fault of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    line: u64,
    column: usize,
    what: String,
}

/// A file that is no mailing list. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum MailingError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Faults in the file, each with its place.
    #[error("{}\nnothing was sent; correct the file and run the command again", list(.path, .faults, *.more))]
    Faults {
        /// The file.
        path: PathBuf,
        /// The first of them.
        faults: Vec<Fault>,
        /// How many more there are.
        more: usize,
    },
    /// No row.
    #[error("{} has no row below its header; nothing was sent", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The columns' places, counted from zero.
struct Columns {
    address: usize,
    zip4: usize,
    weight_g: usize,
    class: usize,
    postage: usize,
    reference: Option<usize>,
}

impl Mailing {
    /// Reads and checks a whole file.
    pub fn read(path: &Path) -> Result<Self, MailingError> {
        let bytes = std::fs::read(path).map_err(|source| MailingError::Unreadable { path: path.to_owned(), source })?;
        let (rows, mut faults) = parse(&bytes);
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(MOST_FAULTS);
            faults.truncate(MOST_FAULTS);
            return Err(MailingError::Faults { path: path.to_owned(), faults, more });
        }
        if rows.is_empty() {
            return Err(MailingError::Empty { path: path.to_owned() });
        }
        Ok(Self { sha256: Sha256::digest(&bytes).into(), rows })
    }
}

impl MailingRow {
    /// The address as lines.
    pub fn address_lines(&self) -> Vec<String> {
        self.address.splitn(3, ", ").map(str::to_owned).collect()
    }
}

fn parse(bytes: &[u8]) -> (Vec<MailingRow>, Vec<Fault>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    // A byte order mark is what spreadsheets put in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let columns = match reader.headers().map_err(fault_of).and_then(columns) {
        Ok(columns) => columns,
        Err(fault) => return (rows, vec![fault]),
    };
    for record in reader.records() {
        match record {
            Ok(record) => match row(&columns, &record) {
                Ok(row) => rows.push(row),
                Err(found) => faults.extend(found),
            },
            Err(error) => faults.push(fault_of(error)),
        }
    }
    (rows, faults)
}

fn columns(header: &csv::StringRecord) -> Result<Columns, Fault> {
    let fault = |column, what| Fault { line: 1, column, what };
    for (index, name) in header.iter().enumerate() {
        if !REQUIRED.contains(&name) && name != REFERENCE {
            let what = format!(
                "column {name:?} is not known; the columns are {} and optionally {REFERENCE}",
                REQUIRED.join(",")
            );
            return Err(fault(index + 1, what));
        }
        if header.iter().take(index).any(|earlier| earlier == name) {
            return Err(fault(index + 1, format!("column {name:?} stands there twice; remove one")));
        }
    }
    let place = |name: &str| header.iter().position(|found| found == name);
    let required = |name: &str| {
        let what = || format!("column {name:?} is missing; the first line must name {}", REQUIRED.join(","));
        place(name).ok_or_else(|| fault(header.len() + 1, what()))
    };
    Ok(Columns {
        address: required("address")?,
        zip4: required("zip4")?,
        weight_g: required("weight_g")?,
        class: required("class")?,
        postage: required("postage")?,
        reference: place(REFERENCE),
    })
}

fn row(columns: &Columns, record: &csv::StringRecord) -> Result<MailingRow, Vec<Fault>> {
    let line = record.position().map_or(0, csv::Position::line);
    let mut faults = Vec::new();
    let mut check = |index: usize, what: String| faults.push(Fault { line, column: index + 1, what });
    let text = |index: usize| record.get(index).unwrap_or_default().trim();

    let address = text(columns.address).to_owned();
    if !(1..=LONGEST_ADDRESS).contains(&address.len()) {
        check(columns.address, format!("address has {} bytes, it must have 1 to {LONGEST_ADDRESS}", address.len()));
    }
    let destination = text(columns.zip4).parse::<Destination>();
    let weight = text(columns.weight_g).parse::<u64>().ok().filter(|weight| (1..=HEAVIEST_G).contains(weight));
    let class = text(columns.class).parse::<RateCategory>();
    let postage = text(columns.postage).parse::<PostageAmount>();
    if let Err(error) = &destination {
        check(columns.zip4, format!("zip4 {error}; write it like 20500-0003 (mind zeros that a spreadsheet drops)"));
    }
    if weight.is_none() {
        let found = text(columns.weight_g);
        check(columns.weight_g, format!("weight_g {found:?} is no whole number of grams from 1 to {HEAVIEST_G}"));
    }
    if let Err(error) = &class {
        check(columns.class, format!("class {error}"));
    }
    match &postage {
        Ok(PostageAmount::ZERO) => {
            check(columns.postage, "postage is zero; leave the row out or give it postage".to_owned())
        }
        Ok(_) => {}
        Err(error) => check(columns.postage, format!("postage {error}; write dollars like 0.73 or 0.545")),
    }
    let reference = columns.reference.map(text).filter(|text| !text.is_empty()).map(str::to_owned);
    if let (Some(index), Some(text)) = (columns.reference, &reference)
        && text.len() > LONGEST_REFERENCE
    {
        check(index, format!("reference has {} bytes, it may have {LONGEST_REFERENCE}", text.len()));
    }
    match (destination, weight, class, postage) {
        (Ok(destination), Some(weight_g), Ok(class), Ok(postage)) if faults.is_empty() => {
            Ok(MailingRow { line, address, destination, weight_g, class, postage, reference })
        }
        _ => Err(faults),
    }
}

/// A fault that the CSV reader found: columns missing or in excess, text that is not UTF-8.
fn fault_of(error: csv::Error) -> Fault {
    let line = error.position().map_or(1, csv::Position::line);
    let (column, what) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let what = format!("{len} columns, the header has {expected_len}; put addresses with commas in quotes");
            (usize::try_from((*len).min(*expected_len)).unwrap_or(0) + 1, what)
        }
        csv::ErrorKind::Utf8 { err, .. } => {
            (err.field() + 1, "the text is not UTF-8; save the file as UTF-8".to_owned())
        }
        _ => (1, error.to_string()),
    };
    Fault { line, column, what }
}

fn list(path: &Path, faults: &[Fault], more: usize) -> String {
    let mut lines: Vec<_> = faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "address,zip4,weight_g,class,postage\n";

    fn faults(text: &str) -> Vec<String> {
        parse(text.as_bytes()).1.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_good_file_is_read_in_any_order_of_columns() {
        let text = "\u{feff}postage,class,reference,weight_g,zip4,address\n0.545,MKT,A-1,20,00501-0001,\"Ada Moor, 1 Elm St, Holtsville NY\"\n";
        let (rows, faults) = parse(text.as_bytes());
        assert_eq!(faults, []);
        assert_eq!(rows[0].postage.mills(), 545);
        assert_eq!(rows[0].destination.to_string(), "00501-0001");
        assert_eq!(rows[0].address_lines(), ["Ada Moor", "1 Elm St", "Holtsville NY"]);
        assert_eq!((rows[0].line, rows[0].reference.as_deref()), (2, Some("A-1")));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let rows = "a,20500-0003,20,FCL,0.73\n,20500-0003,20,FCL,0.73\nb,501,x,fcl,0.7305\nc,20500,20,FCL,0\nd, x,20500,20,FCL,0.73\n";
        let found = faults(&format!("{HEADER}{rows}"));
        let places: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["3:1", "4:2", "4:3", "4:4", "4:5", "5:5", "6:6"]);
        assert!(found[4].contains("finer than a mill"), "{}", found[4]);
        assert!(found[6].contains("in quotes"), "{}", found[6]);
    }

    #[test]
    fn a_wrong_header_is_told() {
        assert!(faults("address,zip4,weight_g,class\n")[0].starts_with("1:5: column \"postage\" is missing"));
        assert!(
            faults("address,zip4,weight_g,class,postage,colour\n")[0]
                .starts_with("1:6: column \"colour\" is not known")
        );
        assert!(faults("address,address\n")[0].starts_with("1:2: "));
    }
}
