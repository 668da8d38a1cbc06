//! Entries of a mirror, each proven again by the tile over it.

use super::{Mirror, UpdateError, path};
use psd::tree::{hashes_of, leaf_hash};

/// A bundle that was read and proven.
#[derive(Debug)]
pub(super) struct Bundle {
    number: u64,
    entries: Vec<Box<[u8]>>,
}

impl Mirror {
    /// The entry at a leaf of the mirror; an error where there is none, or where the disk does not give back what was put there.
    pub fn entry(&mut self, leaf: u64) -> Result<&[u8], UpdateError> {
        let number = leaf / path::FULL;
        if self.last.as_ref().is_none_or(|last| last.number != number) {
            self.last = None;
            self.last = Some(self.bundle(number)?);
        }
        let at = usize::try_from(leaf % path::FULL).unwrap_or(usize::MAX);
        let entry = self.last.as_ref().and_then(|last| last.entries.get(at));
        entry.map(AsRef::as_ref).ok_or(UpdateError::NoLeaf { leaf })
    }

    fn bundle(&self, number: u64) -> Result<Bundle, UpdateError> {
        let width = path::width(self.size(), number);
        if width == 0 {
            return Err(UpdateError::NoLeaf { leaf: number * path::FULL });
        }
        let damaged = UpdateError::Damaged { what: "an entry bundle or its tile is missing or cut off" };
        let stored = self.stored(&path::entries(number, width))?;
        let tile = self.stored(&path::tile(0, number, width))?.and_then(|tile| hashes_of(&tile));
        let (Some(stored), Some(tile)) = (stored, tile) else { return Err(damaged) };
        let Some(entries) = path::records(&stored, width) else { return Err(damaged) };
        if entries.len() != tile.len() {
            return Err(damaged);
        }
        if entries.iter().zip(&tile).any(|(entry, hash)| leaf_hash(entry) != *hash) {
            return Err(UpdateError::Damaged { what: "a record is not the one that was put there" });
        }
        Ok(Bundle { number, entries: entries.into_iter().map(Box::from).collect() })
    }
}
