//! Tables and scales from their files.

use super::Desk;
use crate::config::CertificationConfig;
use psd::UnixMillis;
use psdd_certification::scale::{Freshness, Registry};
use psdd_rates::{Archive, ArchiveError, Published, PublishedError, Trust};
use psdd_wire::reviewed_file::FileError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How names of published tables end.
const PUBLISHED: &str = "cose";

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
    /// The directory has none.
    #[error("{}: there is no published rate table (*.{PUBLISHED}) in it", .0.display())]
    NoTable(PathBuf),
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
            let bytes = read(&path)?;
            let published =
                published(&bytes, root, now).map_err(|source| LoadError::Table { path: path.clone(), source })?;
            rates.add(Arc::new(published)).map_err(|source| LoadError::Archive { path, source })?;
        }
        if rates.iter().next().is_none() {
            return Err(LoadError::NoTable(config.rates_dir.clone()));
        }
        let scales = Registry::parse(&read(&config.scales)?);
        let scales = scales.map_err(|source| LoadError::Scales { path: config.scales.clone(), source })?;
        let freshness = Freshness {
            max_age_ms: config.largest_reading_age_s.saturating_mul(1_000),
            max_ahead_ms: config.largest_reading_ahead_s.saturating_mul(1_000),
        };
        Ok(Self { rates, scales, freshness })
    }
}

/// A table, if the authority published it.
///
/// # Errors
///
/// As [`Published::open`].
pub fn published(bytes: &[u8], root: &[u8], now: UnixMillis) -> Result<Published, PublishedError> {
    Published::open(bytes, &Trust::Root { root, at: now })
}

/// Files of tables in a directory, in the order of their names; versions of a table come in the order of their numbers or not at all.
fn tables(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Disk { path: directory.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == PUBLISHED));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| LoadError::Disk { path: path.to_owned(), source })
}
