//! What a certification number stands for: the place of the certification's record in the appliance's log.

/// Bits of a place.
const BITS: u32 = 45;

/// A leaf of the appliance's log, below 2⁴⁵: at a million records a second, those of a year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(u64);

impl Place {
    /// The largest.
    pub const MAX: Self = Self((1 << BITS) - 1);

    /// The place of the record at this leaf; `None` above [`Place::MAX`].
    pub const fn of_leaf(leaf: u64) -> Option<Self> {
        if leaf <= Self::MAX.0 { Some(Self(leaf)) } else { None }
    }

    /// The leaf.
    pub const fn leaf(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_of_more_than_45_bits_is_no_place() {
        assert_eq!(Place::of_leaf((1 << 45) - 1), Some(Place::MAX));
        assert_eq!(Place::of_leaf(1 << 45), None);
    }
}
