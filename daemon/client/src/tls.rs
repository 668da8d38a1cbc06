//! TLS 1.3 and nothing older, with the client's certificate and without resumption.

use crate::config::{ClientConfig, ConfigError, Verification};
use crate::verify::AuthorityRoot;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig as Rustls, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The configuration of rustls, from the files.
pub(crate) fn rustls_config(config: &ClientConfig) -> Result<Rustls, ConfigError> {
    let files = &config.files;
    let mut roots = RootCertStore::empty();
    for anchor in certificates("server CA", &files.server_ca)? {
        let path = files.server_ca.clone();
        roots.add(anchor).map_err(|source| ConfigError::ServerCa { path, source })?;
    }
    let chain = certificates("client certificate", &files.client_cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.client_key).map_err(|source| ConfigError::Pem {
        what: "client key",
        path: files.client_key.clone(),
        source,
    })?;
    // With the feature `prefer-post-quantum` the provider's first key exchange is X25519MLKEM768.
    let mut rustls = Rustls::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(ConfigError::Protocol)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|source| ConfigError::ClientIdentity {
            cert: files.client_cert.clone(),
            key: files.client_key.clone(),
            source,
        })?;
    rustls.alpn_protocols = vec![b"h2".to_vec()];
    // Resumption would skip the client's certificate.
    rustls.resumption = Resumption::disabled();
    Ok(rustls)
}

/// The name the server must prove.
pub(crate) fn server_name(config: &ClientConfig) -> Result<ServerName<'static>, ConfigError> {
    let name = config.server_name.clone();
    ServerName::try_from(name.clone()).map_err(|source| ConfigError::ServerName { name, source })
}

/// The pinned root, where the verification wants one.
pub(crate) fn authority_root(config: &ClientConfig) -> Result<Option<AuthorityRoot>, ConfigError> {
    if config.verification == Verification::Registers {
        return Ok(None);
    }
    let path = config.files.authority_root.as_deref().ok_or(ConfigError::NoAuthorityRoot)?;
    read_authority_root(path).map(Some)
}

/// Reads a root certificate from a PEM file.
pub(crate) fn read_authority_root(path: &Path) -> Result<AuthorityRoot, ConfigError> {
    let what = "authority root";
    let der = CertificateDer::from_pem_file(path).map_err(|source| ConfigError::Pem {
        what,
        path: path.to_owned(),
        source,
    })?;
    AuthorityRoot::from_der(&der).map_err(|source| ConfigError::AuthorityRoot { path: path.to_owned(), source })
}

/// Every certificate of a PEM file, at least one.
pub(crate) fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let failed = |source| ConfigError::Pem { what, path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(ConfigError::NoCertificate { what, path: path.to_owned() });
    }
    Ok(found)
}
