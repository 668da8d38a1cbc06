//! How a calibration stands at a time: part of remote inspection.

use crate::time::{MailingDate, UnixMillis};

const DAY_MS: u64 = 86_400_000;

/// How a calibration stands. Days are whole ones, a begun one counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It begins in so many days; readings are refused.
    NotYetValid {
        /// From 1.
        days: u64,
    },
    /// It is current, and for longer than was asked about.
    Valid,
    /// It is current, and ends within the days that were asked about.
    Due {
        /// Until it ends, from 1.
        days: u64,
    },
    /// It ended so many days ago; readings are refused.
    Overdue {
        /// From 1.
        days: u64,
    },
}

impl Standing {
    /// Whether readings count.
    pub const fn is_current(self) -> bool {
        match self {
            Standing::Valid | Standing::Due { .. } => true,
            Standing::NotYetValid { .. } | Standing::Overdue { .. } => false,
        }
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::NotYetValid { .. } => "not yet valid",
            Standing::Valid => "valid",
            Standing::Due { .. } => "due",
            Standing::Overdue { .. } => "overdue",
        }
    }

    /// The days that it tells; none where there is nothing to tell.
    pub const fn days(self) -> Option<u64> {
        match self {
            Standing::NotYetValid { days } | Standing::Due { days } | Standing::Overdue { days } => Some(days),
            Standing::Valid => None,
        }
    }
}

/// How a calibration from the first to the last of these days, in UTC, stands at a time; `Due` from so many days before its end.
pub fn standing((from, until): (MailingDate, MailingDate), now: UnixMillis, due_days: u32) -> Standing {
    let (begins, ends) = (from.begins(), ends(until));
    if now < begins {
        return Standing::NotYetValid { days: (begins.0 - now.0).div_ceil(DAY_MS) };
    }
    if now >= ends {
        return Standing::Overdue { days: (now.0 - ends.0) / DAY_MS + 1 };
    }
    match (ends.0 - now.0).div_ceil(DAY_MS) {
        days if days <= u64::from(due_days) => Standing::Due { days },
        _ => Standing::Valid,
    }
}

/// The first millisecond after a day, in UTC.
pub(super) fn ends(until: MailingDate) -> UnixMillis {
    UnixMillis(until.begins().0.saturating_add(DAY_MS))
}
