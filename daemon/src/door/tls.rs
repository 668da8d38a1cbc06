//! TLS of a door: 1.3 only, client certificates against the door's own CA, its CRL enforced with its expiry, no resumption.
//!
//! CRLs are fixed when a verifier is built, so a reload builds a new configuration; a connection keeps the one it began with.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of a door's TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Server chain, PEM.
    pub certificate: PathBuf,
    /// Server key, PEM.
    pub key: PathBuf,
    /// Client CA, PEM.
    pub client_ca: PathBuf,
    /// Its CRL, PEM.
    pub client_crl: PathBuf,
}

/// Why a door has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("{path}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// Nothing of the kind in the file.
    #[error("{path}: holds no {what}")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was wanted.
        what: &'static str,
    },
    /// The client CA or its CRL is unfit.
    #[error("{path}: {source}")]
    Verifier {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::server::VerifierBuilderError,
    },
    /// The certificate, the key or the CA is unfit.
    #[error("{path}: {source}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// Builds the configuration of a door.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> = many(&files.certificate, "certificate")?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Pem { path: files.key.clone(), source })?;
    let mut roots = RootCertStore::empty();
    for ca in many::<CertificateDer<'static>>(&files.client_ca, "certificate")? {
        roots.add(ca).map_err(|source| TlsError::Tls { path: files.client_ca.clone(), source })?;
    }
    let crls: Vec<CertificateRevocationListDer<'static>> = many(&files.client_crl, "revocation list")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Unknown revocation status and an expired list are refused: absence means no.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .with_crls(crls)
        .enforce_revocation_expiration()
        .build()
        .map_err(|source| TlsError::Verifier { path: files.client_crl.clone(), source })?;
    let tls = |source| TlsError::Tls { path: files.certificate.clone(), source };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(tls)?;
    // A resumed session would not show its certificate again, and so outlive its revocation.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn many<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, TlsError> {
    let read = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<T>, pem::Error>>);
    let found = read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned(), what }) } else { Ok(found) }
}
