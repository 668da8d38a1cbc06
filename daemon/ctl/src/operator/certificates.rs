//! `psdctl operator requests` and `certificates`: between the appliance and the authority's CA.

use super::{OperatorConfig, OperatorError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, print_json, table, write_durably};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use psdd_wire::operator::{InstallResult, InstalledCertificate, RefusedCertificate, RequestView};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

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
    let requests = client.requests().await?;
    let failed = |source| OperatorError::File { path: command.dir.clone(), source };
    std::fs::create_dir_all(&command.dir).map_err(failed)?;
    let mut names = Vec::with_capacity(requests.len());
    for request in &requests {
        let path = command.dir.join(file_name(request));
        let pem = csr_pem(&request.csr);
        match std::fs::read(&path) {
            Ok(there) if there == pem.as_bytes() => {}
            Ok(_) => return Err(OperatorError::Exists(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_durably(&path, pem.as_bytes())?,
            Err(source) => return Err(OperatorError::File { path, source }),
        }
        names.push(path.display().to_string());
    }
    if global.json {
        print_json(&names)?;
    } else {
        print(&format!("{} certification requests in {}\n", names.len(), command.dir.display()))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn install(global: &Global, command: &Certificates) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let files = pem_files(&command.dir)?;
    let chains = files.iter().map(|path| chain(path)).collect::<Result<Vec<_>, _>>()?;
    let results = client.install(chains).await?;
    let refused = results.iter().filter(|result| matches!(result, InstallResult::Refused(_))).count();
    if global.json {
        print_json(&results)?;
    } else {
        let rows = files.iter().zip(&results).map(|(path, result)| row(path, result));
        let summary = format!("{} installed, {refused} refused\n", results.len() - refused);
        print(&format!("{}{summary}", table(&["file", "PSD", "role", "serial", ""], &[3], rows)))?;
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::Negative })
}

fn row(path: &Path, result: &InstallResult) -> Vec<String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match result {
        InstallResult::Installed(InstalledCertificate { psd, role, serial }) => {
            vec![file, psd.to_string(), role.clone(), serial.to_string(), "installed".to_owned()]
        }
        InstallResult::Refused(RefusedCertificate { problem }) => {
            vec![file, String::new(), String::new(), String::new(), problem.to_string()]
        }
    }
}

fn file_name(request: &RequestView) -> String {
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
