//! Tables and scales from their files.

use super::Desk;
use crate::config::CertificationConfig;
use psd::UnixMillis;
use psd::certifying::CertifyingError;
use psdd_certification::scale::{Freshness, LONGEST_REGISTRY, Registry};
use psdd_rates::{Archive, ArchiveError, EXTENSION, LONGEST_PUBLISHED, Published, PublishedError};
use psdd_wire::reviewed_file::{self, FileError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why tables or scales are not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
    /// Not a table of the authority's.
    #[error("{}: {source}", path.display())]
    Table {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PublishedError,
    },
    /// It does not go with those that are there.
    #[error("{}: {source}", path.display())]
    Archive {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// Something else in the directory.
    #[error("{}: is no published rate table by its name (*.{EXTENSION}); name it so, or move it away", .0.display())]
    OtherFile(PathBuf),
    /// The directory has none.
    #[error("{}: there is no published rate table (*.{EXTENSION}) in it", .0.display())]
    NoTable(PathBuf),
    /// A table that certifications cannot name.
    #[error("a rate table: {0}")]
    Name(#[source] psd::id::NameError),
    /// They do not follow from what the log has of those before them.
    #[error(transparent)]
    Log(#[from] CertifyingError),
    /// The registry of scales.
    #[error("{}: {source}", path.display())]
    Scales {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
}

impl Desk {
    /// Reads every published table of the directory, old ones too, and the registry of scales. A table counts when a policy key signed it
    /// that the authority's root (DER) certified.
    ///
    /// # Errors
    ///
    /// With the first file that does not hold: nothing is taken then.
    pub fn load(config: &CertificationConfig, root: &[u8], now: UnixMillis) -> Result<Self, LoadError> {
        let mut rates = Archive::new();
        for path in tables(&config.rates_dir)? {
            let bytes = read(&path, LONGEST_PUBLISHED)?;
            let published =
                Published::open(&bytes, root, now).map_err(|source| LoadError::Table { path: path.clone(), source })?;
            rates.add(Arc::new(published)).map_err(|source| LoadError::Archive { path, source })?;
        }
        if rates.iter().next().is_none() {
            return Err(LoadError::NoTable(config.rates_dir.clone()));
        }
        let scales = Registry::parse(&read(&config.scales, LONGEST_REGISTRY)?);
        let scales = scales.map_err(|source| LoadError::Scales { path: config.scales.clone(), source })?;
        let freshness = Freshness {
            max_age_ms: config.largest_reading_age_s.saturating_mul(1_000),
            max_ahead_ms: config.largest_reading_ahead_s.saturating_mul(1_000),
        };
        Ok(Self { rates, scales, freshness })
    }
}

/// Files of tables in a directory, in the order of their names; versions of a table come in the order of their numbers or not at all.
fn tables(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Disk { path: directory.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // What editors and copies leave behind.
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    paths.sort();
    // A table under another name would not come into force, and nobody would be told.
    match paths.iter().find(|path| path.extension().is_none_or(|extension| extension != EXTENSION)) {
        Some(other) => Err(LoadError::OtherFile(other.clone())),
        None => Ok(paths),
    }
}

fn read(path: &Path, longest: usize) -> Result<Vec<u8>, LoadError> {
    reviewed_file::bytes(path, longest).map_err(|source| LoadError::Disk { path: path.to_owned(), source })
}
