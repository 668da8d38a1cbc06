//! GET /v1/scales.

use serde::{Deserialize, Serialize};

/// The registry of scales as it stands in the log.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ScalesResponse {
    /// Those that are registered, by name.
    pub scales: Vec<ScaleView>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A registered scale. Days are `YYYY-MM-DD` in UTC, loads in milligrams.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ScaleView {
    /// Until the calibration begins or ends, or since it ended; absent where it holds for longer than 30 days, and while there is no trusted time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u64>,
    /// Its record.
    pub leaf: u64,
    /// Where it stands.
    pub site: String,
    /// Who made it.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// Its name.
    pub scale: String,
    /// Who issued the certificate.
    pub issuer: String,
    /// `never`, `optional` or `required`.
    pub signed: String,
    /// Smallest load.
    pub minimum: u64,
    /// Greatest load.
    pub capacity: u64,
    /// `valid`, `due`, `overdue` or `not yet valid`; absent while there is no trusted time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// Readings are multiples of it.
    pub resolution: u64,
    /// First day on which it counts.
    pub valid_from: String,
    /// Number of the calibration certificate.
    pub certificate: String,
    /// Last day on which it counts.
    pub valid_until: String,
}
