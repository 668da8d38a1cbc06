//! A copy of the ledger as of one moment, for keeping. It is evidence and not a way back: an appliance whose ledger is older than its anchor never signs
//! again.

use crate::reader::Reader;
use crate::tile::TileError;
use crate::{AtStep, StoreFault, rows, schema};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Why there is no copy. The ledger is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// Reading the ledger or writing the copy.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The directory, or the copy's sync.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A copy is never written over.
    #[error("{0} is there already; name a new directory")]
    Exists(PathBuf),
    /// The tree of the ledger, which a copy that is there is held against.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// Copies the ledger of a state directory into a directory, synced, beside a daemon that goes on writing. How many records the copy holds.
///
/// A copy appears under its name when it is whole. One that is there already is taken for this one where it is of this ledger and holds
/// the record of the leaf `since`, by which the copy was ordered: an attempt before this one made it.
///
/// # Errors
///
/// As [`BackUpError`]; a file of another content is left as it is.
pub fn back_up(state_dir: &Path, directory: &Path, since: u64) -> Result<u64, BackUpError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BackUpError::Io { path, source }
    };
    let copy = directory.join(schema::FILE);
    std::fs::create_dir_all(directory).map_err(io(directory))?;
    if !copy.exists() {
        let part = directory.join(format!("{}.part", schema::FILE));
        // What an attempt that was killed left is no copy yet.
        for left in [part.clone(), directory.join(format!("{}.part-journal", schema::FILE))] {
            match std::fs::remove_file(&left) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(&left)(error)),
            }
        }
        let step = "copying the ledger";
        let source = schema::reader(&state_dir.join(schema::FILE))?;
        let target = part.to_str().ok_or_else(|| StoreFault::broken(step, "the directory's name is no UTF-8"))?;
        source.execute("VACUUM INTO ?1", [target]).at(step)?;
        File::open(&part).and_then(|file| file.sync_all()).map_err(io(&part))?;
        std::fs::rename(&part, &copy).map_err(io(&copy))?;
    }
    File::open(directory).and_then(|file| file.sync_all()).map_err(io(directory))?;
    let head = schema::witness(&copy).and_then(|copied| rows::head(&copied));
    let size = rows::head(&schema::reader(&state_dir.join(schema::FILE))?)?.map_or(0, |head| head.size);
    let Some(head) = head.ok().flatten().filter(|head| head.size > since && head.size <= size) else {
        return Err(BackUpError::Exists(copy));
    };
    if Reader::open(state_dir)?.root_at(head.size)? != head.root {
        return Err(BackUpError::Exists(copy));
    }
    Ok(head.size)
}
