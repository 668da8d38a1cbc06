//! The currency that a PSD's registers count.

use std::fmt;
use std::str::FromStr;

/// The alphabetic code of a currency (ISO 4217): three letters A-Z. Whether the code is assigned is not looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// The text is no currency code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a currency code such as USD: three letters A-Z (ISO 4217)")]
pub struct CurrencyError(pub String);

impl Currency {
    /// The dollar of the United States, which postage of the USPS is paid in.
    pub const USD: Self = Self(*b"USD");

    /// The code.
    pub fn as_str(&self) -> &str {
        // Letters A-Z by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters =
            <[u8; 3]>::try_from(text.as_bytes()).ok().filter(|bytes| bytes.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| CurrencyError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_capitals_are_a_currency() {
        assert_eq!("USD".parse(), Ok(Currency::USD));
        assert_eq!("EUR".parse::<Currency>().unwrap().to_string(), "EUR");
        for text in ["", "US", "USDT", "usd", "U5D", "U D", "ÄB"] {
            assert!(text.parse::<Currency>().is_err(), "{text:?}");
        }
    }
}
