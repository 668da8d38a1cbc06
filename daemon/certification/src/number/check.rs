//! The two check characters: a Reed-Solomon code of length 12 over GF(32).
//!
//! The field is GF(2)[x] modulo x⁵ + x² + 1, α the class of x. Twelve values c₀ … c₁₁ are a number where Σ cᵢ = 0 and Σ cᵢ·αⁱ = 0. Two
//! numbers differ in three characters at least, so that every one or two wrong characters are found, and with them every two that are
//! swapped. Nothing is corrected: what looks like one wrong character may be three.

use super::{CHECKED, GROUP, LENGTH};
use std::fmt;

/// Check characters of a number.
pub(super) const CHECKS: usize = 2;

/// x⁵ + x² + 1.
const POLYNOMIAL: u8 = 0b10_0101;
/// αⁿ is 1 for this n and none below.
const ORDER: usize = 31;

/// What check characters that do not hold tell of where the error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// If one character is wrong, it is this one, from 0. Three wrong ones may look the same.
    One(usize),
    /// No single character explains it.
    Several,
}

impl Suspect {
    /// The group that looks wrong, from 0, where that can be told.
    pub const fn group(self) -> Option<usize> {
        match self {
            Suspect::One(position) => Some(position / GROUP),
            Suspect::Several => None,
        }
    }
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suspect::One(position) => {
                let group = super::ordinal(position / GROUP);
                write!(f, "if one character is wrong, it is no. {} of the {group}", position % GROUP + 1)
            }
            Suspect::Several => f.write_str("more than one character is wrong, or two are swapped"),
        }
    }
}

/// The product with α.
const fn times_alpha(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 0b10_0000 == 0 { doubled } else { doubled ^ POLYNOMIAL }
}

/// The product with αⁿ.
fn times_power(value: u8, n: usize) -> u8 {
    (0..n % ORDER).fold(value, |product, _| times_alpha(product))
}

/// Σ cᵢ and Σ cᵢ·αⁱ.
fn sums(values: &[u8]) -> (u8, u8) {
    values.iter().rev().fold((0, 0), |(plain, weighted), value| (plain ^ value, times_alpha(weighted) ^ value))
}

/// The two values that make a number of ten.
pub(super) fn checks(checked: &[u8; CHECKED]) -> [u8; CHECKS] {
    let (plain, weighted) = sums(checked);
    // c₁₀ + c₁₁ = plain and c₁₀·α¹⁰ + c₁₁·α¹¹ = weighted, so c₁₁·(1 + α) = plain + weighted·α⁻¹⁰; and 1 + α is α¹⁸.
    let last = times_power(plain ^ times_power(weighted, ORDER - CHECKED), ORDER - 18);
    [plain ^ last, last]
}

/// What is wrong with twelve values; `None` for a number.
pub(super) fn suspect(values: &[u8; LENGTH]) -> Option<Suspect> {
    let (plain, weighted) = sums(values);
    match (plain, weighted) {
        (0, 0) => None,
        (0, _) | (_, 0) => Some(Suspect::Several),
        // An error e at i alone leaves e and e·αⁱ.
        (error, weighted) => {
            let position = (0..LENGTH).find(|position| times_power(error, *position) == weighted);
            Some(position.map_or(Suspect::Several, Suspect::One))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(seed: u64) -> [u8; LENGTH] {
        let mut values = [0; LENGTH];
        for (index, value) in values[..CHECKED].iter_mut().enumerate() {
            *value = (seed >> (5 * index)).to_le_bytes()[0] & 31;
        }
        let mut checked = [0; CHECKED];
        checked.copy_from_slice(&values[..CHECKED]);
        values[CHECKED..].copy_from_slice(&checks(&checked));
        values
    }

    #[test]
    fn alpha_makes_the_field() {
        let powers: std::collections::BTreeSet<u8> = (0..ORDER).map(|n| times_power(1, n)).collect();
        assert_eq!(powers, (1..32).collect());
        assert_eq!((times_power(1, 18), times_power(1, ORDER)), (0b11, 1));
    }

    #[test]
    fn every_one_or_two_wrong_characters_are_found_and_one_is_placed() {
        for seed in [0, 1, 0x2_5a17_c0de_f00d, (1 << 50) - 1] {
            let right = number(seed);
            assert_eq!(suspect(&right), None, "{right:?}");
            for first in 0..LENGTH {
                for error in 1..32 {
                    let mut one = right;
                    one[first] ^= error;
                    assert_eq!(suspect(&one), Some(Suspect::One(first)), "{one:?}");
                    for second in first + 1..LENGTH {
                        for other in 1..32 {
                            let mut two = one;
                            two[second] ^= other;
                            assert!(suspect(&two).is_some(), "{two:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_two_swapped_are_found_and_placed_nowhere() {
        let right = number(0x1_8d2e_47b9_0a63);
        for first in 0..LENGTH {
            for second in first + 1..LENGTH {
                let mut swapped = right;
                swapped.swap(first, second);
                let expected = (right[first] != right[second]).then_some(Suspect::Several);
                assert_eq!(suspect(&swapped), expected, "{first} and {second} of {right:?}");
            }
        }
    }
}
