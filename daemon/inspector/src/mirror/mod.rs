//! Witness and mirror: the newest signed checkpoint seen, and every entry under it, in a directory.
//!
//! Owns the directory. Believes a log key and nothing else: what a source gives is put into place when it hashes to the tree that the key
//! signed, and the tree only ever grows from what was seen before. Its layout is that of C2SP tlog-tiles, so that a mirror can be served or
//! compared as it lies; beside it are `pin`, what the mirror is of, `incoming/`, what an update has fetched so far, and `evidence/`.

mod error;
mod evidence;
mod inclusion;
mod path;
mod pin;
mod read;
mod update;
mod witness;

pub use error::UpdateError;
pub(crate) use evidence::hex;
pub use pin::{Pin, PinError, Trust};
pub use update::Update;
pub use witness::Witnessed;

use crate::durable::{self, AtPath, DiskError};
use crate::source::Source;
use psd::tree::Tree;
use psdd_wire::checkpoint::Checkpoint;
use read::Bundle;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A mirror in its directory. One process at a time has it.
#[derive(Debug)]
pub struct Mirror {
    directory: PathBuf,
    pin: Pin,
    /// The newest checkpoint, verified when it came and again when the mirror was opened.
    newest: Option<Seen>,
    /// The tree under it.
    tree: Tree,
    /// The bundle that was read last.
    last: Option<Bundle>,
    /// Held for as long as the mirror is.
    _lock: File,
}

#[derive(Clone, Debug)]
struct Seen {
    checkpoint: Checkpoint,
    note: String,
}

impl Mirror {
    /// Makes a mirror in a new or empty directory and pins it. Fetches nothing but, where the authority is trusted, leaf 0.
    pub fn create(directory: &Path, trust: &Trust, source: &mut dyn Source) -> Result<Self, UpdateError> {
        std::fs::create_dir_all(directory).at(directory)?;
        let lock = lock(directory)?;
        let at = directory.join("pin");
        if durable::read(&at)?.is_some() {
            return Err(UpdateError::Pinned { directory: directory.to_owned() });
        }
        // Whatever was pinned there is not known any more, and what was seen must not be seen anew by another's key.
        if ["checkpoint", "tile", "fold", "evidence"].iter().any(|part| directory.join(part).exists()) {
            return Err(UpdateError::Unpinned { directory: directory.to_owned() });
        }
        let pin = Pin::settle(trust, source)?;
        durable::write(&at, &psdd_wire::encode(&pin))?;
        let directory = directory.to_owned();
        Ok(Self { directory, pin, newest: None, tree: Tree::default(), last: None, _lock: lock })
    }

    /// Opens a mirror, verifies its checkpoint again, and that its tiles are those of it.
    pub fn open(directory: &Path) -> Result<Self, UpdateError> {
        let lock = lock(directory)?;
        let pin = durable::read(&directory.join("pin"))?;
        let pin = pin.ok_or_else(|| UpdateError::NotPinned { directory: directory.to_owned() })?;
        let pin = psdd_wire::read(&pin).ok().ok_or(UpdateError::Damaged { what: "its pin is not read" })?;
        let directory = directory.to_owned();
        let mut mirror = Self { directory, pin, newest: None, tree: Tree::default(), last: None, _lock: lock };
        if let Some(note) = durable::read(&mirror.directory.join("checkpoint"))? {
            let note =
                String::from_utf8(note).ok().ok_or(UpdateError::Damaged { what: "its checkpoint is no text" })?;
            let checkpoint = mirror.pin.verified(&note).ok();
            let damaged = UpdateError::Damaged { what: "the pinned log key did not sign its checkpoint" };
            let checkpoint = checkpoint.ok_or(damaged)?;
            mirror.tree = mirror.tree_on_disk(checkpoint.size)?;
            if mirror.tree.root() != checkpoint.root {
                return Err(UpdateError::Damaged { what: "its tiles are not those of its checkpoint" });
            }
            mirror.newest = Some(Seen { checkpoint, note });
        }
        Ok(mirror)
    }

    /// What it is of.
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The newest checkpoint seen; `None` before the first update.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.newest.as_ref().map(|seen| &seen.checkpoint)
    }

    /// The same as the signed note that was fetched.
    pub fn note(&self) -> Option<&str> {
        self.newest.as_ref().map(|seen| seen.note.as_str())
    }

    /// Entries under it.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    fn tree_on_disk(&self, size: u64) -> Result<Tree, UpdateError> {
        let mut partial = Vec::new();
        let mut level = 0u8;
        while size >> (8 * u32::from(level)) > 0 {
            let hashes = size >> (8 * u32::from(level));
            let name = path::tile(level, hashes / path::FULL, hashes % path::FULL);
            let tile = if hashes.is_multiple_of(path::FULL) { Some(Vec::new()) } else { self.stored(&name)? };
            partial.push(tile.ok_or(UpdateError::Damaged { what: "a tile is missing" })?);
            level += 1;
        }
        Tree::of_partial(size, partial).ok_or(UpdateError::Damaged { what: "a tile has a wrong length" })
    }

    fn stored(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        durable::read(&self.directory.join(name))
    }
}

fn lock(directory: &Path) -> Result<File, UpdateError> {
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).at(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(UpdateError::InUse { directory: directory.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(DiskError { path, source }.into()),
    }
}
