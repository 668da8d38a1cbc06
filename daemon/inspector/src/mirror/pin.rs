//! What a mirror is of, settled at its first use.

use super::{UpdateError, path};
use crate::source::Source;
use psd::ApplianceId;
use psd::record::{Environment, Event, Genesis, Record};
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::checkpoint::{Checkpoint, CheckpointError, LogKey, origin};
use psdd_wire::countersignature::Countersignature;
use serde::{Deserialize, Serialize};

/// What an inspector knows of an appliance beforehand.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Its name and the public half of its log key (SPKI DER), told by somebody who was at its birth.
    LogKey {
        /// Its name.
        appliance: ApplianceId,
        /// SPKI, DER.
        spki: Vec<u8>,
        /// The authority's root certificate, DER, against which certificates in the log are judged.
        authority_root: Vec<u8>,
    },
    /// The authority's root certificate, DER. Name and log key are those of leaf 0, if the root countersigned it.
    Authority {
        /// The certificate.
        root: Vec<u8>,
        /// Whether a development appliance that nobody countersigned will do. Whoever serves the log then chooses the key.
        development: bool,
    },
}

/// Why leaf 0 is not believed.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Leaf 0 is no genesis.
    #[error("leaf 0 is no genesis of an appliance")]
    NoGenesis,
    /// The root given is no root.
    #[error("the authority's root certificate: {0}")]
    Root(#[from] psdd_wire::certificate::ChainError),
    /// Leaf 0 names another root.
    #[error("leaf 0 names another authority root than the one given")]
    OtherAuthority,
    /// Leaf 0 names another log key or appliance than those pinned.
    #[error("leaf 0 names another {0} than the one pinned")]
    Other(&'static str),
    /// Nobody countersigned.
    #[error(
        "the authority did not countersign leaf 0 of this {environment} appliance; give its log key, or say that a development appliance will do"
    )]
    NotCountersigned {
        /// `development` or `production`.
        environment: &'static str,
    },
    /// The countersignature does not hold.
    #[error("the authority's countersignature in leaf 0: {0}")]
    Countersignature(#[from] psdd_wire::countersignature::CountersignatureError),
}

/// Name, log key and authority of a mirror, for good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Name of the appliance.
    pub appliance: String,
    /// Public half of its log key, SPKI DER.
    #[serde(with = "serde_bytes")]
    pub log_spki: Vec<u8>,
    /// The authority's root certificate, DER.
    #[serde(with = "serde_bytes")]
    pub authority_root: Vec<u8>,
}

impl Pin {
    /// Settles what the mirror is of. With the authority's root it asks the source for leaf 0, which the first update proves to be in the tree.
    pub fn settle(trust: &Trust, source: &mut dyn Source) -> Result<Self, UpdateError> {
        match trust {
            Trust::LogKey { appliance, spki, authority_root } => {
                AuthorityRoot::from_der(authority_root).map_err(PinError::from)?;
                let (log_spki, authority_root) = (spki.clone(), authority_root.clone());
                Ok(Self { appliance: appliance.to_string(), log_spki, authority_root })
            }
            Trust::Authority { root, development } => {
                let genesis = leaf_0(source)?;
                by_authority(&genesis, root, *development)?;
                let (appliance, log_spki) = (genesis.appliance.to_string(), genesis.log_spki.to_vec());
                Ok(Self { appliance, log_spki, authority_root: root.clone() })
            }
        }
    }

    /// Whether leaf 0 of the tree is the genesis of what is pinned.
    pub fn admit(&self, genesis: &[u8]) -> Result<(), PinError> {
        let Ok(Record { event: Event::Genesis(genesis), .. }) = Record::decode(genesis) else {
            return Err(PinError::NoGenesis);
        };
        if genesis.appliance.as_str() != self.appliance {
            return Err(PinError::Other("appliance"));
        }
        if *genesis.log_spki != *self.log_spki {
            return Err(PinError::Other("log key"));
        }
        if *genesis.authority_root != *self.authority_root {
            return Err(PinError::OtherAuthority);
        }
        Ok(())
    }

    /// A note that verifies under the log key.
    pub(crate) fn verified(&self, note: &str) -> Result<Checkpoint, UpdateError> {
        let appliance = self.appliance.parse::<ApplianceId>().ok();
        let appliance = appliance.ok_or(UpdateError::Damaged { what: "the pin names no appliance" })?;
        let pinned = origin(&appliance);
        match Checkpoint::verified(note, &pinned, &LogKey::of_spki(&self.log_spki)) {
            Err(CheckpointError::Origin(told)) => Err(UpdateError::OtherLog { told, pinned }),
            checked => Ok(checked?),
        }
    }
}

fn by_authority(genesis: &Genesis, root: &[u8], development: bool) -> Result<(), PinError> {
    let root = AuthorityRoot::from_der(root)?;
    if *genesis.authority_root != *root.der() {
        return Err(PinError::OtherAuthority);
    }
    let charter = &genesis.charter;
    if charter.countersignature.is_empty() {
        return match genesis.environment {
            Environment::Development if development => Ok(()),
            environment => Err(PinError::NotCountersigned { environment: environment.as_str() }),
        };
    }
    let named = (genesis.appliance.as_str(), genesis.environment);
    Countersignature::verify(&charter.countersignature, &root, &charter.file, named)?;
    // The reviewed file names the log key's token and identifier, not its public half: the operators' tokens make it afterwards.
    Ok(())
}

fn leaf_0(source: &mut dyn Source) -> Result<Genesis, UpdateError> {
    let note = super::update::fetched(source, "checkpoint")?;
    let malformed = || UpdateError::Malformed { path: "checkpoint".to_owned(), what: "is no signed note" };
    let note = String::from_utf8(note).ok().ok_or_else(malformed)?;
    // Only to know how the first bundle is called; what it says is verified when the log key is known.
    let size: u64 = note.split('\n').nth(1).and_then(|size| size.parse().ok()).ok_or_else(malformed)?;
    let width = path::width(size, 0);
    let name = path::entries(0, width);
    let bundle = super::update::fetched(source, &name)?;
    let entries = path::records(&bundle, width).unwrap_or_default();
    match entries.first().map(|entry| Record::decode(entry)) {
        Some(Ok(Record { event: Event::Genesis(genesis), .. })) => Ok(genesis),
        _ => Err(PinError::NoGenesis.into()),
    }
}
