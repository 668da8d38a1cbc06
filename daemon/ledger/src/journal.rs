//! The one writer: group commit of records, registers, keys, tiles and head in one transaction.
//!
//! Called by the ledger thread of `psdd` and by provisioning. After any fault the journal refuses everything.

use crate::batch::Batch;
use crate::checkpoints::Checkpoints;
use crate::copier::{Copier, Copy};
use crate::rows;
use crate::write::Pages;
use crate::{Durable, StoreFault, schema};
use psd::PsdId;
use psd::clock::ClockReading;
use psd::digest::StateFacts;
use psd::record::Record;
use psd::tree::{Hash, Tree};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A personal field: what the record's salted hash was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Random.
    pub salt: [u8; 16],
    /// The field.
    pub body: Box<[u8]>,
}

impl Body {
    /// SHA-256(salt ‖ body), which goes into the record.
    pub fn commitment(&self) -> Hash {
        use sha2::{Digest, Sha256};
        Sha256::new().chain_update(self.salt).chain_update(&self.body).finalize().into()
    }
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The record.
    pub record: Record,
    /// Its personal field.
    pub body: Option<Body>,
}

impl From<Record> for NewRecord {
    fn from(record: Record) -> Self {
        Self { record, body: None }
    }
}

/// Settings of the journal.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A state digest is due after so many records.
    pub state_digest_records: u64,
    /// The WAL is copied into the database when it holds so many pages of 4 KiB. It stays below some ten times this, however many read.
    pub wal_pages: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { state_digest_records: 65_536, wal_pages: 4_096 }
    }
}

/// Writing to the ledger.
pub struct Journal {
    connection: Connection,
    rules: Rules,
    pages: Pages,
    /// Size and root after the last commit, for those who ask after a fault as well.
    committed: (u64, Hash),
    /// An estimate of the pages in the WAL that were not yet asked to be copied.
    wal_pages: u64,
    copier: Copier,
    failed: bool,
}

/// What [`crate::open`] recovered and the journal goes on from.
pub(crate) struct Resume {
    pub(crate) connection: Connection,
    pub(crate) tree: Tree,
    pub(crate) facts: StateFacts,
    pub(crate) latest: Option<ClockReading>,
    pub(crate) unsnapped: BTreeSet<PsdId>,
    pub(crate) last_digest_leaf: Option<u64>,
    pub(crate) newest_checkpoint: u64,
}

impl Journal {
    pub(crate) fn resume(resume: Resume, rules: Rules) -> Result<Self, StoreFault> {
        let Resume { connection, tree, facts, latest, unsnapped, last_digest_leaf, newest_checkpoint } = resume;
        let committed = (tree.size(), tree.root());
        let pages = Pages {
            since_digest: tree.size() - last_digest_leaf.map_or(0, |leaf| leaf + 1),
            tenants: rows::tenants(&connection)?,
            superseded: rows::superseded(&connection)?,
            checkpoints: Checkpoints::resume(newest_checkpoint, last_digest_leaf),
            tree,
            facts,
            latest,
            unsnapped,
            last_digest_leaf,
            buffer: Vec::new(),
            batch: Batch::default(),
        };
        let copier = Copier::start(Path::new(connection.path().unwrap_or_default()))?;
        Ok(Self { connection, rules, pages, committed, wal_pages: 0, copier, failed: false })
    }

    /// Leaves on stable storage.
    pub fn size(&self) -> u64 {
        self.committed.0
    }

    /// Root over them.
    pub fn root(&self) -> Hash {
        self.committed.1
    }

    /// The newest checkpoint waiting or stored.
    pub fn checkpoint_size(&self) -> u64 {
        self.pages.checkpoints.size()
    }

    /// Commits records in this order, all or none, synced once. What it returns is on stable storage.
    ///
    /// After a fault the journal is unusable and the process must stop: a next start shows all of the records or none.
    /// Records that do not continue the log (time, sequence, idempotency key) are a fault too.
    pub fn commit(&mut self, records: Vec<NewRecord>) -> Result<Vec<Durable>, StoreFault> {
        if records.is_empty() && !self.pages.checkpoints.is_waiting() {
            return self.check_usable().map(|()| Vec::new());
        }
        let with_digest = self.pages.since_digest + count(records.len()) >= self.rules.state_digest_records;
        self.write(records, with_digest)
    }

    /// Writes a state digest now, for a clean stop. Nothing is written where nothing happened since the last.
    ///
    /// A reading behind the last record's, from a clock that stopped meanwhile, is replaced by that of the last record.
    pub fn digest_now(&mut self, at: ClockReading) -> Result<(), StoreFault> {
        if self.pages.since_digest == 0 {
            return self.check_usable();
        }
        let behind = self.pages.latest.filter(|latest| (at.epoch, at.time) < (latest.epoch, latest.time));
        let record = self.pages.digest_record(behind.unwrap_or(at));
        self.write(vec![record.into()], false).map(drop)
    }

    /// Takes a checkpoint that was signed over durable leaves; it is stored with the next commit.
    pub fn note_checkpoint(&mut self, size: u64, note: String) {
        debug_assert!(size <= self.size(), "only durable leaves are signed");
        self.pages.checkpoints.offer(size, note);
    }

    /// Stores a waiting checkpoint now and empties the WAL: the last act of a clean stop.
    pub fn close(mut self) -> Result<(), StoreFault> {
        self.commit(Vec::new())?;
        self.copier.finish()?;
        drop(self.copier);
        schema::truncate_wal(&self.connection)?;
        schema::close(self.connection)
    }

    fn check_usable(&self) -> Result<(), StoreFault> {
        if self.failed { Err(StoreFault::broken("writing", "an earlier write failed")) } else { Ok(()) }
    }

    fn write(&mut self, records: Vec<NewRecord>, with_digest: bool) -> Result<Vec<Durable>, StoreFault> {
        self.check_usable()?;
        // Cleared only when everything below has succeeded.
        self.failed = true;
        let durable = self.transaction(records, with_digest)?;
        self.tend_wal()?;
        self.failed = false;
        Ok(durable)
    }

    fn transaction(&mut self, records: Vec<NewRecord>, with_digest: bool) -> Result<Vec<Durable>, StoreFault> {
        let pages = &mut self.pages;
        let connection = &self.connection;
        rows::run(connection, "BEGIN IMMEDIATE", "beginning a transaction")?;
        let mut durable = Vec::with_capacity(records.len());
        let mut tiles = Vec::new();
        let mut touched = BTreeSet::new();
        let mut latest_time = 0;
        let mut bodies = 0;
        for new in records {
            latest_time = latest_time.max(new.record.at.time.0);
            if let Some(stamp) = new.record.event.stamp() {
                touched.insert(stamp.psd);
            }
            let leaf = pages.write_record(connection, &new, &mut tiles)?;
            bodies += 64 + new.body.as_ref().map_or(0, |body| body.body.len() + 32);
            durable.push(Durable { leaf, record: Arc::new(new.record) });
        }
        pages.write_registers(connection, rows::Registers::Now, &touched)?;
        pages.unsnapped.append(&mut touched);
        if let (true, Some(at)) = (with_digest, pages.latest) {
            let record = pages.digest_record(at);
            pages.write_record(connection, &record.into(), &mut tiles)?;
        }
        let bytes = bodies + pages.batch.bytes();
        pages.batch.flush(connection)?;
        for tile in &tiles {
            rows::insert_tile(connection, tile)?;
        }
        pages.write_checkpoint(connection)?;
        let after = (pages.tree.size(), pages.tree.root());
        if after.0 > self.committed.0 {
            rows::write_head(connection, after, latest_time)?;
        }
        rows::run(connection, "COMMIT", "committing")?;
        self.committed = after;
        // An estimate is enough: what matters is that the WAL stays within megabytes.
        self.wal_pages += 8 + count(bytes) / 3_000 + 2 * count(tiles.len());
        Ok(durable)
    }

    /// Has the WAL copied into the database when it has grown, so that it can begin again from its start.
    ///
    /// SQLite's own autocheckpoint is off because it swallows the error of a failed sync; here it is a fault, of the next commit
    /// at the latest. The bulk is copied beside the writer; what was committed meanwhile is copied here, for only then can
    /// the WAL begin again. Readers hold a snapshot only as long as a look-up, but with many of them one may always
    /// be there at that moment: then, and only then, the writer waits for them.
    fn tend_wal(&mut self) -> Result<(), StoreFault> {
        let due = self.wal_pages >= self.rules.wal_pages;
        match self.copier.look()? {
            Copy::Idle if due => {
                self.wal_pages = 0;
                return self.copier.begin();
            }
            // So far behind that the disk cannot follow: no faster than it.
            Copy::Working if due => {
                self.copier.finish()?;
            }
            Copy::Idle | Copy::Working => return Ok(()),
            Copy::Done => {}
        }
        self.wal_pages = 0;
        let held = schema::copy_wal(&self.connection, schema::Wait::No)?;
        if held.frames > 3 * self.rules.wal_pages {
            let after = schema::copy_wal(&self.connection, schema::Wait::ForReaders)?;
            if after.busy {
                tracing::warn!(frames = after.frames, "a reader keeps the WAL of the ledger from beginning again");
            }
        }
        Ok(())
    }
}

pub(crate) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
