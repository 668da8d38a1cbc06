//! Certifications of corrected mail on the wire (docs/certification.md).
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use super::{RefusedPiece, RegisterView};
use crate::problem::Problem;
use crate::{exact, text};
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// POST /v1/psds/{psd}/certifications.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertifyRequest<'a> {
    /// What is to be certified.
    #[serde(borrow)]
    pub items: Vec<CertifyItem<'a>>,
    /// Name of the rate table.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub rates: Cow<'a, str>,
    /// The newest checkpoint the client has seen.
    #[serde(borrow, default, deserialize_with = "exact::some_text", skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Cow<'a, str>>,
    /// Whether one refusal refuses all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_or_none: bool,
}

/// One piece of corrected mail.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertifyItem<'a> {
    /// Idempotency key, a UUID of version 7.
    #[serde(borrow, deserialize_with = "exact::bytes", serialize_with = "serde_bytes::serialize")]
    pub key: Cow<'a, [u8]>,
    /// Day of mailing, `YYYY-MM-DD`.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub date: Cow<'a, str>,
    /// Its sides, each with its unit (`12.5 in`, `318 mm`), where the class asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[String; 3]>,
    /// Class of mail in the table.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub class: Cow<'a, str>,
    /// The scale.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub scale: Cow<'a, str>,
    /// What it read, milligrams.
    pub weight: i64,
    /// Postage printed on the piece, decimal text, where no indicium proves it.
    #[serde(borrow, default, deserialize_with = "exact::some_text", skip_serializing_if = "Option::is_none")]
    pub imprint: Option<Cow<'a, str>>,
    /// The reading as the scale signed it.
    #[serde(
        borrow,
        default,
        deserialize_with = "exact::some_bytes",
        serialize_with = "serde_bytes::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub reading: Option<Cow<'a, [u8]>>,
    /// When it was read, milliseconds since 1970.
    pub weighed: u64,
    /// The indicium on the piece.
    #[serde(
        borrow,
        default,
        deserialize_with = "exact::some_bytes",
        serialize_with = "serde_bytes::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub indicium: Option<Cow<'a, [u8]>>,
    /// The client's own reference.
    #[serde(borrow, default, deserialize_with = "exact::some_text", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    /// Surcharges of the table that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surcharges: Vec<String>,
    /// ZIP, ZIP+4 or delivery point.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub destination: Cow<'a, str>,
}

/// Answer to [`CertifyRequest`].
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertifyResponse {
    /// In the order of the items.
    pub results: Vec<CertifyResult>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// GET /v1/certifications/{key}.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertificationResponse {
    /// The stored result.
    pub piece: CertifiedPiece,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// What became of one item.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
pub enum CertifyResult {
    /// What was owed is debited, and the piece certified.
    Certified(CertifiedPiece),
    /// Neither.
    Refused(RefusedPiece),
}

/// A certification with its debit. The same for the first answer and for every repetition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CertifiedPiece {
    /// What the piece owes.
    #[serde(with = "text")]
    pub due: PostageAmount,
    /// The item's key.
    #[serde(with = "serde_bytes")]
    pub key: [u8; 16],
    /// The PSD that certified.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Index in the log.
    pub leaf: u64,
    /// What was paid for it before.
    #[serde(with = "text")]
    pub paid: PostageAmount,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Name of the rate table.
    pub rates: String,
    /// The tariff by which it is due.
    pub tariff: String,
    /// What was debited.
    #[serde(with = "text")]
    pub debited: PostageAmount,
    /// Version of the rate table.
    pub version: u64,
    /// Of this PSD's records.
    pub sequence: u64,
    /// After this piece.
    pub registers: RegisterView,
    /// COSE_Sign1 by the certification key.
    #[serde(with = "serde_bytes")]
    pub certification: Vec<u8>,
}

impl CertifyResult {
    /// The item's key as told.
    pub fn key(&self) -> &[u8] {
        match self {
            CertifyResult::Certified(piece) => &piece.key,
            CertifyResult::Refused(refused) => &refused.key,
        }
    }

    /// Why it was refused, where it was.
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            CertifyResult::Certified(_) => None,
            CertifyResult::Refused(refused) => Some(&refused.problem),
        }
    }
}
