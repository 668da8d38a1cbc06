//! Why a file is no ceremony.

use std::fmt;

/// What is wrong with a ceremony or genesis file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyError {
    /// Line of the file, from 1, where it can be told.
    pub line: Option<usize>,
    /// Table and key.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl CeremonyError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { line: None, field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for CeremonyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for CeremonyError {}
