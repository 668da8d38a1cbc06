//! The clock guard: what time a PSD may believe.
//!
//! Owns the estimate, the high-water mark and the epoch. Refuses to read a clock: samples are passed in by the shell,
//! which takes them from the token, from the kernel or, in development appliances only, from the plain host clock
//! (DESIGN.md §6). The core thread asks it once for every batch.

use crate::time::UnixMillis;
use std::fmt;

/// Where the time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClockSource {
    /// The token's own clock (CKF_CLOCK_ON_TOKEN).
    Token,
    /// The host's clock, while the kernel says that it is synchronised.
    Host,
    /// The plain host clock. Development appliances only.
    Development,
}

impl ClockSource {
    /// The number of the source in records.
    pub const fn number(self) -> u8 {
        match self {
            ClockSource::Token => 1,
            ClockSource::Host => 2,
            ClockSource::Development => 3,
        }
    }

    /// The source with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => ClockSource::Token,
            2 => ClockSource::Host,
            3 => ClockSource::Development,
            _ => return None,
        })
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            ClockSource::Token => "token",
            ClockSource::Host => "host",
            ClockSource::Development => "development",
        }
    }
}

/// One look at the source, taken together with the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockSample {
    /// Monotonic milliseconds from an arbitrary start, the same for all samples of one run.
    pub monotonic_ms: u64,
    /// What the source says.
    pub wall: UnixMillis,
    /// The source's own bound on its error, in milliseconds.
    pub error_ms: u32,
    /// Whether the source believes itself.
    pub synchronised: bool,
}

/// How far the guard trusts its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockRules {
    /// The only source samples are taken from.
    pub source: ClockSource,
    /// A difference between estimate and source beyond this stops signing, in milliseconds.
    pub tolerance_ms: u32,
    /// An error bound beyond this stops signing, in milliseconds.
    pub largest_error_ms: u32,
    /// Without a sample for this long the estimate is not believed, in milliseconds.
    pub largest_silence_ms: u32,
}

/// A time with all that is known of it. Every record and every register reading carries one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockReading {
    /// The time.
    pub time: UnixMillis,
    /// Its source.
    pub source: ClockSource,
    /// The bound on its error, in milliseconds.
    pub error_ms: u32,
    /// The clock epoch; within one, time never runs backwards.
    pub epoch: u32,
}

/// Why there is no time to sign with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClockStop {
    /// No sample has come yet, or none for too long.
    #[error("the clock source has been silent for too long")]
    Silent,
    /// The source does not believe itself.
    #[error("the clock source is not synchronised")]
    Unsynchronised,
    /// The error bound is too large.
    #[error("the clock's error bound of {error_ms} ms is above the limit")]
    ErrorTooLarge {
        /// The bound, in milliseconds.
        error_ms: u32,
    },
    /// The source jumped.
    #[error("the clock stepped by {step_ms} ms, beyond the tolerance")]
    Stepped {
        /// Source minus estimate, in milliseconds.
        step_ms: i64,
    },
    /// The source is behind what was already recorded.
    #[error("the clock is {behind_ms} ms behind the last recorded time")]
    BehindHighWater {
        /// By how much, in milliseconds.
        behind_ms: u64,
    },
}

/// The guarded clock of one appliance.
#[derive(Debug)]
pub struct ClockGuard {
    rules: ClockRules,
    epoch: u32,
    high_water: UnixMillis,
    base: Option<ClockSample>,
    stop: Option<ClockStop>,
}

impl ClockGuard {
    /// A guard that continues an epoch; `high_water` is the latest time in the ledger.
    pub fn resume(rules: ClockRules, epoch: u32, high_water: UnixMillis) -> Self {
        Self { rules, epoch, high_water, base: None, stop: Some(ClockStop::Silent) }
    }

    /// Takes a sample in. The estimate follows the source by an eighth of the difference a sample, so that noise of
    /// the host never shows; a difference beyond the tolerance stops the clock until the source agrees again.
    pub fn observe(&mut self, sample: ClockSample) {
        if self.rules.source != ClockSource::Development && !sample.synchronised {
            self.stop = Some(ClockStop::Unsynchronised);
            return;
        }
        if sample.error_ms > self.rules.largest_error_ms {
            self.stop = Some(ClockStop::ErrorTooLarge { error_ms: sample.error_ms });
            return;
        }
        let Some(base) = self.base else {
            self.start_from(sample);
            return;
        };
        let estimate = advance(base, sample.monotonic_ms);
        let step_ms = signed_difference(sample.wall, estimate);
        if step_ms.unsigned_abs() > u64::from(self.rules.tolerance_ms) {
            self.stop = Some(ClockStop::Stepped { step_ms });
            return;
        }
        let wall = UnixMillis(estimate.0.saturating_add_signed(step_ms / 8));
        self.base = Some(ClockSample { wall, ..sample });
        self.stop = None;
    }

    /// The time at a point of the monotonic clock. Never earlier than any reading before it in this epoch.
    pub fn read(&mut self, monotonic_ms: u64) -> Result<ClockReading, ClockStop> {
        if let Some(stop) = self.stop {
            return Err(stop);
        }
        let Some(base) = self.base else { return Err(ClockStop::Silent) };
        if monotonic_ms.saturating_sub(base.monotonic_ms) > u64::from(self.rules.largest_silence_ms) {
            return Err(ClockStop::Silent);
        }
        let time = advance(base, monotonic_ms).max(self.high_water);
        self.high_water = time;
        Ok(ClockReading { time, source: self.rules.source, error_ms: base.error_ms, epoch: self.epoch })
    }

    fn start_from(&mut self, sample: ClockSample) {
        let behind_ms = self.high_water.0.saturating_sub(sample.wall.0);
        if behind_ms > u64::from(self.rules.tolerance_ms) {
            self.stop = Some(ClockStop::BehindHighWater { behind_ms });
            return;
        }
        self.base = Some(sample);
        self.stop = None;
    }
}

fn advance(base: ClockSample, monotonic_ms: u64) -> UnixMillis {
    UnixMillis(base.wall.0.saturating_add(monotonic_ms.saturating_sub(base.monotonic_ms)))
}

fn signed_difference(a: UnixMillis, b: UnixMillis) -> i64 {
    if a >= b {
        i64::try_from(a.0 - b.0).unwrap_or(i64::MAX)
    } else {
        i64::try_from(b.0 - a.0).map_or(i64::MIN, |d| -d)
    }
}

impl fmt::Display for ClockReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ±{} ms ({}, epoch {})", self.time, self.error_ms, self.source.as_str(), self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: ClockRules =
        ClockRules { source: ClockSource::Host, tolerance_ms: 500, largest_error_ms: 100, largest_silence_ms: 5_000 };

    fn sample(monotonic_ms: u64, wall: u64) -> ClockSample {
        ClockSample { monotonic_ms, wall: UnixMillis(wall), error_ms: 3, synchronised: true }
    }

    #[test]
    fn stops_for_each_reason_and_says_which() {
        let mut guard = ClockGuard::resume(RULES, 1, UnixMillis(10_000));
        assert_eq!(guard.read(0), Err(ClockStop::Silent));
        guard.observe(sample(0, 9_000));
        assert_eq!(guard.read(0), Err(ClockStop::BehindHighWater { behind_ms: 1_000 }));
        guard.observe(sample(1, 9_800));
        assert_eq!(guard.read(1).unwrap().time, UnixMillis(10_000), "within tolerance it waits at the mark");
        guard.observe(sample(1_000, 12_000));
        assert_eq!(guard.read(1_000), Err(ClockStop::Stepped { step_ms: 1_201 }));
        guard.observe(sample(1_100, 10_899));
        assert!(guard.read(1_100).is_ok(), "the source agrees again");
        guard.observe(ClockSample { synchronised: false, ..sample(1_200, 11_000) });
        assert_eq!(guard.read(1_200), Err(ClockStop::Unsynchronised));
        guard.observe(ClockSample { error_ms: 101, ..sample(1_200, 11_000) });
        assert_eq!(guard.read(1_200), Err(ClockStop::ErrorTooLarge { error_ms: 101 }));
        guard.observe(sample(1_300, 11_099));
        assert_eq!(guard.read(6_301), Err(ClockStop::Silent));
    }

    #[test]
    fn only_the_development_source_needs_no_synchronisation() {
        for source in [ClockSource::Token, ClockSource::Host, ClockSource::Development] {
            let mut guard = ClockGuard::resume(ClockRules { source, ..RULES }, 1, UnixMillis(0));
            guard.observe(ClockSample { synchronised: false, ..sample(0, 1) });
            assert_eq!(guard.read(0).is_ok(), source == ClockSource::Development);
        }
    }

    proptest! {
        #[test]
        fn never_runs_backwards(samples in prop::collection::vec((1u64..3_000, -2_000i64..2_000), 1..100)) {
            let mut guard = ClockGuard::resume(RULES, 1, UnixMillis(50_000));
            let (mut monotonic, mut last) = (0, UnixMillis(50_000));
            for (gap, error) in samples {
                monotonic += gap;
                guard.observe(sample(monotonic, (60_000 + monotonic).saturating_add_signed(error)));
                for later in [0, 7] {
                    if let Ok(reading) = guard.read(monotonic + later) {
                        prop_assert!(reading.time >= last);
                        last = reading.time;
                    }
                }
            }
        }
    }
}
