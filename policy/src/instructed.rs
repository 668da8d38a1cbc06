//! The policy that the postal authority has in force by a signed instruction, beside the files.
//!
//! It is judged by itself, against the schema alone, so that no file of the vendor's can be written that would keep it out: its policies have
//! names of their own in Cedar, and a policy of a file may bear the same `@id`.

use crate::check::{Checked, check};
use crate::decision::PolicyName;
use crate::set::schema;
use crate::source::{Findings, Party, Source};
use cedar_policy::{Policy, PolicyId};
use psd::policy::PolicyText;

/// Forbids of an instructed policy that passed every check.
#[derive(Debug, Clone, Default)]
pub struct InstructedPolicy {
    policies: Vec<(PolicyName, Policy)>,
    text: PolicyText,
}

impl InstructedPolicy {
    /// Checks this text as the authority's file is checked: static, named, forbids only, and strictly by the schema. An empty text holds no
    /// policy and forbids nothing.
    pub fn read(text: &PolicyText) -> Result<Self, Findings> {
        let party = Party::Instruction;
        let source = Source { party, file: party.file_name(), text: text.as_str() };
        let checked = check(&schema(), &[source])?;
        let apart = |Checked { name, policy, .. }: Checked<'_>| {
            // No name of a policy has a slash, so none of a file's is the same.
            let policy = policy.new_id(PolicyId::new(format!("instruction/{name}")));
            (name, policy)
        };
        Ok(Self { policies: checked.into_iter().map(apart).collect(), text: text.clone() })
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = (&PolicyName, &Policy)> {
        self.policies.iter().map(|(name, policy)| (name, policy))
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_str()
    }
}
