//! Value on the wire: asked for, authorised, given up, and on its way back.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use super::RegisterView;
use crate::{exact, text};
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// POST /v1/psds/{psd}/value-requests.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ValueRequest<'a> {
    /// Decimal text.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub amount: Cow<'a, str>,
}

/// Answer to [`ValueRequest`], and the download under way in [`ValueState`](super::ValueState).
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ValueRequestResponse {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// The only amount it works for.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// `download`, `refund` or `withdrawal`.
    pub purpose: String,
    /// COSE_Sign1 by the device key.
    #[serde(with = "serde_bytes")]
    pub request: Vec<u8>,
    /// Number of the download.
    pub sequence: u64,
}

/// Payload of what the PSD's device key says of value: a request, the statement that it is void, a request for withdrawal, the final
/// report after it. The content type tells which.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ValueRequestClaims {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Fresh randomness.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// Asked for.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// The spoiled mark, where its postage is asked back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundClaims>,
    /// Number of the download.
    pub sequence: u64,
    /// The appliance's name.
    pub appliance: String,
    /// At the time of signing.
    pub registers: RegisterView,
}

/// A spoiled mark whose postage is asked back.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RefundClaims {
    /// Key of the piece.
    #[serde(with = "serde_bytes")]
    pub key: [u8; 16],
    /// Its index in the log.
    pub leaf: u64,
    /// The symbol's bytes.
    #[serde(with = "serde_bytes")]
    pub indicium: Vec<u8>,
}

/// POST /v1/psds/{psd}/value-authorisations.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ValueAuthorisation {
    /// COSE_Sign1 by the authority's funds key.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub authorisation: Vec<u8>,
}

/// Payload of the authorisation's COSE_Sign1, and of the acknowledgement of a withdrawal.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ValueAuthorisationClaims {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Authorised.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// Leaf of the spoiled mark, where its postage was asked back.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "exact::some_number")]
    pub refund: Option<u64>,
    /// Milliseconds since 1970.
    pub expires: u64,
    /// Number of the download it answers.
    pub sequence: u64,
    /// The appliance's name.
    pub appliance: String,
    /// Control total after the download.
    #[serde(with = "text")]
    pub control_total: PostageAmount,
}

/// Answer to [`ValueAuthorisation`]; the same for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ValueAppliedResponse {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Index in the log.
    pub leaf: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Loaded.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// Number of the download.
    pub sequence: u64,
    /// After the download.
    pub registers: RegisterView,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// POST /v1/psds/{psd}/value-voids.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ValueVoid {
    /// Number of the download that is given up.
    pub sequence: u64,
}

/// Answer to [`ValueVoid`]; the same for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ValueVoidedResponse {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Index in the log.
    pub leaf: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// What it would have loaded.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// Number of the download.
    pub sequence: u64,
    /// COSE_Sign1 by the device key over [`ValueRequestClaims`], for the authority.
    #[serde(with = "serde_bytes")]
    pub statement: Vec<u8>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// POST /v1/psds/{psd}/refund-requests.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest<'a> {
    /// Key of the spoiled mark.
    #[serde(borrow, serialize_with = "serde_bytes::serialize", deserialize_with = "exact::bytes")]
    pub key: Cow<'a, [u8]>,
}

/// POST /v1/psds/{psd}/withdrawals.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {}

/// POST /v1/psds/{psd}/withdrawal-acknowledgements.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalAcknowledgement {
    /// COSE_Sign1 by the authority's funds key.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub acknowledgement: Vec<u8>,
}

/// Answer to [`WithdrawalAcknowledgement`]; the same for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct WithdrawnResponse {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Index in the log.
    pub leaf: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// What went back.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// COSE_Sign1 by the device key over [`ValueRequestClaims`], for the authority.
    #[serde(with = "serde_bytes")]
    pub report: Vec<u8>,
    /// Number of the withdrawal.
    pub sequence: u64,
    /// Descending is zero.
    pub registers: RegisterView,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}
