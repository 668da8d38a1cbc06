//! The outcome of judging one request.

use crate::source::Party;
use std::fmt;
use std::sync::Arc;

/// The `@id` of a policy: 1 to 64 of the characters `a-z A-Z 0-9 . _ -`, fit for logs, records and problem details.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let valid =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        valid.then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether the request may go on.
#[must_use = "a request that was judged must be bound by the judgement"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Permit,
    /// It may not.
    Deny {
        /// Why, ordered by policy name; never empty.
        reasons: Vec<Reason>,
    },
}

impl Decision {
    /// Whether it is [`Decision::Permit`].
    pub fn is_permit(&self) -> bool {
        match self {
            Decision::Permit => true,
            Decision::Deny { .. } => false,
        }
    }
}

/// One reason for a denial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// No policy permits the request.
    #[error("no policy permits it")]
    NoPermit,
    /// A policy forbids the request.
    #[error("forbidden by {policy} of the {by}")]
    Forbidden {
        /// The policy.
        policy: PolicyName,
        /// Whose it is.
        by: Party,
    },
    /// A policy could not be evaluated, for instance because a sum overflowed; whatever others say, that denies.
    #[error("{policy} of the {by} could not be evaluated")]
    NotEvaluated {
        /// The policy.
        policy: PolicyName,
        /// Whose it is.
        by: Party,
    },
    /// The request cannot be put in Cedar's terms.
    #[error("the request cannot be put to the policies")]
    NotExpressible,
}
