//! A copy of the ledger as of one moment, for keeping. It is evidence and not a way back: an appliance whose ledger is older than its anchor never signs
//! again.

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
}

/// Copies the ledger of a state directory into a directory, synced, beside a daemon that goes on writing. How many records the copy holds.
pub fn back_up(state_dir: &Path, directory: &Path) -> Result<u64, BackUpError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BackUpError::Io { path, source }
    };
    let copy = directory.join(schema::FILE);
    std::fs::create_dir_all(directory).map_err(io(directory))?;
    if copy.exists() {
        return Err(BackUpError::Exists(copy));
    }
    let step = "copying the ledger";
    let source = schema::reader(&state_dir.join(schema::FILE))?;
    let target = copy.to_str().ok_or_else(|| StoreFault::broken(step, "the directory's name is no UTF-8"))?;
    source.execute("VACUUM INTO ?1", [target]).at(step)?;
    File::open(&copy).and_then(|file| file.sync_all()).map_err(io(&copy))?;
    File::open(directory).and_then(|file| file.sync_all()).map_err(io(directory))?;
    let head = rows::head(&schema::witness(&copy)?)?;
    Ok(head.map_or(0, |head| head.size))
}
