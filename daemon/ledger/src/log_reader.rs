//! The log as evidence for others: hash tiles, entry bundles (C2SP tlog-tiles) and proofs (RFC 9162) from committed state.
//!
//! What it is asked for must lie below the size of a checkpoint: all of that is committed and never changes, so no snapshot has to be held
//! from one read to the next, and none is: each is a statement of its own. Called by the authority door, off the core.

use crate::tile::{Nodes, Roots, TileError};
use crate::{AtStep, StoreFault, schema, sql};
use psd::PsdId;
use psd::tree::Hash;
use rusqlite::Connection;
use std::path::Path;

/// A connection that reads the log, and what it remembers of it. To be kept: the first proof at a new size costs the most.
pub struct LogReader {
    connection: Connection,
    roots: Roots,
}

impl LogReader {
    /// Opens the log in a state directory.
    pub fn open(state_dir: &Path) -> Result<Self, StoreFault> {
        Ok(Self { connection: schema::reader(&state_dir.join(schema::FILE))?, roots: Roots::default() })
    }

    fn nodes(&self) -> Nodes<'_> {
        Nodes::remembering(&self.connection, &self.roots)
    }

    /// The first `width` hashes of a tile, 32 bytes each. At most 256 of them.
    pub fn hashes(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileError> {
        let (nodes, first) = (self.nodes(), number * 256);
        let mut hashes = Vec::with_capacity(usize::from(width) * 32);
        for index in first..first + u64::from(width) {
            hashes.extend_from_slice(&nodes.node(level * 8, index)?);
        }
        Ok(hashes)
    }

    /// The first `width` records of a bundle, each behind its length as two bytes, big-endian. At most 256 of them.
    pub fn bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, TileError> {
        let step = "reading a bundle of records";
        let (first, mut next) = (number * 256, number * 256);
        let query = "SELECT leaf, record FROM entry WHERE leaf >= ?1 AND leaf < ?2 ORDER BY leaf";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let mut rows = statement.query((sql(first), sql(first + u64::from(width)))).at(step)?;
        let mut bundle = Vec::new();
        while let Some(row) = rows.next().at(step)? {
            let leaf: i64 = row.get(0).at(step)?;
            if leaf != sql(next) {
                return Err(TileError::MissingEntry(next));
            }
            let record = row.get_ref(1).and_then(|record| Ok(record.as_blob()?)).at(step)?;
            let length = u16::try_from(record.len()).ok().ok_or(TileError::NotInTree(next))?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(record);
            next += 1;
        }
        if next == first + u64::from(width) { Ok(bundle) } else { Err(TileError::MissingEntry(next)) }
    }

    /// Leaf and bytes of the piece of a PSD with this number among its pieces, if it has a digital token.
    pub fn digital_token(&self, psd: PsdId, pieces: u64) -> Result<Option<(u64, Vec<u8>)>, TileError> {
        let leaf = crate::rows::digital_token(&self.connection, psd, pieces)?;
        leaf.map(|leaf| Ok((leaf, self.record(leaf)?))).transpose()
    }

    /// The bytes of a record.
    pub fn record(&self, leaf: u64) -> Result<Vec<u8>, TileError> {
        crate::rows::entry(&self.connection, leaf)?.ok_or(TileError::MissingEntry(leaf))
    }

    /// Leaves and bytes of the pieces of the run that the record of a leaf opened, from above a leaf on, so many at most. Of a run that takes no
    /// more pieces, or those so far.
    pub fn of_run(&self, opened: u64, above: u64, most: usize) -> Result<Vec<(u64, Vec<u8>)>, TileError> {
        let step = "reading the pieces of a run";
        let query = "SELECT entry.leaf, entry.record FROM in_run JOIN entry ON entry.leaf = in_run.leaf
                     WHERE in_run.opened = ?1 AND in_run.leaf > ?2 ORDER BY in_run.leaf LIMIT ?3";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
        let rows = statement.query_map((sql(opened), sql(above), most), row).at(step)?;
        let piece = |row: rusqlite::Result<(i64, Vec<u8>)>| {
            let (leaf, record) = row.at(step)?;
            Ok((u64::try_from(leaf).unwrap_or(u64::MAX), record))
        };
        rows.map(piece).collect()
    }

    /// The newest live records of the appliance whose slots begin with this, by slot: leaf and bytes of each.
    pub fn live_of_appliance(&self, prefix: &str) -> Result<Vec<(u64, Vec<u8>)>, TileError> {
        let step = "reading live records of the appliance";
        // With max() the other columns are those of its row (SQLite, "Bare columns in an aggregate query").
        let query = "SELECT max(entry.leaf), entry.record FROM live JOIN entry ON entry.leaf = live.leaf
                     WHERE live.psd = '' AND substr(live.slot, 1, length(?1)) = ?1 GROUP BY live.slot ORDER BY live.slot";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let mut rows = statement.query([prefix]).at(step)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().at(step)? {
            let leaf: i64 = row.get(0).at(step)?;
            records.push((u64::try_from(leaf).unwrap_or(u64::MAX), row.get(1).at(step)?));
        }
        Ok(records)
    }

    /// The inclusion path of a leaf in the tree of the first `size` leaves, lowest sibling first.
    pub fn inclusion_path(&self, leaf: u64, size: u64) -> Result<Vec<Hash>, TileError> {
        self.nodes().inclusion_path(leaf, size)
    }

    /// The same for many leaves, each with its own hash, best in their order: neighbours have most of their paths in common.
    pub fn inclusion_paths(&self, leaves: &[u64], size: u64) -> Result<Vec<(Hash, Vec<Hash>)>, TileError> {
        let nodes = self.nodes().keeping();
        leaves.iter().map(|leaf| Ok((nodes.node(0, *leaf)?, nodes.inclusion_path(*leaf, size)?))).collect()
    }

    /// The consistency path from the tree of the first `from` leaves, at least one, to that of the first `to`.
    pub fn consistency_path(&self, from: u64, to: u64) -> Result<Vec<Hash>, TileError> {
        self.nodes().consistency_path(from, to)
    }
}
