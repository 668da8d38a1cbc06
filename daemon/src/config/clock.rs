//! `[clock]`: where time comes from and how far it is trusted (DESIGN.md §6).

use psd::clock::{ClockRules, ClockSource};
use serde::Deserialize;

/// The clock.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClockConfig {
    /// The only source samples are taken from.
    pub source: Source,
    /// A step beyond this stops signing.
    #[serde(default = "tolerance_ms")]
    pub tolerance_ms: u32,
    /// An error bound beyond this stops signing.
    #[serde(default = "largest_error_ms")]
    pub largest_error_ms: u32,
}

/// The sources.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The host's clock, while the kernel says it is synchronised.
    Host,
    /// The plain host clock; development appliances only.
    Development,
}

fn tolerance_ms() -> u32 {
    500
}

fn largest_error_ms() -> u32 {
    250
}

impl ClockConfig {
    /// The rules of the guard.
    pub fn rules(&self) -> ClockRules {
        let source = match self.source {
            Source::Host => ClockSource::Host,
            Source::Development => ClockSource::Development,
        };
        let (tolerance_ms, largest_error_ms) = (self.tolerance_ms, self.largest_error_ms);
        ClockRules { source, tolerance_ms, largest_error_ms, largest_silence_ms: 10_000 }
    }
}
