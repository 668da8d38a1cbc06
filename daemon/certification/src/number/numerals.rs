//! Nine numerals of base 32 in a machine word, for FF1 to work on: `fpe`'s own strings of numerals are of any radix and length, over big
//! integers, and cost several times what AES does.
//!
//! Owns the arithmetic on the two halves (NIST SP 800-38G §5.1, steps 2, 6ii, 6vi, 6vii and 7) and nothing of the rounds, which are `fpe`'s.

use super::{PERMUTED, Place};
use fpe::ff1::{NumeralString, Operations};

/// Characters of the alphabet.
pub(super) const RADIX: u32 = 32;

/// Bits of a numeral.
const NUMERAL: usize = 5;
/// Numerals of the first half; the second has one more.
const FIRST: usize = PERMUTED / 2;
const SECOND: usize = PERMUTED - FIRST;
/// Bytes of a half as the cipher takes it: what 25 bits fill.
const BYTES: usize = (SECOND * NUMERAL).div_ceil(8);

/// Nine numerals, the most significant first, in 45 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numerals(u64);

/// The first half of nine numerals, or the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Half {
    /// Below 32 to the power of their count.
    value: u64,
    count: usize,
}

/// What a value of so many numerals leaves modulo 32 to the power of their count.
const fn low(value: u64, count: usize) -> u64 {
    value & ((1 << (NUMERAL * count)) - 1)
}

impl Numerals {
    /// Those of a place.
    pub(super) const fn of_place(place: Place) -> Self {
        Self(place.leaf())
    }

    /// Those of nine values below 32; of a greater one the low five bits count.
    pub(super) fn of_values(values: [u8; PERMUTED]) -> Self {
        Self(values.into_iter().fold(0, |bits, value| bits << NUMERAL | low(u64::from(value), 1)))
    }

    /// Nine values below 32.
    pub(super) fn values(self) -> [u8; PERMUTED] {
        std::array::from_fn(|at| low(self.0 >> (NUMERAL * (PERMUTED - 1 - at)), 1).to_le_bytes()[0])
    }

    /// The place that they are.
    pub(super) fn place(self) -> Place {
        match Place::of_leaf(self.0) {
            Some(place) => place,
            None => unreachable!("nine numerals have 45 bits, and every 45 bits are a place"),
        }
    }
}

impl NumeralString for Numerals {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        radix == RADIX
    }

    fn numeral_count(&self) -> usize {
        PERMUTED
    }

    fn split(&self) -> (Half, Half) {
        let first = Half { value: self.0 >> (NUMERAL * SECOND), count: FIRST };
        (first, Half { value: low(self.0, SECOND), count: SECOND })
    }

    fn concat(first: Half, second: Half) -> Self {
        Self(first.value << (NUMERAL * second.count) | second.value)
    }
}

impl Operations for Half {
    type Bytes = [u8; BYTES];

    fn numeral_count(&self) -> usize {
        self.count
    }

    fn to_be_bytes(&self, radix: u32, b: usize) -> [u8; BYTES] {
        assert_eq!((radix, b), (RADIX, BYTES), "FF1 of nine numerals of radix 32 takes a half in four bytes");
        let [_, _, _, _, bytes @ ..] = self.value.to_be_bytes();
        bytes
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, m: usize) -> Self {
        Self { value: low(self.value.wrapping_add(number(other)), m), count: m }
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, m: usize) -> Self {
        Self { value: low(self.value.wrapping_sub(number(other)), m), count: m }
    }
}

/// The number of big-endian bytes modulo 2⁶⁴, of which every 32ᵐ that is asked for is a divisor.
fn number(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0, |number, byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::Aes256;
    use fpe::ff1::{FF1, FlexibleNumeralString, NumeralStringError};
    use proptest::array::{uniform4, uniform5, uniform9, uniform32};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn flexible(values: &[u8]) -> FlexibleNumeralString {
        FlexibleNumeralString::from(values.iter().copied().map(u16::from).collect::<Vec<u16>>())
    }

    fn rigid(string: FlexibleNumeralString) -> Vec<u8> {
        Vec::<u16>::from(string).into_iter().map(|value| u8::try_from(value).unwrap()).collect()
    }

    /// A half of its values, the most significant first.
    fn half(values: &[u8]) -> Half {
        let value = values.iter().fold(0, |number, value| number * 32 + u64::from(*value));
        Half { value, count: values.len() }
    }

    #[test]
    fn a_place_fills_nine_numerals() {
        let rows = [
            (0, [0; 9]),
            (33, [0, 0, 0, 0, 0, 0, 0, 1, 1]),
            // The second bit of the third numeral.
            (1 << 31, [0, 0, 2, 0, 0, 0, 0, 0, 0]),
            (Place::MAX.leaf(), [31; 9]),
        ];
        for (leaf, values) in rows {
            let place = Place::of_leaf(leaf).unwrap();
            let numerals = Numerals::of_place(place);
            assert_eq!((numerals.values(), Numerals::of_values(values)), (values, numerals));
            assert_eq!(numerals.place(), place);
        }
        // A bit too many stays out of its neighbour.
        assert_eq!(Numerals::of_values([32; 9]), Numerals(0));
    }

    #[test]
    fn sums_and_differences_wrap_at_the_length_of_their_half() {
        let (four, five) = (half(&[31; 4]), half(&[31; 5]));
        assert_eq!(four.add_mod_exp([1].into_iter(), RADIX, 4), half(&[0; 4]));
        assert_eq!(five.add_mod_exp([1].into_iter(), RADIX, 5), half(&[0; 5]));
        assert_eq!(half(&[0; 4]).sub_mod_exp([1].into_iter(), RADIX, 4), four);
        assert_eq!(half(&[0; 5]).sub_mod_exp([1].into_iter(), RADIX, 5), five);
    }

    #[test]
    fn another_radix_is_refused() {
        for radix in [2, 10, 31, 64] {
            let permutation = FF1::<Aes256>::new(&[7; 32], radix).unwrap();
            let refused = NumeralStringError::InvalidForRadix(radix);
            assert_eq!(permutation.encrypt(&[], &Numerals(0)).err(), Some(refused), "{radix}");
        }
    }

    proptest! {
        /// The oracle is `fpe`'s own strings, which its tests hold against the samples of NIST; none of those has radix 32.
        #[test]
        fn ff1_is_that_over_strings_of_any_length(
            key in uniform32(any::<u8>()),
            tweak in vec(any::<u8>(), 0..40),
            values in uniform9(0u8..32),
        ) {
            let permutation = FF1::<Aes256>::new(&key, RADIX).unwrap();
            let permuted = permutation.encrypt(&tweak, &Numerals::of_values(values)).unwrap();
            prop_assert_eq!(permuted.values().to_vec(), rigid(permutation.encrypt(&tweak, &flexible(&values)).unwrap()));
            let opened = permutation.decrypt(&tweak, &Numerals::of_values(values)).unwrap();
            prop_assert_eq!(opened.values().to_vec(), rigid(permutation.decrypt(&tweak, &flexible(&values)).unwrap()));
            prop_assert_eq!(permutation.decrypt(&tweak, &permuted).unwrap().values(), values);
        }

        #[test]
        fn halves_reckon_as_strings_of_any_length(
            first in uniform4(0u8..32),
            second in uniform5(0u8..32),
            other in vec(any::<u8>(), 0..24),
        ) {
            for values in [first.as_slice(), second.as_slice()] {
                let (ours, theirs) = (half(values), || flexible(values));
                prop_assert_eq!(ours.to_be_bytes(RADIX, 4).to_vec(), theirs().to_be_bytes(RADIX, 4));
                let bytes = || other.iter().copied();
                let sum = theirs().add_mod_exp(bytes(), RADIX, values.len());
                prop_assert_eq!(ours.add_mod_exp(bytes(), RADIX, values.len()), half(&rigid(sum)));
                let difference = theirs().sub_mod_exp(bytes(), RADIX, values.len());
                prop_assert_eq!(ours.sub_mod_exp(bytes(), RADIX, values.len()), half(&rigid(difference)));
            }
            let whole: Vec<u8> = first.iter().chain(&second).copied().collect();
            let numerals = Numerals::concat(half(&first), half(&second));
            prop_assert_eq!(numerals.values().to_vec(), whole);
            prop_assert_eq!(numerals.split(), (half(&first), half(&second)));
        }
    }
}
