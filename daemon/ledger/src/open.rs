//! Creating a ledger, and opening one: nothing is served until what was read is durable and proven.

use crate::journal::{Journal, Resume, Rules};
use crate::recover::{Replay, read_record};
use crate::rows::{self, Head};
use crate::tile::TileError;
use crate::{Durable, StoreFault, schema};
use psd::PsdId;
use psd::appliance::{Appliance, FollowError};
use psd::digest::StateFacts;
use psd::record::{Event, Genesis, Record, RecordError};
use psd::tree::Hash;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A ledger that exists and that no other process has open.
pub struct Ledger {
    path: PathBuf,
    _lock: File,
}

/// What a signed checkpoint says, once its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenHead {
    /// Tree size.
    pub size: u64,
    /// Root.
    pub root: Hash,
}

/// Verifies a checkpoint's note under the log key of leaf 0; `None` if it does not verify.
pub type CheckpointVerifier<'a> = &'a dyn Fn(&Genesis, &str) -> Option<ProvenHead>;

/// Everything a start needs.
pub struct Recovered {
    /// To write on.
    pub journal: Journal,
    /// The state at the end of the log.
    pub appliance: Appliance,
    /// The newest signed checkpoint.
    pub checkpoint: Option<String>,
    /// Whether every record was replayed, not only those after the last state digest.
    pub replayed_all: bool,
    /// Records replayed.
    pub replayed: u64,
    _lock: File,
}

/// Why a ledger cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No ledger there, or no permission.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// A ledger is there already.
    #[error("{0} exists already; an appliance is born once")]
    Exists(PathBuf),
    /// Written by another version.
    #[error("it has format {0}, and this version reads format {wanted} alone; start the version that wrote it", wanted = crate::schema::FORMAT)]
    Format(i64),
    /// Born but for leaf 0.
    #[error("the ledger has no genesis: the appliance was never born")]
    NoGenesis,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A tile or record is missing or damaged.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A record is damaged.
    #[error("record {leaf}: {source}")]
    Record {
        /// Its leaf.
        leaf: u64,
        /// In what way.
        source: RecordError,
    },
    /// A record does not follow from those before it.
    #[error("record {leaf}: {source}")]
    Follow {
        /// Its leaf.
        leaf: u64,
        /// In what way.
        source: FollowError,
    },
    /// The newest checkpoint is not signed by the log key of leaf 0.
    #[error("the newest checkpoint does not verify under the log key of leaf 0")]
    Checkpoint,
    /// The records are not those that were signed.
    #[error("the first {0} records are not those of the signed checkpoint: the ledger was altered")]
    Altered(u64),
    /// Records were removed after they were signed.
    #[error("the ledger has {size} records, a signed checkpoint covers {signed}: it was rolled back")]
    RolledBack {
        /// Records there are.
        size: u64,
        /// Records there were.
        signed: u64,
    },
    /// The head is not that of the records.
    #[error("the head of the ledger is not that of its {0} records")]
    Head(u64),
    /// The leaf noted for the last state digest is not that of the last one.
    #[error("the leaf noted for the last state digest is not that of the last one among the records")]
    DigestLeaf,
    /// A register row is not what the records say.
    #[error("the register row of PSD {0} is not what its records say")]
    Register(PsdId),
    /// A snapshot row is not what the records up to the last state digest say.
    #[error("the snapshot row of PSD {0} is not what its records up to the last state digest say")]
    Snapshot(PsdId),
    /// A live row is missing or is one too many.
    #[error("the live row ({psd:?}, {slot:?}, {leaf}) is missing, or there is no such live record")]
    Live {
        /// Text of the device ID; empty for the appliance.
        psd: String,
        /// The slot.
        slot: String,
        /// The leaf.
        leaf: u64,
    },
}

impl Ledger {
    /// Makes an empty ledger in an existing directory, or takes the empty one that an interrupted birth left there, and locks it. The
    /// appliance is born by the first commit; a ledger with one is refused.
    pub fn create(state_dir: &Path) -> Result<Self, OpenError> {
        let path = state_dir.join(schema::FILE);
        let lock = lock(state_dir)?;
        match std::fs::symlink_metadata(&path) {
            Ok(file) if !file.is_file() => return Err(OpenError::Exists(path)),
            Ok(_) => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Io { path, source }),
        }
        schema::create(&path)?;
        if rows::head(&schema::writer(&path)?)?.is_some() {
            return Err(OpenError::Exists(path));
        }
        // The file's name is durable only when its directory is.
        let sync = File::open(state_dir).and_then(|dir| dir.sync_all());
        sync.map_err(|source| OpenError::Io { path: state_dir.to_owned(), source })?;
        Ok(Self { path, _lock: lock })
    }

    /// Locks an existing ledger.
    pub fn open(state_dir: &Path) -> Result<Self, OpenError> {
        let path = state_dir.join(schema::FILE);
        if let Err(source) = File::open(&path) {
            return Err(OpenError::Io { path, source });
        }
        Ok(Self { path, _lock: lock(state_dir)? })
    }

    /// Writes leaf 0 and the records that an appliance is born with: all of them, or after a crash none.
    pub fn bear(self, genesis: &Record, following: Vec<Record>, rules: Rules) -> Result<Recovered, OpenError> {
        let mut appliance = Appliance::born(genesis).map_err(|source| OpenError::Follow { leaf: 0, source })?;
        for (leaf, record) in (1..).zip(&following) {
            appliance.follow(record).map_err(|source| OpenError::Follow { leaf, source })?;
        }
        let connection = schema::writer(&self.path)?;
        if rows::head(&connection)?.is_some() {
            return Err(OpenError::Exists(self.path));
        }
        let resume = Resume {
            connection,
            tree: psd::tree::Tree::default(),
            facts: StateFacts::default(),
            latest: None,
            unsnapped: BTreeSet::new(),
            last_digest_leaf: None,
            newest_checkpoint: 0,
        };
        let mut journal = Journal::resume(resume, rules)?;
        let records = std::iter::once(genesis.clone()).chain(following).map(Into::into);
        let replayed = journal.commit(records.collect())?.len();
        let replayed = u64::try_from(replayed).unwrap_or(u64::MAX);
        Ok(Recovered { journal, appliance, checkpoint: None, replayed_all: true, replayed, _lock: self._lock })
    }

    /// Makes durable what is there, proves it and rebuilds the state.
    pub fn recover(self, rules: Rules, verifier: CheckpointVerifier<'_>) -> Result<Recovered, OpenError> {
        let connection = schema::writer(&self.path)?;
        schema::truncate_wal(&connection)?;
        let found = rows::format(&connection)?;
        if found != schema::FORMAT {
            return Err(OpenError::Format(found));
        }
        let Head { size, root, .. } = rows::head(&connection)?.ok_or(OpenError::NoGenesis)?;
        let (genesis, genesis_bytes) = read_record(&connection, 0)?;
        let Event::Genesis(leaf_0) = &genesis.event else { return Err(OpenError::NoGenesis) };
        let (note, proven) = newest_checkpoint(&connection, leaf_0, verifier)?;
        let proven = proven.as_ref();
        if let Some(ProvenHead { size: signed, .. }) = proven.filter(|proven| proven.size > size) {
            return Err(OpenError::RolledBack { size, signed: *signed });
        }
        let (replay, replayed_all) = match Replay::from_digest(&connection, proven, &genesis)? {
            Some(replay) => (replay, false),
            None => (Replay::from_genesis(&genesis, &genesis_bytes)?, true),
        };
        let begun = if replayed_all { 0 } else { replay.tree.size() };
        let replay = replay.replayed_to(&connection, size, proven)?;
        replay.compare(&connection, root)?;
        let resume = Resume {
            unsnapped: replay.facts.psds.keys().copied().collect(),
            tree: replay.tree,
            facts: replay.facts,
            latest: Some(replay.appliance.latest),
            last_digest_leaf: replay.last_digest_leaf,
            newest_checkpoint: proven.map_or(0, |proven| proven.size),
            connection,
        };
        Ok(Recovered {
            journal: Journal::resume(resume, rules)?,
            appliance: replay.appliance,
            checkpoint: note,
            replayed_all,
            replayed: size - begun,
            _lock: self._lock,
        })
    }
}

fn newest_checkpoint(
    connection: &Connection,
    genesis: &Genesis,
    verifier: CheckpointVerifier<'_>,
) -> Result<(Option<String>, Option<ProvenHead>), OpenError> {
    let Some((size, note)) = rows::newest_checkpoint(connection)? else { return Ok((None, None)) };
    let note = String::from_utf8(note).ok().ok_or(OpenError::Checkpoint)?;
    let proven = verifier(genesis, &note).filter(|proven| proven.size == size).ok_or(OpenError::Checkpoint)?;
    Ok((Some(note), Some(proven)))
}

fn lock(state_dir: &Path) -> Result<File, OpenError> {
    let path = state_dir.join("ledger.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse(state_dir.join(schema::FILE))),
        Err(std::fs::TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

impl Recovered {
    /// Appends records outside of the serving daemon (birth, provisioning), each checked to follow.
    pub fn append(&mut self, records: Vec<Record>) -> Result<Vec<Durable>, OpenError> {
        for (leaf, record) in (self.journal.size()..).zip(&records) {
            self.appliance.follow(record).map_err(|source| OpenError::Follow { leaf, source })?;
        }
        Ok(self.journal.commit(records.into_iter().map(Into::into).collect())?)
    }

    /// Lets go of the parts; the lock stays with the guard.
    pub fn into_parts(self) -> (Journal, Appliance, Option<String>, LedgerLock) {
        (self.journal, self.appliance, self.checkpoint, LedgerLock { _file: self._lock })
    }
}

/// Keeps other processes out of the ledger for as long as it lives.
pub struct LedgerLock {
    _file: File,
}
