//! What a certification number stands for: the place of the certification's record in the appliance's log.

use super::PERMUTED;

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

    /// Nine numerals of base 32, the most significant first.
    pub(super) fn numerals(self) -> [u16; PERMUTED] {
        let mut numerals = [0; PERMUTED];
        let mut rest = self.0;
        for numeral in numerals.iter_mut().rev() {
            *numeral = u16::from((rest % 32).to_le_bytes()[0]);
            rest /= 32;
        }
        numerals
    }

    /// The place of nine numerals; `None` where they are not nine or not below 32.
    pub(super) fn of_numerals(numerals: &[u16]) -> Option<Self> {
        if numerals.len() != PERMUTED || numerals.iter().any(|numeral| *numeral >= 32) {
            return None;
        }
        Self::of_leaf(numerals.iter().fold(0u64, |bits, numeral| bits << 5 | u64::from(*numeral)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_fills_nine_numerals() {
        let rows = [
            (0, [0; 9]),
            (33, [0, 0, 0, 0, 0, 0, 0, 1, 1]),
            // The second bit of the third numeral.
            (1 << 31, [0, 0, 2, 0, 0, 0, 0, 0, 0]),
            (Place::MAX.leaf(), [31; 9]),
        ];
        for (leaf, numerals) in rows {
            let place = Place::of_leaf(leaf).unwrap();
            assert_eq!((place.numerals(), Place::of_numerals(&numerals)), (numerals, Some(place)));
        }
        assert_eq!((Place::of_numerals(&[0; 8]), Place::of_numerals(&[32; 9])), (None, None));
        assert_eq!(Place::of_leaf(1 << 45), None);
    }
}
