//! `psdctl inspect scan` and `witness`: marks and checkpoints from elsewhere, held against the mirror.

use super::InspectError;
use super::config::InspectorConfig;
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{OutputError, count, print, print_json, table};
use clap::Args;
use psdd_inspector::scan::{ScanSummary, ScanVerdict, Scans};
use psdd_inspector::{Fold, Mirror, Witnessed};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `psdctl inspect scan`.
#[derive(Args, Debug)]
#[command(
    after_help = "Needs no connection: the marks are held against the mirror as the last `psdctl inspect` left it.
docs/inspection.md says what each verdict means.

Exit code 0: every mark is worth its postage. 1: one is not."
)]
pub struct Scan {
    /// Scanned marks, one a line, hex or base64; all files are one sample
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the verdicts go, one JSON object a line
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the mirror of the log lies
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
}

/// Arguments of `psdctl inspect witness`.
#[derive(Args, Debug)]
#[command(after_help = "Needs no connection. Two honest witnesses of one log can tell a fork by nothing but this.

Exit code 0: the same history, or a newer one. 1: the log signed two histories.")]
pub struct Witness {
    /// A signed checkpoint that a vendor's client, another inspector or the appliance gave
    note: PathBuf,
    /// Where the mirror of the log lies
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
}

fn opened(global: &Global, mirror: Option<&Path>) -> Result<Mirror, InspectError> {
    let directory = match mirror {
        Some(mirror) => mirror.to_owned(),
        None => InspectorConfig::read(global.config.as_deref())?.mirror,
    };
    Ok(Mirror::open(&directory)?)
}

pub(super) fn scan(global: &Global, command: &Scan) -> Result<Exit, InspectError> {
    let mut mirror = opened(global, command.mirror.as_deref())?;
    let mut fold = Fold::open(&mut mirror)?;
    fold.advance(&mut mirror)?;
    let below = mirror.directory().to_owned();
    let mut scans = Scans::begin(&below).map_err(psdd_inspector::UpdateError::from)?;
    let mut out = command.out.as_deref().map(Verdicts::create).transpose()?;
    let mut all = ScanSummary::default();
    for path in &command.files {
        let input = File::open(path).map_err(|source| InspectError::File { path: path.clone(), source })?;
        let mut failed = None;
        let mut tell = |verdict: &ScanVerdict| {
            if let (Some(out), None) = (&mut out, &failed) {
                failed = out.put(verdict).err();
            }
        };
        let from = path.display().to_string();
        let summary = scans.judge(&fold, &mut mirror, &from, BufReader::new(input), &mut tell)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        all.scans += summary.scans;
        for (code, number) in summary.verdicts {
            *all.verdicts.entry(code).or_default() += number;
        }
    }
    out.map(Verdicts::finish).transpose()?;
    if global.json {
        print_json(&all)?
    } else {
        print(&drawn(&all, mirror.size()))?
    }
    let good = all.verdicts.keys().all(|code| code.is_good());
    Ok(if good { Exit::Done } else { Exit::Negative })
}

fn drawn(all: &ScanSummary, records: u64) -> String {
    let rows = all.verdicts.iter().map(|(code, number)| {
        let worth = if code.is_good() { "yes" } else { "no" };
        vec![code.as_str().to_owned(), count(number), worth.to_owned()]
    });
    format!(
        "{}{} scans against {} records\n",
        table(&["verdict", "marks", "worth its postage"], &[1], rows),
        count(all.scans),
        count(records)
    )
}

/// A file of verdicts, there when it is whole.
struct Verdicts {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
}

impl Verdicts {
    fn create(path: &Path) -> Result<Self, OutputError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let file = File::create(&part).map_err(|source| OutputError::File { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), part, file: BufWriter::new(file) })
    }

    fn put(&mut self, verdict: &ScanVerdict) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.file, verdict).map_err(OutputError::Json)?;
        let ended = self.file.write_all(b"\n");
        ended.map_err(|source| OutputError::File { path: self.path.clone(), source })
    }

    fn finish(mut self) -> Result<(), OutputError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        let written = written.and_then(|()| std::fs::rename(&self.part, &self.path));
        written.map_err(|source| OutputError::File { path: self.path, source })
    }
}

pub(super) fn witness(global: &Global, command: &Witness) -> Result<Exit, InspectError> {
    let mirror = opened(global, command.mirror.as_deref())?;
    let note = std::fs::read_to_string(&command.note);
    let note = note.map_err(|source| InspectError::File { path: command.note.clone(), source })?;
    let (word, text) = match mirror.witness(&note)? {
        Witnessed::Same => ("same", "the mirror has the same history"),
        Witnessed::Ahead => (
            "ahead",
            "the log signed more than the mirror has: run `psdctl inspect`, and hold it against the mirror again",
        ),
    };
    if global.json {
        print_json(&serde_json::json!({ "witnessed": word }))?
    } else {
        print(&format!("{text}\n"))?
    }
    Ok(Exit::Done)
}
