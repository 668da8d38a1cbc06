//! `psdctl ceremony approve`: offline, and what is shown is what is signed.

use super::file;
use super::plan::rendered;
use crate::cli::Global;
use crate::error::Exit;
use crate::operator::{KeyPlace, OperatorError};
use crate::output::{hex, print, print_json, write_durably};
use clap::Args;
use psd::OperatorName;
use psdd_wire::ceremony::{Approval, Subject};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

/// Arguments of `psdctl ceremony approve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  psdctl ceremony approve rotate.toml --key ada.key --operator ada
  psdctl ceremony approve rotate.toml --operator ada \\
    --key 'pkcs11:token=ada;object=operator?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/ada.pin'
Without pin-source or pin-value the PIN is asked for at the terminal. The approval is rotate.toml.ada.approval; anyone may carry it.")]
pub struct Approve {
    /// The ceremony file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The operator's private key: a file (PKCS#8 PEM), or a PKCS#11 URI (RFC 7512)
    #[arg(long, value_name = "FILE|URI")]
    key: KeyPlace,
    /// The operator's name on the list
    #[arg(long, value_name = "NAME")]
    operator: OperatorName,
    /// Where the approval goes; else FILE.NAME.approval
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not ask for the confirmation
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(global: &Global, command: &Approve) -> Result<Exit, OperatorError> {
    let ceremony = file::ceremony(&command.file)?;
    approve(global, command, Subject::Ceremony(&ceremony))
}

pub(super) fn approve(global: &Global, command: &Approve, subject: Subject<'_>) -> Result<Exit, OperatorError> {
    let digest = subject.digest();
    if !global.json {
        print(&rendered(&subject.effects(), &digest))?;
    }
    if !command.yes {
        confirm(&hex(&digest))?;
    }
    let key = command.key.open()?;
    let bytes = Approval::sign(subject, &command.operator, key.as_ref())?;
    let out = command.out.clone().unwrap_or_else(|| beside(&command.file, &command.operator));
    write_durably(&out, &bytes)?;
    if global.json {
        print_json(&serde_json::json!({
            "approval": out.display().to_string(),
            "operator": command.operator.as_str(),
            "digest": hex(&digest),
            "effects": subject.effects(),
        }))?;
    } else {
        print(&format!("approved by {} in {}\n", command.operator, out.display()))?;
    }
    Ok(Exit::Done)
}

/// The digest's first digits are typed, so that nobody approves without having looked at what is approved.
fn confirm(digest: &str) -> Result<(), OperatorError> {
    let first: String = digest.chars().take(8).collect();
    let stderr = &mut io::stderr();
    let asked = write!(stderr, "type the first 8 digits of the SHA-256 to approve: ").and_then(|()| stderr.flush());
    let terminal = |source| OperatorError::File { path: PathBuf::from("terminal"), source };
    asked.map_err(terminal)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(terminal)?;
    let typed: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    if typed.eq_ignore_ascii_case(&first) { Ok(()) } else { Err(OperatorError::NotConfirmed) }
}

fn beside(file: &Path, operator: &OperatorName) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{operator}.approval"));
    PathBuf::from(name)
}
