//! The authority's keys and certificates: an offline root, a CA for PSD keys, one key for each purpose, and the TLS of its listener.
//!
//! Owns their making and the profile of every certificate. The TLS authorities are roots of their own: no TLS certificate leads to the
//! root that appliances trust. Keys lie in files that only their owner reads; a real authority puts them into HSMs.

mod client;
mod countersign;
mod crl;
mod enrol;
mod files;
mod init;
mod issue;
mod profile;
mod request;

pub use client::{issue_client, revoke_client, write_crl};
pub use countersign::{CountersignError, Countersigned, countersign};
pub use crl::{list_pem, write_list};
pub use enrol::{EnrolError, EnrolRefusal, Enrolment};
pub use files::{FileError, write_durably};
pub use init::{InitOptions, init};
pub use issue::{IssueError, IssuedKey, Order, issue};

use crate::books::{Fault, RegisterError};
use crate::keys::{KeyError, SignError};
use std::path::PathBuf;

/// Why the PKI could not do it.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A certificate, key or list could not be made or read.
    #[error("{what}: {source}")]
    Make {
        /// Which.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate that is no PEM.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The books.
    #[error(transparent)]
    Books(#[from] Fault),
    /// The directory holds something.
    #[error("{} is not empty; an authority is made in a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// No client has it.
    #[error("no client certificate has serial number {0}; `psdctl authority client list` shows all")]
    UnknownClient(u32),
}

fn made(what: &str) -> impl Fn(rcgen::Error) -> PkiError {
    move |source| PkiError::Make { what: what.to_owned(), source }
}

impl From<RegisterError> for IssueError {
    fn from(error: RegisterError) -> Self {
        IssueError::Register(error)
    }
}
