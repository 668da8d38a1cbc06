//! How scales stand at a time: part of remote inspection.

use super::{Registry, Scale};
use psd::UnixMillis;
pub use psd::certifying::Standing;
use psd::certifying::standing;

/// A scale and how its calibration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleStatus<'r> {
    /// The scale.
    pub scale: &'r Scale,
    /// Its calibration.
    pub standing: Standing,
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
        let calibration = self.calibration();
        standing((calibration.from(), calibration.until()), now, due_days)
    }
}
