//! The texts that policies are written in, and what was found wrong with them.

use crate::decision::PolicyName;
use std::fmt;

/// Who wrote a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The postage vendor: permits and forbids.
    Vendor,
    /// The postal authority, in its file: forbids only.
    Authority,
    /// The postal authority, in an instruction that it signed: forbids only.
    Instruction,
}

impl Party {
    /// The file the party's policies are in, or what stands for it in findings.
    pub const fn file_name(self) -> &'static str {
        match self {
            Party::Vendor => "vendor.cedar",
            Party::Authority => "authority.cedar",
            Party::Instruction => "instruction",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Party::Vendor => "vendor",
            Party::Authority => "authority",
            Party::Instruction => "authority's instruction",
        })
    }
}

/// One party's policies as text, and the name to blame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) party: Party,
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// What is wrong at this byte of the text.
    pub(crate) fn finding(&self, offset: usize, problem: Problem) -> Finding {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Finding {
            party: self.party,
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }
}

/// One thing wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct Finding {
    /// Whose policies the file holds.
    pub party: Party,
    /// The file, with its directory where it was read from one; `instruction` for what the authority signed.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not Cedar.
    #[error("{0}")]
    Syntax(String),
    /// It has no name to refuse by.
    #[error("the policy has no @id(\"…\")")]
    NoId,
    /// Its name cannot stand in records and responses.
    #[error("@id({0:?}) is not 1 to 64 of the characters a-z A-Z 0-9 . _ -")]
    BadId(String),
    /// Its name is taken, in this text or in the other party's file.
    #[error("@id(\"{0}\") names another policy too")]
    DuplicateId(PolicyName),
    /// It has slots such as `?principal`, which nothing here fills.
    #[error("templates are not read; write the policy out")]
    Template,
    /// The authority forbids, the vendor permits.
    #[error("{0} permits; the authority may only forbid")]
    PermitByAuthority(PolicyName),
    /// It does not fit the schema, or can never apply.
    #[error("{policy}: {message}")]
    Invalid {
        /// The policy.
        policy: PolicyName,
        /// Cedar's words.
        message: String,
    },
}

/// All that is wrong with the policies, in the order of the files; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// These findings as an error, or `Ok` if there are none.
    pub(crate) fn none_of(mut findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() {
            return Ok(());
        }
        findings.sort_by_key(|finding| (finding.party, finding.line, finding.column));
        findings.dedup();
        Err(Self(findings))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
