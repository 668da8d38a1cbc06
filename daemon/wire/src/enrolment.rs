//! Online enrolment: a PSD's current device key asks the postal authority for the certificate of its next key.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::{exact, text};
use psd::PsdId;
use serde::{Deserialize, Serialize};

/// POST /v1/certificates.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// PKCS#10 certification request (RFC 2986), signed by the new key, DER.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub csr: Vec<u8>,
    /// COSE_Sign1 by the PSD's current device key over [`EnrolmentClaims`].
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub statement: Vec<u8>,
}

/// Payload of the statement in an [`EnrolmentRequest`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentClaims {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Role of the new key: `indicium`, `certification` or `device`.
    pub role: String,
    /// Milliseconds since 1970, by the PSD's clock.
    pub time: u64,
    /// Random.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// The appliance's name.
    pub appliance: String,
    /// SHA-256 of the request's DER.
    #[serde(with = "serde_bytes")]
    pub csr_digest: [u8; 32],
    /// Generation of the new key.
    pub generation: u8,
}

/// Answer to [`EnrolmentRequest`]; the same for every repetition with the same key.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentResponse {
    /// The key's certificate, then its issuers without the root, DER.
    pub chain: Vec<serde_bytes::ByteBuf>,
}
