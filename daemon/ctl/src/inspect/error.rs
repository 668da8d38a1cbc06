//! Why a command of an inspector did not do what it was asked.

use crate::error::CtlError;
use crate::output::OutputError;
use psdd_client::ClientError;
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
            InspectError::Receipt { .. } => 1,
            InspectError::NoDoor | InspectError::File { .. } | InspectError::Key { .. } | InspectError::Ctl(_) => 2,
            InspectError::Door(ClientError::Config(_) | ClientError::Input(_)) => 2,
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
