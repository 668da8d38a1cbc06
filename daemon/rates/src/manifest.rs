//! What a sender says of a run before it is posted.

use crate::counts::Counts;
use crate::tariff::NameError;
use crate::zone::Zip;

/// A run as its sender describes it: one class, the discounts that are claimed, and how many pieces go to each ZIP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Name of the class.
    pub class: String,
    /// Names of discounts of the class.
    pub claims: Vec<String>,
    /// Pieces by ZIP.
    pub counts: Counts,
    /// All pieces, as the sender counted them.
    pub total: u64,
}

/// A manifest that nothing can be judged by.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManifestError {
    /// A class or a discount.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Claimed before.
    #[error("the discount {0} is claimed twice")]
    Twice(String),
    /// Counts that do not add up.
    #[error("the counts do not add up: {counted} pieces for the ZIPs together, {stated} in total")]
    Total {
        /// The sum.
        counted: u64,
        /// What the manifest says.
        stated: u64,
    },
    /// No piece.
    #[error("the manifest has no piece")]
    Empty,
    /// In no area.
    #[error("the ZIP {zip} is in no area of table {table}")]
    UnknownZip {
        /// The ZIP.
        zip: Zip,
        /// The table.
        table: String,
    },
}
