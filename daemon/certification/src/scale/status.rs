//! How scales stand at a time: part of remote inspection.

use super::{Registry, Scale};
use psd::UnixMillis;

const DAY_MS: u64 = 86_400_000;

/// A scale and how its calibration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleStatus<'r> {
    /// The scale.
    pub scale: &'r Scale,
    /// Its calibration.
    pub standing: Standing,
}

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
}

impl Registry {
    /// How every scale stands at a time, by name; `Due` from so many days before its end.
    pub fn status(&self, now: UnixMillis, due_days: u32) -> Vec<ScaleStatus<'_>> {
        self.scales().map(|scale| ScaleStatus { scale, standing: scale.standing(now, due_days) }).collect()
    }
}

impl Scale {
    /// How it stands at a time.
    pub fn standing(&self, now: UnixMillis, due_days: u32) -> Standing {
        let (begins, ends) = (self.calibration().begins(), self.calibration().ends());
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
}
