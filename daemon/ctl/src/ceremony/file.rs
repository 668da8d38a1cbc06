//! Ceremony and genesis files as they lie on disk.

use crate::operator::OperatorError;
use psdd_wire::ceremony::{Ceremony, GenesisFile, LONGEST_FILE};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The bytes of a file that is to be judged or approved, and one more than is allowed at most.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, OperatorError> {
    let failed = |source| OperatorError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// A text that goes into a file.
pub(super) fn text(path: &Path) -> Result<String, OperatorError> {
    std::fs::read_to_string(path).map_err(|source| OperatorError::File { path: path.to_owned(), source })
}

pub(super) fn ceremony(path: &Path) -> Result<Ceremony, OperatorError> {
    let read = Ceremony::read(&bytes(path)?);
    read.map_err(|source| OperatorError::Ceremony { path: path.to_owned(), source })
}

pub(super) fn genesis(path: &Path) -> Result<GenesisFile, OperatorError> {
    let read = GenesisFile::read(&bytes(path)?);
    read.map_err(|source| OperatorError::Ceremony { path: path.to_owned(), source })
}

/// Approvals as they were carried here.
pub(super) fn approvals(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, OperatorError> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|source| OperatorError::File { path: path.clone(), source });
    paths.iter().map(read).collect()
}

/// Hex digits in groups of four, as people compare them.
pub(super) fn groups(bytes: &[u8]) -> String {
    let pairs = bytes.chunks(2).map(crate::output::hex);
    pairs.collect::<Vec<_>>().join(" ")
}
