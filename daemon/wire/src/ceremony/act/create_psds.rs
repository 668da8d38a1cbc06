//! `[create-psds]`: new PSDs in groups, with the keys they get.

use super::key::role;
use crate::ceremony::plan::{Group, PlannedPsds};
use psd::PsdId;
use psd::key::{Algorithm, Residence, Role};
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeSet;

/// The keys a PSD can have, in the order they are made.
pub const PSD_ROLES: [Role; 5] = [Role::Indicium, Role::Device, Role::Certification, Role::TokenMac, Role::PostalMac];
/// Most PSDs of one ceremony.
pub const MOST_PSDS: usize = 100_000;

/// `[create-psds]`.
#[derive(Deserialize, Clone, PartialEq, Debug)]
#[serde(try_from = "WrittenCreatePsds")]
pub struct CreatePsds {
    /// The PSDs, none of them twice.
    pub groups: Vec<Group>,
    /// Their keys, in the order of [`PSD_ROLES`]; the indicium and the device key are always among them.
    pub roles: Vec<Role>,
    /// Curve of the certification keys.
    pub certification: Certification,
    /// Where the private keys live.
    pub residence: Residence,
}

/// The curve of a certification key.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "lowercase")]
pub enum Certification {
    /// P-256 with SHA-256.
    #[default]
    P256,
    /// P-384 with SHA-384.
    P384,
}

impl Certification {
    /// The algorithm of the keys.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Certification::P256 => Algorithm::EcdsaP256,
            Certification::P384 => Algorithm::EcdsaP384,
        }
    }
}

impl CreatePsds {
    /// The algorithm of a new key in a role, on a token with or without anything else than ECDSA.
    pub const fn algorithm(&self, role: Role) -> Algorithm {
        match role {
            Role::Indicium | Role::Device | Role::Log => Algorithm::EcdsaP256,
            Role::Certification => self.certification.algorithm(),
            Role::TokenMac | Role::PostalMac => Algorithm::HmacSha256,
        }
    }

    /// How many PSDs come to be.
    pub fn count(&self) -> usize {
        self.groups.iter().map(|group| group.psds.len()).sum()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCreatePsds {
    roles: Option<Vec<PlannedRole>>,
    certification: Option<Certification>,
    #[serde(default = "resident", deserialize_with = "residence")]
    residence: Residence,
    psds: Vec<PlannedPsds>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct PlannedRole(#[serde(deserialize_with = "role")] Role);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotToBeCreated(String);

impl TryFrom<WrittenCreatePsds> for CreatePsds {
    type Error = NotToBeCreated;

    fn try_from(written: WrittenCreatePsds) -> Result<Self, NotToBeCreated> {
        let wrong = |problem: String| Err(NotToBeCreated(problem));
        let given = written.roles.map(|roles| roles.into_iter().map(|PlannedRole(role)| role).collect::<Vec<_>>());
        let given = given.unwrap_or_else(|| vec![Role::Indicium, Role::Device]);
        let distinct: BTreeSet<Role> = given.iter().copied().collect();
        if distinct.len() != given.len() {
            return wrong("roles: one of them stands there twice".to_owned());
        }
        if !(distinct.contains(&Role::Indicium) && distinct.contains(&Role::Device)) {
            return wrong("roles: a PSD needs an indicium key and a device key".to_owned());
        }
        if written.certification.is_some() && !distinct.contains(&Role::Certification) {
            return wrong("certification: roles names no certification key; add it or leave this out".to_owned());
        }
        let total: usize = written.psds.iter().map(PlannedPsds::count).sum();
        if written.psds.is_empty() || !(1..=MOST_PSDS).contains(&total) {
            return wrong(format!("psds: {total} PSDs; 1 to {MOST_PSDS} can be made at once"));
        }
        let groups = written.psds.iter().zip(1..).map(|(planned, number)| planned.check(number));
        let groups = groups.collect::<Result<Vec<Group>, _>>().map_err(|error| NotToBeCreated(error.to_string()))?;
        let mut seen: BTreeSet<PsdId> = BTreeSet::new();
        if let Some(twice) = groups.iter().flat_map(|group| &group.psds).find(|psd| !seen.insert(**psd)) {
            return wrong(format!("psds: {twice} is named twice"));
        }
        Ok(Self {
            groups,
            roles: PSD_ROLES.into_iter().filter(|role| distinct.contains(role)).collect(),
            certification: written.certification.unwrap_or(Certification::P256),
            residence: written.residence,
        })
    }
}

fn resident() -> Residence {
    Residence::Resident
}

fn residence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Residence, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "resident" => Ok(Residence::Resident),
        "wrapped" => Ok(Residence::Wrapped),
        other => Err(de::Error::custom(format!("{other:?} is no residence: resident or wrapped"))),
    }
}
