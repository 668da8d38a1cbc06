//! Files that are whole and durable, or absent; keys that only their owner reads.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> FileError {
    move |source| FileError { path: path.to_owned(), source }
}

pub(super) fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(failed(path))
}

/// Writes what everybody may read.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, 0o644)
}

/// Writes a private key.
pub(super) fn write_key(path: &Path, pem: &str) -> Result<(), FileError> {
    write(path, pem.as_bytes(), 0o600)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    // Made anew, so that the mode is this one from the first byte on.
    match std::fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(FileError { path: part, source }),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part).map_err(failed(&part))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(&part))?;
    std::fs::rename(&part, path).map_err(failed(path))?;
    sync_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

pub(super) fn make_directory(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(failed(path))
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(failed(path))
}
