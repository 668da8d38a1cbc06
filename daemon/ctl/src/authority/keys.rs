//! `psdctl authority keys`, `revoke`, `crl` and `countersign`.

use super::{At, AuthorityError, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, print, print_json, table, write_durably};
use clap::Args;
use psd::custody::RevocationReason;
use psd::key::Role;
use psd::{PsdId, UnixMillis};
use psdd_authority::books::{CertifiedView, CrlIssuer, KeyRevocation, Revoke as Order};
use psdd_authority::pki::{countersign as signed, list_pem, write_list};
use serde::Serialize;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Arguments of `psdctl authority keys`.
#[derive(Args, Debug)]
pub struct Keys {
    #[command(flatten)]
    at: At,
    /// Of this PSD only
    #[arg(long)]
    psd: Option<PsdId>,
}

/// Arguments of `psdctl authority revoke`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority revoke /srv/authority PS010000000001 indicium --generation 1 --reason keyCompromise \\
    --invalid-since 2026-11-05T00:00:00Z
  psdctl authority crl /srv/authority --out psd-ca.crl

There is no way back: a revoked key stays revoked, and the first reason stays.")]
pub struct Revoke {
    #[command(flatten)]
    at: At,
    /// The PSD
    psd: PsdId,
    /// indicium, certification or device
    #[arg(value_parser = role)]
    role: Role,
    /// Generation of the key; the newest where none is named
    #[arg(long)]
    generation: Option<u8>,
    /// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long)]
    reason: RevocationReason,
    /// Since when the key may be in other hands, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    invalid_since: Option<UnixMillis>,
}

/// Arguments of `psdctl authority crl`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority crl /srv/authority --out psd-ca.crl
  openssl crl -in psd-ca.crl -CAfile /srv/authority/ca/psd-ca.pem -noout -text")]
pub struct Crl {
    #[command(flatten)]
    at: At,
    /// The list of the root, for its subordinates; takes the root's key
    #[arg(long)]
    root: bool,
    /// How long it is good
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Where it goes as well, PEM
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `psdctl authority countersign`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority countersign /srv/authority genesis.toml --out genesis.countersignature

It is signed with the root's key: bring DIR/root back for it, and carry it away again.")]
pub struct Countersign {
    #[command(flatten)]
    at: At,
    /// The genesis file, as the operators approved it
    file: PathBuf,
    /// Let the keys of this appliance lie in a software token
    #[arg(long)]
    permit_software_token: bool,
    /// Where the countersignature goes; beside the file where none is named
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct KeyView {
    psd: String,
    role: String,
    generation: u8,
    serial: u32,
    issued: String,
    expires: String,
    state: String,
}

fn role(word: &str) -> Result<Role, String> {
    let known = Role::certified_named(word);
    known.ok_or_else(|| "one of indicium, certification, device".to_owned())
}

pub(super) fn instant(text: &str) -> Result<UnixMillis, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| error.to_string())?;
    let seconds = u64::try_from(time.unix_timestamp()).map_err(|_before| "a time after 1970".to_owned())?;
    seconds.checked_mul(1000).map(UnixMillis).ok_or_else(|| "a time of this age".to_owned())
}

pub(super) fn keys(global: &Global, command: &Keys) -> Result<Exit, AuthorityError> {
    let (_, mut books) = command.at.books()?;
    let now = now()?;
    let views: Vec<KeyView> = books.certified_keys(command.psd)?.iter().map(|key| view(key, now)).collect();
    if global.json {
        print_json(&views)?;
        return Ok(Exit::Done);
    }
    let number = count(views.len());
    let rows = views.into_iter().map(|key| {
        let (generation, serial) = (key.generation.to_string(), key.serial.to_string());
        vec![key.psd, key.role, generation, serial, key.issued, key.expires, key.state]
    });
    let headings = ["PSD", "role", "generation", "serial", "issued", "expires", "state"];
    print(&format!("{}{number} keys\n", table(&headings, &[2, 3], rows)))?;
    Ok(Exit::Done)
}

fn view(key: &CertifiedView, now: UnixMillis) -> KeyView {
    let expires = expiry(&key.der);
    let state = match (&key.revocation, expires) {
        (Some(revocation), _) => format!("revoked since {}", told(revocation)),
        (None, Some(end)) if end < now => "expired".to_owned(),
        (None, _) if key.newest => "newest".to_owned(),
        (None, _) => "superseded".to_owned(),
    };
    KeyView {
        psd: key.psd.to_string(),
        role: key.role.clone(),
        generation: key.generation,
        serial: key.serial,
        issued: key.issued.to_string(),
        expires: expires.map_or_else(|| "unreadable".to_owned(), |end| end.to_string()),
        state,
    }
}

fn told(revocation: &KeyRevocation) -> String {
    let KeyRevocation { since, reason, invalid_since } = revocation;
    let lost = invalid_since.map(|since| format!(", in other hands since {since}")).unwrap_or_default();
    format!("{since} ({reason}{lost})")
}

fn expiry(der: &[u8]) -> Option<UnixMillis> {
    let certificate = Certificate::from_der(der).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
    end.checked_mul(1000).map(UnixMillis)
}

pub(super) fn revoke(global: &Global, command: &Revoke) -> Result<Exit, AuthorityError> {
    let (_, mut books) = command.at.books()?;
    let Revoke { psd, role, generation, reason, invalid_since, .. } = *command;
    let revoked = books.revoke_key(&Order { psd, role, generation, reason, invalid_since }, now()?)??;
    let (serial, generation) = (revoked.serial, revoked.generation);
    if global.json {
        print_json(&serde_json::json!({
            "psd": psd.to_string(), "role": role.to_string(), "generation": generation, "serial": serial,
            "since": revoked.revocation.since.to_string(), "reason": revoked.revocation.reason.as_str(),
            "new": !revoked.repeated,
        }))?;
    } else {
        let before = if revoked.repeated { "was revoked before, and nothing is changed: " } else { "is revoked: " };
        let next = "publish it with `psdctl authority crl`";
        let told = told(&revoked.revocation);
        print(&format!("{role} key {generation} of {psd}, certificate {serial}, {before}since {told}; {next}\n"))?;
    }
    Ok(Exit::Done)
}

pub(super) fn crl(global: &Global, command: &Crl) -> Result<Exit, AuthorityError> {
    let (dir, mut books) = command.at.books()?;
    let of = if command.root { CrlIssuer::Root } else { CrlIssuer::PsdCa };
    let list = write_list(&dir, &mut books, of, command.days, now()?)?;
    let path = match of {
        CrlIssuer::PsdCa => dir.psd_crl(),
        CrlIssuer::Root => dir.root_crl(),
    };
    if let Some(out) = &command.out {
        write_durably(out, list_pem(&list.der).as_bytes())?;
    }
    let path = command.out.as_ref().unwrap_or(&path).display().to_string();
    let next = list.next_update.to_string();
    if global.json {
        print_json(&serde_json::json!({
            "list": path, "number": list.number, "revoked": list.revoked, "next_update": next,
        }))?;
    } else {
        let (number, revoked) = (list.number, count(list.revoked));
        print(&format!("revocation list {number} in {path}: {revoked} certificates, good until {next}\n"))?;
    }
    Ok(Exit::Done)
}

pub(super) fn countersign(global: &Global, command: &Countersign) -> Result<Exit, AuthorityError> {
    let dir = command.at.authority();
    let permit = command.permit_software_token;
    let done = signed(&dir, &command.file, permit, now()?)?;
    let mut beside = command.file.clone().into_os_string();
    beside.push(".countersignature");
    let out = command.out.clone().unwrap_or_else(|| PathBuf::from(beside));
    write_durably(&out, &done.bytes)?;
    let (out, environment) = (out.display().to_string(), done.environment.as_str());
    if global.json {
        print_json(&serde_json::json!({
            "appliance": done.appliance, "environment": environment, "permit_software_token": permit,
            "countersignature": out,
        }))?;
    } else {
        let token = if permit { "its keys may lie in a software token" } else { "no software token is permitted" };
        print(&format!(
            "{environment} appliance {} may be born; {token}. Countersignature in {out}\n",
            done.appliance
        ))?;
    }
    Ok(Exit::Done)
}
