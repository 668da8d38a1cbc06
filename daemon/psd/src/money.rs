//! Money in mills.
//!
//! Owns the one representation of an amount. Refuses floats, silent rounding and silent overflow.

use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;

/// An amount of postage in mills, 1/1000 of the currency unit (DESIGN.md §6; rates of 17.5 cents exist).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PostageAmount(u64);

/// Why a text is not a postage amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is not a plain decimal number.
    #[error("{0:?} is not a decimal amount such as 0.73")]
    NotDecimal(String),
    /// The amount is below zero.
    #[error("{0} is negative; postage is zero or more")]
    Negative(Decimal),
    /// The amount has a fraction finer than a mill.
    #[error("{0} is finer than a mill (0.001)")]
    TooFine(Decimal),
    /// The amount cannot be held in 63 bits of mills.
    #[error("{0} is larger than any amount this system holds")]
    TooLarge(Decimal),
}

impl PostageAmount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount there is: 2^63 − 1 mills, so that every amount fits a signed column.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// An amount of so many mills, if it is not above [`PostageAmount::MAX`].
    pub const fn from_mills(mills: u64) -> Option<Self> {
        if mills <= Self::MAX.0 { Some(Self(mills)) } else { None }
    }

    /// The amount in mills.
    pub const fn mills(self) -> u64 {
        self.0
    }

    /// The sum, if it is not above [`PostageAmount::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_mills)
    }

    /// The difference, if it is not below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl FromStr for PostageAmount {
    type Err = AmountError;

    /// Reads decimal text: digits with at most one point, no sign, no exponent, no blanks, no digit grouping.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let malformed = || AmountError::NotDecimal(text.chars().take(40).collect());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let plain = unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit())
            && unsigned.bytes().last().is_some_and(|b| b.is_ascii_digit())
            && unsigned.len() <= 40;
        if !plain {
            return Err(malformed());
        }
        let Ok(decimal) = Decimal::from_str_exact(text) else {
            // More digits than a decimal holds: they are before the point or behind it.
            let whole = unsigned.split('.').next().unwrap_or(unsigned).trim_start_matches('0');
            return Err(match unsigned.matches('.').count() {
                0 | 1 if whole.len() > 16 => AmountError::TooLarge(Decimal::MAX),
                1 => AmountError::TooFine(Decimal::new(1, Decimal::MAX_SCALE)),
                _ => malformed(),
            });
        };
        if decimal.is_sign_negative() && !decimal.is_zero() {
            return Err(AmountError::Negative(decimal));
        }
        let exact = decimal.normalize();
        if exact.scale() > 3 {
            return Err(AmountError::TooFine(exact));
        }
        exact
            .checked_mul(Decimal::ONE_THOUSAND)
            .and_then(|mills| u64::try_from(mills.normalize()).ok())
            .and_then(Self::from_mills)
            .ok_or(AmountError::TooLarge(exact))
    }
}

impl fmt::Display for PostageAmount {
    /// Two decimals, or three where there are half cents: `0.73`, `0.175`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, mills) = (self.0 / 1000, self.0 % 1000);
        let (fraction, digits) = if mills % 10 == 0 { (mills / 10, 2) } else { (mills, 3) };
        match f.width() {
            None => write!(f, "{units}.{fraction:0digits$}"),
            Some(_) => f.pad(&format!("{units}.{fraction:0digits$}")),
        }
    }
}

impl fmt::Debug for PostageAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostageAmount({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_exactly_what_it_documents() {
        let mills = |text: &str| text.parse::<PostageAmount>().map(PostageAmount::mills);
        assert_eq!(mills("0.73"), Ok(730));
        assert_eq!(mills("0.175"), Ok(175));
        assert_eq!(mills("12"), Ok(12_000));
        assert_eq!(mills("1.7500"), Ok(1_750));
        assert_eq!(mills("9223372036854775.807"), Ok(PostageAmount::MAX.mills()));
        for text in ["", ".", ".5", "5.", "1e3", "+1", " 1", "1_000", "1,5", "0x1", "NaN", "--1", "1.2.3"] {
            assert!(matches!(mills(text), Err(AmountError::NotDecimal(_))), "{text:?}");
        }
        assert!(matches!(mills("-0.01"), Err(AmountError::Negative(_))));
        assert!(matches!(mills("0.0001"), Err(AmountError::TooFine(_))));
        assert!(matches!(mills("9223372036854775.808"), Err(AmountError::TooLarge(_))));
        assert!(matches!(mills("99999999999999999999999999"), Err(AmountError::TooLarge(_))));
        assert!(matches!(mills("999999999999999999999999999999999"), Err(AmountError::TooLarge(_))));
        assert!(matches!(mills("0.00000000000000000000000000000001"), Err(AmountError::TooFine(_))));
    }

    proptest! {
        #[test]
        fn display_is_read_back(mills in 0..=PostageAmount::MAX.mills()) {
            let amount = PostageAmount::from_mills(mills).unwrap();
            prop_assert_eq!(amount.to_string().parse::<PostageAmount>().unwrap(), amount);
        }
    }
}
