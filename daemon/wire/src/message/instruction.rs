//! Instructions of the postal authority on the wire.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::exact;
use serde::{Deserialize, Serialize};

/// POST /v1/instructions.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// COSE_Sign1 by a key of the postal authority over [`InstructionClaims`].
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub instruction: Vec<u8>,
}

/// Payload of an instruction. Which fields there are depends on `act`; the daemon refuses others.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct InstructionClaims {
    /// `lock`, `unlock`, `ceiling`, `acknowledge`, `inspection-periods`, `accept-audit`, `revoke-key`, `change-key` or `policy`.
    pub act: String,
    /// Device ID, of a lock, an acknowledgement, an acceptance or an order about a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psd: Option<String>,
    /// Of an acknowledgement or a revocation: `indicium`, `certification` or `device`. Of a change of a key: one of these, `token-mac` or `postal-mac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Of a policy: Cedar, at most 24,576 bytes; empty to forbid nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of periods of inspection: hours after which it is warned. Absent: none, and no periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<u32>,
    /// Of periods of inspection: hours after which a PSD signs nothing more. Absent: none, and no periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u32>,
    /// Of a revocation: from then on the key is not to be trusted, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Of a ceiling: most value loaded under the licence in a period. Absent: no ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Of an acceptance: SHA-256 of the audit report's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "exact::some_byte_buf")]
    pub digest: Option<serde_bytes::ByteBuf>,
    /// Of a ceiling: `day`, `month` or `year` of UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Of a revocation: a CRLReason of RFC 5280 §5.3.1, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of an acknowledgement or a revocation: serial number of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Milliseconds since 1970.
    pub expires: u64,
    /// Of a ceiling or of periods of inspection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Of a policy: one more than that of the one before; the first has 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Rises with every instruction of this key to this appliance.
    pub sequence: u64,
    /// The appliance's name.
    pub appliance: String,
}

/// Answer to [`Instruction`]; the same for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct InstructionResponse {
    /// Index in the log.
    pub leaf: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Of the key that signed: `funds`, `inspection` or `policy`.
    pub purpose: String,
    /// Of the instruction.
    pub sequence: u64,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}
