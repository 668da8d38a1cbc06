//! `psdctl ledger show`.

use super::LedgerError;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::output::{count, hex, money, print, print_json, table};
use clap::Args;
use psd::authority::Period;
use psd::certification::Certification;
use psd::certifying::{RegisteredScale, TakenTable};
use psd::indicium::{DecodedDetails, Voucher};
use psd::inspection::InspectionPeriods;
use psd::record::{Applied, Event, Record};
use psdd_ledger::Reader;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `psdctl ledger show`.
#[derive(Args, Debug)]
pub struct Show {
    /// Directory of the ledger
    dir: PathBuf,
    /// Index of the record
    leaf: u64,
}

pub(super) fn run(global: &Global, command: &Show) -> Result<Exit, CtlError> {
    let reader = Reader::open(&command.dir).map_err(LedgerError::from)?;
    let found = reader.record(command.leaf).map_err(LedgerError::from)?;
    let found = found.ok_or(LedgerError::NoRecord(command.leaf))?;
    let fields = fields(command.leaf, found.record());
    if global.json {
        let fields: BTreeMap<&str, String> = fields.into_iter().collect();
        print_json(&fields)?;
    } else {
        print(&table(&[], &[], fields.into_iter().map(|(name, value)| vec![name.to_owned(), value])))?;
    }
    Ok(Exit::Done)
}

/// What a record says, in the order of its keys.
fn fields(leaf: u64, record: &Record) -> Vec<(&'static str, String)> {
    let mut fields = vec![("record", leaf.to_string()), ("time", record.at.to_string())];
    if let Some(stamp) = record.event.stamp() {
        let registers = &stamp.registers;
        fields.extend([
            ("psd", stamp.psd.to_string()),
            ("sequence", stamp.sequence.to_string()),
            ("ascending", money(registers.ascending())),
            ("descending", money(registers.descending())),
            ("control total", money(registers.control_total())),
            ("pieces", count(registers.piece_count())),
        ]);
    }
    let (event, more) = event_fields(&record.event);
    fields.insert(2, ("event", event.to_owned()));
    fields.extend(more);
    fields
}

fn event_fields(event: &Event) -> (&'static str, Vec<(&'static str, String)>) {
    match event {
        Event::Genesis(genesis) => (
            "genesis",
            vec![
                ("appliance", genesis.appliance.to_string()),
                ("environment", genesis.environment.as_str().to_owned()),
                ("operators", format!("{} of {}", genesis.quorum, genesis.operators.len())),
                ("log key", format!("{} in token {}", hex(&genesis.log_key_id), genesis.log_token)),
            ],
        ),
        Event::PsdCreated { tenant, licence, licensing_zip, format, limits, currency, zips, .. } => (
            "PSD created",
            vec![
                ("tenant", tenant.to_string()),
                ("licence", licence.to_string()),
                ("licensing ZIP", format!("{licensing_zip:05}")),
                ("layout", format.to_string()),
                ("currency", currency.to_string()),
                ("postage", format!("{} to {}", money(limits.smallest_postage), money(limits.largest_postage))),
                ("largest descending", money(limits.largest_descending)),
                ("refill", format!("{} to {}", money(limits.smallest_refill), money(limits.largest_refill))),
                ("destination ZIPs", zips.map_or_else(|| "all".to_owned(), |zips| zips.to_string())),
            ],
        ),
        Event::KeyCreated { key_id, role, token, spki, .. } => (
            "key created",
            vec![
                ("key", hex(key_id)),
                ("role", role.to_string()),
                ("token", token.to_string()),
                ("public key", hex(spki)),
            ],
        ),
        Event::KeyStateChanged { key_id, step, since, reason, .. } => {
            let mut fields =
                vec![("key", hex(key_id)), ("step", step.as_str().to_owned()), ("since", since.to_string())];
            fields.extend(reason.map(|reason| ("reason", reason.to_string())));
            ("key changed", fields)
        }
        Event::CeremonyBegun { number, digest, approvals, .. } => (
            "ceremony begun",
            vec![("ceremony", number.to_string()), ("file", hex(digest)), ("approvals", approvals.len().to_string())],
        ),
        Event::CeremonyStep { number, step, text } => (
            "ceremony step",
            vec![("ceremony", number.to_string()), ("step", step.to_string()), ("done", text.to_string())],
        ),
        Event::CeremonyEnded { number, end, .. } => {
            ("ceremony ended", vec![("ceremony", number.to_string()), ("end", end.as_str().to_owned())])
        }
        Event::OperatorsChanged { operators, quorum } => {
            let names: Vec<&str> = operators.iter().map(|operator| operator.name.as_str()).collect();
            ("operators changed", vec![("operators", names.join(", ")), ("quorum", quorum.to_string())])
        }
        Event::Revoked { subject, revocation } => (
            "revoked",
            vec![
                ("who", subject.to_string()),
                ("since", revocation.since.to_string()),
                ("reason", revocation.reason.to_string()),
            ],
        ),
        Event::CertificateInstalled { key_id, serial, chain, .. } => (
            "certificate installed",
            vec![("key", hex(key_id)), ("serial", serial.to_string()), ("certificates", chain.len().to_string())],
        ),
        Event::LifecycleChanged { lifecycle, locks, .. } => {
            let reasons: Vec<&str> = locks.reasons().map(psd::lifecycle::LockReason::as_str).collect();
            let locks = if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") };
            ("lifecycle changed", vec![("state", lifecycle.to_string()), ("locks", locks)])
        }
        Event::ValueRequested { tenant, value_sequence, amount, purpose, .. } => {
            let mut fields = value_fields(tenant, *value_sequence, *amount);
            fields.push(("for", purpose.as_str().to_owned()));
            fields.extend(purpose.refund().map(|leaf| ("spoiled mark", format!("leaf {leaf}"))));
            ("value requested", fields)
        }
        Event::ValueApplied { tenant, value_sequence, amount, applied, .. } => {
            let mut fields = value_fields(tenant, *value_sequence, *amount);
            match applied {
                Applied::Download { loaded } => fields.extend(Period::ALL.map(|period| match period {
                    Period::Day => ("licence, this day", money(loaded.day)),
                    Period::Month => ("licence, this month", money(loaded.month)),
                    Period::Year => ("licence, this year", money(loaded.year)),
                })),
                Applied::Refund(spoiled) => fields.push(("spoiled mark", format!("leaf {}", spoiled.leaf))),
            }
            ("value applied", fields)
        }
        Event::Withdrawn { tenant, value_sequence, amount, .. } => {
            ("withdrawn", value_fields(tenant, *value_sequence, *amount))
        }
        Event::InstructionTaken { purpose, number, .. } => {
            ("instruction taken", vec![("key", purpose.as_str().to_owned()), ("number", number.to_string())])
        }
        Event::CeilingSet { licence, period, amount } => (
            "ceiling set",
            vec![
                ("licence", licence.to_string()),
                ("period", period.as_str().to_owned()),
                ("at most", amount.map_or_else(|| "no ceiling".to_owned(), money)),
            ],
        ),
        Event::InspectionPeriodsSet { licence, periods } => {
            let hours = |of: fn(InspectionPeriods) -> u32| {
                periods.map_or_else(|| "never".to_owned(), |periods| format!("{} hours", of(periods)))
            };
            (
                "inspection periods set",
                vec![
                    ("licence", licence.to_string()),
                    ("warned after", hours(InspectionPeriods::warn_hours)),
                    ("locked after", hours(InspectionPeriods::block_hours)),
                ],
            )
        }
        Event::AuthorityPolicySet { version, text } => (
            "authority policy set",
            vec![
                ("version", version.to_string()),
                ("text, SHA-256", hex(&text.digest())),
                ("text", if text.as_str().is_empty() { "empty".to_owned() } else { text.as_str().to_owned() }),
            ],
        ),
        Event::AuditAccepted { digest, .. } => ("audit accepted", vec![("report, SHA-256", hex(digest))]),
        Event::KeyChangeOrdered { role, .. } => ("key change ordered", vec![("role", role.to_string())]),
        Event::ValueVoided { tenant, value_sequence, amount, .. } => {
            ("value download void", value_fields(tenant, *value_sequence, *amount))
        }
        Event::StateDigest { digest, psds } => {
            ("state digest", vec![("digest", hex(digest)), ("PSDs", psds.to_string())])
        }
        Event::Started { version, owner_epoch } => {
            ("daemon started", vec![("version", version.to_string()), ("owner epoch", hex(owner_epoch))])
        }
        Event::RefusalsNoted { tenant, code, count: times } => (
            "refusals noted",
            vec![("tenant", tenant.to_string()), ("code", code.to_string()), ("times", count(times))],
        ),
        Event::AuthorityKeyInstalled { purpose, certificate } => (
            "authority key installed",
            vec![("purpose", purpose.as_str().to_owned()), ("certificate", hex(certificate))],
        ),
        Event::Indicium(piece) => ("indicium", indicium_fields(piece)),
        Event::Certification(piece) => ("certification", certification_fields(piece)),
        Event::RunOpened { tenant, run, .. } => (
            "run opened",
            vec![
                ("tenant", tenant.to_string()),
                ("run", run.id.to_string()),
                ("manifest", hex(&run.digest)),
                ("date of mailing", run.date.to_string()),
                ("rated", format!("{} by {} version {}", run.class, run.rates, run.version)),
                (
                    "announced",
                    format!("{} pieces for {} ZIPs", count(run.announced()), count(run.destinations().len())),
                ),
                ("tariffs", run.tariffs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            ],
        ),
        Event::RunClosed { tenant, closed, .. } => (
            "run closed",
            vec![
                ("tenant", tenant.to_string()),
                ("run", closed.id.to_string()),
                ("opened by", closed.opened.to_string()),
                ("counted", format!("{} pieces", count(closed.pieces()))),
                ("owed", money(closed.owed)),
                ("debited before", money(closed.debited)),
                ("debited", money(closed.settled())),
                ("overpaid", money(closed.overpaid())),
            ],
        ),
        Event::RatesTaken(table) => ("rate table taken", table_fields(table)),
        Event::ScaleRegistered(scale) => ("scale registered", scale_fields(scale)),
        Event::ScaleRemoved { scale } => ("scale removed", vec![("scale", scale.to_string())]),
    }
}

fn table_fields(table: &TakenTable) -> Vec<(&'static str, String)> {
    let until = table.until.map_or_else(|| "a later version".to_owned(), |until| until.to_string());
    vec![
        ("rates", format!("{} version {}", table.name, table.version)),
        ("table, SHA-256", hex(&table.digest)),
        ("in force from", table.from.to_string()),
        ("until", until),
    ]
}

fn scale_fields(scale: &RegisteredScale) -> Vec<(&'static str, String)> {
    let mg = |weight| format!("{} mg", count(weight));
    let mut fields = vec![
        ("scale", scale.scale.to_string()),
        ("certificate", format!("{} of {}", scale.certificate, scale.issuer)),
        ("valid", format!("{} to {}", scale.from, scale.until)),
        (
            "weighs",
            format!("{} to {}, steps of {}", mg(scale.minimum_mg), mg(scale.capacity_mg), mg(scale.resolution_mg)),
        ),
        ("make", format!("{} {}", scale.maker, scale.model)),
        ("site", scale.site.to_string()),
        ("readings signed", scale.signed.as_str().to_owned()),
    ];
    fields.extend(scale.signed.spki().map(|spki| ("key", hex(spki))));
    fields
}

fn value_fields(tenant: &psd::TenantName, number: u64, amount: psd::PostageAmount) -> Vec<(&'static str, String)> {
    vec![("tenant", tenant.to_string()), ("download", number.to_string()), ("amount", money(amount))]
}

fn certification_fields(piece: &psd::record::CertifiedPiece) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("tenant", piece.tenant.to_string()),
        ("key", piece.key.to_string()),
        ("debited", money(piece.debited)),
        ("certification", hex(&piece.certification)),
    ];
    if let Ok(read) = psd::certification::decode(&piece.certification) {
        let Certification { date, destination, weighed, rated, due, paid, run, proof: _ } = read.certification;
        let proof = read
            .certifier
            .certificate_serial
            .map_or_else(|| "none: the log is the proof".to_owned(), |serial| serial.to_string());
        fields.push(("certificate", proof));
        fields.push(("due", money(due)));
        fields.push(("paid", money(paid.amount())));
        fields.extend(run.map(|run| ("run", run.to_string())));
        fields.push(("date of mailing", date.to_string()));
        fields.push(("destination", destination.to_string()));
        fields.push(("weight", format!("{} mg on scale {}", count(weighed.weight_mg), weighed.scale)));
        fields
            .push(("rated", format!("{} {} by {} version {}", rated.class, rated.tariff, rated.rates, rated.version)));
    }
    fields.extend(piece.mark.map(|mark| ("paid by", format!("{} at {}", mark.psd, money(mark.ascending)))));
    fields.extend(piece.reference.as_deref().map(|reference| ("reference", reference.to_owned())));
    fields
}

fn indicium_fields(piece: &psd::record::Indicium) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("tenant", piece.tenant.to_string()),
        ("key", piece.key.to_string()),
        ("postage", money(piece.postage)),
        ("symbol", hex(&piece.indicium)),
    ];
    if let Ok(decoded) = psd::indicium::decode(&piece.indicium) {
        fields.push(("certificate", decoded.certificate_serial.to_string()));
        match decoded.details {
            DecodedDetails::Postal(_) => fields.push(("date of mailing", decoded.date.to_string())),
            DecodedDetails::Voucher(voucher) => {
                let Voucher { kind, holder, validity } = voucher.details;
                fields.push(("kind", kind.to_string()));
                fields.extend(holder.map(|holder| ("holder", holder.as_str().to_owned())));
                fields.push(("valid", format!("{} to {}", validity.from(), validity.until())));
            }
        }
    }
    let optional = [
        ("recipient's hash", piece.recipient.map(|hash| hex(&hash))),
        ("reference", piece.reference.as_deref().map(str::to_owned)),
        ("digital token", piece.token.map(|token| token.to_string())),
        ("weight", piece.weight_g.map(|grams| format!("{} g", count(grams)))),
    ];
    fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    fields
}
