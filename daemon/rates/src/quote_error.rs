//! Why a piece has no price.

use crate::length::Length;
use crate::weight::{Limit, Weight};
use crate::zone::Zip;

/// A piece has no price in a table.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuoteError {
    /// A tariff of another table.
    #[error(
        "the tariff is of no class and discounts that table {table} has; tariffs belong to the table they were taken from"
    )]
    Tariff {
        /// The table.
        table: String,
    },
    /// Heavier than the class.
    #[error("{weight} is beyond class {class}, which ends at {heaviest}")]
    TooHeavy {
        /// What it weighs.
        weight: Weight,
        /// Of which class.
        class: String,
        /// What it may weigh.
        heaviest: Limit,
    },
    /// Bulkier than the class.
    #[error("{size} counts as more than class {class} holds, which ends at {heaviest}")]
    TooBulky {
        /// What it measures.
        size: String,
        /// Of which class.
        class: String,
        /// What it may weigh.
        heaviest: Limit,
    },
    /// The class has zones.
    #[error("class {class} has zones: it takes the ZIP of the {missing}")]
    NoZip {
        /// The class.
        class: String,
        /// `origin` or `destination`.
        missing: &'static str,
    },
    /// In no area.
    #[error("the ZIP {zip} is in no area of table {table}")]
    UnknownZip {
        /// The ZIP.
        zip: Zip,
        /// The table.
        table: String,
    },
    /// The price depends on the size.
    #[error("the price of class {class} depends on what a piece measures, and that is missing")]
    NoSize {
        /// The class.
        class: String,
    },
    /// Of another shape.
    #[error("the {side} is {found}; class {class} takes {bound} {limit} (shape {shape})")]
    Shape {
        /// Which measure.
        side: &'static str,
        /// What it is.
        found: Length,
        /// `at least` or `at most`.
        bound: &'static str,
        /// What it may be.
        limit: Length,
        /// The class.
        class: String,
        /// Its shape.
        shape: String,
    },
    /// Not for this class.
    #[error("class {class} has no surcharge {surcharge}")]
    NotOfClass {
        /// The class.
        class: String,
        /// The surcharge.
        surcharge: String,
    },
    /// Not without another.
    #[error("{surcharge} takes {needed} as well, which was not asked for")]
    Needs {
        /// The surcharge.
        surcharge: String,
        /// What is missing.
        needed: String,
    },
    /// Beyond all amounts.
    #[error("the price is beyond all amounts that this system holds")]
    Range,
}
