//! The fold: records of the mirror, in order, into the state of every PSD, with what is wrong on the way.
//!
//! Owns the state, the counts and the three indexes (symbols, idempotency keys, indicia that paid). Every record is judged by docs/ledger.md as `ledger verify`
//! does, but from signed evidence alone and to the end: what is wrong becomes a finding, and the fold goes on from what the record claims.
//! Memory grows with PSDs, keys and refunds, not with pieces.

mod judge;
mod marks;
mod messages;
mod payments;
mod runs;
mod saved;
mod tally;
mod weighed;

pub(crate) use marks::{MARK, leaf_of, mark_digest, symbol_key};
pub(crate) use tally::{Day, Movement, Tally};
pub use tally::{MOST_DAYS, MOST_HOURS, MOST_REFUNDS};
pub(crate) use weighed::Certified;

use crate::audit::Watch;
use crate::durable::{self, DiskError};
use crate::finding::{Code, Finding, Found};
use crate::index::Index;
use crate::mirror::{Mirror, UpdateError};
use marks::{Job, Pieces};
use payments::Payments;
use psd::appliance::{Appliance, FollowError};
use psd::clock::{ClockReading, ClockSource};
use psd::digest::StateFacts;
use psd::evidence::AuthorityKey;
use psd::instructed::Instructed;
use psd::key::Role;
use psd::record::{Event, Record, Repeated};
use psd::{PostageAmount, PsdId, Registers, UnixMillis};
use psdd_wire::certificate::{AuthorityRoot, CertifiedKey};
use runs::OpenRuns;
use saved::{FORMAT, Latest, Saved, SavedPsd};
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// Records between two rounds of signatures.
const CHUNK: usize = 4_096;
/// Records after which the state is saved, so that a long first fold can be interrupted.
const SAVE_EVERY: u64 = 1_048_576;

/// Why a fold cannot go on. What is wrong with the records is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The mirror does not give a record.
    #[error(transparent)]
    Mirror(#[from] UpdateError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Leaf 0 is a genesis that docs/ledger.md does not permit: nothing can be judged after it.
    #[error("leaf 0: {0}")]
    Genesis(#[from] FollowError),
    /// The saved state is not of this mirror or of this version.
    #[error(
        "the saved state cannot be gone by: {0}; remove the directory fold/ of the mirror, and all records are read again"
    )]
    Saved(&'static str),
    /// The mirror was further than it is now: what it knew of the log is not all there any more.
    #[error(
        "the mirror is not as it was left: {0}. Keep the directory as it is, for it may show more of the log than it does now, and make a new mirror elsewhere"
    )]
    Witness(&'static str),
    /// The root that was pinned is none.
    #[error("the pinned root of the authority: {0}")]
    Root(#[from] psdd_wire::certificate::ChainError),
}

/// The state of an appliance after so many records of its mirror.
pub struct Fold {
    directory: PathBuf,
    root: AuthorityRoot,
    size: u64,
    pub(crate) appliance: Option<Appliance>,
    pub(crate) facts: StateFacts,
    instructed: Instructed,
    /// Certified keys that sign pieces, by PSD, role and serial.
    pub(crate) certificates: HashMap<(PsdId, Role, u32), Arc<CertifiedKey>>,
    authority: BTreeMap<u8, AuthorityKey>,
    pub(crate) tallies: BTreeMap<PsdId, Tally>,
    pub(crate) fleet: Tally,
    latest: Option<(u64, ClockReading)>,
    pub(crate) found: Found,
    pub(crate) marks: Index<16, MARK>,
    keys: Index<20, 8>,
    paid: Index<16, 8>,
    pieces: Pieces,
    payments: Payments,
    runs: OpenRuns,
    pub(crate) certified: Certified,
    repeated: Repeated,
    threads: usize,
}

impl Fold {
    /// The fold beside a mirror, as it was saved, or at its beginning.
    pub fn open(mirror: &mut Mirror) -> Result<Self, FoldError> {
        let directory = mirror.directory().join("fold");
        let saved = durable::read(&directory.join("state"))?;
        let saved: Option<Saved> =
            saved.map(|bytes| saved::read(&bytes).ok_or(FoldError::Saved("it is not what was written"))).transpose()?;
        if saved.as_ref().is_some_and(|saved| saved.format != FORMAT) {
            return Err(FoldError::Saved("it is of another version"));
        }
        if saved.as_ref().is_some_and(|saved| saved.pin != *mirror.pin()) {
            return Err(FoldError::Witness("its saved state is of another log than its pin"));
        }
        let runs = saved.as_ref().map(|saved| (saved.marks.clone(), saved.keys.clone(), saved.paid.clone()));
        let (marks, keys, paid) = runs.unwrap_or_default();
        let mut fold = Self {
            root: AuthorityRoot::from_der(&mirror.pin().authority_root)?,
            size: 0,
            appliance: None,
            facts: StateFacts::default(),
            instructed: Instructed::default(),
            certificates: HashMap::new(),
            authority: BTreeMap::new(),
            tallies: BTreeMap::new(),
            fleet: Tally::default(),
            latest: None,
            found: Found::default(),
            marks: Index::open(&directory.join("marks"), &marks).map_err(of_index)?,
            keys: Index::open(&directory.join("keys"), &keys).map_err(of_index)?,
            paid: Index::open(&directory.join("paid"), &paid).map_err(of_index)?,
            pieces: Pieces::default(),
            payments: Payments::default(),
            runs: OpenRuns::default(),
            certified: Certified::default(),
            repeated: Repeated::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            directory,
        };
        if let Some(saved) = saved {
            fold.resume(saved, mirror)?;
        }
        Ok(fold)
    }

    /// Records taken in.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Threads that verify signatures.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The authority's root, as it was pinned.
    pub(crate) fn root(&self) -> &AuthorityRoot {
        &self.root
    }

    /// Takes in all records of the mirror that are new, and saves the state. Gives how many there were.
    pub fn advance(&mut self, mirror: &mut Mirror) -> Result<u64, FoldError> {
        self.advance_watching(mirror, &mut Watch::default(), &mut |_| {})
    }

    /// The same, with somebody who waits for records of PSDs, and somebody who is told now and then how many records are taken in.
    pub fn advance_watching(
        &mut self,
        mirror: &mut Mirror,
        watch: &mut Watch,
        tell: &mut dyn FnMut(u64),
    ) -> Result<u64, FoldError> {
        let begin = self.size;
        let end = mirror.size();
        if end < begin {
            return Err(FoldError::Witness("its saved state has more records than the mirror"));
        }
        let mut jobs: Vec<Job> = Vec::new();
        while self.size < end {
            let leaf = self.size;
            let bytes = mirror.entry(leaf)?.to_vec();
            let psd = self.take(leaf, &bytes, mirror, &mut jobs)?;
            self.size += 1;
            if let Some(psd) = psd {
                watch.note(self, psd);
            }
            if self.size.is_multiple_of(1_024) {
                tell(self.size);
            }
            if jobs.len() >= CHUNK {
                self.signatures(&mut jobs);
                self.index_when_many(mirror)?;
            }
            if self.size.is_multiple_of(SAVE_EVERY) {
                self.signatures(&mut jobs);
                self.save(mirror)?;
            }
        }
        self.signatures(&mut jobs);
        if self.size > begin {
            self.save(mirror)?;
        }
        Ok(self.size - begin)
    }

    fn find(&mut self, code: Code, psd: Option<PsdId>, leaves: &[u64], time: UnixMillis, says: String) {
        self.found.add(Finding::new(code, psd.map(|psd| psd.to_string()), leaves, time.0, says));
    }

    fn save(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        self.index(mirror)?;
        self.marks.sync()?;
        self.keys.sync()?;
        self.paid.sync()?;
        let Some((leaf, at)) = self.latest else { return Ok(()) };
        let latest =
            Latest { leaf, time_ms: at.time.0, source: at.source.number(), error_ms: at.error_ms, epoch: at.epoch };
        let psds = self.facts.psds.iter().map(|(psd, facts)| {
            let registers = facts.registers;
            SavedPsd {
                psd: psd.to_string(),
                sequence: facts.sequence,
                registers: [
                    registers.ascending().mills(),
                    registers.descending().mills(),
                    registers.control_total().mills(),
                    registers.piece_count(),
                ],
                live: facts.live.clone(),
                tally: self.tallies.get(psd).cloned().unwrap_or_default(),
            }
        });
        let saved = Saved {
            format: FORMAT,
            pin: mirror.pin().clone(),
            size: self.size,
            appliance: self.facts.appliance.live.clone(),
            fleet: self.fleet.clone(),
            certified: self.certified.clone(),
            latest,
            psds: psds.collect(),
            findings: self.found.all().cloned().collect(),
            tenants: self.pieces.tenants(),
            marks: self.marks.names(),
            keys: self.keys.names(),
            paid: self.paid.names(),
        };
        durable::write(&self.directory.join("state"), &saved::written(&saved))?;
        self.marks.remove_unnoted()?;
        self.keys.remove_unnoted()?;
        self.paid.remove_unnoted()?;
        Ok(())
    }

    /// State from its live records, each read from the mirror.
    fn resume(&mut self, saved: Saved, mirror: &mut Mirror) -> Result<(), FoldError> {
        if saved.size > mirror.size() {
            return Err(FoldError::Witness("its saved state has more records than the mirror"));
        }
        let live = saved.psds.iter().flat_map(|psd| psd.live.values()).chain(saved.appliance.values());
        let mut leaves: Vec<u64> = live.copied().collect();
        leaves.sort_unstable();
        for leaf in leaves {
            let record = Record::decode(mirror.entry(leaf)?);
            let mut record = record.ok().ok_or(FoldError::Saved("a live record is none"))?;
            self.repeated.share(&mut record);
            self.restore(leaf, &record);
        }
        for psd in saved.psds {
            let id: PsdId = psd.psd.parse().ok().ok_or(FoldError::Saved("it names no PSD"))?;
            let [ascending, descending, control_total, pieces] = psd.registers;
            let amount = |mills| PostageAmount::from_mills(mills).ok_or(FoldError::Saved("an amount is none"));
            let registers =
                Registers::from_parts(amount(ascending)?, amount(descending)?, amount(control_total)?, pieces);
            let registers = registers.ok().ok_or(FoldError::Saved("registers do not add up"))?;
            let facts = self.facts.psds.entry(id).or_default();
            (facts.sequence, facts.registers) = (psd.sequence, registers);
            self.set(id, psd.sequence, registers);
            self.tallies.insert(id, psd.tally);
        }
        let Latest { leaf, time_ms, source, error_ms, epoch } = saved.latest;
        let source = ClockSource::from_number(source).ok_or(FoldError::Saved("a clock source is none"))?;
        let at = ClockReading { time: UnixMillis(time_ms), source, error_ms, epoch };
        self.latest = Some((leaf, at));
        if let Some(appliance) = &mut self.appliance {
            appliance.latest = at;
        }
        self.fleet = saved.fleet;
        self.certified = saved.certified;
        self.found = Found::resumed(saved.findings);
        self.pieces = Pieces::resumed(saved.tenants);
        self.size = saved.size;
        self.resume_runs(mirror)?;
        self.resume_instruction(mirror)
    }

    /// Takes in a live record again; it was judged when it came.
    fn restore(&mut self, leaf: u64, record: &Record) {
        self.facts.note(leaf, &record.event);
        match &mut self.appliance {
            None => self.appliance = Appliance::born(record).ok(),
            // What cannot be folded was a finding then.
            Some(appliance) => drop(appliance.fold(record)),
        }
        drop(self.keep_certificate(&record.event, record.at.time));
    }

    /// An instruction at the very end of the saved records still waits for its effect.
    fn resume_instruction(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        let Some(last) = self.size.checked_sub(1) else { return Ok(()) };
        if let Ok(record @ Record { event: Event::InstructionTaken { .. }, .. }) = Record::decode(mirror.entry(last)?)
            && let Ok((purpose, act)) = self.instruction(&record)
        {
            self.instructed.note(purpose, act);
        }
        Ok(())
    }

    /// Puts sequence and registers of a PSD where a record, or what is saved, says they are.
    fn set(&mut self, psd: PsdId, sequence: u64, registers: Registers) {
        let device = self.appliance.as_mut().and_then(|appliance| appliance.psds.get_mut(&psd));
        if let Some(device) = device {
            let mut state = device.state().clone();
            (state.sequence, state.registers) = (sequence, registers);
            device.restore(state);
        }
    }
}

/// Damage of an index is mended by making it again.
fn of_index(error: DiskError) -> FoldError {
    match error.source.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidData => {
            FoldError::Saved("a file of its index is missing or is not what was written")
        }
        _ => error.into(),
    }
}
