//! Why a command on rate tables did not do what it was asked.

use crate::error::CtlError;
use crate::output::OutputError;
use crate::vendor::Fault;
use psdd_authority::serve::ClockError;
use psdd_rates::{ManifestError, NameError, NotInForce, NotInRun, PublishedError, QuoteError, RunError, TableError};
use std::path::{Path, PathBuf};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The authority's root.
    #[error("the authority root in {}: {source}", .path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// Neither text nor a signed table.
    #[error("{}: neither the text of a rate table nor a signed one", .0.display())]
    NotATable(PathBuf),
    /// A table that is not in order.
    #[error("{}", faults(.path, .error))]
    Table {
        /// The file.
        path: PathBuf,
        /// All that is wrong. Not a source: the line above tells it.
        error: TableError,
    },
    /// Trust is given, and nobody signed.
    #[error("{} is not signed; leave --authority-root out, or have it signed with `psdctl authority publish-rates`", .0.display())]
    Unsigned(PathBuf),
    /// Not the authority's.
    #[error("{}: {source}", .path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PublishedError,
    },
    /// A class, a discount or a surcharge.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No price.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// The wrong day.
    #[error("{0}; --date prices it as of another day")]
    NotInForce(#[from] NotInForce),
    /// A manifest with faults in its rows.
    #[error("{}", rows(.path, .faults))]
    Rows {
        /// The file.
        path: PathBuf,
        /// Each with its place.
        faults: Vec<Fault>,
    },
    /// A manifest without its last row.
    #[error("{} does not end with a row total,PIECES; a manifest says how many pieces the run has", .0.display())]
    NoTotal(PathBuf),
    /// A manifest that nothing can be judged by.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// A destination that is not in the manifest.
    #[error(transparent)]
    NotInRun(#[from] NotInRun),
    /// The sum of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The time.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// No day of mailing.
    #[error("the clock of this machine is at no day of mailing; name one with --date")]
    NoDay,
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// `us-2025.toml: line 12: …`, a line for each fault.
fn faults(path: &Path, error: &TableError) -> String {
    let told = error.faults().iter().map(|fault| format!("{}: {fault}", path.display()));
    told.collect::<Vec<_>>().join("\n")
}

fn rows(path: &Path, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect::<Vec<_>>().join("\n")
}

impl RateError {
    fn code(&self) -> u8 {
        match self {
            RateError::Table { .. }
            | RateError::Published { .. }
            | RateError::Unsigned(_)
            | RateError::Quote(_)
            | RateError::NotInForce(_)
            | RateError::NotInRun(_)
            | RateError::Manifest { .. } => 1,
            RateError::Unreadable { .. }
            | RateError::Root { .. }
            | RateError::NotATable(_)
            | RateError::Name(_)
            | RateError::Rows { .. }
            | RateError::NoTotal(_)
            | RateError::NoDay => 2,
            RateError::Run(_) | RateError::Clock(_) | RateError::Output(_) => 3,
        }
    }
}

impl From<RateError> for CtlError {
    fn from(error: RateError) -> Self {
        let code = error.code();
        CtlError::Group { source: Box::new(error), code }
    }
}
