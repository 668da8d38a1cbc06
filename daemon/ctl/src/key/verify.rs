//! `psdctl key verify`: what the daemon says of its keys, against what the postal authority certified.

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{print, print_json, table};
use clap::Args;
use psd::{PsdId, UnixMillis};
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::operator::{KeyState, OperatorKeyView};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

/// Arguments of `psdctl key verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Only the keys of this PSD
    #[arg(long, value_name = "ID")]
    psd: Option<PsdId>,
}

#[derive(Serialize)]
struct Verdict {
    psd: String,
    role: String,
    generation: u8,
    state: &'static str,
    good: bool,
    finding: String,
}

pub(super) async fn run(global: &Global, command: &Verify) -> Result<Exit, OperatorError> {
    let config = OperatorConfig::read(global.config.as_deref())?;
    let path = config.authority_root()?;
    let wrong = |problem: String| OperatorError::Certificate { path: path.to_owned(), problem };
    let der = CertificateDer::from_pem_file(path).map_err(|error| wrong(error.to_string()))?;
    let root = AuthorityRoot::from_der(&der).map_err(CtlError::Root)?;
    let (now, keys) = config.client()?.keys(command.psd).await?;
    let verdicts: Vec<Verdict> = keys.iter().map(|key| verdict(key, &root, UnixMillis(now))).collect();
    let bad = verdicts.iter().filter(|verdict| !verdict.good).count();
    if global.json {
        print_json(&verdicts)?;
    } else {
        let rows = verdicts.iter().map(|verdict| {
            let Verdict { psd, role, generation, state, good, finding } = verdict;
            let word = if *good { "good" } else { "BAD" };
            vec![
                psd.clone(),
                role.clone(),
                generation.to_string(),
                (*state).to_owned(),
                word.to_owned(),
                finding.clone(),
            ]
        });
        let headings = ["PSD", "role", "gen", "state", "verdict", ""];
        print(&format!("{}{} good, {bad} bad\n", table(&headings, &[2], rows), verdicts.len() - bad))?;
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Negative })
}

fn verdict(key: &OperatorKeyView, root: &AuthorityRoot, now: UnixMillis) -> Verdict {
    let (good, finding) = match judge(key, root, now) {
        Ok(finding) => (true, finding),
        Err(finding) => (false, finding),
    };
    let (psd, role) = (key.psd.to_string(), key.role.clone());
    Verdict { psd, role, generation: key.generation, state: key.state.as_str(), good, finding }
}

/// What holds, or what does not.
fn judge(key: &OperatorKeyView, root: &AuthorityRoot, now: UnixMillis) -> Result<String, String> {
    if key.chain.is_empty() {
        return match key.state {
            KeyState::Created | KeyState::Revoked | KeyState::Destroyed => Ok("no certificate".to_owned()),
            KeyState::Certified | KeyState::Active | KeyState::Superseded | KeyState::Retired => {
                // A secret key has no public half that could be certified.
                if key.spki.is_empty() { Ok("secret key".to_owned()) } else { Err("no certificate".to_owned()) }
            }
        };
    }
    let certified = root.certify(&key.chain).map_err(|error| error.to_string())?;
    if certified.spki() != key.spki {
        return Err("the certificate is of another key".to_owned());
    }
    if certified.psd() != Some(key.psd) {
        return Err(format!("the certificate is of {}", certified.subject()));
    }
    if key.serial != Some(certified.serial()) {
        return Err(format!("the certificate has serial {}, told is another", certified.serial()));
    }
    let (from, to) = certified.window();
    if now < from {
        return Err(format!("valid only from {from}"));
    }
    let expired = now > to;
    match key.state {
        KeyState::Active | KeyState::Certified if expired => Err(format!("expired at {to}")),
        KeyState::Created => Err("certified, and told to have no certificate".to_owned()),
        KeyState::Active
        | KeyState::Certified
        | KeyState::Superseded
        | KeyState::Retired
        | KeyState::Destroyed
        | KeyState::Revoked => Ok(format!("serial {}, valid to {to}", certified.serial())),
    }
}
