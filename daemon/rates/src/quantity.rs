//! Numbers with a unit, as tables and people write them: `3.5 oz`, `11.5 in`.

use rust_decimal::Decimal;

/// Most decimals that a number with a unit may have. With three, every unit here is a whole number of the unit it is counted in.
const MOST_DECIMALS: u32 = 3;

/// The text is not a number with a unit that is known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    /// Another form, or another unit.
    #[error("{text:?} is not a number with a unit, such as {example:?}")]
    Form {
        /// The first 40 characters of it.
        text: String,
        /// What would do.
        example: &'static str,
    },
    /// Below zero.
    #[error("{0:?} is negative")]
    Negative(String),
    /// Too many decimals.
    #[error("{0:?} has more than three decimals")]
    TooFine(String),
    /// Beyond all that is mailed.
    #[error("{text:?} is more than {most}")]
    TooLarge {
        /// The text.
        text: String,
        /// The bound, with its unit.
        most: &'static str,
    },
}

/// How one kind of quantity is written.
pub(crate) struct Kind {
    /// Units with how much of the counted unit one of them is.
    pub(crate) units: &'static [(&'static str, u64)],
    /// For error messages.
    pub(crate) example: &'static str,
    /// Largest count, and the same for error messages.
    pub(crate) most: (u64, &'static str),
}

impl Kind {
    /// The count and the place of the unit.
    pub(crate) fn read(&self, text: &str) -> Result<(u64, usize), QuantityError> {
        let short = || text.chars().take(40).collect::<String>();
        let form = || QuantityError::Form { text: short(), example: self.example };
        let (number, unit) = text.split_once(' ').ok_or_else(form)?;
        let unit = self.units.iter().position(|(name, _)| *name == unit).ok_or_else(form)?;
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let edges = [unsigned.bytes().next(), unsigned.bytes().last()];
        let plain = unsigned.len() <= 20
            && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && edges.iter().all(|edge| edge.is_some_and(|b| b.is_ascii_digit()));
        let number = Decimal::from_str_exact(number).ok().filter(|_| plain).ok_or_else(form)?.normalize();
        if number.is_sign_negative() && !number.is_zero() {
            return Err(QuantityError::Negative(short()));
        }
        if number.scale() > MOST_DECIMALS {
            return Err(QuantityError::TooFine(short()));
        }
        let (most, told) = self.most;
        let count = number.checked_mul(Decimal::from(self.units[unit].1));
        let count = count.and_then(|count| u64::try_from(count.normalize()).ok()).filter(|count| *count <= most);
        Ok((count.ok_or_else(|| QuantityError::TooLarge { text: short(), most: told })?, unit))
    }

    /// The count in this unit, as [`Kind::read`] reads it.
    pub(crate) fn write(&self, count: u64, unit: usize) -> String {
        let (name, of) = self.units[unit];
        format!("{} {name}", (Decimal::from(count) / Decimal::from(of)).normalize())
    }
}
