//! Why something is revoked (RFC 5280 §5.3.1).

use std::fmt;
use std::str::FromStr;

/// A CRLReason. Those that are no end (`certificateHold`, `removeFromCRL`) or are of a CA (`cACompromise`, `aACompromise`) are not
/// for operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RevocationReason {
    /// No reason is told.
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The subject's name or office changed.
    AffiliationChanged,
    /// Another takes its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// What it was allowed, it is no longer.
    PrivilegeWithdrawn,
}

/// The word is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no reason; one of unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn"
)]
pub struct ReasonError(String);

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The number in a CRL.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The word of RFC 5280.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }
}

impl FromStr for RevocationReason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| ReasonError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
