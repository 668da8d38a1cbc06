//! Scanned symbols against the log: each one judged, duplicates among them named.
//!
//! Symbols come a line each, hex or base64, from files or a stream. What decides, in this order: whether it is a symbol; whether the log knows
//! the device, certified the key, and the signature verifies; whether the log has it; whether its key was revoked before; whether it was
//! scanned before. Memory is bounded by a batch (64 Ki lines, about 50 MB) whatever the number of scans: what was scanned is on the disk.

mod judge;
mod lines;
mod verdict;

pub use verdict::{ScanCode, ScanSummary, ScanVerdict};

use crate::durable::DiskError;
use crate::fold::{Fold, leaf_of, symbol_key};
use crate::index::{Entry, Index};
use crate::mirror::{Mirror, UpdateError};
use judge::Judged;
use lines::Lines;
use psd::MailingDate;
use psd::UnixMillis;
use psd::custody::Revocation;
use psd::record::Record;
use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

/// Lines that are judged together.
const BATCH: usize = 65_536;

/// Why scans could not be judged. What is wrong with a symbol is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The input.
    #[error("{from}: {source}")]
    Input {
        /// The file or stream.
        from: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// No room for what was scanned.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The mirror does not give a record.
    #[error(transparent)]
    Mirror(#[from] UpdateError),
}

/// One sample: any number of files and streams, among which no symbol may come twice.
#[derive(Debug)]
pub struct Scans {
    /// Device and ascending register to the number of the scan.
    seen: Index<16, 8>,
    /// First number of each input, and its name.
    inputs: Vec<(u64, String)>,
    scanned: u64,
    /// Removed with the sample.
    _scratch: tempfile::TempDir,
}

impl Scans {
    /// Begins a sample; what was scanned is kept in a new directory below this one until the sample is dropped: 24 bytes a scan, twice that
    /// while runs are merged.
    pub fn begin(below: &Path) -> Result<Self, DiskError> {
        let scratch = tempfile::Builder::new().prefix("scans-").tempdir_in(below);
        let scratch = scratch.map_err(|source| DiskError { path: below.to_owned(), source })?;
        let seen = Index::open(scratch.path(), &[])?;
        Ok(Self { seen, inputs: Vec::new(), scanned: 0, _scratch: scratch })
    }

    /// Judges every line of an input, in order; `from` is its name for people. Empty lines are skipped.
    pub fn judge(
        &mut self,
        fold: &Fold,
        mirror: &mut Mirror,
        from: &str,
        input: impl BufRead,
        tell: &mut dyn FnMut(&ScanVerdict),
    ) -> Result<ScanSummary, ScanError> {
        self.inputs.push((self.scanned, from.to_owned()));
        let mut lines = Lines::new(input);
        let mut summary = ScanSummary::default();
        loop {
            let batch = lines.batch(BATCH).map_err(|source| ScanError::Input { from: from.to_owned(), source })?;
            if batch.is_empty() {
                self.scanned += lines.read();
                return Ok(summary);
            }
            for verdict in self.batch(fold, mirror, from, &batch)? {
                summary.count(&verdict);
                tell(&verdict);
            }
        }
    }

    fn batch(
        &mut self,
        fold: &Fold,
        mirror: &mut Mirror,
        from: &str,
        batch: &[(u64, Vec<u8>)],
    ) -> Result<Vec<ScanVerdict>, ScanError> {
        let judged = judge::all(fold, batch);
        // Keys that stand for one debit, each with its place in the batch, in the order of keys and then of lines.
        let mut keys: Vec<([u8; 16], usize)> = judged.iter().enumerate().filter_map(keyed).collect();
        keys.sort_unstable();
        let sorted: Vec<[u8; 16]> = keys.iter().map(|(key, _)| *key).collect();
        let recorded = fold.marks.look_up(&sorted)?;
        let seen = self.seen.look_up(&sorted)?;
        let mut log = HashMap::with_capacity(keys.len());
        let mut earlier = HashMap::new();
        let mut fresh: Vec<Entry<16, 8>> = Vec::with_capacity(keys.len());
        for (((key, place), recorded), seen) in keys.iter().zip(recorded).zip(seen) {
            log.insert(*place, recorded);
            let number = self.scanned + batch.get(*place).map_or(0, |(line, _)| line.saturating_sub(1));
            let before = seen.or_else(|| fresh.last().filter(|(last, _)| last == key).map(|(_, number)| *number));
            match before {
                Some(before) => drop(earlier.insert(*place, u64::from_be_bytes(before))),
                None => fresh.push((*key, number.to_be_bytes())),
            }
        }
        self.seen.insert(&fresh)?;
        // Nobody notes these runs: what was merged is of no use at once.
        self.seen.remove_unnoted()?;
        let mut verdicts = Vec::with_capacity(batch.len());
        for (place, ((line, _), judged)) in batch.iter().zip(judged).enumerate() {
            let recorded = log.remove(&place).flatten();
            let before = earlier.remove(&place).map(|number| self.name_of(number));
            verdicts.push(self.verdict(fold, mirror, (from, *line), judged, recorded, before)?);
        }
        Ok(verdicts)
    }

    fn verdict(
        &self,
        fold: &Fold,
        mirror: &mut Mirror,
        (from, line): (&str, u64),
        judged: Judged,
        recorded: Option<[u8; 32]>,
        before: Option<String>,
    ) -> Result<ScanVerdict, ScanError> {
        let verdict = |code, says: String| ScanVerdict::new(from, line, code, says);
        let mark = match judged {
            Judged::Refused(code, device, says) => return Ok(ScanVerdict { psd: device, ..verdict(code, says) }),
            Judged::Signed(mark) => mark,
        };
        let filled = |verdict: ScanVerdict| ScanVerdict {
            psd: Some(mark.psd.to_string()),
            ascending: Some(mark.ascending.to_string()),
            postage: Some(mark.postage.to_string()),
            leaf: recorded.map(|value| leaf_of(&value)),
            duplicate_of: before.clone(),
            ..verdict
        };
        let Some(value) = recorded else {
            let newest = fold.facts.psds.get(&mark.psd).map(|facts| facts.registers.ascending());
            let (code, says) = match (mark.revoked, newest.is_some_and(|newest| mark.ascending > newest)) {
                (Some(revocation), _) if binds_day(revocation, mark.date) => {
                    let Revocation { since, reason } = revocation;
                    (ScanCode::Revoked, format!("not in the log, and its key is revoked since {since} ({reason})"))
                }
                (_, true) => {
                    let says = "its ascending register is above the last in the log: fetch the log, then scan it again";
                    (ScanCode::BeyondLog, says.to_owned())
                }
                (_, false) => {
                    let says = "signed by the certified key, and the log has no such piece";
                    (ScanCode::NotInLog, says.to_owned())
                }
            };
            return Ok(filled(verdict(code, says)));
        };
        let leaf = leaf_of(&value);
        if value.get(8..) != Some(&mark.digest[..]) {
            let says = format!("record {leaf} has another symbol at this ascending register");
            return Ok(filled(verdict(ScanCode::NotInLog, says)));
        }
        let mut revoked = None;
        if let Some(Revocation { since, reason }) = mark.revoked {
            let at = Record::decode(mirror.entry(leaf)?).map_or(UnixMillis(u64::MAX), |record| record.at.time);
            if at >= since {
                let says = format!("recorded at {at}; its key is revoked since {since} ({reason})");
                return Ok(filled(verdict(ScanCode::Revoked, says)));
            }
            revoked = Some(format!("recorded at {at}, before its key was revoked at {since} ({reason})"));
        }
        if let Some(before) = &before {
            return Ok(filled(verdict(ScanCode::Duplicate, format!("scanned before: {before}"))));
        }
        Ok(filled(match revoked {
            Some(says) => verdict(ScanCode::ValidWhenSigned, says),
            None => verdict(ScanCode::Valid, "valid".to_owned()),
        }))
    }

    /// Input and line of a scan.
    fn name_of(&self, number: u64) -> String {
        let input = self.inputs.iter().rev().find(|(first, _)| *first <= number);
        input.map_or_else(String::new, |(first, name)| format!("{name}:{}", number - first + 1))
    }
}

fn keyed((place, judged): (usize, &Judged)) -> Option<([u8; 16], usize)> {
    match judged {
        Judged::Signed(mark) => Some((symbol_key(mark.psd, mark.ascending), place)),
        Judged::Refused(..) => None,
    }
}

/// Whether a mark of this day may have been signed after the revocation. A mark says a day and no time, and the day itself is judged the
/// stricter way, as `psdctl indicium verify` does.
fn binds_day(revocation: Revocation, yyyymmdd: u32) -> bool {
    let day = MailingDate::from_yyyymmdd(yyyymmdd).and_then(|date| u64::try_from(date.day_number()).ok());
    let end = day.and_then(|day| day.checked_add(1)?.checked_mul(86_400_000));
    end.is_none_or(|end| end > revocation.since.0)
}
