//! What a certification number stands for: which PSD of the appliance, and its how-manieth certification of the epoch.

use super::PERMUTED;

/// Bits of a count.
const COUNT_BITS: u32 = 31;

/// The index of a PSD in its appliance, below 2¹⁴. The appliance's log says which PSD has which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PsdIndex(u16);

/// The number of a PSD's certification within a numbering epoch, below 2³¹.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CertificationCount(u32);

/// What a number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// Which PSD of the appliance.
    pub psd: PsdIndex,
    /// Which of its certifications in the epoch.
    pub count: CertificationCount,
}

impl PsdIndex {
    /// The largest.
    pub const MAX: Self = Self((1 << 14) - 1);

    /// The index with this number; `None` above [`PsdIndex::MAX`].
    pub const fn new(index: u16) -> Option<Self> {
        if index <= Self::MAX.0 { Some(Self(index)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl CertificationCount {
    /// The largest; behind it a new epoch begins.
    pub const MAX: Self = Self((1 << COUNT_BITS) - 1);

    /// The count with this number; `None` above [`CertificationCount::MAX`].
    pub const fn new(count: u32) -> Option<Self> {
        if count <= Self::MAX.0 { Some(Self(count)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The count behind this one; `None` where the epoch has no more, so that numbers are never used again.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl Place {
    /// Index and count as 45 bits, in nine numerals of base 32, the most significant first.
    pub(super) fn numerals(self) -> [u16; PERMUTED] {
        let bits = u64::from(self.psd.0) << COUNT_BITS | u64::from(self.count.0);
        let mut numerals = [0; PERMUTED];
        let mut rest = bits;
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
        let bits = numerals.iter().fold(0u64, |bits, numeral| bits << 5 | u64::from(*numeral));
        let psd = PsdIndex::new(u16::try_from(bits >> COUNT_BITS).ok()?)?;
        let count = CertificationCount::new(u32::try_from(bits & u64::from(CertificationCount::MAX.0)).ok()?)?;
        Some(Self { psd, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_count_fill_nine_numerals() {
        let place =
            |psd, count| Place { psd: PsdIndex::new(psd).unwrap(), count: CertificationCount::new(count).unwrap() };
        let rows = [
            (place(0, 0), [0; 9]),
            (place(0, 33), [0, 0, 0, 0, 0, 0, 0, 1, 1]),
            // 2³¹ is the second bit of the third numeral.
            (place(1, 0), [0, 0, 2, 0, 0, 0, 0, 0, 0]),
            (place(16_383, CertificationCount::MAX.number()), [31; 9]),
        ];
        for (place, numerals) in rows {
            assert_eq!(place.numerals(), numerals);
            assert_eq!(Place::of_numerals(&numerals), Some(place));
        }
        assert_eq!((Place::of_numerals(&[0; 8]), Place::of_numerals(&[32; 9])), (None, None));
        assert_eq!((PsdIndex::new(16_384), CertificationCount::new(1 << 31)), (None, None));
        assert_eq!((CertificationCount::MAX.next(), CertificationCount(6).next()), (None, CertificationCount::new(7)));
    }
}
