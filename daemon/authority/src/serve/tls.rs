//! TLS of the listener: 1.3 only, client certificates against the authority's client CA, its list enforced with its expiry, no resumption.
//!
//! The same as a door of `psdd` has, in a program that may not depend on it.

use crate::directory::AuthorityDir;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, is not PEM or holds nothing of the kind wanted.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// The client CA or its list is unfit.
    #[error("{}: {source}", .path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: VerifierBuilderError,
    },
    /// The certificate, the key or the CA is unfit.
    #[error("{}: {source}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

pub(super) fn server_config(dir: &AuthorityDir) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> = many(&dir.tls_certificate())?;
    let key = PrivateKeyDer::from_pem_file(dir.tls_key());
    let key = key.map_err(|source| TlsError::Pem { path: dir.tls_key(), source })?;
    let mut roots = RootCertStore::empty();
    for ca in many::<CertificateDer<'static>>(&dir.client_ca())? {
        roots.add(ca).map_err(|source| TlsError::Tls { path: dir.client_ca(), source })?;
    }
    let crls: Vec<CertificateRevocationListDer<'static>> = many(&dir.client_crl())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Unknown revocation status and an expired list are refused: absence means no.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .with_crls(crls)
        .enforce_revocation_expiration()
        .build()
        .map_err(|source| TlsError::Verifier { path: dir.client_crl(), source })?;
    let tls = |source| TlsError::Tls { path: dir.tls_certificate(), source };
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

fn many<T: PemObject>(path: &Path) -> Result<Vec<T>, TlsError> {
    let failed = |source| TlsError::Pem { path: path.to_owned(), source };
    let found = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<T>, pem::Error>>).map_err(failed)?;
    if found.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(found) }
}
