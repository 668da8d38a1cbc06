//! The rounding rule that a table states.

use psd::PostageAmount;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use std::fmt;

/// To what, how and where amounts are rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// To what.
    pub unit: Unit,
    /// How.
    pub mode: Mode,
    /// Where.
    pub per: Per,
}

/// The smallest difference there is between two rounded amounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// 0.001.
    Mill,
    /// 0.005.
    HalfCent,
    /// 0.01.
    Cent,
}

/// Which neighbour is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The greater one.
    Up,
    /// The nearer one; halfway, the greater.
    HalfUp,
    /// The nearer one; halfway, the one that is an even number of units.
    HalfEven,
    /// The smaller one.
    Down,
}

/// What is rounded to the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The price of each piece.
    Piece,
    /// The price of the pieces of one line of a run together. A piece is rounded to the mill, which is what registers count.
    Line,
}

impl Unit {
    const fn mills(self) -> u32 {
        match self {
            Unit::Mill => 1,
            Unit::HalfCent => 5,
            Unit::Cent => 10,
        }
    }

    /// Whether an amount is a whole number of it.
    pub fn divides(self, amount: PostageAmount) -> bool {
        amount.mills().is_multiple_of(u64::from(self.mills()))
    }

    /// An amount that is not below zero, rounded to a whole number of it; nothing where it is below zero or beyond all amounts.
    fn round(self, amount: Decimal, mode: Mode) -> Option<PostageAmount> {
        let mills = Decimal::from(self.mills());
        let strategy = match mode {
            Mode::Up => RoundingStrategy::AwayFromZero,
            Mode::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Mode::HalfEven => RoundingStrategy::MidpointNearestEven,
            Mode::Down => RoundingStrategy::ToZero,
        };
        // Thousand by 1, 5 or 10 is whole, so nothing is rounded here but what is meant to be.
        let units = amount.checked_mul(Decimal::ONE_THOUSAND / mills)?.round_dp_with_strategy(0, strategy);
        let mills = units.checked_mul(mills)?;
        u64::try_from(mills.normalize()).ok().and_then(PostageAmount::from_mills)
    }
}

impl Rounding {
    /// The price of a piece. Nothing where the amount is below zero or beyond all amounts.
    pub fn piece(self, amount: Decimal) -> Option<PostageAmount> {
        let unit = match self.per {
            Per::Piece => self.unit,
            Per::Line => Unit::Mill,
        };
        unit.round(amount, self.mode)
    }

    /// The price of so many pieces of one line. Nothing where it is beyond all amounts.
    pub fn line(self, price: PostageAmount, pieces: u64) -> Option<PostageAmount> {
        let exact = price.mills().checked_mul(pieces).and_then(PostageAmount::from_mills)?;
        match self.per {
            Per::Piece => Some(exact),
            Per::Line => self.unit.round(decimal(exact), self.mode),
        }
    }

    /// Whether an amount of the table can be charged as it is written.
    pub(crate) fn expresses(self, amount: PostageAmount) -> bool {
        match self.per {
            Per::Piece => self.unit.divides(amount),
            Per::Line => true,
        }
    }
}

/// The amount as a decimal number.
pub(crate) fn decimal(amount: PostageAmount) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(amount.mills()), 3)
}

/// An exact amount for people: at least two decimals, and as many as it takes.
pub fn plain(amount: Decimal) -> String {
    let mut amount = amount.normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    amount.to_string()
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Mill => "mill",
            Unit::HalfCent => "half cent",
            Unit::Cent => "cent",
        })
    }
}

impl fmt::Display for Rounding {
    /// `to the cent, half-up, per piece`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Up => "up",
            Mode::HalfUp => "half-up",
            Mode::HalfEven => "half-even",
            Mode::Down => "down",
        };
        let per = match self.per {
            Per::Piece => "piece",
            Per::Line => "line of a run",
        };
        write!(f, "to the {}, {mode}, per {per}", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_at_its_boundaries() {
        // Amount in units, with what up, half-up, half-even and down make of it.
        let rows = [
            ("0", [0, 0, 0, 0]),
            ("0.0000001", [1, 0, 0, 0]),
            ("0.4999999", [1, 0, 0, 0]),
            ("0.5", [1, 1, 0, 0]),
            ("0.5000001", [1, 1, 1, 0]),
            ("1.5", [2, 2, 2, 1]),
            ("2.5", [3, 3, 2, 2]),
            ("2.9999999", [3, 3, 3, 2]),
            ("3", [3, 3, 3, 3]),
        ];
        for (unit, mills) in [(Unit::Mill, 1u64), (Unit::HalfCent, 5), (Unit::Cent, 10)] {
            for (amount, expected) in rows {
                let amount = Decimal::from_str_exact(amount).unwrap() * Decimal::new(i64::try_from(mills).unwrap(), 3);
                let modes = [Mode::Up, Mode::HalfUp, Mode::HalfEven, Mode::Down];
                let rounded = modes.map(|mode| Rounding { unit, mode, per: Per::Piece }.piece(amount).unwrap().mills());
                assert_eq!(rounded, expected.map(|units| units * mills), "{amount} to the {unit}");
            }
        }
        assert_eq!(Unit::Mill.round(Decimal::NEGATIVE_ONE, Mode::Down), None);
        assert_eq!(Unit::Mill.round(Decimal::MAX, Mode::Down), None);
    }

    #[test]
    fn a_line_is_rounded_once() {
        let price = PostageAmount::from_mills(545).unwrap();
        let line = |unit, mode, per, pieces| Rounding { unit, mode, per }.line(price, pieces).unwrap().mills();
        assert_eq!(line(Unit::Cent, Mode::HalfUp, Per::Line, 1), 550);
        assert_eq!(line(Unit::Cent, Mode::HalfEven, Per::Line, 1), 540);
        assert_eq!(line(Unit::Cent, Mode::Down, Per::Line, 3), 1_630);
        assert_eq!(line(Unit::Cent, Mode::HalfUp, Per::Piece, 3), 1_635);
        let piece = Rounding { unit: Unit::Cent, mode: Mode::HalfUp, per: Per::Line }.piece(decimal(price));
        assert_eq!(piece, Some(price), "a piece is rounded to the mill");
        assert_eq!(Rounding { unit: Unit::Cent, mode: Mode::Up, per: Per::Line }.line(price, u64::MAX), None);
    }
}
