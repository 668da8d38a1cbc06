//! A signed checkpoint that came from elsewhere, held against the mirror.

use super::{Mirror, UpdateError, path};
use psd::tree::{Hash, Tree, hashes_of, perfect_root};

/// What a checkpoint from elsewhere is to this mirror, if it is no contradiction to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Witnessed {
    /// The mirror has the same history.
    Same,
    /// Of more records than the mirror has: hold it against the mirror again after an update.
    Ahead,
}

impl Mirror {
    /// Holds a checkpoint against the mirror that a vendor's client, another inspector or the appliance itself gave. Two honest witnesses
    /// of one log can tell a fork by nothing but this.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Forked`], with both signed checkpoints kept, where the log signed another history; whatever else hinders the judgement.
    pub fn witness(&self, note: &str) -> Result<Witnessed, UpdateError> {
        let checkpoint = self.pin.verified(note)?;
        let (told, seen) = (checkpoint.size, self.size());
        if told > seen {
            return Ok(Witnessed::Ahead);
        }
        let stored = |level, number, width| {
            let tile = self.stored(&path::tile(level, number, width))?.and_then(|tile| hashes_of(&tile));
            tile.ok_or(UpdateError::Damaged { what: "a tile is missing or has a wrong length" })
        };
        let frontier = frontier(told, seen, stored)?;
        if Tree::resume(told, frontier, Vec::new()).root() == checkpoint.root {
            return Ok(Witnessed::Same);
        }
        let explained =
            format!("Fork: the log signed {told} records that are not the first of the {seen} it signed as well.");
        let evidence = self.keep_evidence("fork", &checkpoint, note, &explained)?;
        Err(UpdateError::Forked { told, seen, evidence })
    }
}

/// Roots of the perfect subtrees of the first `size` leaves, largest first, from tiles of a tree of `of` leaves.
pub(super) fn frontier(
    size: u64,
    of: u64,
    mut tile: impl FnMut(u8, u64, u64) -> Result<Vec<Hash>, UpdateError>,
) -> Result<Vec<Hash>, UpdateError> {
    let mut frontier = Vec::new();
    let mut begin = 0u64;
    for height in (0..63u8).rev().filter(|height| size >> height & 1 == 1) {
        let level = height / 8;
        let above = 8 * u32::from(level);
        let (first, count) = (begin >> above, 1usize << (height % 8));
        let number = first / path::FULL;
        let width = path::width(of >> above, number);
        let hashes = tile(level, number, width)?;
        let at = usize::try_from(first % path::FULL).unwrap_or(0);
        let row = hashes.get(at..at + count).map(<[Hash]>::to_vec).and_then(perfect_root);
        let path = path::tile(level, number, width);
        frontier.push(row.ok_or(UpdateError::Malformed { path, what: "has not the length of its tile" })?);
        begin += 1 << height;
    }
    Ok(frontier)
}
