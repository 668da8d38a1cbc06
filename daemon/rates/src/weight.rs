//! Weights: of pieces in whole milligrams, and the limits of a table exactly as they are written.

use crate::quantity::{Kind, QuantityError};
use std::fmt;
use std::str::FromStr;

/// Limits are counted in picograms: 1 oz is 28.349523125 g and 1 lb is 453.59237 g exactly (international yard and pound agreement,
/// 1959), and thousandths of both are whole picograms.
const PG_IN_MG: u64 = 1_000_000_000;
const MASS: Kind = Kind {
    units: &[("g", 1_000 * PG_IN_MG), ("oz", 28_349_523_125_000), ("lb", 453_592_370_000_000)],
    example: "3.5 oz",
    most: (HEAVIEST_MG * PG_IN_MG, "1000 kg"),
};
const HEAVIEST_MG: u64 = 1_000_000_000;

/// The weight of a piece in milligrams, over zero and at most 1000 kg.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Weight(u64);

/// Nothing weighs that.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WeightError {
    /// Not read.
    #[error("the weight {0}")]
    Text(#[from] QuantityError),
    /// Below a milligram.
    #[error("the weight is zero; a piece weighs at least a milligram")]
    Zero,
    /// Above any class.
    #[error("the weight is more than 1000 kg")]
    TooHeavy,
}

/// A weight in a table, exact, in picograms; remembers the unit it was written in.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pg: u64,
    unit: usize,
}

impl Weight {
    /// So many milligrams.
    pub fn from_milligrams(milligrams: u64) -> Result<Self, WeightError> {
        match milligrams {
            0 => Err(WeightError::Zero),
            HEAVIEST_MG.. if milligrams > HEAVIEST_MG => Err(WeightError::TooHeavy),
            _ => Ok(Self(milligrams)),
        }
    }

    /// Milligrams.
    pub const fn milligrams(self) -> u64 {
        self.0
    }

    pub(crate) const fn picograms(self) -> u64 {
        self.0 * PG_IN_MG
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    /// Reads `28 g`, `3.5 oz`, `2 lb`. What is left below a milligram does not count, so a piece of `1 oz` is within a limit of `1 oz`.
    fn from_str(text: &str) -> Result<Self, WeightError> {
        Self::from_milligrams(MASS.read(text)?.0 / PG_IN_MG)
    }
}

impl fmt::Display for Weight {
    /// In grams: `28.349 g`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&MASS.write(self.picograms(), 0))
    }
}

impl Limit {
    /// Nothing.
    pub(crate) const ZERO: Self = Self { pg: 0, unit: 0 };

    /// Picograms.
    pub const fn picograms(self) -> u64 {
        self.pg
    }

    /// The limit `times` multiples of `step` above this one, as far as it goes up to `most`.
    pub(crate) fn plus(self, step: Self, times: u64, most: Self) -> Self {
        let pg = step.pg.checked_mul(times).and_then(|more| more.checked_add(self.pg)).unwrap_or(most.pg);
        Self { pg: pg.min(most.pg), unit: most.unit }
    }
}

impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        self.pg == other.pg
    }
}

impl Eq for Limit {}

impl PartialOrd for Limit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Limit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.pg.cmp(&other.pg)
    }
}

impl FromStr for Limit {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (pg, unit) = MASS.read(text)?;
        Ok(Self { pg, unit })
    }
}

impl fmt::Display for Limit {
    /// As it was written: `3.5 oz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&MASS.write(self.pg, self.unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ounces_and_pounds_are_exact() {
        let limit = |text: &str| text.parse::<Limit>().unwrap();
        assert_eq!(limit("1 oz").picograms(), 28_349_523_125_000);
        assert_eq!(limit("16 oz"), limit("1 lb"));
        assert_eq!(limit("3.5 oz").picograms(), 99_223_330_937_500);
        assert_eq!(limit("0.001 oz").picograms(), 28_349_523_125);
        assert_eq!("1 oz".parse::<Weight>().unwrap().milligrams(), 28_349);
        assert!("1 oz".parse::<Weight>().unwrap().picograms() <= limit("1 oz").picograms());
    }

    #[test]
    fn what_nothing_weighs_is_refused() {
        let said = |text: &str| text.parse::<Weight>().unwrap_err().to_string();
        assert_eq!(said("-3 g"), "the weight \"-3 g\" is negative");
        assert_eq!(said("0 g"), "the weight is zero; a piece weighs at least a milligram");
        assert_eq!(said("1.2345 g"), "the weight \"1.2345 g\" has more than three decimals");
        assert_eq!(said("1000001 g"), "the weight \"1000001 g\" is more than 1000 kg");
        for text in ["", "g", "3", "3g", "3 st", "3  g", " 3 g", "3 g ", ".5 g", "5. g", "+3 g", "1e3 g", "1,5 g"] {
            assert!(said(text).ends_with("is not a number with a unit, such as \"3.5 oz\""), "{text:?}");
        }
        assert_eq!(Weight::from_milligrams(0), Err(WeightError::Zero));
        assert_eq!(Weight::from_milligrams(1_000_000_001), Err(WeightError::TooHeavy));
        assert!(Weight::from_milligrams(1_000_000_000).is_ok());
    }

    proptest! {
        #[test]
        fn weights_and_limits_are_read_back_as_written(mg in 1..=HEAVIEST_MG, thousandths in 0u64..2_000_000, unit in 0usize..3) {
            let weight = Weight::from_milligrams(mg).unwrap();
            prop_assert_eq!(weight.to_string().parse(), Ok(weight));
            let text = format!("{}.{:03} {}", thousandths / 1000, thousandths % 1000, MASS.units[unit].0);
            let limit: Limit = text.parse().unwrap();
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
            prop_assert_eq!(limit.picograms(), thousandths * (MASS.units[unit].1 / 1000));
        }
    }
}
