//! `psdctl authority lock`, `unlock`, `ceiling`, `acknowledge`, `inspection-periods`, `accept-audit`, `revoke-key` and `change-key`: signed
//! instructions, to be carried to the appliance by whoever can reach it.

use super::keys::instant;
use super::{At, AuthorityError, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, print_json, write_durably};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum, value_parser};
use psd::custody::{Revocation, RevocationReason};
use psd::inspection::{InspectionPeriods, PeriodsError};
use psd::key::Role;
use psd::{ApplianceId, LicenceNumber, PostageAmount, PsdId, UnixMillis};
use psdd_authority::audit_report::check_report;
use psdd_authority::instructions::{self, Act, LockBy};
use psdd_wire::ceremony::act::PSD_ROLES;
use std::path::PathBuf;

/// What every instruction has.
#[derive(Args, Debug)]
pub struct Order {
    #[command(flatten)]
    pub(super) at: At,
    /// The appliance it is for
    #[arg(long)]
    pub(super) appliance: ApplianceId,
    /// How long it can be carried out, hours
    #[arg(long, value_name = "HOURS", default_value_t = 72, value_parser = value_parser!(u32).range(1..=8760))]
    valid: u32,
    /// Write the instruction (COSE_Sign1, bytes) to a file instead of printing it as base64
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `psdctl authority lock` and `unlock`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority lock /srv/authority --appliance post-1 --psd PS010000000001 --out lock.cose")]
pub struct Lock {
    #[command(flatten)]
    order: Order,
    /// The PSD
    #[arg(long, value_name = "ID")]
    psd: PsdId,
    /// Whose lock: each is ended by the same key only
    #[arg(long, value_enum, default_value_t = By::Inspection)]
    by: By,
}

/// Arguments of `psdctl authority ceiling`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority ceiling /srv/authority --appliance post-1 --licence L-1000 --amount 20000.00 --period month")]
pub struct Ceiling {
    #[command(flatten)]
    order: Order,
    /// The licence
    #[arg(long)]
    licence: LicenceNumber,
    /// Most value that is loaded under it in a period; without one the ceiling is lifted
    #[arg(long)]
    amount: Option<PostageAmount>,
    /// When the count begins anew, in UTC
    #[arg(long, value_enum, default_value_t = Period::Month)]
    period: Period,
}

/// Arguments of `psdctl authority acknowledge`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority acknowledge /srv/authority --appliance post-1 --psd PS010000000001 --serial 1004 --out known.cose")]
pub struct Acknowledge {
    #[command(flatten)]
    order: Order,
    /// The PSD
    #[arg(long, value_name = "ID")]
    psd: PsdId,
    /// Serial number of the certificate that verifiers know now; `psdctl authority keys` lists them
    #[arg(long, value_name = "NUMBER")]
    serial: u32,
}

/// Arguments of `psdctl authority inspection-periods`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority inspection-periods /srv/authority --appliance post-1 --licence L-1000 --warn 1440 --block 2160")]
pub struct Periods {
    #[command(flatten)]
    order: Order,
    /// The licence
    #[arg(long)]
    licence: LicenceNumber,
    /// Hours without an inspection after which it is warned; without --warn and --block inspections are never due
    #[arg(long, value_name = "HOURS", requires = "block")]
    warn: Option<u32>,
    /// Hours without an inspection after which a PSD signs nothing: 72 to 2880
    #[arg(long, value_name = "HOURS", requires = "warn")]
    block: Option<u32>,
}

/// Arguments of `psdctl authority accept-audit`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority accept-audit /srv/authority --appliance post-1 --psd PS010000000001 --report PS010000000001.cose")]
pub struct AcceptAudit {
    #[command(flatten)]
    order: Order,
    /// The PSD
    #[arg(long, value_name = "ID")]
    psd: PsdId,
    /// The report (COSE_Sign1, bytes), which `psdctl inspect --reports` has judged and written
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
}

/// Arguments of `psdctl authority revoke-key`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority revoke-key /srv/authority --appliance post-1 --psd PS010000000001 --serial 1004 \\
    --reason keyCompromise --since 2026-11-05T00:00:00Z --out revoked.cose

The appliance's key signs nothing more from the moment the instruction is taken. `psdctl authority revoke` enters the certificate in the
authority's own list as well.")]
pub struct RevokeKey {
    #[command(flatten)]
    order: Order,
    /// The PSD
    #[arg(long, value_name = "ID")]
    psd: PsdId,
    /// Serial number of the key's certificate; `psdctl authority keys` lists them
    #[arg(long, value_name = "NUMBER")]
    serial: u32,
    /// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long)]
    reason: RevocationReason,
    /// From then on the key is not to be trusted, RFC 3339; from now on where none is named
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<UnixMillis>,
}

/// Arguments of `psdctl authority change-key`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority change-key /srv/authority --appliance post-1 --psd PS010000000001 --role indicium --out change.cose")]
pub struct ChangeKey {
    #[command(flatten)]
    order: Order,
    /// The PSD
    #[arg(long, value_name = "ID")]
    psd: PsdId,
    /// indicium, certification, device, token-mac or postal-mac
    #[arg(long, value_parser = role)]
    role: Role,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum By {
    /// The inspection key, lock reason `authority`
    Inspection,
    /// The funds key, lock reason `funds`
    Funds,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Period {
    Day,
    Month,
    Year,
}

impl From<By> for LockBy {
    fn from(by: By) -> Self {
        match by {
            By::Inspection => LockBy::Inspection,
            By::Funds => LockBy::Funds,
        }
    }
}

impl From<Period> for instructions::Period {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Day,
            Period::Month => Self::Month,
            Period::Year => Self::Year,
        }
    }
}

pub(super) fn lock(global: &Global, command: &Lock) -> Result<Exit, AuthorityError> {
    instruct(global, &command.order, &Act::Lock(command.psd, command.by.into()))
}

pub(super) fn unlock(global: &Global, command: &Lock) -> Result<Exit, AuthorityError> {
    instruct(global, &command.order, &Act::Unlock(command.psd, command.by.into()))
}

pub(super) fn ceiling(global: &Global, command: &Ceiling) -> Result<Exit, AuthorityError> {
    let act = Act::Ceiling(command.licence.clone(), command.amount, command.period.into());
    instruct(global, &command.order, &act)
}

pub(super) fn acknowledge(global: &Global, command: &Acknowledge) -> Result<Exit, AuthorityError> {
    instruct(global, &command.order, &Act::Acknowledge(command.psd, command.serial))
}

pub(super) fn inspection_periods(global: &Global, command: &Periods) -> Result<Exit, AuthorityError> {
    let periods = command.warn.zip(command.block).map(|(warn, block)| InspectionPeriods::new(warn, block));
    let periods = periods.transpose().map_err(|source| {
        let option = match source {
            PeriodsError::Warn => "--warn",
            PeriodsError::Block => "--block",
        };
        AuthorityError::Periods { option, source }
    })?;
    instruct(global, &command.order, &Act::InspectionPeriods(command.licence.clone(), periods))
}

pub(super) fn accept_audit(global: &Global, command: &AcceptAudit) -> Result<Exit, AuthorityError> {
    let path = &command.report;
    let report = std::fs::read(path).map_err(|source| AuthorityError::Unreadable { path: path.clone(), source })?;
    let digest = check_report(&mut command.order.at.books()?.1, &command.order.appliance, command.psd, &report)?;
    let digest = digest.map_err(|source| AuthorityError::Report { path: path.clone(), source })?;
    instruct(global, &command.order, &Act::AcceptAudit(command.psd, digest))
}

pub(super) fn revoke_key(global: &Global, command: &RevokeKey) -> Result<Exit, AuthorityError> {
    let since = command.since.map_or_else(now, Ok)?;
    let revocation = Revocation { since, reason: command.reason };
    instruct(global, &command.order, &Act::RevokeKey(command.psd, command.serial, revocation))
}

pub(super) fn change_key(global: &Global, command: &ChangeKey) -> Result<Exit, AuthorityError> {
    instruct(global, &command.order, &Act::ChangeKey(command.psd, command.role))
}

fn role(word: &str) -> Result<Role, String> {
    let known = PSD_ROLES.into_iter().find(|role| role.to_string() == word);
    known.ok_or_else(|| "one of indicium, certification, device, token-mac, postal-mac".to_owned())
}

/// Signs an instruction and gives it out.
pub(super) fn instruct(global: &Global, order: &Order, act: &Act) -> Result<Exit, AuthorityError> {
    let (dir, mut books) = order.at.books()?;
    let now = now()?;
    let expires = UnixMillis(now.0 + u64::from(order.valid) * 3_600_000);
    let signed = instructions::instruct(&dir, &mut books, &order.appliance, act, expires, now)?;
    let (purpose, sequence) = (signed.purpose.as_str(), signed.sequence);
    if let Some(path) = &order.out {
        write_durably(path, &signed.bytes)?;
    }
    let text = STANDARD.encode(&signed.bytes);
    if global.json {
        print_json(&serde_json::json!({
            "appliance": order.appliance.as_str(),
            "purpose": purpose,
            "sequence": sequence,
            "expires": expires.to_string(),
            "instruction": text,
        }))?;
    } else if let Some(path) = &order.out {
        print(&format!(
            "instruction no. {sequence} of the {purpose} key for {} in {}, good until {expires}\n",
            order.appliance,
            path.display()
        ))?;
    } else {
        print(&format!("{text}\n"))?;
    }
    Ok(Exit::Done)
}
