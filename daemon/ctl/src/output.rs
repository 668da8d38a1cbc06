//! What a person or a program reads on stdout, and files that are whole or absent.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use psd::{Currency, PostageAmount};
use serde::Serialize;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// A line below the headings and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// To a file.
    #[error("cannot write {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// To stdout.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// Binary output has no place on a terminal.
    #[error("this is not for a terminal; name a file with --out, or pipe it")]
    Terminal,
    /// As JSON.
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
}

/// Prints to stdout; a reader that went away (`| head`) is told like any other failure.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError::Stdout)
}

/// Prints bytes to stdout, unless that is a terminal and they are no text.
pub fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    if out.is_terminal() && std::str::from_utf8(bytes).is_err() {
        return Err(OutputError::Terminal);
    }
    out.write_all(bytes).and_then(|()| out.flush()).map_err(OutputError::Stdout)
}

/// Prints one JSON document.
pub fn print_json<T: Serialize>(value: &T) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(value).map_err(OutputError::Json)?;
    print(&format!("{text}\n"))
}

/// Writes a file so that it is there whole and durably, or not at all.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let failed = |source| OutputError::File { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = File::create(&part).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)?;
    // The name is durable once its directory is.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// A table with a heading for each column; columns named in `right` are aligned to the right.
pub fn table(headings: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if !headings.is_empty() {
        table.set_header(headings.iter().copied());
    }
    table.add_rows(rows);
    drawn(table, right)
}

/// What the first cell of a row is drawn in, on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Act.
    Red,
    /// Ask.
    Amber,
    /// Nothing to do.
    Green,
}

/// A table whose first column is a light. The colour is on terminals alone; the light is a word as well.
pub fn lit_table(headings: &[&str], right: &[usize], rows: impl IntoIterator<Item = (Colour, Vec<String>)>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().copied());
    table.add_rows(rows.into_iter().map(|(colour, row)| {
        let colour = match colour {
            Colour::Red => Color::Red,
            Colour::Amber => Color::Yellow,
            Colour::Green => Color::Green,
        };
        let lit = |(column, text): (usize, String)| match column {
            0 => Cell::new(text).fg(colour).add_attribute(Attribute::Bold),
            _ => Cell::new(text),
        };
        row.into_iter().enumerate().map(lit).collect::<Vec<Cell>>()
    }));
    drawn(table, right)
}

fn drawn(mut table: Table, right: &[usize]) -> String {
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// An amount for people, of a currency that is not known here: digits grouped, two decimals or three.
pub fn money(amount: PostageAmount) -> String {
    let text = amount.to_string();
    let (units, decimals) = text.split_once('.').unwrap_or((&text, "00"));
    format!("{}.{decimals}", group(units))
}

/// The same with its currency.
pub fn priced(amount: PostageAmount, currency: Currency) -> String {
    let digits = money(amount);
    if currency == Currency::USD { format!("${digits}") } else { format!("{digits} {currency}") }
}

/// A count for people: digits grouped.
pub fn count(number: impl ToString) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped() {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        assert_eq!(money(amount(730)), "0.73");
        assert_eq!(money(amount(100_000)), "100.00");
        assert_eq!(priced(amount(1_234_567_545), Currency::USD), "$1,234,567.545");
        assert_eq!(priced(amount(1_234_000), "EUR".parse().unwrap()), "1,234.00 EUR");
        assert_eq!(count(1000u64), "1,000");
        assert_eq!(count(999u64), "999");
    }

    #[test]
    fn a_file_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        write_durably(&path, b"one").unwrap();
        write_durably(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
