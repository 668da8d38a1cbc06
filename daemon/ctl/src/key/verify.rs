//! `psdctl key verify`: what the daemon says of its keys, against what the postal authority certified.

use crate::authority::AuthorityError;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::indicium::read_crl;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{print, print_json, table};
use clap::Args;
use psd::{PsdId, UnixMillis};
use psdd_client::verify::Revocations;
use psdd_client::verify::offline::Verdict as Judged;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::operator::{KeyState, OperatorKeyView};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `psdctl key verify`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl key verify --crl psd-ca.crl

Exit code 0: every key is good. 1: one is not. 2: a list cannot be gone by.
A key on a list is valid when signed if all it signed was before the revocation, and before it came into other hands where the list
says when; else what it signed since is not to be believed.")]
pub struct Verify {
    /// Only the keys of this PSD
    #[arg(long, value_name = "ID")]
    psd: Option<PsdId>,
    /// Revocation list of the authority, PEM or DER; may be given several times
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Verdict {
    psd: String,
    role: String,
    generation: u8,
    state: &'static str,
    good: bool,
    /// What the lists say, in the words of `indicium verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<&'static str>,
    finding: String,
}

/// What keys are held against.
struct Bench<'b> {
    root: &'b AuthorityRoot,
    /// `None` where no list was given.
    lists: Option<Revocations>,
    now: UnixMillis,
}

pub(super) async fn run(global: &Global, command: &Verify) -> Result<Exit, OperatorError> {
    let config = OperatorConfig::read(global.config.as_deref())?;
    let path = config.authority_root()?;
    let wrong = |problem: String| OperatorError::Certificate { path: path.to_owned(), problem };
    let der = CertificateDer::from_pem_file(path).map_err(|error| wrong(error.to_string()))?;
    let root = AuthorityRoot::from_der(&der).map_err(CtlError::Root)?;
    let (now, keys) = config.client()?.keys(command.psd).await?;
    let lists = lists(command, &keys, &root)?;
    let bench = Bench { root: &root, lists, now: UnixMillis(now) };
    let verdicts: Vec<Verdict> = keys.iter().map(|key| bench.verdict(key)).collect();
    let bad = verdicts.iter().filter(|verdict| !verdict.good).count();
    if global.json {
        print_json(&verdicts)?;
    } else {
        let rows = verdicts.iter().map(|verdict| {
            let Verdict { psd, role, generation, state, good, finding, .. } = verdict;
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
        let checked = if bench.lists.is_some() { "checked" } else { "not checked; name lists with --crl" };
        let (table, good) = (table(&headings, &[2], rows), verdicts.len() - bad);
        print(&format!("{table}{good} good, {bad} bad\nrevocation by the authority: {checked}\n"))?;
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Negative })
}

/// The lists given, each verified under the issuers that the keys' chains bring, and refused where a newer one is due.
fn lists(
    command: &Verify,
    keys: &[OperatorKeyView],
    root: &AuthorityRoot,
) -> Result<Option<Revocations>, OperatorError> {
    if command.crls.is_empty() {
        return Ok(None);
    }
    let now = psdd_authority::serve::now().map_err(AuthorityError::from).map_err(CtlError::from)?;
    let mut issuers: Vec<&[u8]> = Vec::new();
    for issuer in keys.iter().flat_map(|key| key.chain.iter().skip(1)) {
        if !issuers.contains(&issuer.as_slice()) {
            issuers.push(issuer);
        }
    }
    let mut lists = Revocations::default();
    for path in &command.crls {
        lists.add_crl(&read_crl(path, &issuers, root, now).map_err(CtlError::from)?);
    }
    Ok(Some(lists))
}

impl Bench<'_> {
    fn verdict(&self, key: &OperatorKeyView) -> Verdict {
        let listed = self.lists.as_ref().and_then(|lists| listed(lists, key, self.now));
        let (good, finding) = match (self.judge(key), &listed) {
            (Ok(finding), None) => (true, finding),
            (Ok(_), Some(revoked)) => told(key, revoked),
            (Err(finding), None) => (false, finding),
            (Err(finding), Some(revoked)) => (false, format!("{finding}; {}", told(key, revoked).1)),
        };
        Verdict {
            psd: key.psd.to_string(),
            role: key.role.clone(),
            generation: key.generation,
            state: key.state.as_str(),
            good,
            revocation: listed.map(|revoked| revoked.code()),
            finding,
        }
    }

    /// What holds, or what does not, but for the lists.
    fn judge(&self, key: &OperatorKeyView) -> Result<String, String> {
        if key.chain.is_empty() {
            return match key.state {
                KeyState::Created | KeyState::Revoked | KeyState::Destroyed => Ok("no certificate".to_owned()),
                KeyState::Certified | KeyState::Active | KeyState::Superseded | KeyState::Retired => {
                    // A secret key has no public half that could be certified.
                    if key.spki.is_empty() { Ok("secret key".to_owned()) } else { Err("no certificate".to_owned()) }
                }
            };
        }
        let certified = self.root.certify(&key.chain).map_err(|error| error.to_string())?;
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
        if self.now < from {
            return Err(format!("valid only from {from}"));
        }
        let expired = self.now > to;
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
}

/// What the lists say of a key that signed up to its end, or up to now.
fn listed(lists: &Revocations, key: &OperatorKeyView, now: UnixMillis) -> Option<Judged> {
    let last = match (key.activated, key.ended) {
        // A key that never was in use has signed nothing.
        (None, _) => UnixMillis(0),
        (Some(_), Some(ended)) => UnixMillis(ended),
        (Some(_), None) => now,
    };
    lists.judge_key(key.serial?, last)
}

/// A key on a list: good where all it signed was before, and nothing more will be.
fn told(key: &OperatorKeyView, listed: &Judged) -> (bool, String) {
    let in_use = matches!(key.state, KeyState::Active | KeyState::Certified);
    match listed {
        Judged::ValidWhenSigned { since, reason } if in_use => {
            (false, format!("revoked since {since} ({reason}), and the appliance would still sign with it"))
        }
        Judged::ValidWhenSigned { since, reason } => {
            (true, format!("valid when signed: all it signed was before; revoked since {since} ({reason})"))
        }
        Judged::KeyCompromised { since } => (false, format!("in other hands since {since}; it signed later")),
        Judged::SignedAfterRevocation { since, reason } if in_use => {
            (false, format!("revoked since {since} ({reason}), and the appliance still signs with it"))
        }
        Judged::SignedAfterRevocation { since, reason } => {
            let until = key.ended.map(UnixMillis).map_or_else(String::new, |until| format!(" up to {until}"));
            (false, format!("revoked since {since} ({reason}), and it signed after that{until}"))
        }
        // Of a key, the lists say one of the above.
        other => (false, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::PostageAmount;
    use psd::custody::RevocationReason::{self, KeyCompromise, Superseded};
    use psdd_wire::crl::{Crl, RevokedCertificate};

    const NOW: UnixMillis = UnixMillis(10_000);

    fn key(state: KeyState, used: Option<u64>, ended: Option<u64>) -> OperatorKeyView {
        OperatorKeyView {
            psd: "PS010000000001".parse().unwrap(),
            role: "indicium".to_owned(),
            spki: Vec::new(),
            chain: Vec::new(),
            ended,
            state,
            token: "main".to_owned(),
            value: PostageAmount::ZERO,
            key_id: Vec::new(),
            pieces: 0,
            serial: Some(7),
            created: 1,
            ordered: None,
            activated: used,
            algorithm: "ecdsa-p256".to_owned(),
            not_after: None,
            residence: "resident".to_owned(),
            waits_for: None,
            generation: 1,
            acknowledged: None,
            next_rotation: None,
        }
    }

    fn list(since: u64, reason: RevocationReason, lost: Option<u64>) -> Revocations {
        let revoked = RevokedCertificate { since: UnixMillis(since), reason, invalid_since: lost.map(UnixMillis) };
        let mut lists = Revocations::default();
        lists.add_crl(&Crl { this_update: NOW, next_update: NOW, revoked: [(7, revoked)].into() });
        lists
    }

    #[test]
    fn valid_when_signed_and_revoked_since_are_told_apart() {
        use KeyState::{Active, Certified, Created, Destroyed, Revoked, Superseded as Over};
        let at = list(5_000, Superseded, None);
        let lost = list(5_000, KeyCompromise, Some(3_000));
        let rows = [
            ("over before", &at, key(Over, Some(1), Some(4_000)), "valid-when-signed", true),
            ("over at that very time", &at, key(Over, Some(1), Some(5_000)), "valid-when-signed", true),
            ("over after", &at, key(Over, Some(1), Some(5_001)), "signed-after-revocation", false),
            ("still in use", &at, key(Active, Some(1), None), "signed-after-revocation", false),
            ("about to be used", &at, key(Certified, None, None), "valid-when-signed", false),
            ("never used", &at, key(Created, None, None), "valid-when-signed", true),
            ("revoked here as well, after", &at, key(Revoked, Some(1), Some(6_000)), "signed-after-revocation", false),
            ("destroyed before", &at, key(Destroyed, Some(1), Some(4_000)), "valid-when-signed", true),
            ("over before it was lost", &lost, key(Over, Some(1), Some(3_000)), "valid-when-signed", true),
            ("over between", &lost, key(Over, Some(1), Some(4_000)), "key-compromised", false),
        ];
        for (name, lists, key, verdict, good) in rows {
            let judged = listed(lists, &key, NOW).unwrap();
            assert_eq!((judged.code(), told(&key, &judged).0), (verdict, good), "{name}");
        }
        let other = OperatorKeyView { serial: Some(8), ..key(Active, Some(1), None) };
        assert_eq!(listed(&at, &other, NOW), None);
    }
}
