//! A list of pieces to be signed: one CSV row a piece, all of it checked before anything is sent.

use super::mailing::MailingRow;
use super::voucher_list::VoucherRow;
use sha2::{Digest, Sha256};
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

/// So many faults are told at once.
const MOST_FAULTS: usize = 20;

/// A row of one kind of list.
pub trait Row: Sized {
    /// Columns that must be there, in any order.
    const REQUIRED: &'static [&'static str];
    /// Columns that may be there.
    const OPTIONAL: &'static [&'static str];
    /// Reads and checks a row; `None` where it has faults, which the cells keep.
    fn read(cells: &mut Cells<'_>) -> Option<Self>;
    /// Line of the file, counted from one.
    fn line(&self) -> u64;
    /// The sender's reference.
    fn reference(&self) -> Option<&str>;
}

/// A list that can be sent.
#[derive(Clone, Debug)]
pub struct List<R> {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The pieces, in the order of the file.
    pub rows: Vec<R>,
}

/// A list of either kind: its columns tell which.
#[derive(Clone, Debug)]
pub enum AnyList {
    /// Of mail.
    Mailing(List<MailingRow>),
    /// Of vouchers.
    Vouchers(List<VoucherRow>),
}

/// One fault of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    line: u64,
    column: usize,
    what: String,
}

/// A file that is no such list. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
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
    /// An option that says nothing of vouchers.
    #[error("{0} is for mail; this is a list of vouchers, and nothing was sent")]
    ForMail(&'static str),
}

/// The cells of one row, by the names of their columns.
pub struct Cells<'a> {
    columns: &'a [&'static str],
    places: &'a [Option<usize>],
    record: &'a csv::StringRecord,
    line: u64,
    faults: Vec<Fault>,
}

impl AnyList {
    /// Reads and checks a whole file.
    pub fn read(path: &Path) -> Result<Self, ListError> {
        let bytes = bytes_of(path)?;
        let mut reader = csv::ReaderBuilder::new().from_reader(without_mark(&bytes));
        let of_vouchers = reader.headers().is_ok_and(|header| header.iter().any(|name| name == "kind"));
        if of_vouchers { List::of(path, &bytes).map(Self::Vouchers) } else { List::of(path, &bytes).map(Self::Mailing) }
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, ListError> {
    std::fs::read(path).map_err(|source| ListError::Unreadable { path: path.to_owned(), source })
}

impl<R: Row> List<R> {
    /// Reads and checks a whole file.
    pub fn read(path: &Path) -> Result<Self, ListError> {
        Self::of(path, &bytes_of(path)?)
    }

    /// The list in the bytes of a file.
    pub fn of(path: &Path, bytes: &[u8]) -> Result<Self, ListError> {
        let (rows, mut faults) = parse(bytes);
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(MOST_FAULTS);
            faults.truncate(MOST_FAULTS);
            return Err(ListError::Faults { path: path.to_owned(), faults, more });
        }
        if rows.is_empty() {
            return Err(ListError::Empty { path: path.to_owned() });
        }
        Ok(Self { sha256: Sha256::digest(bytes).into(), rows })
    }
}

impl<'a> Cells<'a> {
    /// Line of the file, counted from one.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The text of a cell without blanks around it; empty where the list has no such column.
    pub fn text(&self, column: &str) -> &'a str {
        self.place(column).and_then(|place| self.record.get(place)).unwrap_or_default().trim()
    }

    /// Notes a fault of a cell.
    pub fn fault(&mut self, column: &str, what: String) {
        let column = self.place(column).unwrap_or_default() + 1;
        self.faults.push(Fault { line: self.line(), column, what });
    }

    fn place(&self, column: &str) -> Option<usize> {
        let index = self.columns.iter().position(|name| *name == column)?;
        self.places[index]
    }
}

/// A byte order mark is what spreadsheets put in front.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The line of a place in a file. Where lines end with a carriage return and a line feed, the reader places a record before the line feed.
fn line_at(bytes: &[u8], position: &csv::Position) -> u64 {
    let before_line_feed = usize::try_from(position.byte()).is_ok_and(|at| bytes.get(at) == Some(&b'\n'));
    position.line() + u64::from(before_line_feed)
}

/// The rows of a file that are in order, and the faults of all others.
pub(crate) fn parse<R: Row>(bytes: &[u8]) -> (Vec<R>, Vec<Fault>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let bytes = without_mark(bytes);
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let columns: Vec<&'static str> = R::REQUIRED.iter().chain(R::OPTIONAL).copied().collect();
    let places = match reader.headers().map_err(|error| fault_of(error, bytes)).and_then(places::<R>) {
        Ok(places) => places,
        Err(fault) => return (rows, vec![fault]),
    };
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, |position| line_at(bytes, position));
                let mut cells = Cells { columns: &columns, places: &places, record: &record, line, faults: Vec::new() };
                let row = R::read(&mut cells);
                // A fault that was noted counts, whatever could be read besides.
                if cells.faults.is_empty() { rows.extend(row) } else { faults.append(&mut cells.faults) }
            }
            Err(error) => faults.push(fault_of(error, bytes)),
        }
    }
    (rows, faults)
}

/// The places of the columns, required ones first, counted from zero.
fn places<R: Row>(header: &csv::StringRecord) -> Result<Vec<Option<usize>>, Fault> {
    let fault = |column, what| Fault { line: 1, column, what };
    for (index, name) in header.iter().enumerate() {
        if !R::REQUIRED.contains(&name) && !R::OPTIONAL.contains(&name) {
            let (required, optional) = (R::REQUIRED.join(","), R::OPTIONAL.join(","));
            let what = format!("column {name:?} is not known; the columns are {required} and optionally {optional}");
            return Err(fault(index + 1, what));
        }
        if header.iter().take(index).any(|earlier| earlier == name) {
            return Err(fault(index + 1, format!("column {name:?} stands there twice; remove one")));
        }
    }
    let place = |name: &str| header.iter().position(|found| found == name);
    let required = R::REQUIRED.iter().map(|name| {
        let what = || format!("column {name:?} is missing; the first line must name {}", R::REQUIRED.join(","));
        place(name).map(Some).ok_or_else(|| fault(header.len() + 1, what()))
    });
    required.chain(R::OPTIONAL.iter().map(|name| Ok(place(name)))).collect()
}

/// A fault that the CSV reader found: columns missing or in excess, text that is not UTF-8.
fn fault_of(error: csv::Error, bytes: &[u8]) -> Fault {
    let line = error.position().map_or(1, |position| line_at(bytes, position));
    let (column, what) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let what = format!("{len} columns, the header has {expected_len}; put text with commas in quotes");
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

impl Fault {
    /// A fault at a line and a column, both counted from one.
    pub fn at(line: u64, column: usize, what: String) -> Self {
        Self { line, column, what }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}
