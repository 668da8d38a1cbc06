//! Nodes of the stored tree: from full tiles where there are such, from entries at the right edge.

use crate::{AtStep, StoreFault, sql};
use psd::tree::{Hash, TILE, Tree, leaf_hash, node_hash};
use rusqlite::{Connection, OptionalExtension};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Why the tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A tile is not 256 hashes long.
    #[error("tile {number} of level {level} has a wrong length")]
    BadTile {
        /// Level.
        level: u8,
        /// From the left.
        number: u64,
    },
    /// An entry is not the one its tile was made of.
    #[error("record {0} is not the one the tree was made of: it was altered")]
    NotInTree(u64),
    /// An entry is missing.
    #[error("record {0} is missing")]
    MissingEntry(u64),
}

/// Roots of full tiles, for whoever reads the right edge again and again: there, the hashes of an upper tile that is not full yet follow
/// from the full tiles below it alone, and what a full tile holds never changes.
#[derive(Default)]
pub struct Roots(RefCell<HashMap<(u8, u64), Hash>>);

/// Most roots kept: those below the unfinished tile of each of four levels.
const KEPT_ROOTS: usize = 1_024;

impl Roots {
    fn keep(&self, tile: (u8, u64), root: Hash) {
        let mut kept = self.0.borrow_mut();
        if kept.len() >= KEPT_ROOTS {
            kept.clear();
        }
        kept.insert(tile, root);
    }
}

/// Reads nodes of the stored tree.
pub struct Nodes<'a> {
    connection: &'a Connection,
    /// The tile that was read last, with level and number: leaves are mostly asked for in their order.
    last: RefCell<Option<(u8, u64, Vec<u8>)>>,
    /// The tile that was not there the last time.
    missing: Cell<Option<(u8, u64)>>,
    roots: Option<&'a Roots>,
    /// Roots of subtrees by their first leaf and the one behind their last, where many proofs are made at once.
    kept: Option<RefCell<HashMap<(u64, u64), Hash>>>,
}

impl<'a> Nodes<'a> {
    /// Over this connection.
    pub fn new(connection: &'a Connection) -> Self {
        Self { connection, last: RefCell::new(None), missing: Cell::new(None), roots: None, kept: None }
    }

    /// Over this connection, with roots that were kept before.
    pub fn remembering(connection: &'a Connection, roots: &'a Roots) -> Self {
        Self { roots: Some(roots), ..Self::new(connection) }
    }

    /// The same, and it computes nothing twice. For as long as many proofs at one size take: what is kept grows with them.
    pub fn keeping(self) -> Self {
        Self { kept: Some(RefCell::default()), ..self }
    }

    /// The root of the perfect subtree of 2^`height` leaves with this index among those of its height.
    pub fn node(&self, height: u8, index: u64) -> Result<Hash, TileError> {
        if height.is_multiple_of(8) {
            if let Some(hash) = self.hash_in_tile(height / 8, index)? {
                return Ok(hash);
            }
            if height == 0 {
                return self.hash_of_entry(index);
            }
            if let Some(hash) = self.root_of_tile(height / 8 - 1, index)? {
                return Ok(hash);
            }
        }
        Ok(node_hash(&self.node(height - 1, index * 2)?, &self.node(height - 1, index * 2 + 1)?))
    }

    /// The root of the first `size` leaves.
    pub fn root(&self, size: u64) -> Result<Hash, TileError> {
        Ok(Tree::resume(size, self.frontier(size)?, Vec::new()).root())
    }

    /// The inclusion path of a leaf in the tree of the first `size` leaves (RFC 9162 §2.1.3.1), lowest sibling first.
    pub fn inclusion_path(&self, leaf: u64, size: u64) -> Result<Vec<Hash>, TileError> {
        self.path_within(leaf, 0, size)
    }

    /// The consistency path from the tree of the first `from` leaves to that of the first `to` (RFC 9162 §2.1.4.1), `from` at least one and
    /// not above `to`.
    pub fn consistency_path(&self, from: u64, to: u64) -> Result<Vec<Hash>, TileError> {
        self.subproof(from, (0, to), true)
    }

    /// SUBPROOF of RFC 9162 §2.1.4.1 over the leaves `begin..end`; `known` while the subtree is one whose root the verifier has.
    fn subproof(&self, from: u64, (begin, end): (u64, u64), known: bool) -> Result<Vec<Hash>, TileError> {
        let count = end - begin;
        if from >= count {
            return if known { Ok(Vec::new()) } else { Ok(vec![self.range_root(begin, end)?]) };
        }
        let half = 1u64 << (63 - (count - 1).leading_zeros());
        let middle = begin + half;
        if from <= half {
            let mut path = self.subproof(from, (begin, middle), known)?;
            path.push(self.range_root(middle, end)?);
            Ok(path)
        } else {
            let mut path = self.subproof(from - half, (middle, end), false)?;
            path.push(self.range_root(begin, middle)?);
            Ok(path)
        }
    }

    /// The tree of the first `size` leaves, ready to grow.
    pub fn tree(&self, size: u64) -> Result<Tree, TileError> {
        let mut partial = Vec::new();
        let mut level = 0u8;
        while size >> (u32::from(level) * 8) > 0 {
            let hashes = size >> (u32::from(level) * 8);
            let first = hashes - hashes % 256;
            let mut tile = Vec::with_capacity(TILE * 32);
            for index in first..hashes {
                tile.extend_from_slice(&self.node(level * 8, index)?);
            }
            partial.push(tile);
            level += 1;
        }
        Ok(Tree::resume(size, self.frontier(size)?, partial))
    }

    fn frontier(&self, size: u64) -> Result<Vec<Hash>, TileError> {
        let mut frontier = Vec::new();
        let mut begin = 0u64;
        for height in (0..63u8).rev().filter(|height| size >> height & 1 == 1) {
            frontier.push(self.node(height, begin >> height)?);
            begin += 1 << height;
        }
        Ok(frontier)
    }

    fn path_within(&self, leaf: u64, begin: u64, end: u64) -> Result<Vec<Hash>, TileError> {
        let count = end - begin;
        if count <= 1 {
            return Ok(Vec::new());
        }
        let half = 1u64 << (63 - (count - 1).leading_zeros());
        let middle = begin + half;
        if leaf < middle {
            let mut path = self.path_within(leaf, begin, middle)?;
            path.push(self.range_root(middle, end)?);
            Ok(path)
        } else {
            let mut path = self.path_within(leaf, middle, end)?;
            path.push(self.range_root(begin, middle)?);
            Ok(path)
        }
    }

    /// Root over leaves `begin..end`, where `begin` is a multiple of the power of two not below the length.
    fn range_root(&self, begin: u64, end: u64) -> Result<Hash, TileError> {
        let Some(kept) = &self.kept else { return self.computed(begin, end) };
        if let Some(root) = kept.borrow().get(&(begin, end)) {
            return Ok(*root);
        }
        let root = self.computed(begin, end)?;
        kept.borrow_mut().insert((begin, end), root);
        Ok(root)
    }

    fn computed(&self, begin: u64, end: u64) -> Result<Hash, TileError> {
        let count = end - begin;
        if count.is_power_of_two() {
            let height = u8::try_from(count.trailing_zeros()).unwrap_or(0);
            let halves = self.kept.is_some() && !height.is_multiple_of(8);
            if !halves {
                return self.node(height, begin >> height);
            }
        }
        // The half of a power of two is the next lower one, as the power of two below any other length.
        let half = 1u64 << (63 - (count - 1).leading_zeros());
        Ok(node_hash(&self.range_root(begin, begin + half)?, &self.range_root(begin + half, end)?))
    }

    fn hash_in_tile(&self, level: u8, index: u64) -> Result<Option<Hash>, TileError> {
        let number = index / 256;
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(of, nth, _)| (*of, *nth) != (level, number)) {
            if self.missing.get() == Some((level, number)) {
                return Ok(None);
            }
            let Some(hashes) = self.tile(level, number)? else {
                self.missing.set(Some((level, number)));
                return Ok(None);
            };
            *last = Some((level, number, hashes));
        }
        let at = usize::try_from(index % 256).unwrap_or(0) * 32;
        let hash = last.as_ref().and_then(|(.., hashes)| hashes.get(at..at + 32)?.try_into().ok());
        hash.map(Some).ok_or(TileError::BadTile { level, number })
    }

    /// The hashes of a full tile, one after the other, if it is there.
    fn tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, TileError> {
        let step = "reading a tile";
        let query = "SELECT hashes FROM tile WHERE level = ?1 AND number = ?2";
        let mut statement = self.connection.prepare_cached(query).at(step)?;
        let hashes: Option<Vec<u8>> =
            statement.query_row((i64::from(level), sql(number)), |row| row.get(0)).optional().at(step)?;
        match hashes {
            Some(hashes) if hashes.len() != TILE * 32 => Err(TileError::BadTile { level, number }),
            hashes => Ok(hashes),
        }
    }

    /// The root of a full tile, which is the hash above it.
    fn root_of_tile(&self, level: u8, number: u64) -> Result<Option<Hash>, TileError> {
        let kept = self.roots.and_then(|roots| roots.0.borrow().get(&(level, number)).copied());
        if kept.is_some() {
            return Ok(kept);
        }
        let Some(hashes) = self.tile(level, number)? else { return Ok(None) };
        let mut row: Vec<Hash> = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        let root = row.pop();
        if let (Some(roots), Some(root)) = (self.roots, root) {
            roots.keep((level, number), root);
        }
        Ok(root)
    }

    fn hash_of_entry(&self, leaf: u64) -> Result<Hash, TileError> {
        let mut statement =
            self.connection.prepare_cached("SELECT record FROM entry WHERE leaf = ?1").at("reading a record")?;
        statement
            .query_row([sql(leaf)], |row| Ok(leaf_hash(row.get_ref(0)?.as_blob()?)))
            .optional()
            .at("reading a record")?
            .ok_or(TileError::MissingEntry(leaf))
    }
}
