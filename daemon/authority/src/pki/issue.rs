//! The CA of PSD keys: a certificate for every request that a new PSD's token signed.
//!
//! A certificate is in the books before it is in a file: its serial number is never used for another key, and a run that was interrupted
//! writes the same certificate again.

use super::files::{FileError, read};
use super::profile::issuer;
use super::request::{Request, Subject, of_subject};
use super::{PkiError, made};
use crate::books::{Books, Fault, PsdKey, RegisterError, Registered};
use crate::directory::AuthorityDir;
use psd::key::Role;
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use rcgen::CertificateSigningRequestParams;
use std::path::{Path, PathBuf};

/// What is to be certified, for whom.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Directory with `PSD-ROLE.csr` and `PSD-ROLE-GENERATION.csr`; certificates are written beside them as `.pem`.
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
    /// The generation.
    pub generation: u8,
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

/// A request and the file it was in.
struct Asked {
    path: PathBuf,
    request: Request,
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
        for asked in &requests {
            let sign = |serial| asked.request.certificate(serial, &ca, now).map_err(IssueError::from);
            let place = (order.appliance, order.licence);
            match entry.certify(&asked.request.key, place, order.renew, now, sign)? {
                Ok(registered) => done.push((asked, registered)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok::<_, Fault>(Ok(()))
    });
    let outcome = outcome.map_err(PkiError::from)?;
    let mut issued = Vec::with_capacity(done.len());
    for (Asked { path, request }, registered) in done {
        let (serial, der, known) = match registered {
            Registered::New(serial, der) => (serial, der, false),
            Registered::Known(serial, der) => (serial, der, true),
        };
        let file = path.with_extension("pem");
        // Not synced: a file that a crash takes is written again by the next run, from the books.
        std::fs::write(&file, format!("{}{ca_pem}", pem("CERTIFICATE", &der)))
            .map_err(|source| PkiError::File(FileError { path: file.clone(), source }))?;
        let PsdKey { psd, role, generation, .. } = request.key;
        issued.push(IssuedKey { psd, role, generation, serial, known, file });
    }
    outcome.map(|()| issued)
}

fn requests(exchange: &Path) -> Result<Vec<Asked>, IssueError> {
    let listed = std::fs::read_dir(exchange).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listed = listed.map_err(|source| PkiError::File(FileError { path: exchange.to_owned(), source }))?;
    let mut paths: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csr"));
    paths.sort();
    paths.into_iter().map(request).collect()
}

fn request(path: PathBuf) -> Result<Asked, IssueError> {
    let refused = |rule| IssueError::Request { path: path.clone(), rule };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(subject_named);
    let subject = stem.ok_or_else(|| {
        refused("the name of a request is PSD-ROLE.csr or PSD-ROLE-GENERATION.csr, with ROLE indicium, certification or device")
    })?;
    let text = read(&path).map_err(PkiError::from)?;
    let read = CertificateSigningRequestParams::from_pem(&text).map_err(made(&path.display().to_string()))?;
    let request = of_subject(read, subject).map_err(refused)?;
    Ok(Asked { path, request })
}

/// PSD-ROLE for the first generation, PSD-ROLE-GENERATION for any.
fn subject_named(stem: &str) -> Option<Subject> {
    let (psd, rest) = stem.split_once('-')?;
    let (role, generation) = match rest.split_once('-') {
        Some((role, generation)) => {
            (role, generation.parse().ok().filter(|number: &u8| number.to_string() == generation)?)
        }
        None => (rest, 1),
    };
    let subject = Subject { psd: psd.parse().ok()?, role: Role::certified_named(role)?, generation };
    (generation > 0).then_some(subject)
}

/// Bytes as PEM (RFC 7468). rcgen writes certificates and lists of its own making only; these may come from the books.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
