//! Acts on one PSD as a whole.

use crate::ceremony::{Expected, field};
use psd::PsdId;
use psd::custody::RevocationReason;
use serde::Deserialize;

/// `[lock]`, `[unlock]` and `[scrap]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct PsdAct {
    /// Which.
    #[serde(deserialize_with = "field::parsed")]
    pub psd: PsdId,
    /// What must hold.
    pub expected: Expected,
}

/// `[revoke-psd]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokePsd {
    /// Which.
    #[serde(deserialize_with = "field::parsed")]
    pub psd: PsdId,
    /// Why.
    #[serde(deserialize_with = "field::parsed")]
    pub reason: RevocationReason,
    /// What must hold.
    pub expected: Expected,
}
