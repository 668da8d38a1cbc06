//! Record → bytes.

use super::certifying::write_certifying;
use super::map::MapWriter;
use super::{Applied, CertifiedPiece, Environment, Event, Genesis, Indicium, Record, Stamp};
use crate::device::Purpose;
use crate::governance::Subject;
use crate::id::TenantName;
use crate::limits::Limits;
use crate::run::{ClosedRun, Run};

impl Record {
    /// The bytes of the leaf: deterministic CBOR (RFC 8949 §4.2.1).
    pub fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(320);
        self.encode_into(&mut buffer);
        buffer
    }

    /// The same into a buffer that is used again and again; what it held is gone.
    pub fn encode_into(&self, buffer: &mut Vec<u8>) {
        let mut map = MapWriter::new(std::mem::take(buffer));
        map.uint(0, self.event.kind());
        map.uint(1, self.at.time.0);
        map.uints(2, &[u64::from(self.at.source.number()), u64::from(self.at.error_ms), u64::from(self.at.epoch)]);
        if let Some(stamp) = self.event.stamp() {
            write_stamp(&mut map, stamp);
        }
        write_event(&mut map, &self.event);
        *buffer = map.finish();
    }
}

impl Event {
    /// The number of the kind (docs/ledger.md, "Kinds").
    pub const fn kind(&self) -> u64 {
        match self {
            Event::Genesis(_) => 1,
            Event::KeyCreated { .. } => 2,
            Event::PsdCreated { .. } => 3,
            Event::CertificateInstalled { .. } => 4,
            Event::LifecycleChanged { .. } => 5,
            Event::ValueRequested { purpose: Purpose::Download | Purpose::Refund(_), .. } => 6,
            Event::ValueApplied { applied: Applied::Download { .. }, .. } => 7,
            Event::StateDigest { .. } => 8,
            Event::Started { .. } => 9,
            Event::RefusalsNoted { .. } => 10,
            Event::ValueVoided { .. } => 11,
            Event::AuthorityKeyInstalled { .. } => 12,
            Event::ValueApplied { applied: Applied::Refund(_), .. } => 13,
            Event::ValueRequested { purpose: Purpose::Withdrawal, .. } => 14,
            Event::Withdrawn { .. } => 15,
            Event::Indicium(_) => 16,
            Event::InstructionTaken { .. } => 17,
            Event::CeilingSet { .. } => 18,
            Event::KeyStateChanged { .. } => 19,
            Event::CeremonyBegun { .. } => 20,
            Event::CeremonyStep { .. } => 21,
            Event::CeremonyEnded { .. } => 22,
            Event::OperatorsChanged { .. } => 23,
            Event::Revoked { .. } => 24,
            Event::InspectionPeriodsSet { .. } => 25,
            Event::AuditAccepted { .. } => 26,
            Event::KeyChangeOrdered { .. } => 27,
            Event::AuthorityPolicySet { .. } => 28,
            Event::Certification(_) => 29,
            Event::RunOpened { .. } => 30,
            Event::RunClosed { .. } => 31,
            Event::RatesTaken(_) => 32,
            Event::ScaleRegistered(_) => 33,
            Event::ScaleRemoved { .. } => 34,
        }
    }
}

fn write_stamp(map: &mut MapWriter, stamp: &Stamp) {
    let registers = &stamp.registers;
    map.text(3, stamp.psd.text().as_str());
    map.uint(4, stamp.sequence);
    map.uints(
        5,
        &[
            registers.ascending().mills(),
            registers.descending().mills(),
            registers.control_total().mills(),
            registers.piece_count(),
        ],
    );
}

fn limits_numbers(limits: &Limits) -> [u64; 5] {
    [
        limits.smallest_postage.mills(),
        limits.largest_postage.mills(),
        limits.largest_descending.mills(),
        limits.smallest_refill.mills(),
        limits.largest_refill.mills(),
    ]
}

fn write_event(map: &mut MapWriter, event: &Event) {
    match event {
        Event::Genesis(genesis) => write_genesis(map, genesis),
        Event::PsdCreated { tenant, licence, licensing_zip, format, software_id, limits, currency, zips, .. } => {
            map.text(8, tenant.as_str());
            map.text(9, licence.as_str());
            map.uint(10, u64::from(*licensing_zip));
            map.text(11, format);
            map.bytes(12, software_id);
            map.uints(13, &limits_numbers(limits));
            map.text(14, currency.as_str());
            if let Some(zips) = zips {
                map.uints(15, &[u64::from(zips.low()), u64::from(zips.high())]);
            }
        }
        Event::KeyCreated { key_id, role, algorithm, token, spki, wrapped, .. } => {
            map.bytes(8, key_id);
            map.uint(9, u64::from(role.number()));
            map.uint(10, u64::from(algorithm.number()));
            map.text(11, token);
            map.bytes(12, spki);
            if let Some(wrapped) = wrapped {
                map.bytes(13, wrapped);
            }
        }
        Event::KeyStateChanged { key_id, step, since, reason, .. } => {
            map.bytes(8, key_id);
            map.uint(9, u64::from(step.number()));
            map.uint(10, since.0);
            if let Some(reason) = reason {
                map.uint(11, u64::from(reason.number()));
            }
        }
        Event::CeremonyBegun { .. }
        | Event::CeremonyStep { .. }
        | Event::CeremonyEnded { .. }
        | Event::OperatorsChanged { .. }
        | Event::Revoked { .. } => write_governance(map, event),
        Event::CertificateInstalled { key_id, serial, chain, .. } => {
            map.bytes(8, key_id);
            map.uint(9, u64::from(*serial));
            map.byte_strings(10, chain.iter().map(AsRef::as_ref));
        }
        Event::LifecycleChanged { lifecycle, locks, .. } => {
            map.uint(8, u64::from(lifecycle.number()));
            map.uint(9, u64::from(locks.bits()));
        }
        Event::ValueRequested { tenant, value_sequence, amount, request: signed, .. }
        | Event::ValueApplied { tenant, value_sequence, amount, authorisation: signed, .. }
        | Event::ValueVoided { tenant, value_sequence, amount, statement: signed, .. } => {
            map.text(8, tenant.as_str());
            map.uint(9, *value_sequence);
            map.uint(10, amount.mills());
            map.bytes(11, signed);
            match event {
                Event::ValueRequested { purpose: Purpose::Refund(spoiled), .. }
                | Event::ValueApplied { applied: Applied::Refund(spoiled), .. } => {
                    map.uint(12, spoiled.leaf);
                    map.uint(13, spoiled.ascending.mills());
                }
                Event::ValueApplied { applied: Applied::Download { loaded }, .. } => {
                    map.uints(12, &[loaded.day.mills(), loaded.month.mills(), loaded.year.mills()]);
                }
                _ => {}
            }
        }
        Event::Withdrawn { tenant, value_sequence, amount, acknowledgement, report, .. } => {
            map.text(8, tenant.as_str());
            map.uint(9, *value_sequence);
            map.uint(10, amount.mills());
            map.bytes(11, acknowledgement);
            map.bytes(12, report);
        }
        Event::InstructionTaken { purpose, number, instruction } => {
            map.uint(8, u64::from(purpose.number()));
            map.uint(9, *number);
            map.bytes(10, instruction);
        }
        Event::CeilingSet { licence, period, amount } => {
            map.text(8, licence.as_str());
            map.uint(9, u64::from(period.number()));
            if let Some(amount) = amount {
                map.uint(10, amount.mills());
            }
        }
        Event::InspectionPeriodsSet { licence, periods } => {
            map.text(8, licence.as_str());
            if let Some(periods) = periods {
                map.uint(9, u64::from(periods.warn_hours()));
                map.uint(10, u64::from(periods.block_hours()));
            }
        }
        Event::AuditAccepted { digest, .. } => map.bytes(8, digest),
        Event::KeyChangeOrdered { role, .. } => map.uint(8, u64::from(role.number())),
        Event::AuthorityPolicySet { version, text } => {
            map.uint(8, *version);
            map.text(9, text.as_str());
        }
        Event::StateDigest { digest, psds } => {
            map.bytes(8, digest);
            map.uint(9, *psds);
        }
        Event::Started { version, owner_epoch } => {
            map.text(8, version);
            map.bytes(9, owner_epoch);
        }
        Event::RefusalsNoted { tenant, code, count } => {
            map.text(8, tenant.as_str());
            map.text(9, code);
            map.uint(10, *count);
        }
        Event::AuthorityKeyInstalled { purpose, certificate } => {
            map.uint(8, u64::from(purpose.number()));
            map.bytes(9, certificate);
        }
        Event::Indicium(indicium) => write_indicium(map, indicium),
        Event::Certification(piece) => write_certification(map, piece),
        Event::RunOpened { tenant, run, .. } => write_opened(map, tenant, run),
        Event::RunClosed { tenant, closed, .. } => write_closed(map, tenant, closed),
        Event::RatesTaken(_) | Event::ScaleRegistered(_) | Event::ScaleRemoved { .. } => write_certifying(map, event),
    }
}

fn write_genesis(map: &mut MapWriter, genesis: &Genesis) {
    map.text(8, genesis.appliance.as_str());
    map.uint(
        9,
        match genesis.environment {
            Environment::Development => 0,
            Environment::Production => 1,
        },
    );
    map.byte_strings(10, genesis.operators.iter().map(|operator| &*operator.spki));
    map.uint(11, genesis.quorum);
    map.bytes(12, &genesis.authority_root);
    map.bytes(13, &genesis.log_key_id);
    map.bytes(14, &genesis.log_spki);
    map.text(15, &genesis.log_token);
    let charter = &genesis.charter;
    map.byte_strings(16, genesis.operators.iter().map(|operator| operator.name.as_str().as_bytes()));
    map.bytes(17, &charter.file);
    map.byte_strings(18, charter.approvals.iter().map(AsRef::as_ref));
    map.bytes(19, &charter.countersignature);
    map.byte_strings(20, charter.hosts.iter().map(AsRef::as_ref));
}

fn write_governance(map: &mut MapWriter, event: &Event) {
    match event {
        Event::CeremonyBegun { number, digest, file, approvals } => {
            map.uint(8, *number);
            map.bytes(9, digest);
            map.bytes(10, file);
            map.byte_strings(11, approvals.iter().map(AsRef::as_ref));
        }
        Event::CeremonyStep { number, step, text } => {
            map.uint(8, *number);
            map.uint(9, *step);
            map.text(10, text);
        }
        Event::CeremonyEnded { number, end, transcript } => {
            map.uint(8, *number);
            map.uint(9, u64::from(end.number()));
            if let Some(transcript) = transcript {
                map.bytes(10, transcript);
            }
        }
        Event::OperatorsChanged { operators, quorum } => {
            map.byte_strings(8, operators.iter().map(|operator| operator.name.as_str().as_bytes()));
            map.byte_strings(9, operators.iter().map(|operator| &*operator.spki));
            map.uint(10, *quorum);
        }
        Event::Revoked { subject, revocation } => {
            map.uint(8, u64::from(subject.number()));
            match subject {
                Subject::Operator(name) => map.text(9, name.as_str()),
                Subject::Account(tenant) => map.text(9, tenant.as_str()),
                Subject::Client { tenant, client } => {
                    map.text(9, tenant.as_str());
                    map.text(10, client);
                }
            }
            map.uint(11, revocation.since.0);
            map.uint(12, u64::from(revocation.reason.number()));
        }
        _ => {}
    }
}

fn write_indicium(map: &mut MapWriter, indicium: &Indicium) {
    map.text(8, indicium.tenant.as_str());
    map.bytes(9, indicium.key.as_bytes());
    map.bytes(10, &indicium.digest);
    map.uint(11, indicium.postage.mills());
    map.bytes(12, &indicium.indicium);
    if let Some(recipient) = &indicium.recipient {
        map.bytes(13, recipient);
    }
    if let Some(reference) = &indicium.reference {
        map.text(14, reference);
    }
    if let Some(weight_g) = indicium.weight_g {
        map.uint(15, weight_g);
    }
    if let Some(token) = &indicium.token {
        map.text(16, &token.to_string());
    }
}

fn write_certification(map: &mut MapWriter, piece: &CertifiedPiece) {
    map.text(8, piece.tenant.as_str());
    map.bytes(9, piece.key.as_bytes());
    map.bytes(10, &piece.digest);
    map.uint(11, piece.debited.mills());
    map.bytes(12, &piece.certification);
    if let Some(reference) = &piece.reference {
        map.text(14, reference);
    }
    if let Some(mark) = &piece.mark {
        map.text(15, mark.psd.text().as_str());
        map.uint(16, mark.ascending.mills());
    }
    if let Some(run) = &piece.run {
        map.text(17, run.id.as_str());
        let dues: Vec<u64> = run.dues.iter().map(|due| due.mills()).collect();
        map.uints(18, &dues);
    }
}

fn write_opened(map: &mut MapWriter, tenant: &TenantName, run: &Run) {
    map.text(8, tenant.as_str());
    map.text(9, run.id.as_str());
    map.bytes(10, &run.digest);
    map.text(11, &run.date.to_string());
    map.text(12, run.rates.as_str());
    map.uint(13, run.version);
    map.bytes(14, &run.rates_digest);
    map.text(15, run.class.as_str());
    map.byte_strings(16, run.tariffs.iter().map(|tariff| tariff.as_str().as_bytes()));
    map.uints(17, &run.zip_steps());
    map.uints(18, &run.destinations().iter().map(|to| u64::from(to.pieces)).collect::<Vec<_>>());
    map.bytes(19, &run.destinations().iter().map(|to| to.tariff).collect::<Vec<_>>());
}

fn write_closed(map: &mut MapWriter, tenant: &TenantName, closed: &ClosedRun) {
    map.text(8, tenant.as_str());
    map.text(9, closed.id.as_str());
    map.uint(10, closed.opened);
    map.uint(11, closed.owed.mills());
    map.uint(12, closed.debited.mills());
    map.uint(13, closed.settled().mills());
    map.uints(14, &closed.counted.iter().map(|counted| u64::from(counted.pieces)).collect::<Vec<_>>());
    map.bytes(15, &closed.counted.iter().map(|counted| counted.tariff).collect::<Vec<_>>());
}
