//! The mark of a login attempt, so that a restart loop never burns the tries of a PIN.
//!
//! Owns one file per token in the state directory: written durably before C_Login, removed durably after success. A
//! worker that finds it does not log in, whether a wrong PIN, a crash or a hang left it there. Only
//! `psdd-hsm clear-login-latch` removes it otherwise.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the mark of one token is.
#[derive(Clone, Debug)]
pub struct LoginMarker {
    directory: PathBuf,
    path: PathBuf,
}

/// Why a mark could not be read or changed; no login is tried then.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// It cannot be read.
    #[error("cannot read the login mark {path}")]
    Read {
        /// The mark.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written durably.
    #[error("cannot write the login mark {path}")]
    Write {
        /// The mark.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be removed durably.
    #[error("cannot remove the login mark {path}")]
    Remove {
        /// The mark.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl LoginMarker {
    /// The mark of the token of this name.
    pub fn new(state_dir: &Path, token: &str) -> Self {
        Self { directory: state_dir.to_owned(), path: state_dir.join(format!("{token}.login-latch")) }
    }

    /// Why no login may be tried; none when there is no mark.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub fn reason(&self) -> Result<Option<String>, MarkerError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MarkerError::Read { path: self.path.clone(), source }),
        }
    }

    /// Leaves the mark with this reason, durably.
    ///
    /// # Errors
    ///
    /// When the file or its directory cannot be written to stable storage.
    pub fn set(&self, reason: &str) -> Result<(), MarkerError> {
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o640).open(&self.path)?;
            writeln!(file, "{reason}")?;
            file.sync_all()?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| MarkerError::Write { path: self.path.clone(), source })
    }

    /// Removes the mark, durably; false when there was none.
    ///
    /// # Errors
    ///
    /// When it cannot be removed from stable storage.
    pub fn clear(&self) -> Result<bool, MarkerError> {
        let failed = |source| MarkerError::Remove { path: self.path.clone(), source };
        match fs::remove_file(&self.path) {
            Ok(()) => {
                File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_until_it_is_cleared() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let marker = LoginMarker::new(directory.path(), "a");
        assert_eq!(marker.reason().expect("readable"), None);
        marker.set("first").expect("written");
        marker.set("second").expect("written");
        assert_eq!(LoginMarker::new(directory.path(), "a").reason().expect("readable").as_deref(), Some("second"));
        assert_eq!(LoginMarker::new(directory.path(), "b").reason().expect("readable"), None);
        assert!(marker.clear().expect("removed"));
        assert!(!marker.clear().expect("nothing to remove"));
        assert_eq!(marker.reason().expect("readable"), None);
    }

    #[test]
    fn a_mark_that_cannot_be_written_is_an_error() {
        let marker = LoginMarker::new(Path::new("/nonexistent"), "a");
        assert!(matches!(marker.set("x"), Err(MarkerError::Write { .. })));
    }
}
