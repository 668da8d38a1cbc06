//! Why a command on the registry of scales did not do what it was asked.

use crate::error::CtlError;
use crate::output::OutputError;
use psdd_authority::serve::ClockError;
use psdd_wire::reviewed_file::FileError;
use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no registry.
    #[error("{}: {source}", .path.display())]
    Registry {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: FileError,
    },
    /// The clock cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl From<ScaleError> for CtlError {
    fn from(error: ScaleError) -> Self {
        let code = match &error {
            ScaleError::File { .. } | ScaleError::Registry { .. } => 2,
            ScaleError::Clock(_) | ScaleError::Output(_) => 3,
        };
        CtlError::Group { source: error.into(), code }
    }
}
