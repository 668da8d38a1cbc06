//! `[certification]`: by which prices and scales corrected mail is certified.

use psd::PsdId;
use serde::{Deserialize, Deserializer, de};
use std::path::PathBuf;

/// Without it nothing is certified.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertificationConfig {
    /// Directory with the rate tables that the authority published, `*.cose`: those in force, those to come and those that were.
    pub rates_dir: PathBuf,
    /// The registry of scales, TOML (docs/certification.md).
    pub scales: PathBuf,
    /// The PSD whose token MAC keys make certification numbers; none are given without.
    #[serde(default, deserialize_with = "psd_id")]
    pub numbers: Option<PsdId>,
    /// Readings of a scale older than this are refused, seconds.
    #[serde(default = "largest_reading_age_s")]
    pub largest_reading_age_s: u64,
    /// And those further ahead of this clock than this, seconds.
    #[serde(default = "largest_reading_ahead_s")]
    pub largest_reading_ahead_s: u64,
}

fn psd_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PsdId>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

const fn largest_reading_age_s() -> u64 {
    86_400
}

const fn largest_reading_ahead_s() -> u64 {
    120
}

impl CertificationConfig {
    pub(super) fn paths_mut(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.rates_dir, &mut self.scales]
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let wrong = |field: &str, problem: &str| Err((format!("certification.{field}"), problem.to_owned()));
        if !(60..=31 * 86_400).contains(&self.largest_reading_age_s) {
            return wrong("largest_reading_age_s", "60 to 2678400 (31 days)");
        }
        if self.largest_reading_ahead_s > 3_600 {
            return wrong("largest_reading_ahead_s", "0 to 3600");
        }
        Ok(())
    }
}
