//! Kinds 32 to 34: rate tables and scales, to bytes and back.

use super::Event;
use super::decode::{narrow, parsed, shared};
use super::map::{MapReader, MapWriter, RecordError};
use crate::certifying::{ReadingsSigned, RegisteredScale, ScaleError, TakenTable};
use crate::time::MailingDate;

pub(super) fn write_certifying(map: &mut MapWriter, event: &Event) {
    match event {
        Event::RatesTaken(table) => {
            map.text(8, table.name.as_str());
            map.uint(9, table.version);
            map.bytes(10, &table.digest);
            map.uint(11, day(table.from));
            if let Some(until) = table.until {
                map.uint(12, day(until));
            }
        }
        Event::ScaleRegistered(scale) => {
            map.text(8, scale.scale.as_str());
            map.text(9, &scale.certificate);
            map.text(10, &scale.issuer);
            map.uints(11, &[day(scale.from), day(scale.until)]);
            map.uints(12, &[scale.capacity_mg, scale.minimum_mg, scale.resolution_mg]);
            map.text(13, &scale.maker);
            map.text(14, &scale.model);
            map.text(15, &scale.site);
            map.uint(16, u64::from(scale.signed.number()));
            if let Some(spki) = scale.signed.spki() {
                map.bytes(17, spki);
            }
        }
        Event::ScaleRemoved { scale } => map.text(8, scale.as_str()),
        _ => {}
    }
}

pub(super) fn read_certifying(kind: u64, map: &mut MapReader<'_>) -> Result<Event, RecordError> {
    Ok(match kind {
        32 => Event::RatesTaken(read_table(map)?),
        33 => Event::ScaleRegistered(read_scale(map)?),
        34 => Event::ScaleRemoved { scale: parsed(map, 8)? },
        other => return Err(RecordError::UnknownKind(other)),
    })
}

fn read_table(map: &mut MapReader<'_>) -> Result<TakenTable, RecordError> {
    let (name, version, digest) = (parsed(map, 8)?, map.uint(9)?, map.array(10)?);
    let from = map.uint(11).and_then(|number| read_day(11, number))?;
    let until = map.has(12).then(|| map.uint(12).and_then(|number| read_day(12, number))).transpose()?;
    if until.is_some_and(|until| until < from) {
        return Err(RecordError::BadValue(12));
    }
    Ok(TakenTable { name, version, digest, from, until })
}

fn read_scale(map: &mut MapReader<'_>) -> Result<RegisteredScale, RecordError> {
    let scale = parsed(map, 8)?;
    let (certificate, issuer) = (map.text(9)?.into(), map.text(10)?.into());
    let [from, until] = map.uints(11)?;
    let [capacity_mg, minimum_mg, resolution_mg] = map.uints(12)?;
    let (maker, model, site) = (map.text(13)?.into(), map.text(14)?.into(), map.text(15)?.into());
    let number = map.uint(16).and_then(|number| narrow(16, number))?;
    let spki = map.has(17).then(|| map.bytes(17).map(shared)).transpose()?;
    let signed = ReadingsSigned::from_parts(number, spki).ok_or(RecordError::BadValue(16))?;
    let (from, until) = (read_day(11, from)?, read_day(11, until)?);
    let entry = RegisteredScale {
        scale,
        certificate,
        issuer,
        from,
        until,
        capacity_mg,
        minimum_mg,
        resolution_mg,
        maker,
        model,
        site,
        signed,
    };
    entry.checked().map_err(|error| {
        RecordError::BadValue(match error {
            ScaleError::Calibration => 11,
            ScaleError::Loads => 12,
            ScaleError::Text => 9,
        })
    })
}

fn day(date: MailingDate) -> u64 {
    u64::from(date.yyyymmdd())
}

fn read_day(key: u8, number: u64) -> Result<MailingDate, RecordError> {
    narrow(key, number).and_then(|number| MailingDate::from_yyyymmdd(number).ok_or(RecordError::BadValue(key)))
}
