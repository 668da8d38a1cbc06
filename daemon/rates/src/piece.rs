//! A piece as far as its price goes.

use crate::length::Size;
use crate::weight::Weight;
use crate::zone::Zip;

/// Most surcharges that a table may have.
pub(crate) const MOST_SURCHARGES: usize = 64;

/// What is asked about. Its class is in the tariff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// What it weighs.
    pub weight: Weight,
    /// Where it is posted; a class with zones needs it.
    pub origin: Option<Zip>,
    /// Where it goes; a class with zones needs it.
    pub destination: Option<Zip>,
    /// What it measures; a class needs it whose price depends on it. Where it is told, it must fit the shape of the class.
    pub size: Option<Size>,
    /// What was asked for beside.
    pub surcharges: Surcharges,
}

/// Surcharges by their places in a table ([`crate::Table::surcharges`]). They mean nothing in another table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Surcharges(u64);

impl Piece {
    /// A piece of which the weight alone is known.
    pub const fn of(weight: Weight) -> Self {
        Self { weight, origin: None, destination: None, size: None, surcharges: Surcharges(0) }
    }
}

impl Surcharges {
    const fn bit(place: usize) -> u64 {
        if place < MOST_SURCHARGES { 1 << place } else { 0 }
    }

    pub(crate) const fn holds(self, place: usize) -> bool {
        self.0 & Self::bit(place) != 0
    }

    pub(crate) const fn with(self, place: usize) -> Self {
        Self(self.0 | Self::bit(place))
    }

    /// Those that are here and not there.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The place of the first.
    pub(crate) fn first(self) -> Option<usize> {
        if self.0 == 0 { None } else { usize::try_from(self.0.trailing_zeros()).ok() }
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
