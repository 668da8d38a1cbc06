//! `psdctl operator requests` and `certificates`: between the appliance and the authority's CA.

use super::{OperatorConfig, OperatorError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, print, print_json, table};
use crate::progress::{bar, counter};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use psdd_wire::operator::{InstallResult, InstalledCertificate, MOST_CHAINS, RefusedCertificate, RequestView};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use x509_cert::der::DecodePem;
use x509_cert::request::{CertReq, CertReqInfo};

/// Of more certificates than these, only the refused ones are shown.
const MOST_TABLE_ROWS: usize = 40;

/// Arguments of `psdctl operator requests`.
#[derive(Args, Debug)]
pub struct Requests {
    /// Where the requests go; files of the same name are replaced only by the same request
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `psdctl operator certificates`.
#[derive(Args, Debug)]
pub struct Certificates {
    /// Directory with the certificates, each in a PEM file with its issuers after it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) async fn requests(global: &Global, command: &Requests) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let failed = |source| OperatorError::File { path: command.dir.clone(), source };
    std::fs::create_dir_all(&command.dir).map_err(failed)?;
    let bar = counter("certification requests");
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = client.requests_page(after.as_deref()).await?;
        for request in &page {
            let path = command.dir.join(request_file(request));
            keep(&path, &csr_pem(&request.csr))?;
            names.push(path.display().to_string());
            bar.inc(1);
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    // Once for all files: each by itself would cost more than its signature.
    let directory = File::open(&command.dir).map_err(failed)?;
    rustix::fs::syncfs(&directory).map_err(|error| failed(error.into()))?;
    bar.finish_and_clear();
    if global.json {
        print_json(&names)?;
    } else {
        print(&format!("{} certification requests in {}\n", count(names.len()), command.dir.display()))?;
    }
    Ok(Exit::Done)
}

/// Writes a request, unless one for the same key and name is there: the token signs differently each time. What is no request, such as a file that
/// was cut off, is written again.
fn keep(path: &Path, pem: &str) -> Result<(), OperatorError> {
    let failed = |source| OperatorError::File { path: path.to_owned(), source };
    match std::fs::read(path) {
        Ok(there) => match (asked(&there), asked(pem.as_bytes())) {
            (Some(there), Some(new)) if there == new => return Ok(()),
            (Some(_), _) => return Err(OperatorError::Exists(path.to_owned())),
            (None, _) => {}
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed(source)),
    }
    std::fs::write(path, pem).map_err(failed)
}

/// What a request asks for: subject and public key.
fn asked(pem: &[u8]) -> Option<CertReqInfo> {
    CertReq::from_pem(pem).ok().map(|request| request.info)
}

/// What became of the certificates of one file.
#[derive(Serialize)]
struct Brought {
    file: String,
    #[serde(flatten)]
    result: Told,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    /// By the appliance.
    Judged(InstallResult),
    /// Here: it never came to the appliance.
    Unreadable { problem: String },
}

impl Brought {
    fn is_refused(&self) -> bool {
        !matches!(self.result, Told::Judged(InstallResult::Installed(_)))
    }

    fn row(&self) -> Vec<String> {
        let nameless = |problem: String| vec![self.file.clone(), String::new(), String::new(), String::new(), problem];
        match &self.result {
            Told::Judged(InstallResult::Installed(InstalledCertificate { psd, role, serial })) => {
                vec![self.file.clone(), psd.to_string(), role.clone(), serial.to_string(), "installed".to_owned()]
            }
            Told::Judged(InstallResult::Refused(RefusedCertificate { problem })) => nameless(problem.to_string()),
            Told::Unreadable { problem } => nameless(problem.clone()),
        }
    }
}

pub(super) async fn install(global: &Global, command: &Certificates) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let files = pem_files(&command.dir)?;
    let bar = bar(files.len(), "certificates");
    let mut brought: Vec<Brought> = Vec::with_capacity(files.len());
    for part in files.chunks(MOST_CHAINS) {
        let read: Vec<_> = part.iter().map(|path| chain(path)).collect();
        let chains: Vec<_> = read.iter().filter_map(|chain| chain.as_ref().ok().cloned()).collect();
        let mut judged = if chains.is_empty() { Vec::new() } else { client.install(chains).await? }.into_iter();
        for (path, read) in part.iter().zip(read) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let result = match read {
                Ok(_) => judged.next().map(Told::Judged),
                Err(error) => Some(Told::Unreadable { problem: error.to_string() }),
            };
            brought.extend(result.map(|result| Brought { file, result }));
        }
        bar.inc(u64::try_from(part.len()).unwrap_or(0));
    }
    bar.finish_and_clear();
    let refused = brought.iter().filter(|brought| brought.is_refused()).count();
    if global.json {
        print_json(&brought)?;
    } else {
        // Nobody reads ten thousand rows that say the same.
        let all = brought.len() <= MOST_TABLE_ROWS;
        let rows: Vec<_> = brought.iter().filter(|brought| all || brought.is_refused()).map(Brought::row).collect();
        if !rows.is_empty() {
            print(&table(&["file", "PSD", "role", "serial", ""], &[3], rows))?;
        }
        let again =
            if refused == 0 { "" } else { "; what was refused changed nothing, and the command can be repeated" };
        print(&format!("{} installed, {} refused{again}\n", count(brought.len() - refused), count(refused)))?;
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::Negative })
}

/// The name of the file that a request goes into, by which the authority knows what it is for.
pub fn request_file(request: &RequestView) -> String {
    let RequestView { psd, role, generation, .. } = request;
    // The role comes over the wire and must not name another directory.
    let role: String = role.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if *generation == 1 { format!("{psd}-{role}.csr") } else { format!("{psd}-{role}-{generation}.csr") }
}

/// A certification request as PEM (RFC 7468).
pub fn csr_pem(csr: &[u8]) -> String {
    let text = STANDARD.encode(csr);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}

fn pem_files(dir: &Path) -> Result<Vec<PathBuf>, OperatorError> {
    let failed = |source| OperatorError::File { path: dir.to_owned(), source };
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut files: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "pem")).collect();
    files.sort();
    if files.is_empty() { Err(OperatorError::NoCertificates(dir.to_owned())) } else { Ok(files) }
}

/// The certificates of a PEM file, DER, in their order.
pub fn chain(path: &Path) -> Result<Vec<Vec<u8>>, OperatorError> {
    let wrong = |problem: String| OperatorError::Certificate { path: path.to_owned(), problem };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let found = found.map(|der| der.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no certificate in it".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn request(key: &KeyPair) -> String {
        CertificateParams::new(Vec::<String>::new()).unwrap().serialize_request(key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_request_is_written_once_for_each_key_and_again_where_it_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("PS010000000001-indicium.csr");
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let first = request(&key);
        keep(&path, &first).unwrap();
        let again = request(&key);
        assert_ne!(again, first, "ECDSA signs with randomness");
        keep(&path, &again).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        assert!(matches!(keep(&path, &request(&other)), Err(OperatorError::Exists(_))));
        std::fs::write(&path, &first[..first.len() / 2]).unwrap();
        keep(&path, &again).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), again);
    }
}
