//! `psdctl key list` and `show`.

use crate::cli::Global;
use crate::error::Exit;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{count, hex, money, print, print_json, table};
use clap::Args;
use psd::{PsdId, UnixMillis};
use psdd_wire::operator::OperatorKeyView;
use serde::Serialize;

const DAY_MS: u64 = 86_400_000;

/// Arguments of `psdctl key list`.
#[derive(Args, Debug)]
pub struct List {
    /// Only the keys of this PSD
    #[arg(long, value_name = "ID")]
    psd: Option<PsdId>,
}

/// Arguments of `psdctl key show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The PSD
    #[arg(value_name = "PSD")]
    psd: PsdId,
    /// Only keys of this role
    #[arg(long)]
    role: Option<String>,
    /// Only this generation
    #[arg(long)]
    generation: Option<u8>,
}

#[derive(Serialize)]
struct Row {
    psd: String,
    role: String,
    generation: u8,
    algorithm: String,
    state: &'static str,
    residence: String,
    token: String,
    key_id: String,
    age_days: u64,
    created: String,
    ordered: Option<String>,
    activated: Option<String>,
    pieces: u64,
    value: String,
    certificate: Option<u32>,
    not_after: Option<String>,
    acknowledged: Option<String>,
    waits_for: Option<String>,
    next_rotation: Option<String>,
    spki: String,
}

pub(super) async fn list(global: &Global, command: &List) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let (now, keys) = client.keys(command.psd).await?;
    if global.json {
        print_json(&keys.iter().map(|key| row(now, key)).collect::<Vec<_>>())?;
    } else {
        print(&drawn(now, &keys))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn show(global: &Global, command: &Show) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let (now, mut keys) = client.keys(Some(command.psd)).await?;
    keys.retain(|key| command.role.as_ref().is_none_or(|role| *role == key.role));
    keys.retain(|key| command.generation.is_none_or(|generation| generation == key.generation));
    if keys.is_empty() {
        let role = command.role.clone().unwrap_or_default();
        return Err(OperatorError::NoKey { psd: command.psd.to_string(), role });
    }
    let rows: Vec<Row> = keys.iter().map(|key| row(now, key)).collect();
    if global.json {
        print_json(&rows)?;
    } else {
        print(&rows.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Exit::Done)
}

fn row(now: u64, key: &OperatorKeyView) -> Row {
    Row {
        psd: key.psd.to_string(),
        role: key.role.clone(),
        generation: key.generation,
        algorithm: key.algorithm.clone(),
        state: key.state.as_str(),
        residence: key.residence.clone(),
        token: key.token.clone(),
        key_id: hex(&key.key_id),
        age_days: age_days(now, key),
        created: UnixMillis(key.created).to_string(),
        ordered: key.ordered.map(|time| UnixMillis(time).to_string()),
        activated: key.activated.map(|time| UnixMillis(time).to_string()),
        pieces: key.pieces,
        value: key.value.to_string(),
        certificate: key.serial,
        not_after: key.not_after.map(|time| UnixMillis(time).to_string()),
        acknowledged: key.acknowledged.map(|time| UnixMillis(time).to_string()),
        waits_for: key.waits_for.clone(),
        next_rotation: next(key),
        spki: hex(&key.spki),
    }
}

fn age_days(now: u64, key: &OperatorKeyView) -> u64 {
    // A key that is younger than the daemon's last reading of its clock is of today.
    now.checked_sub(key.created).map_or(0, |age| age / DAY_MS)
}

fn next(key: &OperatorKeyView) -> Option<String> {
    let next = key.next_rotation.as_ref()?;
    Some(match next.time {
        Some(time) => format!("{} ({})", day(time), next.reason),
        None => next.reason.clone(),
    })
}

fn waits(what: Option<&str>) -> Option<String> {
    what.map(|what| format!("waits for {what}"))
}

fn day(time: u64) -> String {
    UnixMillis(time).to_string().chars().take(10).collect()
}

fn drawn(now: u64, keys: &[OperatorKeyView]) -> String {
    let headings = [
        "PSD",
        "role",
        "gen",
        "state",
        "age",
        "pieces",
        "value",
        "certificate",
        "valid to",
        "residence",
        "next rotation",
    ];
    let rows = keys.iter().map(|key| {
        vec![
            key.psd.to_string(),
            format!("{} ({})", key.role, key.algorithm),
            key.generation.to_string(),
            key.state.as_str().to_owned(),
            format!("{} d", count(age_days(now, key))),
            count(key.pieces),
            money(key.value),
            key.serial.map_or_else(|| "none".to_owned(), |serial| serial.to_string()),
            key.not_after.map_or_else(String::new, day),
            format!("{} in {}", key.residence, key.token),
            next(key).or_else(|| waits(key.waits_for.as_deref())).unwrap_or_default(),
        ]
    });
    let word = if keys.len() == 1 { "key" } else { "keys" };
    let active = keys.iter().filter(|key| key.state == psdd_wire::operator::KeyState::Active).count();
    format!(
        "{}{} {word}, {} active, read at {}\n",
        table(&headings, &[2, 4, 5, 6, 7], rows),
        count(keys.len()),
        count(active),
        UnixMillis(now)
    )
}

fn shown(row: &Row) -> String {
    let none = || "none".to_owned();
    let lines = [
        ("key", format!("{} {} generation {}", row.psd, row.role, row.generation)),
        ("state", row.state.to_owned()),
        ("algorithm", row.algorithm.clone()),
        ("residence", format!("{} in token {}", row.residence, row.token)),
        ("key id", row.key_id.clone()),
        ("created", format!("{} ({} days ago)", row.created, row.age_days)),
        ("activated", row.activated.clone().unwrap_or_else(none)),
        ("signed", format!("{} pieces, {}", count(row.pieces), row.value)),
        ("certificate", row.certificate.map_or_else(none, |serial| serial.to_string())),
        ("valid to", row.not_after.clone().unwrap_or_else(none)),
        ("acknowledged", row.acknowledged.clone().unwrap_or_else(none)),
        ("waits for", row.waits_for.clone().unwrap_or_else(|| "nothing".to_owned())),
        ("change ordered", row.ordered.as_ref().map_or_else(none, |time| format!("{time}, by the authority"))),
        ("next rotation", row.next_rotation.clone().unwrap_or_else(none)),
        ("public key", row.spki.clone()),
    ];
    lines.iter().map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}
