//! Why a file is no ceremony.

/// What is wrong with a ceremony or genesis file, and where.
pub use crate::reviewed_file::FileError as CeremonyError;
