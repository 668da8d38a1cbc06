//! Mail runs on the wire (docs/certification.md, "Runs").
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use super::RegisterView;
use crate::{exact, text};
use psd::{PostageAmount, PsdId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// POST /v1/psds/{psd}/runs: a run and its manifest.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct RunRequest<'a> {
    /// Its name, unique within the tenant.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub run: Cow<'a, str>,
    /// Day of mailing, `YYYY-MM-DD`.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub date: Cow<'a, str>,
    /// Class of mail in the table.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub class: Cow<'a, str>,
    /// Name of the rate table.
    #[serde(borrow, deserialize_with = "exact::text")]
    pub rates: Cow<'a, str>,
    /// All pieces.
    pub total: u64,
    /// Pieces for each ZIP of five digits.
    pub counts: Vec<ZipCount>,
    /// Discounts of the class that are claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<String>,
}

/// Pieces for a ZIP.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ZipCount {
    /// Five digits.
    pub zip: String,
    /// From 1.
    pub pieces: u64,
}

/// What is announced for a ZIP and, once the run is closed, counted, each with the tariff by it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunDestination {
    /// Five digits.
    pub zip: String,
    /// From 1.
    pub pieces: u64,
    /// Its place among the tariffs of the run.
    pub tariff: u8,
    /// Pieces counted, once the run is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// Its tariff by the count, by its place among those of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_tariff: Option<u8>,
}

/// Answer to [`RunRequest`], to its closing, and to GET /v1/psds/{psd}/runs/{run}.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunResponse {
    /// The run.
    pub run: RunView,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// GET /v1/psds/{psd}/runs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunsResponse {
    /// Those that are open, by name.
    pub runs: Vec<OpenRunView>,
    /// The newest signed checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A run that is open, in short.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OpenRunView {
    /// Its name.
    pub run: String,
    /// Day of mailing.
    pub date: String,
    /// Class of mail.
    pub class: String,
    /// Name of the rate table.
    pub rates: String,
    /// Pieces announced.
    pub total: u64,
}

/// A run as it was announced and, once it is closed, as it was counted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunView {
    /// The PSD that certifies it.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Its name.
    pub run: String,
    /// Day of mailing.
    pub date: String,
    /// Index in the log of the record that opened it.
    pub leaf: u64,
    /// Groups that have not the discount they were announced for, once it is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostView>,
    /// When it was opened, milliseconds since 1970.
    pub time: u64,
    /// Class of mail.
    pub class: String,
    /// Name of the rate table.
    pub rates: String,
    /// Pieces announced.
    pub total: u64,
    /// How it was closed; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedRunView>,
    /// Every tariff that its pieces can have.
    pub tariffs: Vec<String>,
    /// Version of the rate table.
    pub version: u64,
    /// Rising by ZIP.
    pub destinations: Vec<RunDestination>,
}

/// How a run was closed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ClosedRunView {
    /// Index in the log.
    pub leaf: u64,
    /// What the pieces owed beyond what was paid for them, by the tariffs of the count.
    #[serde(with = "text")]
    pub owed: PostageAmount,
    /// When, milliseconds since 1970.
    pub time: u64,
    /// Pieces counted.
    pub pieces: u64,
    /// The record of the log.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
    /// What was debited piece by piece.
    #[serde(with = "text")]
    pub debited: PostageAmount,
    /// COSE Receipt (RFC 9942) for the record. A repetition may bring another, over a later root of the log.
    #[serde(with = "serde_bytes")]
    pub receipt: Vec<u8>,
    /// What was debited by the closing.
    #[serde(with = "text")]
    pub settled: PostageAmount,
    /// What was debited beyond what was owed; it is not given back.
    #[serde(with = "text")]
    pub overpaid: PostageAmount,
    /// Of this PSD's records.
    pub sequence: u64,
    /// After it.
    pub registers: RegisterView,
}

/// A group that has its discount no more.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LostView {
    /// `10001`, `100xx` or `all`.
    pub group: String,
    /// Its pieces by the manifest.
    pub claimed: u64,
    /// Its pieces by the count.
    pub counted: u64,
    /// How many more the group takes.
    pub lacking: u64,
    /// The discount.
    pub discount: String,
    /// How many more the run takes.
    pub run_lacking: u64,
}
