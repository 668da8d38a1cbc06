//! Files that are there whole or not at all, also after a loss of power.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file or directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct DiskError {
    /// Which.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// Names the path an error is about.
pub(crate) trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T, DiskError>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { path: path.to_owned(), source })
    }
}

/// Writes a file beside its place, syncs it, and moves it there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).at(directory)?;
    let beside = beside(path);
    let mut file = File::create(&beside).at(&beside)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).at(&beside)?;
    fs::rename(&beside, path).at(path)?;
    sync_directory(directory)
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), DiskError> {
    File::open(directory).and_then(|file| file.sync_all()).at(directory)
}

/// The file's bytes; `None` where it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DiskError { path: path.to_owned(), source }),
    }
}

/// Removes a file that may be there.
pub(crate) fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DiskError { path: path.to_owned(), source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}
