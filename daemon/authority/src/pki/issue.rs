//! The CA of PSD keys: a certificate for every request that a new PSD's token signed.
//!
//! A certificate is in the books before it is in a file: its serial number is never used for another key, and a run that was interrupted
//! writes the same certificate again.

use super::files::{FileError, read};
use super::profile::{Ca, YEAR, as_signer, issuer, params};
use super::{PkiError, made};
use crate::books::{Books, Fault, PsdKey, RegisterError, Registered};
use crate::directory::AuthorityDir;
use psd::key::Role;
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use rcgen::{CertificateSigningRequestParams, DnType, DnValue, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls_pki_types::CertificateDer;
use std::path::{Path, PathBuf};

/// What is to be certified, for whom.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Directory with `PSD-ROLE.csr`; certificates are written beside them as `PSD-ROLE.pem`.
    pub exchange: &'a Path,
    /// The appliance of the PSDs.
    pub appliance: &'a ApplianceId,
    /// The licence they are registered under.
    pub licence: &'a LicenceNumber,
    /// Whether a PSD that has a key of a role may get another.
    pub renew: bool,
}

/// A certified key.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// The PSD.
    pub psd: PsdId,
    /// The role.
    pub role: Role,
    /// Serial number of the certificate.
    pub serial: u32,
    /// Whether it was certified before.
    pub known: bool,
    /// The certificate and its issuer, PEM.
    pub file: PathBuf,
}

/// Why a request was not granted. Those before it, in the order of their names, were.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Keys, certificates, files, books.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The books do not allow it.
    #[error(transparent)]
    Register(RegisterError),
    /// The request is not one for this PSD and role.
    #[error("{}: {rule}", .path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// What it breaks.
        rule: &'static str,
    },
}

/// A request that was read; reading it verifies its signature: whoever asks has the key.
struct Request {
    path: PathBuf,
    key: PsdKey,
    public: rcgen::PublicKey,
}

/// Certifies every request in a directory and registers its PSD. What was certified before keeps its certificate.
pub fn issue(
    dir: &AuthorityDir,
    books: &mut Books,
    order: &Order<'_>,
    now: UnixMillis,
) -> Result<Vec<IssuedKey>, IssueError> {
    let ca = issuer(&dir.psd_ca(), &dir.psd_ca_key())?;
    let ca_pem = read(&dir.psd_ca()).map_err(PkiError::from)?;
    let requests = requests(order.exchange)?;
    let mut done = Vec::with_capacity(requests.len());
    // One transaction for all: what stands before a refused request stays.
    let outcome = books.enter(|entry| {
        for request in &requests {
            let sign = |serial| certificate(request, serial, &ca, now).map_err(IssueError::from);
            let place = (order.appliance, order.licence);
            match entry.certify(&request.key, place, order.renew, now, sign)? {
                Ok(registered) => done.push((request, registered)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok::<_, Fault>(Ok(()))
    });
    let outcome = outcome.map_err(PkiError::from)?;
    let mut issued = Vec::with_capacity(done.len());
    for (request, registered) in done {
        let (serial, der, known) = match registered {
            Registered::New(serial, der) => (serial, der, false),
            Registered::Known(serial, der) => (serial, der, true),
        };
        let file = request.path.with_extension("pem");
        // Not synced: a file that a crash takes is written again by the next run, from the books.
        std::fs::write(&file, format!("{}{ca_pem}", pem(&der)))
            .map_err(|source| PkiError::File(FileError { path: file.clone(), source }))?;
        issued.push(IssuedKey { psd: request.key.psd, role: request.key.role, serial, known, file });
    }
    outcome.map(|()| issued)
}

fn requests(exchange: &Path) -> Result<Vec<Request>, IssueError> {
    let listed = std::fs::read_dir(exchange).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listed = listed.map_err(|source| PkiError::File(FileError { path: exchange.to_owned(), source }))?;
    let mut paths: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csr"));
    paths.sort();
    paths.into_iter().map(request).collect()
}

fn request(path: PathBuf) -> Result<Request, IssueError> {
    let refused = |rule| IssueError::Request { path: path.clone(), rule };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.split_once('-'));
    let name = "the name of a request is PSD-ROLE.csr, with ROLE indicium or device";
    let (psd, role) = stem.ok_or_else(|| refused(name))?;
    let psd: PsdId = psd.parse().ok().ok_or_else(|| refused(name))?;
    let role = [Role::Indicium, Role::Device].into_iter().find(|known| known.to_string() == role);
    let role = role.ok_or_else(|| refused(name))?;
    let text = read(&path).map_err(PkiError::from)?;
    let read = CertificateSigningRequestParams::from_pem(&text).map_err(made(&path.display().to_string()))?;
    let subject = &read.params.distinguished_name;
    let says = |kind: &DnType, wanted: &str| subject.get(kind).and_then(text_of) == Some(wanted);
    if !says(&DnType::CommonName, &psd.to_string()) || !says(&DnType::OrganizationalUnitName, &role.to_string()) {
        return Err(refused("the subject is not CN=PSD,OU=ROLE as its name says"));
    }
    if *read.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
        return Err(refused("the key is not on P-256"));
    }
    let key = PsdKey { psd, role, spki: read.public_key.subject_public_key_info() };
    Ok(Request { key, public: read.public_key, path })
}

fn text_of(value: &DnValue) -> Option<&str> {
    match value {
        DnValue::Utf8String(text) => Some(text),
        DnValue::PrintableString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// Only the key and the names come from the request: what else it asks for is not granted.
fn certificate(request: &Request, serial: u32, ca: &Ca, now: UnixMillis) -> Result<Vec<u8>, PkiError> {
    let (psd, role) = (request.key.psd.to_string(), request.key.role.to_string());
    let mut params = params((&psd, Some(&role), "PSD"), serial, (now, YEAR * 5))?;
    as_signer(&mut params);
    let signed = params.signed_by(&request.public, ca).map_err(made(&psd))?;
    Ok(signed.der().to_vec())
}

fn pem(der: &[u8]) -> String {
    // rcgen writes certificates of its own making only; this one may come from the books.
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(CertificateDer::from(der));
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
