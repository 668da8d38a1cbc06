//! The messages of `psdd.cddl`, one type each.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

mod certify;
mod digital_token;
mod instruction;
mod run;
mod scales;
mod value;

pub use crate::sign_item::{PostalItem, SignItem, VoucherItem};
pub use crate::sign_request::{Select, SignRequest, SignTarget};
pub use certify::{
    CertificationResponse, CertifiedPiece, CertifyItem, CertifyRequest, CertifyResponse, CertifyResult, ProvenBy,
};
pub use digital_token::{HalfVerdict, InLog, TokenQuery, TokenVerdict};
pub use instruction::{Instruction, InstructionClaims, InstructionResponse};
pub use run::{
    ClosedRunView, LostView, OpenRunView, RunDestination, RunRequest, RunResponse, RunView, RunsResponse, ZipCount,
};
pub use scales::{ScaleView, ScalesResponse};
pub use value::{
    RefundClaims, RefundRequest, ValueAppliedResponse, ValueAuthorisation, ValueAuthorisationClaims, ValueRequest,
    ValueRequestClaims, ValueRequestResponse, ValueVoid, ValueVoidedResponse, Withdrawal, WithdrawalAcknowledgement,
    WithdrawnResponse,
};

use crate::problem::Problem;
use crate::text;
use psd::clock::ClockReading;
use psd::inspection::InspectionDue;
use psd::{Currency, PostageAmount, PsdId, Registers};
use serde::{Deserialize, Serialize};

/// Answer to [`SignRequest`].
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct SignResponse {
    /// In the order of the items.
    pub results: Vec<SignResult>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// What became of one item.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged, try_from = "EitherResult")]
pub enum SignResult {
    /// Debited and signed.
    Signed(SignedPiece),
    /// Neither.
    Refused(RefusedPiece),
}

/// Both kinds of result in one shape: reading it needs no second pass over the bytes, as trying one kind after the other would.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EitherResult {
    key: serde_bytes::ByteBuf,
    psd: Option<FromText<PsdId>>,
    leaf: Option<u64>,
    time: Option<u64>,
    token: Option<String>,
    problem: Option<Problem>,
    indicium: Option<serde_bytes::ByteBuf>,
    sequence: Option<u64>,
    registers: Option<RegisterView>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct FromText<T: std::str::FromStr<Err: std::fmt::Display>>(#[serde(deserialize_with = "text::deserialize")] T);

/// The fields are those of neither kind of result.
#[derive(Debug, thiserror::Error)]
#[error("a result has either the fields of a signed piece or a problem")]
struct NeitherResult;

impl TryFrom<EitherResult> for SignResult {
    type Error = NeitherResult;

    fn try_from(result: EitherResult) -> Result<Self, NeitherResult> {
        let EitherResult { key, psd, leaf, time, token, problem, indicium, sequence, registers } = result;
        match (psd, leaf, time, problem, indicium, sequence, registers) {
            (Some(FromText(psd)), Some(leaf), Some(time), None, Some(indicium), Some(sequence), Some(registers)) => {
                let key = key.into_vec().try_into().ok().ok_or(NeitherResult)?;
                let indicium = indicium.into_vec();
                Ok(Self::Signed(SignedPiece { key, psd, leaf, time, token, indicium, sequence, registers }))
            }
            (None, None, None, Some(problem), None, None, None) if token.is_none() => {
                Ok(Self::Refused(RefusedPiece { key: key.into_vec(), problem }))
            }
            _ => Err(NeitherResult),
        }
    }
}

/// A debit with its proof. The same for the first answer and for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SignedPiece {
    /// The item's key.
    #[serde(with = "serde_bytes")]
    pub key: [u8; 16],
    /// The PSD that signed.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Index in the log.
    pub leaf: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Its digital token as it is printed, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The symbol's bytes.
    #[serde(with = "serde_bytes")]
    pub indicium: Vec<u8>,
    /// Of this PSD's records.
    pub sequence: u64,
    /// After this piece.
    pub registers: RegisterView,
}

/// An item that was refused; nothing was debited.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct RefusedPiece {
    /// The item's key as received.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Why.
    pub problem: Problem,
}

/// Registers as decimal text.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RegisterView {
    /// Piece count.
    pub pieces: u64,
    /// Ascending register.
    #[serde(with = "text")]
    pub ascending: PostageAmount,
    /// Descending register.
    #[serde(with = "text")]
    pub descending: PostageAmount,
    /// Control total.
    #[serde(with = "text")]
    pub control_total: PostageAmount,
}

impl From<Registers> for RegisterView {
    fn from(registers: Registers) -> Self {
        Self {
            pieces: registers.piece_count(),
            ascending: registers.ascending(),
            descending: registers.descending(),
            control_total: registers.control_total(),
        }
    }
}

/// GET /v1/indicia/{key}.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PieceResponse {
    /// The stored result.
    pub piece: SignedPiece,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// GET /v1/psds.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PsdsResponse {
    /// Those the client may read.
    pub psds: Vec<PsdView>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// GET /v1/psds/{psd}.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PsdResponse {
    /// The PSD.
    pub psd: PsdView,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A PSD as its vendor sees it; committed state only.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PsdView {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// First and last ZIP of the destinations it is meant for; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zips: Option<[String; 2]>,
    /// The reading these registers were taken at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockView>,
    /// Why it is locked.
    pub locks: Vec<String>,
    /// Where it stands in its life.
    pub state: String,
    /// Value downloads.
    pub value: ValueState,
    /// Indicium layout.
    pub format: String,
    /// Limits on value.
    pub limits: LimitsView,
    /// Licence number.
    pub licence: String,
    /// What the registers count.
    #[serde(with = "text")]
    pub currency: Currency,
    /// Records so far.
    pub sequence: u64,
    /// The registers.
    pub registers: RegisterView,
    /// When it is to be inspected; absent where its licence has no periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspection: Option<InspectionView>,
    /// Serial of the certificate that signs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<u32>,
}

/// When a PSD is to be inspected.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct InspectionView {
    /// From then on it signs nothing, milliseconds since 1970.
    pub due: u64,
    /// The last inspection, milliseconds since 1970.
    pub last: u64,
    /// From then on it is warned, milliseconds since 1970.
    pub warn: u64,
}

impl From<InspectionDue> for InspectionView {
    fn from(next: InspectionDue) -> Self {
        Self { due: next.due.0, last: next.last.0, warn: next.warn.0 }
    }
}

/// A clock reading with all that is known of it.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClockView {
    /// Milliseconds since 1970.
    pub time: u64,
    /// Clock epoch.
    pub epoch: u32,
    /// `token`, `host` or `development`.
    pub source: String,
    /// Bound on the error, in milliseconds.
    pub error_ms: u32,
}

impl From<ClockReading> for ClockView {
    fn from(reading: ClockReading) -> Self {
        let ClockReading { time, source, error_ms, epoch } = reading;
        Self { time: time.0, epoch, source: source.as_str().to_owned(), error_ms }
    }
}

/// Limits on value.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct LimitsView {
    /// Largest value of one download.
    #[serde(with = "text")]
    pub largest_refill: PostageAmount,
    /// Largest postage of one piece.
    #[serde(with = "text")]
    pub largest_postage: PostageAmount,
    /// Smallest value of one download.
    #[serde(with = "text")]
    pub smallest_refill: PostageAmount,
    /// Smallest postage of one piece.
    #[serde(with = "text")]
    pub smallest_postage: PostageAmount,
    /// Largest descending register.
    #[serde(with = "text")]
    pub largest_descending: PostageAmount,
}

/// Value downloads of a PSD.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ValueState {
    /// Number of the last one that ended, applied or void.
    pub ended: u64,
    /// The one under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<ValueRequestResponse>,
}

/// GET /v1/psds/{psd}/certificates.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertificatesResponse {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Every generation of every key.
    pub keys: Vec<KeyView>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// DER.
    #[serde(with = "serde_bytes")]
    pub authority_root: Vec<u8>,
}

/// One key.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct KeyView {
    /// What it may sign.
    pub role: String,
    /// SubjectPublicKeyInfo, DER.
    #[serde(with = "serde_bytes")]
    pub spki: Vec<u8>,
    /// Certificate and issuers without the root, DER; empty until installed.
    pub chain: Vec<serde_bytes::ByteBuf>,
    /// CKA_ID.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// Serial of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// `ecdsa-p256` or `ed25519`.
    pub algorithm: String,
}

/// GET /v1/appliance.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct ApplianceResponse {
    /// Origin of the log.
    pub origin: String,
    /// What the authority instructed as its own policy; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<AuthorityPolicyView>,
    /// Of the daemon.
    pub version: String,
    /// Public key of the log, SPKI DER.
    #[serde(with = "serde_bytes")]
    pub log_spki: Vec<u8>,
    /// The appliance's name.
    pub appliance: String,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// `development` or `production`.
    pub environment: String,
    /// DER.
    #[serde(with = "serde_bytes")]
    pub authority_root: Vec<u8>,
}

/// The authority's own policy, as its newest instruction set it.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AuthorityPolicyView {
    /// SHA-256 of its text.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
    /// Rises by one with every text.
    pub version: u64,
}

/// GET /v1/status, at the vendor, the operator and the authority door.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StatusResponse {
    /// COSE_Sign1 by the log key over `status-list`.
    #[serde(with = "serde_bytes")]
    pub list: Vec<u8>,
}
