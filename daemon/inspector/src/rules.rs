//! What the inspector holds to be ordinary. The log cannot say it, so it is given.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Bounds for findings that are not contradictions in the evidence. [`Rules::default`] are starting points, not regulations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A clock that is off by more than this, in milliseconds, is told.
    pub largest_clock_error_ms: u32,
    /// A key that is in use for more days than this is told.
    pub longest_key_age_days: u32,
    /// A certificate that runs out within so many days is told.
    pub certificate_notice_days: u32,
    /// The calibration of a scale that ends within so many days is told.
    pub calibration_notice_days: u32,
    /// A scrub of the ledger that ended longer ago, in days, is told.
    pub longest_scrub_age_days: u32,
    /// The program that is to run, where the inspector knows it.
    pub program: Option<ProgramDigest>,
    /// Pieces of a day against those of the days before.
    pub velocity: Velocity,
    /// Refunds against pieces.
    pub refunds: RefundRule,
}

/// When a day's pieces are far from a PSD's past.
///
/// The past of a day are the last `history_days` days before it on which the PSD signed, without days on which it did not: offices are closed
/// at times, and that is no measure. With the median *m* of their pieces and the median absolute deviation *d* from it, the day is told when it has
/// more than *m* + `deviations` × max(1.4826 *d*, *m* / 10, `least_pieces` / `deviations`) pieces. 1.4826 *d* is the standard deviation where the
/// past is normally distributed; a single day out of the ordinary moves neither *m* nor *d*. The other two terms keep a PSD that signed the
/// same number every day from being told for a handful more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Velocity {
    /// Days of the past that count.
    pub history_days: u32,
    /// With fewer of them nothing is told.
    pub least_history_days: u32,
    /// How many deviations are far.
    pub deviations: u32,
    /// Fewer pieces above the median than this are never far.
    pub least_pieces: u64,
}

/// When refunds are many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefundRule {
    /// Days up to the last record of the PSD that count.
    pub window_days: u32,
    /// Refunds to a thousand pieces; more are told.
    pub most_per_mille: u32,
    /// Fewer refunds than this are never told.
    pub least_refunds: u32,
}

/// SHA-256 of a program. As text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramDigest(pub [u8; 32]);

/// Text that is no digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct NoDigest;

impl FromStr for ProgramDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(digits, 16).ok().ok_or(NoDigest)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for ProgramDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for ProgramDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProgramDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            largest_clock_error_ms: 1_000,
            longest_key_age_days: 365,
            certificate_notice_days: 30,
            calibration_notice_days: 30,
            longest_scrub_age_days: 3,
            program: None,
            velocity: Velocity::default(),
            refunds: RefundRule::default(),
        }
    }
}

impl Default for Velocity {
    fn default() -> Self {
        Self { history_days: 28, least_history_days: 7, deviations: 6, least_pieces: 100 }
    }
}

impl Default for RefundRule {
    fn default() -> Self {
        Self { window_days: 30, most_per_mille: 20, least_refunds: 3 }
    }
}

impl Velocity {
    /// The most pieces that are ordinary after this past (newest last); `None` where the past is too short.
    pub fn most_ordinary(&self, past: &[u64]) -> Option<u64> {
        let days = usize::try_from(self.history_days).unwrap_or(usize::MAX);
        let past = past.get(past.len().saturating_sub(days)..).unwrap_or_default();
        let least = usize::try_from(self.least_history_days.max(1)).unwrap_or(usize::MAX);
        if past.len() < least {
            return None;
        }
        let centre = median(past.to_vec())?;
        let spread = median(past.iter().map(|pieces| pieces.abs_diff(centre)).collect())?;
        // Ten-thousandths, so that no fraction is lost.
        let deviation = spread.saturating_mul(14_826).max(centre.saturating_mul(1_000));
        let above = deviation.saturating_mul(u64::from(self.deviations)) / 10_000;
        Some(centre.saturating_add(above.max(self.least_pieces)))
    }
}

/// Of an even number, the lower of the two in the middle.
fn median(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_judged_by_the_days_before_it() {
        let rule = Velocity::default();
        let rows: [(&str, &[u64], Option<u64>); 5] = [
            ("too short", &[1_000; 6], None),
            ("the same every day: a tenth of the median is a deviation", &[1_000; 7], Some(1_600)),
            ("few pieces: never fewer than 100 above", &[10, 10, 10, 10, 10, 10, 10], Some(110)),
            (
                "one day out of the ordinary moves nothing",
                &[1_000, 1_000, 1_000, 90_000, 1_000, 1_000, 1_000],
                Some(1_600),
            ),
            // Median 1000, absolute deviations 300 300 200 0 200 300 300: their median is 300.
            ("wide", &[700, 700, 800, 1_000, 1_200, 1_300, 1_300], Some(1_000 + 300 * 14_826 * 6 / 10_000)),
        ];
        for (name, past, wanted) in rows {
            assert_eq!(rule.most_ordinary(past), wanted, "{name}");
        }
        let long: Vec<u64> = [5; 100].into_iter().chain([1_000; 28]).collect();
        assert_eq!(rule.most_ordinary(&long), Some(1_600), "what lies further back does not count");
    }
}
