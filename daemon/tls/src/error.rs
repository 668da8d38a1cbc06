//! Why a listener has no TLS.

use crate::lifetime::Unreadable;
use rustls::pki_types::pem;
use std::path::PathBuf;

/// Why a listener has no TLS. Each names the file at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// Nothing of the kind in the file.
    #[error("{}: holds no {what}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was wanted.
        what: &'static str,
    },
    /// The client CA or its CRL is unfit.
    #[error("{}: {source}", .path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::server::VerifierBuilderError,
    },
    /// The certificate, the key or the CA is unfit.
    #[error("{}: {source}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// It does not say when it ends.
    #[error("{}: {source}", .path.display())]
    Lifetime {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Unreadable,
    },
}
