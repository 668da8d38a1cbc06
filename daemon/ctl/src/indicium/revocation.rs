//! Lists of revoked keys from files: X.509 revocation lists of the authority, and the status list of an appliance.

use super::certificates::{CertificateFiles, CertificatesError};
use crate::cli::Global;
use crate::error::CtlError;
use clap::Args;
use psd::UnixMillis;
use psdd_client::verify::{AuthorityRoot, Revocations};
use psdd_wire::crl::Crl;
use psdd_wire::status::StatusList;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateRevocationListDer, SubjectPublicKeyInfoDer};
use std::path::{Path, PathBuf};

/// A revocation list from a file, PEM or DER, verified.
pub fn read_crl<D: AsRef<[u8]>>(
    path: &Path,
    issuers: &[D],
    root: &AuthorityRoot,
    now: UnixMillis,
) -> Result<Crl, CertificatesError> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| CertificatesError::Unreadable { path: path.to_owned(), source })?;
    // A SEQUENCE, where PEM begins with hyphens or an explanation.
    let der = if bytes.first() == Some(&0x30) {
        CertificateRevocationListDer::from(bytes)
    } else {
        let list = CertificateRevocationListDer::from_pem_slice(&bytes);
        list.map_err(|source| CertificatesError::Pem { path: path.to_owned(), source })?
    };
    Crl::verify(&der, issuers, root, now).map_err(|source| CertificatesError::Crl { path: path.to_owned(), source })
}

/// Where the lists are.
#[derive(Args, Debug, Clone, Default)]
pub struct RevocationFiles {
    /// Revocation list of the authority, PEM or DER; may be given several times
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// Status list of an appliance
    #[arg(long, value_name = "FILE", requires = "log_key")]
    status: Option<PathBuf>,
    /// Log key of that appliance, PEM (PUBLIC KEY)
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
}

impl RevocationFiles {
    /// Whether there is any.
    pub fn are_named(&self) -> bool {
        !self.crls.is_empty() || self.status.is_some()
    }

    /// What the lists say; each is verified, and refused where a newer one is due.
    pub fn read(&self, files: &CertificateFiles, global: &Global, now: UnixMillis) -> Result<Revocations, CtlError> {
        let mut revocations = Revocations::default();
        if !self.crls.is_empty() {
            let (_, certificates, root) = files.material(global)?;
            for path in &self.crls {
                revocations.add_crl(&read_crl(path, &certificates, &root, now)?);
            }
        }
        if let (Some(path), Some(key)) = (&self.status, &self.log_key) {
            let spki = SubjectPublicKeyInfoDer::from_pem_file(key);
            let spki = spki.map_err(|source| CertificatesError::Pem { path: key.clone(), source })?;
            let bytes = std::fs::read(path);
            let bytes = bytes.map_err(|source| CertificatesError::Unreadable { path: path.clone(), source })?;
            let list = StatusList::verify(&bytes, &spki, None, now);
            revocations.add_status(&list.map_err(|source| CertificatesError::Status { path: path.clone(), source })?);
        }
        Ok(revocations)
    }
}
