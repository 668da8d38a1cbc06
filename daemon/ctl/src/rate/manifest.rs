//! A run's manifest: one CSV row a ZIP, and the total as the last.

use super::RateError;
use crate::vendor::{Cells, Row, parse_rows};
use psdd_rates::{Counts, Zip};
use std::path::Path;

/// What stands in the column of ZIPs in the last row.
const TOTAL: &str = "total";

/// One row.
struct ManifestRow {
    line: u64,
    /// Nothing in the row of the total.
    zip: Option<Zip>,
    pieces: u64,
}

impl Row for ManifestRow {
    const REQUIRED: &'static [&'static str] = &["zip", "pieces"];
    const OPTIONAL: &'static [&'static str] = &[];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let zip = match cells.text("zip") {
            TOTAL => Some(None),
            text => match text.parse::<Zip>() {
                Ok(zip) => Some(Some(zip)),
                Err(error) => {
                    cells.fault("zip", format!("zip {error}; mind zeros that a spreadsheet drops"));
                    None
                }
            },
        };
        let pieces = cells.text("pieces").parse::<u64>().ok().filter(|pieces| *pieces > 0);
        if pieces.is_none() {
            let found = cells.text("pieces");
            cells
                .fault("pieces", format!("pieces {found:?} is no whole number from 1; leave a ZIP without pieces out"));
        }
        Some(Self { line: cells.line(), zip: zip?, pieces: pieces? })
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn reference(&self) -> Option<&str> {
        None
    }
}

/// The counts of a file, and the total that it states.
pub(crate) fn read(path: &Path) -> Result<(Counts, u64), RateError> {
    let bytes = std::fs::read(path).map_err(|source| RateError::Unreadable { path: path.to_owned(), source })?;
    let (mut rows, mut faults) = parse_rows::<ManifestRow>(&bytes);
    let total = rows.pop_if(|row| row.zip.is_none()).map(|row| row.pieces);
    let mut counts = Counts::new();
    for row in &rows {
        match row.zip {
            Some(zip) if counts.of(zip) == 0 => {
                if let Err(error) = counts.add(zip, row.pieces) {
                    faults.push(crate::vendor::Fault::at(row.line, 2, error.to_string()));
                }
            }
            Some(zip) => faults.push(crate::vendor::Fault::at(row.line, 1, format!("zip {zip} stands there twice"))),
            None => faults.push(crate::vendor::Fault::at(row.line, 1, "the total is the last row".to_owned())),
        }
    }
    if !faults.is_empty() {
        return Err(RateError::Rows { path: path.to_owned(), faults });
    }
    let total = total.ok_or_else(|| RateError::NoTotal(path.to_owned()))?;
    Ok((counts, total))
}
