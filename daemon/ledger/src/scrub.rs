//! The scrub: every stored record read again and held against the tiles and a signed root, a little at a time.
//!
//! It finds what rots or is altered where nobody looks: a start proves only the newest records, and a look-up only what is asked for. It
//! reads in transactions of one tile, so that it never holds a snapshot for long, and judges bytes alone: what records mean is
//! [`crate::verify`]'s.

use crate::open::ProvenHead;
use crate::{AtStep, StoreFault, schema, sql};
use psd::tree::{FullTile, Hash, TILE, Tree, leaf_hash};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// Records of one step: those of a tile.
const RECORDS: u64 = 256;

/// What does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A record is not there.
    #[error("record {0} is missing")]
    Missing(u64),
    /// A record is not the one its tile was made of.
    #[error("record {0} is not the one the tree was made of")]
    Altered(u64),
    /// A tile is not there.
    #[error("tile {number} of level {level} is missing")]
    NoTile {
        /// Level.
        level: u8,
        /// From the left.
        number: u64,
    },
    /// A tile is not made of what is below it.
    #[error("tile {number} of level {level} is not made of what is below it")]
    Tile {
        /// Level.
        level: u8,
        /// From the left.
        number: u64,
    },
    /// Records and tiles agree with each other and not with what was signed.
    #[error("the root of the first {0} records is not the one that was signed")]
    Root(u64),
}

/// Why a step could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// Something does not hold.
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// A scrub under way.
pub struct Scrub {
    connection: Connection,
    tree: Tree,
    /// What was signed.
    head: ProvenHead,
}

impl Scrub {
    /// Begins one of the records under a signed checkpoint.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be opened for reading.
    pub fn begin(state_dir: &Path, head: ProvenHead) -> Result<Self, StoreFault> {
        let connection = schema::reader(&state_dir.join(schema::FILE))?;
        Ok(Self { connection, tree: Tree::default(), head })
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.tree.size()
    }

    /// Reads the records of one tile. Whether that was the last.
    ///
    /// # Errors
    ///
    /// As [`ScrubError`]; the scrub is over with it.
    pub fn step(&mut self) -> Result<bool, ScrubError> {
        let first = self.tree.size();
        let last = self.head.size.min(first.saturating_add(RECORDS));
        let mut full = Vec::new();
        let hashes = self.hashes(first, last)?;
        hashes.iter().for_each(|hash| self.tree.append(*hash, &mut full));
        for tile in &full {
            self.compare(tile)?;
        }
        if last < self.head.size {
            return Ok(false);
        }
        if self.tree.root() == self.head.root { Ok(true) } else { Err(Damage::Root(last).into()) }
    }

    /// The leaf hashes of records from `first` up to, and without, `last`.
    fn hashes(&self, first: u64, last: u64) -> Result<Vec<Hash>, ScrubError> {
        let step = "scrubbing records";
        let query = "SELECT leaf, record FROM entry WHERE leaf >= ?1 AND leaf < ?2 ORDER BY leaf";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let mut rows = statement.query((sql(first), sql(last))).at(step)?;
        let mut hashes = Vec::with_capacity(TILE);
        for leaf in first..last {
            let Some(row) = rows.next().at(step)? else { return Err(Damage::Missing(leaf).into()) };
            if row.get::<_, i64>(0).at(step)? != sql(leaf) {
                return Err(Damage::Missing(leaf).into());
            }
            let record = row.get_ref(1).at(step)?.as_blob().map_err(|_no_blob| Damage::Altered(leaf))?;
            hashes.push(leaf_hash(record));
        }
        Ok(hashes)
    }

    /// Whether a tile stands as it was made.
    fn compare(&self, made: &FullTile) -> Result<(), ScrubError> {
        let step = "scrubbing tiles";
        let FullTile { level, number, hashes } = made;
        let query = "SELECT hashes FROM tile WHERE level = ?1 AND number = ?2";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let stored = statement.query_row((i64::from(*level), sql(*number)), |row| row.get::<_, Vec<u8>>(0));
        let Some(stored) = stored.optional().at(step)? else {
            return Err(Damage::NoTile { level: *level, number: *number }.into());
        };
        if stored == *hashes {
            return Ok(());
        }
        let pairs = stored.chunks_exact(32).zip(hashes.chunks_exact(32));
        let before = pairs.take_while(|(stored, made)| stored == made).count();
        let before = u64::try_from(before).unwrap_or(0);
        Err(match level {
            0 if stored.len() == hashes.len() => Damage::Altered(number * RECORDS + before),
            _ => Damage::Tile { level: *level, number: *number },
        }
        .into())
    }
}
