//! Judging digital tokens: what is read off a piece, and the verdict on the half whose key the door has.

use crate::exact;
use psd::PsdId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// POST /v1/digital-tokens: what stands on a piece.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct TokenQuery<'a> {
    /// Device ID.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub psd: Cow<'a, str>,
    /// Day of mailing, `YYYY-MM-DD`.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub date: Cow<'a, str>,
    /// The token as it is printed.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub token: Cow<'a, str>,
    /// Number of the piece among those of the PSD.
    pub pieces: u64,
    /// Decimal text.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub postage: Cow<'a, str>,
    /// The recipient's address as it is written, where the destination is no delivery point.
    #[serde(borrow, default, deserialize_with = "exact::some_text", skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Cow<'a, str>>,
    /// ZIP, ZIP+4 or delivery point.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub destination: Cow<'a, str>,
}

/// What the log says of a token.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum InLog {
    /// The PSD's piece of this number has this very token.
    Same,
    /// It has another one.
    Other,
    /// The PSD has no piece of this number, or one without a token.
    None,
}

/// What was found of the half.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum HalfVerdict {
    /// A key of the PSD makes it of these data.
    Holds,
    /// None does.
    DoesNotHold,
    /// What was read is no token.
    Misread,
}

/// Answer to [`TokenQuery`]. It says nothing of the other half.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TokenVerdict {
    /// Generation of the key that makes the half, where it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// What the log has; absent where the token was misread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<InLog>,
    /// The PSD asked about.
    #[serde(with = "crate::text")]
    pub psd: PsdId,
    /// `vendor` or `postal`: whose half was judged.
    pub half: String,
    /// Where the piece of this number stands in the log, if it has a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// In words.
    pub says: String,
    /// Of the half.
    pub verdict: HalfVerdict,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}
