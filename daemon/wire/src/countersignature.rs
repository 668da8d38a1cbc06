//! The authority's word on a genesis file: the root key signs the digest of its exact bytes, and whether a software token will do.
//!
//! `psdctl authority countersign` makes it where the root's key is; `psdd` asks for it at the birth of an appliance.

use crate::certificate::AuthorityRoot;
use crate::cose::{CoseError, Sign1};
use psd::UnixMillis;
use psd::record::Environment;
use serde::{Deserialize, Serialize};

/// Content type of a countersignature.
pub const GENESIS_COUNTERSIGNATURE: &str = "application/psdd-genesis-countersignature+cbor";

/// Payload of a countersignature, in the order of deterministic encoding.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct CountersignatureClaims {
    /// Milliseconds since 1970, by the authority's clock.
    pub time: u64,
    /// SHA-256 of the genesis file's bytes.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
    /// The appliance that may be born.
    pub appliance: String,
    /// `production` or `development`.
    pub environment: String,
    /// Whether the keys may lie in a software token.
    pub permit_software_token: bool,
}

/// What the authority allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Countersignature {
    /// When it was signed.
    pub time: UnixMillis,
    /// Whether the keys may lie in a software token.
    pub permit_software_token: bool,
}

/// Why the bytes are no countersignature of this genesis file.
#[derive(Debug, thiserror::Error)]
pub enum CountersignatureError {
    /// Not a message of that kind, or not signed by the root's key.
    #[error("not a countersignature by the key of {root}: {source}")]
    Signature {
        /// Subject of the root.
        root: String,
        /// Why.
        source: CoseError,
    },
    /// Of another file.
    #[error("it is of another genesis file; have the authority countersign this one")]
    Digest,
    /// Of another appliance.
    #[error("it is for appliance {named:?}")]
    Appliance {
        /// In the countersignature.
        named: String,
    },
    /// Of another environment.
    #[error("it is for a {named:?} appliance")]
    Environment {
        /// In the countersignature.
        named: String,
    },
}

/// The claims over a genesis file, to be signed by the root's key with [`Sign1::unsigned_by`].
pub fn claims_over(
    file: &[u8],
    (appliance, environment): (&str, Environment),
    permit_software_token: bool,
    time: UnixMillis,
) -> CountersignatureClaims {
    CountersignatureClaims {
        time: time.0,
        digest: crate::sha256(file),
        appliance: appliance.to_owned(),
        environment: environment.as_str().to_owned(),
        permit_software_token,
    }
}

impl Countersignature {
    /// Verifies a countersignature of these exact bytes of a genesis file, which name this appliance and environment.
    pub fn verify(
        bytes: &[u8],
        root: &AuthorityRoot,
        file: &[u8],
        (appliance, environment): (&str, Environment),
    ) -> Result<Self, CountersignatureError> {
        let refused = |source| CountersignatureError::Signature { root: root.subject(), source };
        let message = Sign1::parse(bytes).map_err(refused)?;
        message.verify(GENESIS_COUNTERSIGNATURE, &root.spki()).map_err(refused)?;
        let claims: CountersignatureClaims =
            crate::read(&message.payload).map_err(|error| refused(CoseError::Payload(error)))?;
        if claims.digest != crate::sha256(file) {
            return Err(CountersignatureError::Digest);
        }
        if claims.appliance != appliance {
            return Err(CountersignatureError::Appliance { named: claims.appliance });
        }
        if claims.environment != environment.as_str() {
            return Err(CountersignatureError::Environment { named: claims.environment });
        }
        Ok(Self { time: UnixMillis(claims.time), permit_software_token: claims.permit_software_token })
    }
}
