//! Lengths, and what they say of a piece: girth, volume, the weight that stands for its bulk.

use crate::quantity::{Kind, QuantityError};
use std::fmt;
use std::str::FromStr;

/// Lengths are counted in units of 100 nm: 1 in is 25.4 mm exactly, and its thousandths are whole numbers of them.
const LENGTH: Kind = Kind { units: &[("mm", 10_000), ("in", IN)], example: "11.5 in", most: (100_000_000, "10 m") };
const IN: u64 = 254_000;

/// A length, at most 10 m; remembers the unit it was written in.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    count: u64,
    unit: usize,
}

/// What a piece measures: the longest side first, the shortest last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    sides: [Length; 3],
}

impl Length {
    const fn count(self) -> u64 {
        self.count
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.count == 0
    }
}

impl PartialEq for Length {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
    }
}

impl Eq for Length {}

impl PartialOrd for Length {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Length {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.count.cmp(&other.count)
    }
}

impl FromStr for Length {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (count, unit) = LENGTH.read(text)?;
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&LENGTH.write(self.count, self.unit))
    }
}

impl Size {
    /// The size with these sides, in any order.
    pub fn new(mut sides: [Length; 3]) -> Self {
        sides.sort_unstable_by(|a, b| b.cmp(a));
        Self { sides }
    }

    /// The longest side.
    pub const fn length(&self) -> Length {
        self.sides[0]
    }

    /// The sides, the longest first.
    pub const fn sides(&self) -> [Length; 3] {
        self.sides
    }

    /// The longest side, and twice each of the others: the way around it.
    pub fn length_and_girth(&self) -> Length {
        let [length, height, thickness] = self.sides;
        Length { count: length.count() + 2 * (height.count() + thickness.count()), unit: length.unit }
    }

    fn volume(&self) -> u128 {
        self.sides.iter().map(|side| u128::from(side.count())).product()
    }

    /// Whether it takes up more than so many cubic inches.
    pub fn exceeds_cubic_inches(&self, most: u32) -> bool {
        self.volume() > u128::from(most) * u128::from(IN).pow(3)
    }

    /// The weight that stands for its bulk, where so many cubic inches count as a pound; picograms, rounded up.
    pub(crate) fn dimensional_pg(&self, cubic_inches_per_lb: u32) -> u64 {
        // A pound is 453,592,370,000,000 pg and a cubic inch 254,000³ units; both by their common 10⁷.
        const LB: u128 = 45_359_237;
        const CUBIC_INCH: u128 = 254 * 254 * 254 * 100;
        let pg = (self.volume() * LB).div_ceil(CUBIC_INCH * u128::from(cubic_inches_per_lb));
        u64::try_from(pg).unwrap_or(u64::MAX)
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    /// Reads `12 x 9 x 4 in`.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let form = || QuantityError::Form { text: text.chars().take(40).collect(), example: "12 x 9 x 4 in" };
        let (numbers, unit) = text.rsplit_once(' ').ok_or_else(form)?;
        let numbers: Vec<&str> = numbers.split(" x ").collect();
        let [length, height, thickness] = numbers[..] else { return Err(form()) };
        let side = |number: &str| format!("{number} {unit}").parse::<Length>();
        Ok(Self::new([side(length)?, side(height)?, side(thickness)?]))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [length, height, thickness] = self.sides;
        write!(f, "{length} x {height} x {thickness}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inches_and_millimetres_meet() {
        let length = |text: &str| text.parse::<Length>().unwrap();
        assert_eq!(length("1 in"), length("25.4 mm"));
        assert!(length("0.007 in") > length("0.177 mm"));
        assert_eq!(length("11.5 in").to_string(), "11.5 in");
        assert!(matches!("10000.001 mm".parse::<Length>(), Err(QuantityError::TooLarge { .. })));
    }

    #[test]
    fn a_size_is_its_sides_in_order() {
        let size: Size = "9 x 12 x 4 in".parse().unwrap();
        assert_eq!(size, "12 x 9 x 4 in".parse().unwrap());
        assert_eq!(size.to_string(), "12 in x 9 in x 4 in");
        assert_eq!(size.length_and_girth(), "38 in".parse().unwrap());
        assert!(size.exceeds_cubic_inches(431));
        assert!(!size.exceeds_cubic_inches(432));
        for text in ["12 x 9 in", "12 x 9 x 4", "12x9x4 in", "12 x 9 x 4 x 2 in", "12 x -9 x 4 in", "4 in"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn bulk_weighs_what_the_divisor_says() {
        let pound = 453_592_370_000_000;
        assert_eq!("10 x 8.3 x 2 in".parse::<Size>().unwrap().dimensional_pg(166), pound);
        assert_eq!("20 x 16.6 x 10 in".parse::<Size>().unwrap().dimensional_pg(166), 20 * pound);
        // 166.001 cubic inches weigh more than a pound.
        assert!("10 x 8.3 x 2.001 in".parse::<Size>().unwrap().dimensional_pg(166) > pound);
    }
}
