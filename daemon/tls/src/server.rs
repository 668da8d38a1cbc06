//! From files to a configuration.
//!
//! CRLs are fixed when a verifier is built, so a reload builds a new configuration, and asks it about the chains of open connections.

use crate::error::TlsError;
use crate::lifetime::{Lifetimes, Unreadable, next_update, not_after};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of a listener's TLS.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// Server chain, PEM.
    pub certificate: PathBuf,
    /// Server key, PEM.
    pub key: PathBuf,
    /// Client CA, PEM.
    pub client_ca: PathBuf,
    /// Its CRL, PEM.
    pub client_crl: PathBuf,
}

/// What the files of a listener make.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
    lifetimes: Lifetimes,
}

impl ServerTls {
    /// Reads the files. Fails where one is missing, is no PEM, holds nothing of its kind, or does not fit the others; an expired
    /// certificate or list is no error here, it refuses every client later.
    pub fn read(files: &ServerFiles) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = many(&files.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_file(&files.key);
        let key = key.map_err(|source| TlsError::Pem { path: files.key.clone(), source })?;
        let authorities: Vec<CertificateDer<'static>> = many(&files.client_ca, "certificate")?;
        let crls: Vec<CertificateRevocationListDer<'static>> = many(&files.client_crl, "revocation list")?;
        let lifetime = |path: &Path| {
            let path = path.to_owned();
            move |source: Unreadable| TlsError::Lifetime { path, source }
        };
        let mut roots = RootCertStore::empty();
        for ca in &authorities {
            let tls = |source| TlsError::Tls { path: files.client_ca.clone(), source };
            roots.add(ca.clone()).map_err(tls)?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let ends = next_update(&crls);
        // Unknown revocation status and an expired list are refused: absence means no.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .with_crls(crls)
            .enforce_revocation_expiration()
            .build()
            .map_err(|source| TlsError::Verifier { path: files.client_crl.clone(), source })?;
        let tls = |source| TlsError::Tls { path: files.certificate.clone(), source };
        let lifetimes = Lifetimes {
            certificate: not_after(&chain).map_err(lifetime(&files.certificate))?,
            client_ca: not_after(&authorities).map_err(lifetime(&files.client_ca))?,
            crl: ends.map_err(lifetime(&files.client_crl))?,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain, key)
            .map_err(tls)?;
        // A resumed session would not show its certificate again, and so outlive its revocation.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), verifier, roots, lifetimes })
    }

    /// For handshakes.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// When what it was built of ends.
    pub fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Whether a client's chain, its own certificate first, would get in now: by the rules of a handshake.
    pub fn admits(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        let (own, issuers) =
            chain.split_first().ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        self.verifier.verify_client_cert(own, issuers, now).map(|_verified| ())
    }

    /// Whether a client CA of the other has the key of one of this: then a certificate for the one would open the other.
    pub fn shares_a_client_ca_with(&self, other: &Self) -> bool {
        let keys = |tls: &Self| -> Vec<Vec<u8>> {
            tls.roots.roots.iter().map(|anchor| anchor.subject_public_key_info.as_ref().to_vec()).collect()
        };
        let theirs = keys(other);
        keys(self).iter().any(|key| theirs.contains(key))
    }
}

fn many<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, TlsError> {
    let read = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<T>, pem::Error>>);
    let found = read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned(), what }) } else { Ok(found) }
}
