//! Bytes → record, strictly: unknown kinds and keys, wrong types and registers that do not add up are errors.

use super::certifying::read_certifying;
use super::map::{MapReader, RecordError};
use super::{
    Applied, AuthorityPurpose, CertifiedPiece, Charter, Environment, Event, Genesis, InRun, Indicium, LONGEST_RECORD,
    Record, Stamp,
};
use crate::authority::{Loaded, Period};
use crate::certification::MarkId;
use crate::clock::{ClockReading, ClockSource};
use crate::custody::{KeyStep, Revocation, RevocationReason};
use crate::device::{Purpose, Spoiled};
use crate::digital_token::DigitalToken;
use crate::governance::{CeremonyEnd, Operator, Subject};
use crate::id::{PieceKey, RateName};
use crate::indicium::ZipRange;
use crate::inspection::InspectionPeriods;
use crate::key::{Algorithm, Role};
use crate::lifecycle::{Lifecycle, Locks};
use crate::limits::Limits;
use crate::money::PostageAmount;
use crate::policy::PolicyText;
use crate::register::Registers;
use crate::run::{ClosedRun, Counted, Destination, Run, RunTerms};
use crate::time::UnixMillis;
use std::str::FromStr;
use std::sync::Arc;

impl Record {
    /// The record of these bytes. Accepts only what [`Record::encode`] gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > LONGEST_RECORD {
            return Err(RecordError::TooLong(bytes.len()));
        }
        let mut map = MapReader::new(bytes)?;
        let kind = map.uint(0)?;
        let time = UnixMillis(map.uint(1)?);
        let [source, error_ms, epoch] = map.uints(2)?;
        let at = ClockReading {
            time,
            source: narrow(2, source).and_then(|n| ClockSource::from_number(n).ok_or(RecordError::BadValue(2)))?,
            error_ms: narrow(2, error_ms)?,
            epoch: narrow(2, epoch)?,
        };
        let event = read_event(kind, &mut map)?;
        map.finish()?;
        let record = Self { at, event };
        if record.encode() == bytes { Ok(record) } else { Err(RecordError::NotDeterministic) }
    }
}

pub(super) fn narrow<T: TryFrom<u64>>(key: u8, number: u64) -> Result<T, RecordError> {
    T::try_from(number).ok().ok_or(RecordError::BadValue(key))
}

pub(super) fn parsed<T: FromStr>(map: &mut MapReader<'_>, key: u8) -> Result<T, RecordError> {
    map.text(key)?.parse().ok().ok_or(RecordError::BadValue(key))
}

fn amount(key: u8, mills: u64) -> Result<PostageAmount, RecordError> {
    PostageAmount::from_mills(mills).ok_or(RecordError::BadValue(key))
}

fn numbered<T>(map: &mut MapReader<'_>, key: u8, from: impl Fn(u8) -> Option<T>) -> Result<T, RecordError> {
    let number = map.uint(key)?;
    narrow(key, number).and_then(|n: u8| from(n).ok_or(RecordError::BadValue(key)))
}

pub(super) fn shared(bytes: &[u8]) -> Arc<[u8]> {
    bytes.into()
}

fn read_stamp(map: &mut MapReader<'_>) -> Result<Stamp, RecordError> {
    let psd = parsed(map, 3)?;
    let sequence = map.uint(4)?;
    let [ascending, descending, control_total, pieces] = map.uints(5)?;
    let registers =
        Registers::from_parts(amount(5, ascending)?, amount(5, descending)?, amount(5, control_total)?, pieces)
            .ok()
            .ok_or(RecordError::BadValue(5))?;
    Ok(Stamp { psd, sequence, registers })
}

fn read_event(kind: u64, map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    Ok(match kind {
        1 => Event::Genesis(read_genesis(map)?),
        2 => Event::KeyCreated {
            stamp: read_stamp(map)?,
            key_id: shared(map.bytes(8)?),
            role: numbered(map, 9, Role::from_number)?,
            algorithm: numbered(map, 10, Algorithm::from_number)?,
            token: map.text(11)?.into(),
            spki: shared(map.bytes(12)?),
            wrapped: map.has(13).then(|| map.array(13)).transpose()?,
        },
        3 => read_psd_created(map)?,
        4 => Event::CertificateInstalled {
            stamp: read_stamp(map)?,
            key_id: shared(map.bytes(8)?),
            serial: map.uint(9).and_then(|n| narrow(9, n))?,
            chain: map.byte_strings(10)?.into_iter().map(shared).collect(),
        },
        5 => Event::LifecycleChanged {
            stamp: read_stamp(map)?,
            lifecycle: numbered(map, 8, Lifecycle::from_number)?,
            locks: numbered(map, 9, Locks::from_bits)?,
        },
        6 | 14 => Event::ValueRequested {
            stamp: read_stamp(map)?,
            tenant: parsed(map, 8)?,
            value_sequence: map.uint(9)?,
            amount: map.uint(10).and_then(|n| amount(10, n))?,
            request: shared(map.bytes(11)?),
            purpose: match kind {
                6 if map.has(12) => Purpose::Refund(read_spoiled(map)?),
                6 => Purpose::Download,
                _ => Purpose::Withdrawal,
            },
        },
        7 | 13 => Event::ValueApplied {
            stamp: read_stamp(map)?,
            tenant: parsed(map, 8)?,
            value_sequence: map.uint(9)?,
            amount: map.uint(10).and_then(|n| amount(10, n))?,
            authorisation: shared(map.bytes(11)?),
            applied: match kind {
                7 => Applied::Download { loaded: read_loaded(map)? },
                _ => Applied::Refund(read_spoiled(map)?),
            },
        },
        8 => Event::StateDigest { digest: map.array(8)?, psds: map.uint(9)? },
        9 => Event::Started { version: map.text(8)?.into(), owner_epoch: map.array(9)? },
        10 => Event::RefusalsNoted { tenant: parsed(map, 8)?, code: map.text(9)?.into(), count: map.uint(10)? },
        11 => Event::ValueVoided {
            stamp: read_stamp(map)?,
            tenant: parsed(map, 8)?,
            value_sequence: map.uint(9)?,
            amount: map.uint(10).and_then(|n| amount(10, n))?,
            statement: shared(map.bytes(11)?),
        },
        12 => Event::AuthorityKeyInstalled {
            purpose: numbered(map, 8, AuthorityPurpose::from_number)?,
            certificate: shared(map.bytes(9)?),
        },
        15 => Event::Withdrawn {
            stamp: read_stamp(map)?,
            tenant: parsed(map, 8)?,
            value_sequence: map.uint(9)?,
            amount: map.uint(10).and_then(|n| amount(10, n))?,
            acknowledgement: shared(map.bytes(11)?),
            report: shared(map.bytes(12)?),
        },
        16 => Event::Indicium(read_indicium(map)?),
        17 => Event::InstructionTaken {
            purpose: numbered(map, 8, AuthorityPurpose::from_number)?,
            number: map.uint(9)?,
            instruction: shared(map.bytes(10)?),
        },
        18 => Event::CeilingSet {
            licence: parsed(map, 8)?,
            period: numbered(map, 9, Period::from_number)?,
            amount: map.has(10).then(|| map.uint(10).and_then(|n| amount(10, n))).transpose()?,
        },
        19 => read_key_state(map)?,
        20..=24 => read_governance(kind, map)?,
        25 => Event::InspectionPeriodsSet {
            licence: parsed(map, 8)?,
            periods: (map.has(9) || map.has(10)).then(|| read_periods(map)).transpose()?,
        },
        26 => Event::AuditAccepted { stamp: read_stamp(map)?, digest: map.array(8)? },
        27 => Event::KeyChangeOrdered { stamp: read_stamp(map)?, role: numbered(map, 8, psd_role)? },
        28 => Event::AuthorityPolicySet {
            version: map.uint(8)?,
            text: map.text(9).and_then(|text| PolicyText::new(text).ok().ok_or(RecordError::BadValue(9)))?,
        },
        29 => Event::Certification(read_certification(map)?),
        30 => read_opened(map)?,
        31 => read_closed(map)?,
        32..=34 => read_certifying(kind, map)?,
        other => return Err(RecordError::UnknownKind(other)),
    })
}

/// The log's key is none of a PSD.
fn psd_role(number: u8) -> Option<Role> {
    Role::from_number(number).filter(|role| !matches!(role, Role::Log))
}

fn read_periods(map: &mut MapReader<'_>) -> Result<InspectionPeriods, RecordError> {
    let warn = map.uint(9).and_then(|hours| narrow(9, hours))?;
    let block = map.uint(10).and_then(|hours| narrow(10, hours))?;
    InspectionPeriods::new(warn, block).ok().ok_or(RecordError::BadValue(10))
}

fn read_key_state(map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    let (stamp, key_id) = (read_stamp(map)?, shared(map.bytes(8)?));
    let step = numbered(map, 9, KeyStep::from_number)?;
    let since = UnixMillis(map.uint(10)?);
    let reason = match step {
        KeyStep::Revoked => Some(numbered(map, 11, RevocationReason::from_number)?),
        KeyStep::Activated | KeyStep::Retired | KeyStep::Destroyed | KeyStep::Acknowledged => None,
    };
    Ok(Event::KeyStateChanged { stamp, key_id, step, since, reason })
}

fn read_governance(kind: u64, map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    Ok(match kind {
        20 => Event::CeremonyBegun {
            number: map.uint(8)?,
            digest: map.array(9)?,
            file: shared(map.bytes(10)?),
            approvals: map.byte_strings(11)?.into_iter().map(shared).collect(),
        },
        21 => Event::CeremonyStep { number: map.uint(8)?, step: map.uint(9)?, text: map.text(10)?.into() },
        22 => Event::CeremonyEnded {
            number: map.uint(8)?,
            end: numbered(map, 9, CeremonyEnd::from_number)?,
            transcript: map.has(10).then(|| map.bytes(10).map(shared)).transpose()?,
        },
        23 => Event::OperatorsChanged {
            operators: {
                let names = map.byte_strings(8)?;
                operators(8, &names, map.byte_strings(9)?)?
            },
            quorum: map.uint(10)?,
        },
        24 => {
            let number: u8 = map.uint(8).and_then(|number| narrow(8, number))?;
            let subject = match number {
                1 => Subject::Operator(parsed(map, 9)?),
                2 => Subject::Client { tenant: parsed(map, 9)?, client: map.text(10)?.into() },
                3 => Subject::Account(parsed(map, 9)?),
                _ => return Err(RecordError::BadValue(8)),
            };
            let since = UnixMillis(map.uint(11)?);
            let reason = numbered(map, 12, RevocationReason::from_number)?;
            Event::Revoked { subject, revocation: Revocation { since, reason } }
        }
        other => return Err(RecordError::UnknownKind(other)),
    })
}

/// Operators whose names stand under `key`, each with the key at the same place.
fn operators(key: u8, names: &[&[u8]], spkis: Vec<&[u8]>) -> Result<Vec<Operator>, RecordError> {
    if names.len() != spkis.len() {
        return Err(RecordError::BadValue(key));
    }
    let operator = |(name, spki): (&&[u8], &[u8])| {
        let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        Ok(Operator { name: name.ok_or(RecordError::BadValue(key))?, spki: shared(spki) })
    };
    names.iter().zip(spkis).map(operator).collect()
}

fn read_spoiled(map: &mut MapReader<'_>) -> Result<Spoiled, RecordError> {
    Ok(Spoiled { leaf: map.uint(12)?, ascending: map.uint(13).and_then(|n| amount(13, n))? })
}

fn read_loaded(map: &mut MapReader<'_>) -> Result<Loaded, RecordError> {
    let [day, month, year] = map.uints(12)?;
    Ok(Loaded { day: amount(12, day)?, month: amount(12, month)?, year: amount(12, year)? })
}

fn read_genesis(map: &mut MapReader<'_>) -> Result<Genesis, RecordError> {
    let appliance = parsed(map, 8)?;
    let environment = numbered(map, 9, |n| match n {
        0 => Some(Environment::Development),
        1 => Some(Environment::Production),
        _ => None,
    })?;
    let spkis = map.byte_strings(10)?;
    Ok(Genesis {
        appliance,
        environment,
        quorum: map.uint(11)?,
        authority_root: shared(map.bytes(12)?),
        log_key_id: shared(map.bytes(13)?),
        log_spki: shared(map.bytes(14)?),
        log_token: map.text(15)?.into(),
        operators: {
            let names = map.byte_strings(16)?;
            operators(16, &names, spkis)?
        },
        charter: Charter {
            file: shared(map.bytes(17)?),
            approvals: map.byte_strings(18)?.into_iter().map(shared).collect(),
            countersignature: shared(map.bytes(19)?),
            hosts: map.byte_strings(20)?.into_iter().map(shared).collect(),
        },
    })
}

fn read_psd_created(map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    let stamp = read_stamp(map)?;
    let (tenant, licence) = (parsed(map, 8)?, parsed(map, 9)?);
    let licensing_zip = map.uint(10).and_then(|n| narrow(10, n))?;
    let format = map.text(11)?.into();
    let software_id = map.array(12)?;
    let [smallest, largest, descending, smallest_refill, largest_refill] = map.uints(13)?;
    let limits = Limits {
        smallest_postage: amount(13, smallest)?,
        largest_postage: amount(13, largest)?,
        largest_descending: amount(13, descending)?,
        smallest_refill: amount(13, smallest_refill)?,
        largest_refill: amount(13, largest_refill)?,
    };
    let limits = limits.checked().ok().ok_or(RecordError::BadValue(13))?;
    let currency = parsed(map, 14)?;
    let zips = map.has(15).then(|| read_zips(map)).transpose()?;
    Ok(Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, currency, zips })
}

fn read_zips(map: &mut MapReader<'_>) -> Result<ZipRange, RecordError> {
    let [low, high] = map.uints(15)?;
    ZipRange::new(narrow(15, low)?, narrow(15, high)?).ok_or(RecordError::BadValue(15))
}

fn read_indicium(map: &mut MapReader<'_>) -> Result<Indicium, RecordError> {
    Ok(Indicium {
        stamp: read_stamp(map)?,
        tenant: parsed(map, 8)?,
        key: map.array(9).and_then(|bytes| PieceKey::from_bytes(bytes).ok_or(RecordError::BadValue(9)))?,
        digest: map.array(10)?,
        postage: map.uint(11).and_then(|n| amount(11, n))?,
        indicium: map.bytes(12)?.to_vec(),
        recipient: map.has(13).then(|| map.array(13)).transpose()?,
        reference: map.has(14).then(|| map.text(14).map(Arc::from)).transpose()?,
        weight_g: map.has(15).then(|| map.uint(15)).transpose()?,
        token: map.has(16).then(|| read_token(map)).transpose()?,
    })
}

fn read_token(map: &mut MapReader<'_>) -> Result<DigitalToken, RecordError> {
    DigitalToken::stored(map.text(16)?).ok().ok_or(RecordError::BadValue(16))
}

fn read_certification(map: &mut MapReader<'_>) -> Result<CertifiedPiece, RecordError> {
    let marked = map.has(15) || map.has(16);
    Ok(CertifiedPiece {
        stamp: read_stamp(map)?,
        tenant: parsed(map, 8)?,
        key: map.array(9).and_then(|bytes| PieceKey::from_bytes(bytes).ok_or(RecordError::BadValue(9)))?,
        digest: map.array(10)?,
        debited: map.uint(11).and_then(|n| amount(11, n))?,
        certification: map.bytes(12)?.to_vec(),
        reference: map.has(14).then(|| map.text(14).map(Arc::from)).transpose()?,
        mark: marked.then(|| read_mark(map)).transpose()?,
        run: map.has(17).then(|| read_in_run(map)).transpose()?,
    })
}

fn read_in_run(map: &mut MapReader<'_>) -> Result<InRun, RecordError> {
    let dues = map.many_uints(18)?.into_iter().map(|mills| amount(18, mills)).collect::<Result<_, _>>()?;
    Ok(InRun { id: parsed(map, 17)?, dues })
}

fn read_opened(map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    let tariffs = map.byte_strings(16)?.into_iter().map(|name| {
        let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        name.ok_or(RecordError::BadValue(16))
    });
    let tariffs = tariffs.collect::<Result<Vec<RateName>, _>>()?;
    let (steps, pieces, which) = (map.many_uints(17)?, map.many_uints(18)?, map.bytes(19)?);
    let terms = RunTerms {
        id: parsed(map, 9)?,
        digest: map.array(10)?,
        date: parsed(map, 11)?,
        rates: parsed(map, 12)?,
        version: map.uint(13)?,
        rates_digest: map.array(14)?,
        class: parsed(map, 15)?,
        tariffs: tariffs.into(),
    };
    let destinations = Destination::of_steps(&steps, &pieces, which).ok_or(RecordError::BadValue(17))?;
    let run = Run::new(terms, destinations).ok().ok_or(RecordError::BadValue(18))?;
    Ok(Event::RunOpened { stamp: read_stamp(map)?, tenant: parsed(map, 8)?, run: Arc::new(run) })
}

fn read_closed(map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    let (pieces, which) = (map.many_uints(14)?, map.bytes(15)?);
    if pieces.len() != which.len() {
        return Err(RecordError::BadValue(15));
    }
    let counted = pieces.into_iter().zip(which);
    let counted = counted.map(|(pieces, tariff)| Ok(Counted { pieces: narrow(14, pieces)?, tariff: *tariff }));
    let closed = ClosedRun {
        id: parsed(map, 9)?,
        opened: map.uint(10)?,
        owed: map.uint(11).and_then(|n| amount(11, n))?,
        debited: map.uint(12).and_then(|n| amount(12, n))?,
        counted: counted.collect::<Result<Vec<_>, _>>()?.into(),
    };
    if map.uint(13)? != closed.settled().mills() {
        return Err(RecordError::BadValue(13));
    }
    Ok(Event::RunClosed { stamp: read_stamp(map)?, tenant: parsed(map, 8)?, closed: Arc::new(closed) })
}

fn read_mark(map: &mut MapReader<'_>) -> Result<MarkId, RecordError> {
    Ok(MarkId { psd: parsed(map, 15)?, ascending: map.uint(16).and_then(|n| amount(16, n))? })
}
