//! What a scanned symbol is worth.

use serde::Serialize;
use std::collections::BTreeMap;

/// The verdict in a word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanCode {
    /// Signed by the certified key, in the log, scanned for the first time.
    Valid,
    /// The same, and its key was revoked after it was recorded.
    ValidWhenSigned,
    /// No symbol of a known layout.
    Malformed,
    /// The log knows no such device.
    UnknownPsd,
    /// The log knows the device, and no certificate of the authority with that serial number for an indicium key of it.
    UnknownCertificate,
    /// Forged or altered.
    BadSignature,
    /// Signed by the certified key, and the log has no such piece: the log was withheld, or the key is in other hands.
    NotInLog,
    /// Newer than the mirror.
    BeyondLog,
    /// Recorded, or to judge by its day signed, after its key was revoked.
    Revoked,
    /// Valid, and scanned before: one of the two is a copy.
    Duplicate,
}

impl ScanCode {
    /// The stable word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            ScanCode::Valid => "valid",
            ScanCode::ValidWhenSigned => "valid-when-signed",
            ScanCode::Malformed => "malformed",
            ScanCode::UnknownPsd => "unknown-psd",
            ScanCode::UnknownCertificate => "unknown-certificate",
            ScanCode::BadSignature => "bad-signature",
            ScanCode::NotInLog => "not-in-log",
            ScanCode::BeyondLog => "beyond-log",
            ScanCode::Revoked => "revoked",
            ScanCode::Duplicate => "duplicate",
        }
    }

    /// Whether the symbol is worth its postage.
    pub const fn is_good(self) -> bool {
        match self {
            ScanCode::Valid | ScanCode::ValidWhenSigned => true,
            ScanCode::Malformed
            | ScanCode::UnknownPsd
            | ScanCode::UnknownCertificate
            | ScanCode::BadSignature
            | ScanCode::NotInLog
            | ScanCode::BeyondLog
            | ScanCode::Revoked
            | ScanCode::Duplicate => false,
        }
    }
}

/// A scanned symbol, judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ScanVerdict {
    /// The input.
    pub from: String,
    /// Its line, counted from one.
    pub line: u64,
    /// The verdict.
    pub code: ScanCode,
    /// Whether it is worth its postage.
    pub good: bool,
    /// One sentence.
    pub says: String,
    /// The device it names.
    pub psd: Option<String>,
    /// The ascending register in it.
    pub ascending: Option<String>,
    /// The postage in it.
    pub postage: Option<String>,
    /// The record of it.
    pub leaf: Option<u64>,
    /// The scan before it, `INPUT:LINE`, whatever the verdict.
    pub duplicate_of: Option<String>,
}

impl ScanVerdict {
    pub(super) fn new(from: &str, line: u64, code: ScanCode, says: String) -> Self {
        Self {
            from: from.to_owned(),
            line,
            code,
            good: code.is_good(),
            says,
            psd: None,
            ascending: None,
            postage: None,
            leaf: None,
            duplicate_of: None,
        }
    }
}

/// Scans by verdict.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ScanSummary {
    /// All.
    pub scans: u64,
    /// By verdict; those that did not occur are not there.
    pub verdicts: BTreeMap<ScanCode, u64>,
}

impl ScanSummary {
    pub(super) fn count(&mut self, verdict: &ScanVerdict) {
        self.scans += 1;
        *self.verdicts.entry(verdict.code).or_default() += 1;
    }
}
