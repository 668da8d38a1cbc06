//! From the checkpoint seen last to a newer one.
//!
//! In this order: the note's signature; the tiles of the new leaves, which with the tree of before must come out at the signed root; the new
//! entries, which must hash to these tiles. Only then is anything put into place, the checkpoint last. What was fetched before a failure
//! stays in `incoming/` and is fetched no second time if it still hashes to the tree.

use super::witness::frontier;
use super::{Mirror, Seen, UpdateError, path};
use crate::durable::{self, AtPath, DiskError};
use crate::source::{FetchError, MOST_BYTES, Source};
use psd::tree::{FullTile, Hash, Tree, hashes_of, leaf_hash};
use psdd_wire::checkpoint::Checkpoint;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How an update went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// Size before.
    pub from: u64,
    /// Size now.
    pub to: u64,
    /// Bytes that the source gave.
    pub bytes: u64,
}

/// Fetches, and sorts what went wrong.
pub(super) fn fetched(source: &mut dyn Source, path: &str) -> Result<Vec<u8>, UpdateError> {
    let too_long = |bytes: &Vec<u8>| u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES);
    match source.fetch(path) {
        Ok(bytes) if too_long(&bytes) => Err(UpdateError::Fetch { path: path.to_owned(), source: FetchError::TooLong }),
        Ok(bytes) => Ok(bytes),
        Err(FetchError::NotFound) => Err(UpdateError::Missing { path: path.to_owned() }),
        Err(source @ (FetchError::TooLong | FetchError::Failed(_))) => {
            Err(UpdateError::Fetch { path: path.to_owned(), source })
        }
    }
}

/// A source that counts, and the place for what it gave.
struct Fetching<'a> {
    source: &'a mut dyn Source,
    bytes: u64,
    incoming: PathBuf,
}

impl Fetching<'_> {
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, UpdateError> {
        let bytes = fetched(self.source, path)?;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(bytes)
    }

    /// A tile's hashes.
    fn tile(&mut self, level: u8, number: u64, width: u64) -> Result<Vec<Hash>, UpdateError> {
        let path = path::tile(level, number, width);
        let hashes = hashes_of(&self.fetch(&path)?);
        let right = |hashes: &Vec<Hash>| u64::try_from(hashes.len()) == Ok(width);
        hashes.filter(right).ok_or(UpdateError::Malformed { path, what: "has not the length of its tile" })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.incoming.join(name);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).at(directory)?;
        }
        std::fs::write(&path, bytes).at(&path)
    }
}

impl Mirror {
    /// Fetches the newest checkpoint and everything under it that is new, proves it, and advances. After an error the mirror is as it was.
    pub fn update(&mut self, source: &mut dyn Source) -> Result<Update, UpdateError> {
        let incoming = self.directory.join("incoming");
        let mut fetching = Fetching { source, bytes: 0, incoming };
        let note = fetching.fetch("checkpoint")?;
        let malformed = UpdateError::Malformed { path: "checkpoint".to_owned(), what: "is no text" };
        let note = String::from_utf8(note).ok().ok_or(malformed)?;
        let checkpoint = self.pin.verified(&note)?;
        let from = self.size();
        if checkpoint.size <= from {
            self.not_newer(&checkpoint, &note)?;
            return Ok(Update { from, to: from, bytes: fetching.bytes });
        }
        let (tree, upper) = self.consistent(&checkpoint, &note, &mut fetching)?;
        let numbers = from / path::FULL..checkpoint.size.div_ceil(path::FULL);
        for number in numbers {
            self.proven_bundle(number, (&checkpoint, &note), &mut fetching)?;
        }
        upper.iter().try_for_each(|tile| fetching.put(&path::tile(tile.level, tile.number, 256), &tile.hashes))?;
        for (level, number, hashes) in tree.partial_tiles() {
            let width = u64::try_from(hashes.len() / 32).unwrap_or(0);
            fetching.put(&path::tile(level, number, width), hashes)?;
        }
        let partial = tree.partial_tiles().map(|(level, number, hashes)| (level, number, hashes.len() / 32));
        let partial =
            partial.map(|(level, number, width)| path::tile(level, number, u64::try_from(width).unwrap_or(0)));
        let upper = upper.iter().map(|tile| path::tile(tile.level, tile.number, path::FULL)).chain(partial);
        self.settle(&fetching.incoming, from, checkpoint.size, upper)?;
        durable::write(&self.directory.join("checkpoint"), note.as_bytes())?;
        let old = std::mem::replace(&mut self.tree, tree);
        let to = checkpoint.size;
        self.newest = Some(Seen { checkpoint, note });
        self.last = None;
        self.forget_partial(&old)?;
        Ok(Update { from, to, bytes: fetching.bytes })
    }

    /// A log that did not grow must be the one seen before.
    fn not_newer(&self, checkpoint: &Checkpoint, note: &str) -> Result<(), UpdateError> {
        let (told, seen) = (checkpoint.size, self.size());
        let Some(newest) = &self.newest else { return Ok(()) };
        if told < seen {
            let explained = format!("Rollback: the log signed {seen} records, and later {told}.");
            let evidence = self.keep_evidence("rollback", checkpoint, note, &explained)?;
            return Err(UpdateError::RolledBack { told, seen, evidence });
        }
        if checkpoint.root == newest.checkpoint.root {
            return Ok(());
        }
        let explained = format!("Fork: the log signed two different roots over {seen} records.");
        let evidence = self.keep_evidence("fork", checkpoint, note, &explained)?;
        Err(UpdateError::Forked { told, seen, evidence })
    }

    /// Proves from the tiles of the new leaves that the signed tree begins with the one seen before. Gives it, with the full tiles above
    /// level 0 that came to be.
    fn consistent(
        &self,
        checkpoint: &Checkpoint,
        note: &str,
        fetching: &mut Fetching<'_>,
    ) -> Result<(Tree, Vec<FullTile>), UpdateError> {
        let mut tree = self.tree.clone();
        let (mut full, mut upper) = (Vec::new(), Vec::new());
        let mut same = true;
        for number in self.size() / path::FULL..checkpoint.size.div_ceil(path::FULL) {
            let width = path::width(checkpoint.size, number);
            let tile = self.fetched_tile(number, width, fetching)?;
            // Of the tile that was not full, the beginning was seen before.
            let seen = usize::try_from(tree.size() % path::FULL).unwrap_or(0);
            let (before, new) = tile.split_at_checked(seen).unwrap_or_default();
            same &= tree.partial_tiles().next().is_none_or(|(level, _, hashes)| level > 0 || hashes == before.concat());
            new.iter().for_each(|hash| tree.append(*hash, &mut full));
            upper.extend(full.drain(..).filter(|tile| tile.level > 0));
        }
        if same && tree.root() == checkpoint.root {
            return Ok((tree, upper));
        }
        let (told, seen) = (checkpoint.size, self.size());
        // Another beginning that leads to the signed root is a second history. Tiles that lead nowhere show nothing.
        if self.served_tree(checkpoint, fetching)?.root() == checkpoint.root {
            let explained =
                format!("Fork: the log signed {seen} records, and later {told} records that do not begin with them.");
            let evidence = self.keep_evidence("fork", checkpoint, note, &explained)?;
            return Err(UpdateError::Forked { told, seen, evidence });
        }
        let explained = format!("The tiles served with {told} records do not lead to the root signed for them.");
        let evidence = self.keep_evidence("tiles", checkpoint, note, &explained)?;
        Err(UpdateError::TilesDiffer { told, evidence })
    }

    /// A tile of leaf hashes, put beside. Nothing of it is proven yet.
    fn fetched_tile(&self, number: u64, width: u64, fetching: &mut Fetching<'_>) -> Result<Vec<Hash>, UpdateError> {
        let name = path::tile(0, number, width);
        let tile = fetching.tile(0, number, width)?;
        fetching.put(&name, tile.as_flattened())?;
        Ok(tile)
    }

    /// The tree that the source's own tiles make, from its beginning on.
    fn served_tree(&self, checkpoint: &Checkpoint, fetching: &mut Fetching<'_>) -> Result<Tree, UpdateError> {
        let size = self.size();
        let frontier = frontier(size, checkpoint.size, |level, number, width| fetching.tile(level, number, width))?;
        let mut tree = Tree::resume(size, frontier, Vec::new());
        let mut full = Vec::new();
        for number in size / path::FULL..checkpoint.size.div_ceil(path::FULL) {
            let width = path::width(checkpoint.size, number);
            let name = path::tile(0, number, width);
            let stored = durable::read(&fetching.incoming.join(name))?.and_then(|tile| hashes_of(&tile));
            let seen = usize::try_from(tree.size() % path::FULL).unwrap_or(0);
            let tile = stored.unwrap_or_default();
            tile.iter().skip(seen).for_each(|hash| tree.append(*hash, &mut full));
            full.clear();
        }
        Ok(tree)
    }

    /// A bundle whose entries hash to the tile that is proven.
    fn proven_bundle(
        &self,
        number: u64,
        (checkpoint, note): (&Checkpoint, &str),
        fetching: &mut Fetching<'_>,
    ) -> Result<(), UpdateError> {
        let width = path::width(checkpoint.size, number);
        let name = path::entries(number, width);
        let tile = durable::read(&fetching.incoming.join(path::tile(0, number, width)))?;
        let tile = tile.and_then(|tile| hashes_of(&tile)).ok_or(UpdateError::Damaged { what: "incoming/ changed" })?;
        let kept = durable::read(&fetching.incoming.join(&name))?;
        let kept = kept.filter(|kept| matches!(differing(kept, &tile), Some(None)));
        let fresh = kept.is_none();
        let bundle = kept.map_or_else(|| fetching.fetch(&name), Ok)?;
        let malformed = || UpdateError::Malformed { path: name.clone(), what: "is not a bundle of its entries" };
        if let Some(at) = differing(&bundle, &tile).ok_or_else(malformed)? {
            let leaf = number * path::FULL + u64::try_from(at).unwrap_or(0);
            let entry = path::records(&bundle, width).and_then(|entries| entries.get(at).copied()).unwrap_or_default();
            let explained = format!(
                "Edited: the log serves as record {leaf} what does not hash to the tree it signed. Served (hex):\n{}",
                super::evidence::hex(entry)
            );
            let evidence = self.keep_evidence("edited", checkpoint, note, &explained)?;
            return Err(UpdateError::Edited { leaf, evidence });
        }
        if number == 0
            && let Some(genesis) = path::records(&bundle, width).and_then(|entries| entries.first().copied())
        {
            self.pin.admit(genesis)?;
        }
        if fresh {
            fetching.put(&name, &bundle)?;
        }
        Ok(())
    }

    /// Moves all that is proven into its place. It is on stable storage before its names are, and its names before the checkpoint.
    fn settle(
        &self,
        incoming: &Path,
        from: u64,
        to: u64,
        upper: impl Iterator<Item = String>,
    ) -> Result<(), DiskError> {
        sync_all(&self.directory)?;
        let settled = |name: &str| {
            let (from, to) = (incoming.join(name), self.directory.join(name));
            if let Some(directory) = to.parent() {
                std::fs::create_dir_all(directory).at(directory)?;
            }
            std::fs::rename(&from, &to).at(&to)
        };
        for number in from / path::FULL..to.div_ceil(path::FULL) {
            let width = path::width(to, number);
            settled(&path::entries(number, width))?;
            if width == path::FULL {
                settled(&path::tile(0, number, width))?;
            }
        }
        // The unfinished tile of level 0 is among these.
        upper.into_iter().try_for_each(|name| settled(&name))?;
        // What failed attempts left is of no use any more.
        std::fs::remove_dir_all(incoming).at(incoming)?;
        sync_all(&self.directory)
    }

    /// Removes unfinished tiles and bundles: those of the tree before, and what updates left behind that were killed on their way from it.
    fn forget_partial(&self, old: &Tree) -> Result<(), UpdateError> {
        let (from, to) = (old.size(), self.size());
        let now: BTreeSet<PathBuf> = self
            .tree
            .partial_tiles()
            .flat_map(|(level, number, hashes)| {
                let width = u64::try_from(hashes.len() / 32).unwrap_or(0);
                let bundle = (level == 0).then(|| path::entries(number, width));
                [path::tile(level, number, width)].into_iter().chain(bundle)
            })
            .map(|name| self.directory.join(name))
            .collect();
        for level in 0..8u8 {
            let above = 8 * (u32::from(level) + 1);
            for number in from >> above..=to >> above {
                // Any width names the directory of all.
                self.sweep(&path::tile(level, number, 1), &now)?;
                if level == 0 {
                    self.sweep(&path::entries(number, 1), &now)?;
                }
            }
            if to >> above == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Removes all beside this name but these.
    fn sweep(&self, name: &str, keep: &BTreeSet<PathBuf>) -> Result<(), DiskError> {
        let path = self.directory.join(name);
        let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else { return Ok(()) };
        let mut empty = true;
        for found in std::fs::read_dir(directory).at(directory)? {
            let found = found.at(directory)?.path();
            if keep.contains(&found) {
                empty = false;
            } else {
                durable::remove(&found)?;
            }
        }
        if empty { std::fs::remove_dir(directory).at(directory) } else { Ok(()) }
    }
}

/// The place of the first entry that does not hash to its tile; an outer `None` where the bytes are no such bundle.
fn differing(bundle: &[u8], tile: &[Hash]) -> Option<Option<usize>> {
    let entries = path::records(bundle, u64::try_from(tile.len()).ok()?)?;
    Some(entries.iter().zip(tile).position(|(entry, hash)| leaf_hash(entry) != *hash))
}

fn sync_all(directory: &Path) -> Result<(), DiskError> {
    let file = std::fs::File::open(directory).at(directory)?;
    rustix::fs::syncfs(&file).map_err(std::io::Error::from).at(directory)
}
