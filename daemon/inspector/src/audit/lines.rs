//! The lines of a report as text. What the device says and what the log says are written by the same hand and are then compared.

use psd::UnixMillis;
use psdd_wire::audit::{Asserted, AuditKey, Logged};
use std::collections::BTreeMap;

pub(super) fn key_name(role: &str, generation: u8) -> String {
    format!("key {role} {generation}")
}

/// What the log must prove.
pub(super) fn logged(logged: &Logged) -> Vec<(String, String)> {
    let registers = &logged.registers;
    let pending = logged.pending.as_ref().map_or_else(
        || "nothing".to_owned(),
        |pending| format!("{} no. {} of {}", pending.purpose, pending.sequence, pending.amount),
    );
    let download = logged.last_download.as_ref().map_or_else(
        || NOT_TOLD.to_owned(),
        |last| format!("no. {} of {} at {}, record {}", last.sequence, last.amount, UnixMillis(last.time), last.leaf),
    );
    let lines = [
        ("sequence", logged.sequence.to_string()),
        (
            "registers",
            format!(
                "ascending {} + descending {} = {}, {} pieces",
                registers.ascending, registers.descending, registers.control_total, registers.pieces
            ),
        ),
        ("state", logged.state.clone()),
        ("locks", if logged.locks.is_empty() { "none".to_owned() } else { logged.locks.join(", ") }),
        ("licence", logged.licence.to_string()),
        ("tenant", logged.tenant.to_string()),
        ("format", logged.format.clone()),
        ("currency", logged.currency.to_string()),
        ("environment", logged.environment.clone()),
        ("downloads", logged.downloads.to_string()),
        ("last download", download),
        ("pending", pending),
    ];
    let lines = lines.into_iter().map(|(name, text)| (name.to_owned(), text));
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    let keys = logged.keys.iter().map(|key| {
        let name = key_name(&key.role, key.generation);
        let number = named.entry(name.clone()).or_default();
        *number += 1;
        // Nobody honest has two of one generation; each is held against its own.
        let name = if *number > 1 { format!("{name}, no. {number}") } else { name };
        (name, of_key(key))
    });
    lines.chain(keys).collect()
}

/// Of a last download that a report leaves out: one that came after its record is left out rightly.
pub(super) const NOT_TOLD: &str = "none told";

fn of_key(key: &AuditKey) -> String {
    let at = |time: Option<u64>| time.map_or_else(|| "never".to_owned(), |time| UnixMillis(time).to_string());
    let certificate = key.certificate.as_ref().map_or_else(|| "none".to_owned(), |digest| hex(digest));
    format!(
        "{} since {}; {} pieces of {}; {}, {}, id {}; made {}, first used {}; certificate {} until {}, SHA-256 {certificate}",
        super::word::state_word(key.state),
        UnixMillis(key.since),
        key.pieces,
        key.value,
        key.algorithm,
        key.residence,
        hex(&key.key_id),
        UnixMillis(key.created),
        at(key.activated),
        key.serial.map_or_else(|| "none".to_owned(), |serial| serial.to_string()),
        at(key.not_after),
    )
}

/// What the device alone says.
pub(super) fn asserted(asserted: &Asserted) -> Vec<(String, String)> {
    let clock = match (&asserted.clock, &asserted.clock_stopped) {
        (Some(clock), _) => {
            format!(
                "{} by {}, within {} ms, epoch {}",
                UnixMillis(clock.time),
                clock.source,
                clock.error_ms,
                clock.epoch
            )
        }
        (None, Some(why)) => format!("no trusted time: {why}"),
        (None, None) => "no trusted time".to_owned(),
    };
    let hsm = &asserted.hsm;
    let scrub = asserted.scrub.as_ref().map_or_else(
        || "none since the program started".to_owned(),
        |scrub| {
            let found = scrub.finding.as_deref().unwrap_or("nothing found");
            format!("ended at {}, {} records: {found}", UnixMillis(scrub.time), scrub.records)
        },
    );
    let binary = asserted.binary.as_ref().map_or_else(|| "digest unknown".to_owned(), |digest| hex(digest));
    let last = asserted
        .last_audit
        .map_or_else(|| "none since the program started".to_owned(), |at| UnixMillis(at).to_string());
    let inspection = asserted.inspection.as_ref().map_or_else(
        || "never due".to_owned(),
        |next| format!("last at {}, due by {}", UnixMillis(next.last), UnixMillis(next.due)),
    );
    let lines = [
        ("clock", clock),
        (
            "token",
            format!(
                "{} {}, serial {}, firmware {}, {} ({})",
                hsm.manufacturer, hsm.model, hsm.serial, hsm.firmware, hsm.family, hsm.validated
            ),
        ),
        ("program", format!("psdd {}, SHA-256 {binary}", asserted.version)),
        ("scrub", scrub),
        ("inspection", inspection),
        ("report before", last),
    ];
    lines.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
