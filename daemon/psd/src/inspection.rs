//! When an inspection of a PSD is due: periods that the postal authority sets for a licence, counted from the last inspection.
//!
//! An inspection is the creation of the PSD, the authority's signed acceptance of an audit report, or a value download that was applied. An
//! audit that merely ran is none.

use crate::time::UnixMillis;

const HOUR_MS: u64 = 3_600_000;

/// How long a PSD may go on without an inspection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InspectionPeriods {
    warn_hours: u32,
    block_hours: u32,
}

/// The periods are none that the authority may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeriodsError {
    /// The period after which signing stops.
    #[error("is not 72 to 2880 hours (3 to 120 days)")]
    Block,
    /// The period after which it is warned.
    #[error("is not at least an hour and less than the blocking period")]
    Warn,
}

impl InspectionPeriods {
    /// Shortest and longest blocking period, in hours.
    pub const BLOCK_HOURS: std::ops::RangeInclusive<u32> = 72..=2_880;

    /// A warning after `warn_hours` without an inspection, a lock after `block_hours`.
    ///
    /// # Errors
    ///
    /// Which of the two is not one.
    pub fn new(warn_hours: u32, block_hours: u32) -> Result<Self, PeriodsError> {
        if !Self::BLOCK_HOURS.contains(&block_hours) {
            return Err(PeriodsError::Block);
        }
        if warn_hours == 0 || warn_hours >= block_hours {
            return Err(PeriodsError::Warn);
        }
        Ok(Self { warn_hours, block_hours })
    }

    /// After so many hours it is warned.
    pub const fn warn_hours(self) -> u32 {
        self.warn_hours
    }

    /// After so many hours signing stops.
    pub const fn block_hours(self) -> u32 {
        self.block_hours
    }

    /// When the next inspection is due that follows one at this time.
    pub fn after(self, last: UnixMillis) -> InspectionDue {
        // Beyond the end of time nothing is ever due.
        let later = |hours: u32| UnixMillis(last.0.saturating_add(u64::from(hours) * HOUR_MS));
        InspectionDue { last, warn: later(self.warn_hours), due: later(self.block_hours) }
    }
}

/// The times of an inspection that is to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InspectionDue {
    /// The one before.
    pub last: UnixMillis,
    /// From then on it is warned.
    pub warn: UnixMillis,
    /// From then on the PSD signs nothing.
    pub due: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_their_bounds() {
        let rows = [
            (1, 72, Ok(())),
            (71, 72, Ok(())),
            (2_879, 2_880, Ok(())),
            (1, 71, Err(PeriodsError::Block)),
            (1, 2_881, Err(PeriodsError::Block)),
            (1, 0, Err(PeriodsError::Block)),
            (0, 72, Err(PeriodsError::Warn)),
            (72, 72, Err(PeriodsError::Warn)),
            (u32::MAX, 2_880, Err(PeriodsError::Warn)),
        ];
        for (warn, block, expected) in rows {
            assert_eq!(InspectionPeriods::new(warn, block).map(drop), expected, "{warn} {block}");
        }
    }

    #[test]
    fn both_periods_are_counted_from_the_last_inspection() {
        let periods = InspectionPeriods::new(48, 72).unwrap();
        let next = periods.after(UnixMillis(1_000));
        assert_eq!((next.last, next.warn), (UnixMillis(1_000), UnixMillis(48 * HOUR_MS + 1_000)));
        assert_eq!(next.due, UnixMillis(72 * HOUR_MS + 1_000));
        assert_eq!(periods.after(UnixMillis(u64::MAX)).due, UnixMillis(u64::MAX));
    }
}
