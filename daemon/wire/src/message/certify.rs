//! Certifications of corrected mail on the wire (docs/certification.md).
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use super::{FromText, RefusedPiece, RegisterView};
use crate::problem::Problem;
use crate::{exact, text};
use psd::certification::Proof;
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::borrow::Cow;

/// POST /v1/psds/{psd}/certifications.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CertifyRequest<'a> {
    /// The open run that the pieces are part of.
    #[serde(borrow, default, deserialize_with = "exact::some_text", skip_serializing_if = "Option::is_none")]
    pub run: Option<Cow<'a, str>>,
    /// What is to be certified.
    #[serde(borrow)]
    pub items: Vec<CertifyItem<'a>>,
    /// What shall prove the certifications.
    #[serde(default, skip_serializing_if = "ProvenBy::is_signature")]
    pub proof: ProvenBy,
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

/// What proves certifications.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ProvenBy {
    /// A signature of the certification key on each.
    #[default]
    Signature,
    /// A receipt for each: its record stands in the log, whose root is signed for many.
    Receipt,
}

impl ProvenBy {
    /// Whether nothing needs to be said of it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    const fn is_signature(&self) -> bool {
        matches!(self, ProvenBy::Signature)
    }
}

impl From<ProvenBy> for Proof {
    fn from(by: ProvenBy) -> Self {
        match by {
            ProvenBy::Signature => Proof::Signature,
            ProvenBy::Receipt => Proof::Receipt,
        }
    }
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

/// GET /v1/certifications/{key} and GET /v1/certifications/numbers/{number}.
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
#[serde(untagged, try_from = "EitherResult")]
pub enum CertifyResult {
    /// What was owed is debited, and the piece certified.
    Certified(CertifiedPiece),
    /// Neither.
    Refused(RefusedPiece),
}

/// Both kinds of result in one shape, as in [`super::SignResult`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EitherResult {
    due: Option<FromText<PostageAmount>>,
    key: ByteBuf,
    psd: Option<FromText<PsdId>>,
    leaf: Option<u64>,
    line: Option<String>,
    paid: Option<FromText<PostageAmount>>,
    time: Option<u64>,
    rates: Option<String>,
    number: Option<String>,
    tariff: Option<String>,
    debited: Option<FromText<PostageAmount>>,
    problem: Option<Problem>,
    receipt: Option<ByteBuf>,
    version: Option<u64>,
    sequence: Option<u64>,
    registers: Option<RegisterView>,
    certification: Option<ByteBuf>,
}

/// The fields are those of neither kind of result.
#[derive(Debug, thiserror::Error)]
#[error("a result has either the fields of a certified piece or a problem")]
struct NeitherResult;

impl TryFrom<EitherResult> for CertifyResult {
    type Error = NeitherResult;

    fn try_from(result: EitherResult) -> Result<Self, NeitherResult> {
        match result {
            EitherResult {
                due: Some(FromText(due)),
                key,
                psd: Some(FromText(psd)),
                leaf: Some(leaf),
                line,
                paid: Some(FromText(paid)),
                time: Some(time),
                rates: Some(rates),
                number,
                tariff: Some(tariff),
                debited: Some(FromText(debited)),
                problem: None,
                receipt,
                version: Some(version),
                sequence: Some(sequence),
                registers: Some(registers),
                certification: Some(certification),
            } => {
                let key = key.into_vec().try_into().ok().ok_or(NeitherResult)?;
                let (receipt, certification) = (receipt.map(ByteBuf::into_vec), certification.into_vec());
                Ok(Self::Certified(CertifiedPiece {
                    due,
                    key,
                    psd,
                    leaf,
                    line,
                    paid,
                    time,
                    rates,
                    number,
                    tariff,
                    debited,
                    receipt,
                    version,
                    sequence,
                    registers,
                    certification,
                }))
            }
            EitherResult {
                due: None,
                key,
                psd: None,
                leaf: None,
                line: None,
                paid: None,
                time: None,
                rates: None,
                number: None,
                tariff: None,
                debited: None,
                problem: Some(problem),
                receipt: None,
                version: None,
                sequence: None,
                registers: None,
                certification: None,
            } => Ok(Self::Refused(RefusedPiece { key: key.into_vec(), problem })),
            _ => Err(NeitherResult),
        }
    }
}

/// A certification with its debit. The same for the first answer and for every repetition, but for receipts.
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
    /// To be printed on the piece: licence, class, day of mailing, what was due, number. Where it is short enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// What was paid for it before.
    #[serde(with = "text")]
    pub paid: PostageAmount,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Name of the rate table.
    pub rates: String,
    /// The certification number, where the appliance gives such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The tariff by which it is due.
    pub tariff: String,
    /// What was debited.
    #[serde(with = "text")]
    pub debited: PostageAmount,
    /// COSE Receipt (RFC 9942) for the record, where one was asked for. A repetition may bring another, over a later root of the log.
    #[serde(default, with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Vec<u8>>,
    /// Version of the rate table.
    pub version: u64,
    /// Of this PSD's records.
    pub sequence: u64,
    /// After this piece.
    pub registers: RegisterView,
    /// COSE_Sign1 by the certification key; with a receipt the record of the log that it is for.
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
