//! The messages of the operator door.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::exact;
use crate::problem::Problem;
use crate::text;
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Most rows of a page of keys.
pub const MOST_ROWS: usize = 1000;
/// Most certification requests of a page: the token signs each of them while the client waits.
pub const MOST_REQUESTS: usize = 250;
/// Most certificate chains of one request.
pub const MOST_CHAINS: usize = 1000;

/// GET /v1/appliance at the operator door.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OperatorAppliance {
    /// How many PSDs it has.
    pub psds: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// How many operators a ceremony needs.
    pub quorum: u64,
    /// Its tokens.
    pub tokens: Vec<TokenView>,
    /// SHA-256 of the bytes of record 0.
    #[serde(with = "serde_bytes")]
    pub genesis: [u8; 32],
    /// The appliance's name.
    pub appliance: String,
    /// All that ever were and are on the list.
    pub operators: Vec<OperatorView>,
    /// `development` or `production`.
    pub environment: String,
    /// Number of the last ceremony that was begun; 0 before the first.
    pub last_ceremony: u64,
}

/// An operator.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OperatorView {
    /// Who.
    pub name: String,
    /// SubjectPublicKeyInfo, DER.
    #[serde(with = "serde_bytes")]
    pub spki: Vec<u8>,
    /// Whether approvals count no more.
    pub revoked: bool,
}

/// A token.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TokenView {
    /// Whether it serves.
    pub up: bool,
    /// Its name in the configuration.
    pub name: String,
    /// What a person should know of it, such as why it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where its new keys live: `resident` or `wrapped`.
    pub residence: String,
}

/// POST /v1/ceremonies/plan.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The ceremony file.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub file: Vec<u8>,
}

/// Answer to [`PlanRequest`]; nothing was changed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PlanResponse {
    /// Of the file.
    pub number: u64,
    /// What it would do.
    pub effects: Vec<String>,
    /// What stands against it now; none means that it can be run once it is approved.
    pub problems: Vec<PlanProblem>,
}

/// What stands against a ceremony.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PlanProblem {
    /// Stable; docs/protocol.md lists all.
    pub code: String,
    /// What, where, what to do.
    pub text: String,
}

/// POST /v1/ceremonies.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The ceremony file.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub file: Vec<u8>,
    /// COSE_Sign1 each.
    #[serde(deserialize_with = "exact::byte_vecs")]
    pub approvals: Vec<ByteBuf>,
}

/// Answer to [`RunRequest`]. The same file with the same approvals, sent again, tells how far it is, or goes on where it was interrupted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunResponse {
    /// How it stands.
    pub state: CeremonyState,
    /// Of the ceremony.
    pub number: u64,
    /// Recorded.
    pub steps_done: u64,
    /// Of how many.
    pub steps_total: u64,
}

/// How a ceremony stands.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum CeremonyState {
    /// Steps are being carried out.
    Running,
    /// Every step is recorded.
    Done,
    /// It stopped between two steps; it can be run again or abandoned.
    Interrupted,
    /// It was given up by another ceremony.
    Abandoned,
}

impl CeremonyState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            CeremonyState::Running => "running",
            CeremonyState::Done => "done",
            CeremonyState::Interrupted => "interrupted",
            CeremonyState::Abandoned => "abandoned",
        }
    }

    /// Whether nothing more comes of it by itself.
    pub const fn has_ended(self) -> bool {
        match self {
            CeremonyState::Running => false,
            CeremonyState::Done | CeremonyState::Interrupted | CeremonyState::Abandoned => true,
        }
    }
}

/// GET /v1/ceremonies/{number}.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CeremonyResponse {
    /// The ceremony file.
    #[serde(with = "serde_bytes")]
    pub file: Vec<u8>,
    /// The steps that are recorded, in words.
    pub lines: Vec<String>,
    /// How it stands.
    pub state: CeremonyState,
    /// Of the ceremony.
    pub number: u64,
    /// COSE_Sign1 each.
    pub approvals: Vec<ByteBuf>,
    /// Recorded.
    pub steps_done: u64,
    /// COSE_Sign1 by the log key, once the ceremony has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<ByteBuf>,
    /// Of how many.
    pub steps_total: u64,
}

/// GET /v1/requests.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RequestsResponse {
    /// What to give as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Keys without a certificate.
    pub requests: Vec<RequestView>,
}

/// A key that waits for its certificate.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RequestView {
    /// PKCS#10, DER.
    #[serde(with = "serde_bytes")]
    pub csr: Vec<u8>,
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// What it may sign.
    pub role: String,
    /// CKA_ID.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// From 1.
    pub generation: u8,
}

/// POST /v1/certificates.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct InstallRequest {
    /// One for each key.
    pub chains: Vec<CertificateChain>,
}

/// A certificate and its issuers.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertificateChain {
    /// DER; the key's certificate first, without the root.
    #[serde(deserialize_with = "exact::byte_vecs")]
    pub chain: Vec<ByteBuf>,
}

/// Answer to [`InstallRequest`], in the order of the chains.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct InstallResponse {
    /// One for each chain.
    pub results: Vec<InstallResult>,
}

/// What became of one chain.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(untagged, try_from = "EitherInstall")]
pub enum InstallResult {
    /// Installed now or before.
    Installed(InstalledCertificate),
    /// Refused; nothing was changed.
    Refused(RefusedCertificate),
}

/// A certificate that is installed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InstalledCertificate {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// What the key may sign.
    pub role: String,
    /// Serial of the certificate.
    pub serial: u32,
}

/// A certificate that was refused.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RefusedCertificate {
    /// Why.
    pub problem: Problem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EitherInstall {
    psd: Option<String>,
    role: Option<String>,
    serial: Option<u32>,
    problem: Option<Problem>,
}

/// The fields are those of neither kind of result.
#[derive(Debug, thiserror::Error)]
#[error("a result has either psd, role and serial or a problem")]
struct NeitherInstall;

impl TryFrom<EitherInstall> for InstallResult {
    type Error = NeitherInstall;

    fn try_from(result: EitherInstall) -> Result<Self, NeitherInstall> {
        match (result.psd, result.role, result.serial, result.problem) {
            (Some(psd), Some(role), Some(serial), None) => {
                let psd = psd.parse().ok().ok_or(NeitherInstall)?;
                Ok(Self::Installed(InstalledCertificate { psd, role, serial }))
            }
            (None, None, None, Some(problem)) => Ok(Self::Refused(RefusedCertificate { problem })),
            _ => Err(NeitherInstall),
        }
    }
}

/// GET /v1/keys.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct KeysResponse {
    /// Every generation of every key.
    pub keys: Vec<OperatorKeyView>,
    /// What to give as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Milliseconds since 1970.
    pub time: u64,
}

/// A key as operators see it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OperatorKeyView {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// What it may sign.
    pub role: String,
    /// SubjectPublicKeyInfo, DER; empty for a secret key.
    #[serde(with = "serde_bytes")]
    pub spki: Vec<u8>,
    /// Certificate and issuers without the root, DER; empty until installed.
    pub chain: Vec<ByteBuf>,
    /// When it went out of use: another took over, or it was retired, revoked or destroyed; milliseconds since 1970. Absent where it
    /// never was in use, or still is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Where it stands.
    pub state: KeyState,
    /// The token, by its name in the configuration.
    pub token: String,
    /// Postage it signed.
    #[serde(with = "text")]
    pub value: PostageAmount,
    /// CKA_ID.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// Pieces it signed.
    pub pieces: u64,
    /// Serial of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// When the authority ordered that another key, made since then, takes over, where that is not done: of the key in use, or of the
    /// newest where none is in use; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<u64>,
    /// When it took over; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<u64>,
    /// `ecdsa-p256`, `ecdsa-p384`, `ed25519` or `hmac-sha256`.
    pub algorithm: String,
    /// When its certificate ends; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// `resident` or `wrapped`.
    pub residence: String,
    /// What a key that never was in use waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// From 1.
    pub generation: u8,
    /// When the authority's word came that verifiers know its certificate; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// When the next generation takes over, as far as it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<NextRotation>,
}

/// When the next generation takes over.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NextRotation {
    /// Milliseconds since 1970; absent where it depends on pieces or value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Why then: by age, pieces, value, order or the certificate's end, in words.
    pub reason: String,
}

/// Where a key stands.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Made; no certificate yet.
    Created,
    /// Certified; its time has not come.
    Certified,
    /// Signs.
    Active,
    /// Another generation signs.
    Superseded,
    /// Verifies and signs nothing more.
    Retired,
    /// Its private half is destroyed.
    Destroyed,
    /// Revoked.
    Revoked,
}

impl KeyState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyState::Created => "created",
            KeyState::Certified => "certified",
            KeyState::Active => "active",
            KeyState::Superseded => "superseded",
            KeyState::Retired => "retired",
            KeyState::Destroyed => "destroyed",
            KeyState::Revoked => "revoked",
        }
    }
}

/// GET /v1/unseal.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UnsealStatus {
    /// What the keeper says; psdd cannot read it.
    #[serde(with = "serde_bytes")]
    pub status: Vec<u8>,
}

/// POST /v1/unseal.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct UnsealRequest {
    /// A share, sealed to the keeper; psdd cannot read it.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    pub share: Vec<u8>,
}

/// Answer to [`UnsealRequest`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UnsealResponse {
    /// What the keeper says; psdd cannot read it.
    #[serde(with = "serde_bytes")]
    pub answer: Vec<u8>,
}
