//! Points in time and days.
//!
//! Owns the two time types of the domain. Refuses to read any clock.

use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub u64);

/// A day of mailing in the proleptic Gregorian calendar, years 2000 to 2999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailingDate {
    year: u16,
    month: u8,
    day: u8,
}

/// The text or number names no day that mail can be posted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date such as 2026-11-20")]
pub struct DateError(pub String);

impl MailingDate {
    /// The day with these numbers, if the calendar has it.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        ((2000..=2999).contains(&year) && (1..=length).contains(&day)).then_some(Self { year, month, day })
    }

    /// The day as the decimal number YYYYMMDD (IBI, offset 22).
    pub fn yyyymmdd(self) -> u32 {
        u32::from(self.year) * 10_000 + u32::from(self.month) * 100 + u32::from(self.day)
    }

    /// The day of a decimal number YYYYMMDD, if the calendar has it.
    pub fn from_yyyymmdd(number: u32) -> Option<Self> {
        let year = u16::try_from(number / 10_000).ok()?;
        let month = u8::try_from(number / 100 % 100).ok()?;
        let day = u8::try_from(number % 100).ok()?;
        Self::new(year, month, day)
    }

    /// The day that a point in time falls on in UTC, if it lies in the years 2000 to 2999.
    pub fn of(time: UnixMillis) -> Option<Self> {
        Self::from_day_number(i64::try_from(time.0 / 86_400_000).ok()?)
    }

    /// Its first millisecond, in UTC.
    pub fn begins(self) -> UnixMillis {
        // Days begin in 2000.
        UnixMillis(u64::try_from(self.day_number()).unwrap_or(u64::MAX).saturating_mul(86_400_000))
    }

    /// Days since 1970-01-01.
    pub fn day_number(self) -> i64 {
        // The calendar of 400-year eras beginning on 1 March, so that the leap day ends a year.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let month = (i64::from(self.month) + 9) % 12;
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day so many days after 1970-01-01, if it lies in the years 2000 to 2999.
    pub fn from_day_number(days: i64) -> Option<Self> {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }
}

impl FromStr for MailingDate {
    type Err = DateError;

    /// Reads `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        let refused = || DateError(text.chars().take(40).collect());
        if !shape {
            return Err(refused());
        }
        let number = text.bytes().filter(u8::is_ascii_digit).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        Self::from_yyyymmdd(number).ok_or_else(refused)
    }
}

impl fmt::Display for MailingDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for MailingDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for UnixMillis {
    /// `2026-11-20T12:00:00.000Z`, or the bare number where it lies outside the years 2000 to 2999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(date) = MailingDate::of(*self) else {
            return write!(f, "{} ms", self.0);
        };
        let of_day = self.0 % 86_400_000;
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        write!(f, "{date}T{hour:02}:{minute:02}:{:02}.{:03}Z", of_day / 1000 % 60, of_day % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_millennium_is_its_own_number() {
        let first = MailingDate::new(2000, 1, 1).unwrap().day_number();
        assert_eq!(first, 10_957);
        let mut previous = None;
        for number in first..first + 365_243 {
            let date = MailingDate::from_day_number(number).unwrap();
            assert_eq!(date.day_number(), number);
            assert!(previous < Some(date));
            previous = Some(date);
        }
        assert_eq!(previous, MailingDate::new(2999, 12, 31));
    }

    #[test]
    fn reads_only_days_that_exist() {
        assert_eq!("2028-02-29".parse(), Ok(MailingDate { year: 2028, month: 2, day: 29 }));
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "1999-12-31",
            "2026-1-1",
            "20261120",
            "2026-11-20 ",
            "２026-11-20",
        ] {
            assert!(text.parse::<MailingDate>().is_err(), "{text:?}");
        }
        assert_eq!(UnixMillis(1_795_176_000_123).to_string(), "2026-11-20T12:00:00.123Z");
    }
}
