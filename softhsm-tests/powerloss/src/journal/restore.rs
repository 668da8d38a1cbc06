//! The restore: makes a directory what the journal says the disk holds.
//!
//! Called by tests after every process with the shim is dead. Touches regular files only; sockets, links and sub-directories
//! stay as they are.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::record::JournalError;
use super::replay::{DurableFile, replay};

/// What the power loss took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files whose content went back to what was synced last.
    pub rewritten: usize,
    /// Files that vanished, shared-memory files not counted.
    pub removed: usize,
    /// Files that came back, since their unlink or rename was not durable.
    pub recreated: usize,
}

/// A restore could not be done; the directory may be half restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The journal, a file or the directory could not be read or written.
    #[error("{path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal is not sound.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Turns `dir` into what it would hold had the power failed, and empties the journal: the restored state is the base of the next.
pub fn restore(journal: &Path, dir: &Path) -> Result<Restored, RestoreError> {
    let durable = replay(&at(journal, fs::read(journal))?)?;
    let mut restored = Restored::default();
    for path in regular_files(dir)? {
        let full = dir.join(&path);
        if path.as_os_str().as_encoded_bytes().ends_with(b"-shm") {
            at(&full, fs::remove_file(&full))?;
        } else if let Some(file) = durable.file(&path) {
            if at(&full, fs::read(&full))? != file.content {
                at(&full, fs::write(&full, &file.content))?;
                restored.rewritten += 1;
            }
        } else if durable.mentions(&path) {
            at(&full, fs::remove_file(&full))?;
            restored.removed += 1;
        }
    }
    for (path, file) in durable.files() {
        let full = dir.join(path);
        if !at(&full, full.try_exists())? {
            at(&full, recreate(&full, file))?;
            restored.recreated += 1;
        }
    }
    at(journal, fs::write(journal, b""))?;
    Ok(restored)
}

fn recreate(path: &Path, file: &DurableFile) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(file.mode);
    options.open(path)?.write_all(&file.content)
}

/// The regular files below `dir`, relative to it.
fn regular_files(dir: &Path) -> Result<Vec<PathBuf>, RestoreError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let full = dir.join(&relative);
        for entry in at(&full, fs::read_dir(&full))? {
            let entry = at(&full, entry)?;
            let kind = at(&full, entry.file_type())?;
            let path = relative.join(entry.file_name());
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T, RestoreError> {
    outcome.map_err(|source| RestoreError::Io { path: path.to_path_buf(), source })
}
