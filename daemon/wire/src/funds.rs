//! The messages of the authority's funds system: what a PSD's statements are carried in, and what it answers.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::exact;
use crate::text;
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};

/// POST /v1/value-requests, and POST /v1/withdrawals.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct FundsRequest {
    /// COSE_Sign1 by the PSD's device key.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub request: Vec<u8>,
}

/// Answer to a value request.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FundsAuthorisation {
    /// Of the licence's account, afterwards.
    #[serde(with = "text")]
    pub balance: PostageAmount,
    /// COSE_Sign1 by the funds key; the same until it expires.
    #[serde(with = "serde_bytes")]
    pub authorisation: Vec<u8>,
}

/// POST /v1/value-voids.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct FundsVoid {
    /// COSE_Sign1 by the PSD's device key.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub statement: Vec<u8>,
}

/// Answer to [`FundsVoid`]; the same for every repetition but for the balance.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FundsVoided {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Of the licence's account, afterwards.
    #[serde(with = "text")]
    pub balance: PostageAmount,
    /// What went back to the account; zero where the download was never authorised.
    #[serde(with = "text")]
    pub credited: PostageAmount,
    /// Number of the download.
    pub sequence: u64,
}

/// Answer to a request for withdrawal.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FundsAcknowledgement {
    /// Of the licence's account, afterwards.
    #[serde(with = "text")]
    pub balance: PostageAmount,
    /// COSE_Sign1 by the funds key.
    #[serde(with = "serde_bytes")]
    pub acknowledgement: Vec<u8>,
}

/// POST /v1/withdrawal-reports.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct FundsReport {
    /// COSE_Sign1 by the PSD's device key.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub report: Vec<u8>,
}

/// Answer to [`FundsReport`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FundsClosed {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Of the licence's account.
    #[serde(with = "text")]
    pub balance: PostageAmount,
    /// Number of the withdrawal.
    pub sequence: u64,
}

/// GET /v1/licences/{licence}.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AccountResponse {
    /// PSDs under this licence.
    pub psds: u64,
    /// Prepaid and not yet authorised.
    #[serde(with = "text")]
    pub balance: PostageAmount,
    /// Licence number.
    pub licence: String,
    /// Ever paid in.
    #[serde(with = "text")]
    pub deposited: PostageAmount,
    /// Ever authorised to PSDs, less what came back.
    #[serde(with = "text")]
    pub authorised: PostageAmount,
}
