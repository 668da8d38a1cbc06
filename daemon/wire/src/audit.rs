//! Device audits: a PSD answers an inspector's fresh challenge with a report that its device key signs in the token.
//!
//! Three kinds of lines, told apart by where they stand. What the signature itself proves: the challenge, the PSD, and that the report
//! was made after the challenge. `logged`: what follows from the records of the appliance's log, so that whoever has read the log
//! up to the PSD's record `sequence` can prove or refute it. `asserted`: what only the device says.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::cose::{CoseError, Sign1};
use crate::message::{ClockView, InspectionView, RegisterView};
use crate::spki::PublicKey;
use crate::status::KeyState;
use crate::{exact, text};
use psd::{Currency, LicenceNumber, PostageAmount, PsdId, TenantName};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Content type of a report.
pub const AUDIT_REPORT: &str = "application/psdd-audit-report+cbor";

/// Most reports of one response.
pub const MOST_REPORTS: usize = 1_000;

/// POST /v1/audits: PSDs are to answer a challenge.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    /// Which, at most [`MOST_REPORTS`]; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psds: Option<Vec<String>>,
    /// Of them, those behind this one: what the page before said as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Fresh randomness of the inspector's, 16 to 64 bytes.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub challenge: Vec<u8>,
}

/// The answer.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct AuditResponse {
    /// There are more: what to give as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// COSE_Sign1 each, in the order of device IDs.
    pub reports: Vec<ByteBuf>,
    /// PSDs that gave none.
    pub failures: Vec<AuditFailure>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// Why a PSD gave no report.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuditFailure {
    /// As asked for.
    pub psd: String,
    /// Stable code: `psd-unknown`, `no-device-key`, `token-unavailable`, `token-signs-wrongly`, `stopping`.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// What the device key signs.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuditClaims {
    /// Device ID. Proven by the signature.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Proven by the log.
    pub logged: Logged,
    /// Asserted by the device.
    pub asserted: Asserted,
    /// The appliance's name. Proven by the signature, and by the log's origin.
    pub appliance: String,
    /// The inspector's. Proven by the signature: the report is not older.
    #[serde(with = "serde_bytes")]
    pub challenge: Vec<u8>,
    /// The newest signed checkpoint when the report was made. Proven by the log key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// What follows from records of the log.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// Every generation of every key.
    pub keys: Vec<AuditKey>,
    /// Lock reasons.
    pub locks: Vec<String>,
    /// Lifecycle.
    pub state: String,
    /// Indicium format.
    pub format: String,
    /// Whose it is.
    #[serde(with = "text")]
    pub tenant: TenantName,
    /// Under which licence.
    #[serde(with = "text")]
    pub licence: LicenceNumber,
    /// The download, refund or withdrawal under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingLine>,
    /// What the registers count.
    #[serde(with = "text")]
    pub currency: Currency,
    /// Number of the PSD's last record.
    pub sequence: u64,
    /// Number of the last download that ended, applied or void.
    pub downloads: u64,
    /// After that record.
    pub registers: RegisterView,
    /// `development` or `production`.
    pub environment: String,
    /// The last value download that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_download: Option<DownloadLine>,
}

/// Value that is asked for.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PendingLine {
    /// How much.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// `download`, `refund` or `withdrawal`.
    pub purpose: String,
    /// Its number.
    pub sequence: u64,
}

/// Value that came.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct DownloadLine {
    /// Leaf of its record.
    pub leaf: u64,
    /// When, milliseconds since 1970.
    pub time: u64,
    /// How much.
    #[serde(with = "text")]
    pub amount: PostageAmount,
    /// Its number.
    pub sequence: u64,
}

/// A key of the PSD.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuditKey {
    /// What it may sign.
    pub role: String,
    /// Since when it is in its state, milliseconds since 1970.
    pub since: u64,
    /// Where it stands.
    pub state: KeyState,
    /// Value that it signed.
    #[serde(with = "text")]
    pub value: PostageAmount,
    /// CKA_ID.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// Pieces that it signed.
    pub pieces: u64,
    /// Serial number of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// When it was made, milliseconds since 1970.
    pub created: u64,
    /// When it was first used, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<u64>,
    /// How it signs.
    pub algorithm: String,
    /// End of its certificate, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// `resident` or `wrapped`.
    pub residence: String,
    /// Among those of its role.
    pub generation: u8,
    /// SHA-256 of its certificate, DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ByteBuf>,
}

/// What only the device says.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Asserted {
    /// The token of the device key.
    pub hsm: HsmLine,
    /// The guarded clock; absent while there is no trusted time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockView>,
    /// The last scrub of the whole ledger that ended; absent before the first of this start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScrubLine>,
    /// SHA-256 of the program that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<ByteBuf>,
    /// Its version.
    pub version: String,
    /// When the PSD is to be inspected; absent where its licence has no periods. The periods are the appliance's and may have changed since the PSD's
    /// last record, so they do not follow from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspection: Option<InspectionView>,
    /// When the PSD last gave a report, milliseconds since 1970; absent before the first of this start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_audit: Option<u64>,
    /// Why there is no trusted time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_stopped: Option<String>,
}

/// A scrub of the ledger.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ScrubLine {
    /// When it ended, milliseconds since 1970.
    pub time: u64,
    /// What did not hold; absent when all did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Records that it read.
    pub records: u64,
}

/// A token, as PKCS#11 and its profile describe it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct HsmLine {
    /// CK_TOKEN_INFO.label.
    pub label: String,
    /// CK_TOKEN_INFO.model.
    pub model: String,
    /// Family by the profile.
    pub family: String,
    /// CK_TOKEN_INFO.serialNumber.
    pub serial: String,
    /// CK_TOKEN_INFO.firmwareVersion.
    pub firmware: String,
    /// `software`, or what the family is validated as, such as `fips140-2-level-3`.
    pub validated: String,
    /// CK_TOKEN_INFO.manufacturerID.
    pub manufacturer: String,
}

/// Why bytes are no report to go by.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not a message of that kind, or not signed by the device key.
    #[error("not an audit report signed by the device key: {0}")]
    Signature(#[from] CoseError),
    /// The answer to another challenge.
    #[error("the report answers another challenge: it was made before, or for somebody else")]
    Challenge,
    /// Of another appliance.
    #[error("the report is of appliance {0:?}")]
    Appliance(String),
    /// Its registers contradict themselves.
    #[error("ascending {ascending} and descending {descending} do not make the control total {total}")]
    ControlTotal {
        /// Ascending register.
        ascending: PostageAmount,
        /// Descending register.
        descending: PostageAmount,
        /// Control total.
        total: PostageAmount,
    },
}

impl AuditClaims {
    /// The claims as a message that waits for the signature of the device key (SPKI, DER), whose certificate (DER) goes with it; `None`
    /// where the key is of a kind that signs nothing here.
    pub fn unsigned(&self, spki: &[u8], certificate: Option<&[u8]>) -> Option<Sign1> {
        let key = PublicKey::of_spki(spki)?;
        Some(Sign1::unsigned_by(key.kind(), AUDIT_REPORT, certificate, crate::encode(self)))
    }

    /// Reads a report that this device key (SPKI, DER) signed, whatever was asked.
    ///
    /// # Errors
    ///
    /// [`AuditError::Signature`], [`AuditError::ControlTotal`].
    pub fn signed_by(bytes: &[u8], spki: &[u8]) -> Result<Self, AuditError> {
        let message = Sign1::parse(bytes)?;
        message.verify(AUDIT_REPORT, spki)?;
        let claims: Self = crate::read(&message.payload).map_err(CoseError::Payload)?;
        let RegisterView { ascending, descending, control_total: total, .. } = claims.logged.registers;
        if ascending.checked_add(descending).is_none_or(|sum| sum != total) {
            return Err(AuditError::ControlTotal { ascending, descending, total });
        }
        Ok(claims)
    }

    /// The same, and that it answers this challenge and is of this appliance.
    ///
    /// # Errors
    ///
    /// As [`AuditError`].
    pub fn verify(bytes: &[u8], spki: &[u8], challenge: &[u8], appliance: &str) -> Result<Self, AuditError> {
        let claims = Self::signed_by(bytes, spki)?;
        if claims.challenge != challenge {
            return Err(AuditError::Challenge);
        }
        if claims.appliance != appliance {
            return Err(AuditError::Appliance(claims.appliance));
        }
        Ok(claims)
    }
}
