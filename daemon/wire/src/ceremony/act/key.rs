//! Acts on one key of one PSD.

use crate::ceremony::expected::generation;
use crate::ceremony::{Expected, ExpectedKey, field};
use psd::PsdId;
use psd::custody::RevocationReason;
use psd::key::Role;
use serde::{Deserialize, Deserializer, de};

/// `[rotate-key]`: the next generation is made and certified, and takes over.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// Of which PSD.
    #[serde(deserialize_with = "field::parsed")]
    pub psd: PsdId,
    /// Which key.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// It takes over even where a rule of the appliance demands that verifiers acknowledge its certificate, and they have not.
    #[serde(default)]
    pub without_acknowledgement: bool,
    /// What must hold.
    pub expected: ExpectedKey,
}

/// `[revoke-key]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// Of which PSD.
    #[serde(deserialize_with = "field::parsed")]
    pub psd: PsdId,
    /// Which key.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// Which generation of it.
    #[serde(deserialize_with = "generation")]
    pub generation: u8,
    /// Why.
    #[serde(deserialize_with = "field::parsed")]
    pub reason: RevocationReason,
    /// What must hold.
    pub expected: Expected,
}

/// `[retire-key]` and `[destroy-key]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct KeyGeneration {
    /// Of which PSD.
    #[serde(deserialize_with = "field::parsed")]
    pub psd: PsdId,
    /// Which key.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// Which generation of it.
    #[serde(deserialize_with = "generation")]
    pub generation: u8,
    /// What must hold.
    pub expected: Expected,
}

/// A role that a PSD has; the log key is the appliance's.
pub(super) fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let text = String::deserialize(deserializer)?;
    super::PSD_ROLES.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is no role of a PSD's key: indicium, certification, token-mac, postal-mac or device"
        ))
    })
}
