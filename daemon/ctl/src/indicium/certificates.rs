//! Certificates from files: a bundle of PSD keys' certificates with their issuers, and the authority's root.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::CtlError;
use clap::Args;
use psdd_client::verify::offline::Bundle;
use psdd_client::verify::{AuthorityRoot, ChainError};
use psdd_wire::crl::CrlError;
use psdd_wire::status::StatusError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use std::path::{Path, PathBuf};

/// Where the certificates are; what is not named here may stand in psdctl.toml.
#[derive(Args, Debug, Clone, Default)]
pub struct CertificateFiles {
    /// Certificates of PSD keys and their issuers, PEM, in any order
    #[arg(long, value_name = "BUNDLE.pem")]
    pub certificates: Option<PathBuf>,
    /// The postal authority's root certificate, PEM
    #[arg(long, value_name = "ROOT.pem")]
    pub authority_root: Option<PathBuf>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// Not PEM, or not readable.
    #[error("certificates in {}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// No certificate in the file.
    #[error("{} holds no certificate (PEM, -----BEGIN CERTIFICATE-----)", .path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// Not a certificate, or no root.
    #[error("{}: {source}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ChainError,
    },
    /// A list cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A revocation list that is none to go by.
    #[error("{}: {source}", .path.display())]
    Crl {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CrlError,
    },
    /// A status list that is none to go by.
    #[error("{}: {source}", .path.display())]
    Status {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StatusError,
    },
    /// Neither on the command line nor in the configuration.
    #[error("no {what} named: pass --{option} FILE, or set {field} in psdctl.toml")]
    Unnamed {
        /// What is missing.
        what: &'static str,
        /// The option that names it.
        option: &'static str,
        /// The field that names it.
        field: &'static str,
    },
}

impl CertificateFiles {
    /// The bundle judged against the root.
    pub fn bundle(&self, global: &Global) -> Result<Bundle, CtlError> {
        let (path, certificates, root) = self.material(global)?;
        let bundle = Bundle::new(&certificates, &root);
        Ok(bundle.map_err(|source| CertificatesError::Certificate { path, source })?)
    }

    /// The bundle's file and certificates, and the root.
    pub(super) fn material(
        &self,
        global: &Global,
    ) -> Result<(PathBuf, Vec<CertificateDer<'static>>, AuthorityRoot), CtlError> {
        let config = match (&self.certificates, &self.authority_root) {
            (Some(_), Some(_)) => None,
            _ => CtlConfig::read_if_present(global.config.as_deref())?,
        };
        let from_config = config.as_ref();
        let unnamed = |what, option, field| CertificatesError::Unnamed { what, option, field };
        let certificates = self.certificates.clone().or_else(|| from_config?.certificates.clone());
        let certificates =
            certificates.ok_or_else(|| unnamed("bundle of certificates", "certificates", "certificates"))?;
        let root = self.authority_root.clone().or_else(|| Some(from_config?.authority_root.clone()));
        let root = root.ok_or_else(|| unnamed("authority root", "authority-root", "authority_root"))?;
        let read_certificates = read(&certificates)?;
        let root = read_root(&root)?;
        Ok((certificates, read_certificates, root))
    }

    /// The same, but `None` where nothing names a bundle.
    pub fn bundle_if_named(&self, global: &Global) -> Result<Option<Bundle>, CtlError> {
        match self.bundle(global) {
            Ok(bundle) => Ok(Some(bundle)),
            Err(CtlError::Certificates(CertificatesError::Unnamed { .. })) if self.certificates.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn read_root(path: &Path) -> Result<AuthorityRoot, CertificatesError> {
    let der = read(path)?.swap_remove(0);
    AuthorityRoot::from_der(&der).map_err(|source| CertificatesError::Certificate { path: path.to_owned(), source })
}

/// Every certificate of a PEM file, at least one.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let failed = |source| CertificatesError::Pem { path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() { Err(CertificatesError::None { path: path.to_owned() }) } else { Ok(found) }
}
