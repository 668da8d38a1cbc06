//! The postal authority's own policy as it is signed, recorded and kept in force: a text under a version.
//!
//! Owns how long a text may be and that versions rise by one. What the text says is no concern of this crate: the daemon has it judged as Cedar
//! before it is taken.

use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Most bytes of a policy's text. An entry of the log has at most 65,535, and the signed instruction that brings the text is in one.
pub const LONGEST_POLICY: usize = 24 * 1_024;

/// The text is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the policy has {0} bytes, more than {LONGEST_POLICY}")]
pub struct PolicyTooLong(pub usize);

/// The text of a policy, UTF-8, not longer than [`LONGEST_POLICY`]. An empty one forbids nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyText(Arc<str>);

impl PolicyText {
    /// This text.
    pub fn new(text: &str) -> Result<Self, PolicyTooLong> {
        if text.len() > LONGEST_POLICY { Err(PolicyTooLong(text.len())) } else { Ok(Self(text.into())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// The authority's policy, as it was last instructed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuthorityPolicy {
    /// Rises by one with every text; 0 where there was none.
    pub version: u64,
    /// The text.
    pub text: PolicyText,
}

/// A version that is not the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("version {given} of the authority's policy does not follow version {last}")]
pub struct NotTheNext {
    /// In the instruction or the record.
    pub given: u64,
    /// Before it; 0 where there was none.
    pub last: u64,
}

impl AuthorityPolicy {
    /// Whether a policy of this version may come next.
    pub fn check_next(&self, given: u64) -> Result<(), NotTheNext> {
        let last = self.version;
        if last.checked_add(1) == Some(given) { Ok(()) } else { Err(NotTheNext { given, last }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_an_entry_of_the_log() {
        assert_eq!(PolicyText::new(&"a".repeat(LONGEST_POLICY)).map(|text| text.as_str().len()), Ok(24_576));
        let too_long = PolicyText::new(&"a".repeat(LONGEST_POLICY + 1));
        assert_eq!(too_long, Err(PolicyTooLong(24_577)));
        assert_eq!(too_long.unwrap_err().to_string(), "the policy has 24577 bytes, more than 24576");
        // Bytes count, not characters.
        assert!(PolicyText::new(&"é".repeat(LONGEST_POLICY / 2 + 1)).is_err());
        assert_eq!(PolicyText::new("").unwrap(), PolicyText::default());
    }

    #[test]
    fn versions_rise_by_one() {
        let policy = |version| AuthorityPolicy { version, text: PolicyText::default() };
        assert_eq!(AuthorityPolicy::default().check_next(1), Ok(()));
        assert_eq!(policy(7).check_next(8), Ok(()));
        for given in [0, 7, 9] {
            assert_eq!(policy(7).check_next(given), Err(NotTheNext { given, last: 7 }));
        }
        assert!(policy(u64::MAX).check_next(0).is_err());
    }
}
