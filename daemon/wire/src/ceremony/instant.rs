//! Points in time as the files write them: TOML's offset date-time (RFC 3339), in UTC and in whole seconds.

use psd::{MailingDate, UnixMillis};
use serde::{Deserialize, Deserializer, de};
use toml::value::{Datetime, Offset};

/// A point in time.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
    let written = Datetime::deserialize(deserializer)?;
    of(&written).ok_or_else(|| {
        de::Error::custom(format!("{written} is no time such as 2026-11-20T12:00:00Z: UTC, whole seconds, with the Z"))
    })
}

fn of(written: &Datetime) -> Option<UnixMillis> {
    let (date, time, offset) = (written.date?, written.time?, written.offset?);
    let utc = match offset {
        Offset::Z => true,
        Offset::Custom { minutes } => minutes == 0,
    };
    let second = time.second.unwrap_or(0);
    // The calendar of records has no leap seconds.
    if !utc || time.nanosecond.unwrap_or(0) != 0 || second > 59 {
        return None;
    }
    let days = u64::try_from(MailingDate::new(date.year, date.month, date.day)?.day_number()).ok()?;
    let of_day = u64::from(time.hour) * 3600 + u64::from(time.minute) * 60 + u64::from(second);
    Some(UnixMillis((days * 86_400 + of_day) * 1000))
}
