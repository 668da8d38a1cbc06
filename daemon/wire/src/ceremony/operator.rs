//! The list of operators, as a file proposes it and as an appliance has it.

use super::{P256PublicKey, field};
use psd::OperatorName;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Most operators of an appliance.
pub const MOST_OPERATORS: usize = 32;

/// An operator who is to be.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// Who.
    #[serde(deserialize_with = "field::parsed")]
    pub name: OperatorName,
    /// What verifies the approvals.
    #[serde(deserialize_with = "field::parsed")]
    pub public_key: P256PublicKey,
}

/// An operator of the appliance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// Who.
    pub name: OperatorName,
    /// What verifies the approvals.
    pub key: P256PublicKey,
    /// Whether approvals count no more.
    pub revoked: bool,
}

/// What is wrong with a list and its quorum, and in which field.
pub(super) fn fault(operators: &[NewOperator], quorum: u64) -> Option<(&'static str, String)> {
    let count = u64::try_from(operators.len()).unwrap_or(u64::MAX);
    if operators.is_empty() || operators.len() > MOST_OPERATORS {
        return Some(("operators", format!("{count} operators; 1 to {MOST_OPERATORS} can be")));
    }
    if !(1..=count).contains(&quorum) {
        return Some(("quorum", format!("{quorum} of {count} can never approve; 1 to {count}")));
    }
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for NewOperator { name, public_key } in operators {
        if !names.insert(name) {
            return Some(("operators", format!("{name} stands there twice; every operator has a name of his own")));
        }
        // Two names with one key would make one person a quorum.
        if !keys.insert(public_key) {
            return Some(("operators", format!("{name} has the public key of another operator")));
        }
    }
    None
}
