//! Destinations, licensing ZIPs and rate categories: what a person writes, as numbers in a mark.

use std::fmt;
use std::str::FromStr;

/// The text is not what the field takes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct AddressError {
    /// What was wanted.
    pub kind: &'static str,
    /// The first 40 characters of what was given.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

fn refused(kind: &'static str, text: &str, rule: &'static str) -> AddressError {
    AddressError { kind, text: text.chars().take(40).collect(), rule }
}

/// ZIP, ZIP+4 or delivery point (ZIP+4 and two digits) of a destination.
///
/// As a number it is always eleven digits: ZIP × 10⁶ + add-on × 10² + delivery point, zero where a part is missing. The
/// layouts published leave the encoding of the five-byte field open; this one is ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Destination(u64);

impl Destination {
    /// Eleven decimal digits, below 10¹¹ (37 bits).
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The destination with this number, if it is below 10¹¹.
    pub fn from_number(number: u64) -> Option<Self> {
        (number < 100_000_000_000).then_some(Self(number))
    }

    /// Its five-digit ZIP.
    pub fn zip(self) -> u32 {
        u32::try_from(self.0 / 1_000_000).unwrap_or(u32::MAX)
    }
}

impl FromStr for Destination {
    type Err = AddressError;

    /// Reads `20500`, `20500-0003`, `20500-0003-12`, with or without hyphens.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let hyphens: Vec<usize> = text.bytes().enumerate().filter(|(_, b)| *b == b'-').map(|(i, _)| i).collect();
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let placed = matches!((hyphens.as_slice(), text.len()), ([], _) | ([5], 10) | ([5, 10], 13));
        if digits + hyphens.len() != text.len() || !matches!(digits, 5 | 9 | 11) || !placed {
            return Err(refused("destination", text, "ZIP, ZIP+4 or delivery point: 5, 9 or 11 digits"));
        }
        let number = text.bytes().filter(u8::is_ascii_digit).fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
        Ok(Self(match digits {
            5 => number * 1_000_000,
            9 => number * 100,
            _ => number,
        }))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (zip, add_on, point) = (self.0 / 1_000_000, self.0 / 100 % 10_000, self.0 % 100);
        match (add_on, point) {
            (0, 0) => f.pad(&format!("{zip:05}")),
            (_, 0) => f.pad(&format!("{zip:05}-{add_on:04}")),
            _ => f.pad(&format!("{zip:05}-{add_on:04}-{point:02}")),
        }
    }
}

/// The ZIP of a licence, five digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LicensingZip(u32);

impl LicensingZip {
    /// Five decimal digits.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The ZIP with this number, if it is below 100,000.
    pub fn from_number(number: u32) -> Option<Self> {
        (number < 100_000).then_some(Self(number))
    }
}

impl FromStr for LicensingZip {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() != 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused("licensing ZIP", text, "five digits"));
        }
        Ok(Self(text.bytes().fold(0, |n, b| n * 10 + u32::from(b - b'0'))))
    }
}

impl fmt::Display for LicensingZip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:05}", self.0))
    }
}

/// The rate category of a piece, one to four upper-case letters and digits, kept padded with blanks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateCategory([u8; 4]);

impl RateCategory {
    /// Four ASCII bytes.
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl FromStr for RateCategory {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let valid = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !valid {
            return Err(refused("rate category", text, "one to four of A-Z and 0-9"));
        }
        let mut bytes = [b' '; 4];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for RateCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.iter().map(|b| char::from(*b)).collect();
        f.pad(text.trim_end())
    }
}

impl fmt::Debug for RateCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateCategory({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_keeps_its_leading_zeros() {
        for text in ["00501", "00501-0001", "20500-0003-12", "99999-9999-99"] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        assert_eq!("205000003".parse::<Destination>().unwrap().number(), 20_500_000_300);
        for text in ["", "2050", "20500-", "20500-003", "2050-00003", "20500 0003", "205000003-12", "2050O", "-20500"] {
            assert!(text.parse::<Destination>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rate_categories_are_four_plain_bytes() {
        assert_eq!("FC1".parse::<RateCategory>().unwrap().as_bytes(), b"FC1 ");
        for text in ["", "FCL12", "fc", "F C", "É"] {
            assert!(text.parse::<RateCategory>().is_err(), "{text:?}");
        }
    }
}
