//! Why a command of an inspector did not do what it was asked.

use crate::error::CtlError;
use crate::output::OutputError;
use psdd_client::ClientError;
use psdd_inspector::report::ReportError;
use psdd_inspector::scan::ScanError;
use psdd_inspector::{FoldError, UpdateError};
use psdd_wire::receipt::ReceiptError;
use rustls_pki_types::pem;
use std::path::PathBuf;

/// What went wrong, with the step that did.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The configuration does not say how the authority door is reached.
    #[error(
        "psdctl.toml has no [authority]: say there how the authority door is reached \
         (endpoint, server_name, server_ca, client_cert, client_key)"
    )]
    NoDoor,
    /// Options of the whole inspection before a command.
    #[error("options of the whole inspection go without a command; those of a command stand behind it")]
    NoCommand,
    /// The authority door, or the way to it.
    #[error("the authority door: {0}")]
    Door(#[from] ClientError),
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A log key that is none.
    #[error("{}: not a PUBLIC KEY in PEM: {source}", .path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A root certificate that is none.
    #[error("{}: not a CERTIFICATE in PEM: {source}", .path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Nothing says whose certificates are believed.
    #[error("psdctl.toml names no authority_root: the certificates of PSD keys are judged by it")]
    NoRoot,
    /// What the door says of itself.
    #[error("the authority door gives no name of an appliance, but {0:?}")]
    Name(String),
    /// The log, or the mirror of it.
    #[error("the log: {0}")]
    Log(#[from] UpdateError),
    /// The fold.
    #[error("the records: {0}")]
    Fold(#[from] FoldError),
    /// Scans.
    #[error("the scans: {0}")]
    Scan(#[from] ScanError),
    /// A page that does not hold.
    #[error("{}: {source}", .path.display())]
    Report {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<ReportError>,
    },
    /// The log has no records.
    #[error("the log has no records yet")]
    Empty,
    /// No challenge can be made.
    #[error("the system gives no randomness")]
    Random,
    /// A receipt that does not verify.
    #[error("{}: {source}", .path.display())]
    Receipt {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ReceiptError,
    },
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Configuration or runtime.
    #[error(transparent)]
    Ctl(Box<CtlError>),
}

impl InspectError {
    fn code(&self) -> u8 {
        match self {
            InspectError::Report { source, .. }
                if matches!(**source, ReportError::NoAnchor | ReportError::NoEvidence) =>
            {
                2
            }
            InspectError::Receipt { .. } | InspectError::Report { .. } => 1,
            InspectError::Scan(ScanError::Input { .. }) => 2,
            InspectError::Scan(ScanError::Disk(_)) => 3,
            InspectError::NoDoor
            | InspectError::NoCommand
            | InspectError::NoRoot
            | InspectError::File { .. }
            | InspectError::Key { .. }
            | InspectError::Root { .. }
            | InspectError::Ctl(_) => 2,
            InspectError::Log(error)
            | InspectError::Fold(FoldError::Mirror(error))
            | InspectError::Scan(ScanError::Mirror(error)) => of_log(error),
            InspectError::Fold(FoldError::Genesis(_)) | InspectError::Name(_) => 1,
            InspectError::Fold(FoldError::Saved(_) | FoldError::Witness(_) | FoldError::Root(_)) => 2,
            InspectError::Fold(FoldError::Disk(_)) | InspectError::Empty | InspectError::Random => 3,
            InspectError::Door(ClientError::Config(_) | ClientError::Input(_)) => 2,
            InspectError::Door(ClientError::Refused(problem)) if problem.facts.retry => 3,
            InspectError::Door(ClientError::Refused(_) | ClientError::Verification(_)) => 1,
            InspectError::Door(
                ClientError::Connect { .. }
                | ClientError::Tls { .. }
                | ClientError::Deadline { .. }
                | ClientError::Contract(_),
            )
            | InspectError::Output(_) => 3,
        }
    }
}

/// What is wrong with the log is a verdict.
fn of_log(error: &UpdateError) -> u8 {
    match error {
        UpdateError::RolledBack { .. }
        | UpdateError::Forked { .. }
        | UpdateError::TilesDiffer { .. }
        | UpdateError::Edited { .. }
        | UpdateError::Missing { .. }
        | UpdateError::Malformed { .. }
        | UpdateError::Checkpoint(_)
        | UpdateError::OtherLog { .. }
        | UpdateError::Pin(_) => 1,
        UpdateError::NoLeaf { .. }
        | UpdateError::Damaged { .. }
        | UpdateError::Pinned { .. }
        | UpdateError::Unpinned { .. }
        | UpdateError::NotPinned { .. } => 2,
        UpdateError::Fetch { .. } | UpdateError::InUse { .. } | UpdateError::Disk(_) => 3,
    }
}

impl From<CtlError> for InspectError {
    fn from(error: CtlError) -> Self {
        InspectError::Ctl(Box::new(error))
    }
}

impl From<InspectError> for CtlError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Ctl(error) => *error,
            error => {
                let code = error.code();
                CtlError::Group { source: Box::new(error), code }
            }
        }
    }
}
