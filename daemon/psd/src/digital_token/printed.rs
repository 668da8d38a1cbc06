//! A token as it is printed, made and judged.
//!
//! `12345 67890 6`: the vendor's half, the post's, and a check digit over both.

use super::check_digit::check_digit;
use super::{Half, Lengths, Party, TokenData};
use crate::mac::{MAC_LENGTH, Mac};
use std::fmt;

/// Both halves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DigitalToken {
    vendor: Half,
    postal: Half,
}

/// What a text is that is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something between the digits.
    #[error("{0:?} is no digit; a digital token has digits, with blanks or hyphens between its groups")]
    Character(char),
    /// Too many digits, or too few.
    #[error("a digital token has {expected} digits here ({vendor}, {postal} and a check digit), and this has {found}",
        vendor = lengths.vendor(), postal = lengths.postal())]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// As it was agreed.
        lengths: Lengths,
    },
    /// Not in groups as it is stored.
    #[error(
        "a digital token is stored as it is printed: the vendor's half, the post's and the check digit, one blank between each two"
    )]
    Groups,
    /// The check digit does not hold.
    #[error("the check digit does not hold: the token was misread, or is none; read it again")]
    Check,
}

/// What the holder of one key found. It says nothing of the other half.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Whose half was judged.
    pub half: Party,
    /// Whether it is what the key makes of the data.
    pub holds: bool,
}

impl DigitalToken {
    /// Of the MACs that both keys make of [`TokenData::message`], each of its own party's.
    pub fn of_macs(vendor: &[u8; MAC_LENGTH], postal: &[u8; MAC_LENGTH], lengths: Lengths) -> Self {
        Self { vendor: Half::of_mac(vendor, lengths.vendor()), postal: Half::of_mac(postal, lengths.postal()) }
    }

    /// Made with both keys.
    ///
    /// # Errors
    ///
    /// When either key makes no MAC.
    pub fn make<M: Mac>(vendor: &M, postal: &M, data: &TokenData, lengths: Lengths) -> Result<Self, M::Error> {
        let (vendor, postal) = (vendor.mac(&data.message(Party::Vendor))?, postal.mac(&data.message(Party::Postal))?);
        Ok(Self::of_macs(&vendor, &postal, lengths))
    }

    /// Reads a token as it was printed, of halves of these lengths: blanks and hyphens count for nothing.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn parse(text: &str, lengths: Lengths) -> Result<Self, TokenError> {
        let digit = |c: char| c.to_digit(10).and_then(|digit| u8::try_from(digit).ok()).ok_or(TokenError::Character(c));
        let digits: Vec<u8> =
            text.trim().chars().filter(|c| !matches!(c, ' ' | '-')).map(digit).collect::<Result<_, _>>()?;
        let (vendor, postal) = (usize::from(lengths.vendor()), usize::from(lengths.postal()));
        let expected = vendor + postal + 1;
        if digits.len() != expected {
            return Err(TokenError::Length { found: digits.len(), expected, lengths });
        }
        if check_digit(&digits) != 0 {
            return Err(TokenError::Check);
        }
        let (vendor, rest) = digits.split_at(vendor);
        Ok(Self { vendor: Half::of_digits(vendor), postal: Half::of_digits(&rest[..postal]) })
    }

    /// Reads a token as it is stored: exactly as [`fmt::Display`] writes it, whatever the lengths of its halves.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn stored(text: &str) -> Result<Self, TokenError> {
        let groups: Vec<&str> = text.split(' ').collect();
        let [vendor, postal, _] = groups.as_slice() else { return Err(TokenError::Groups) };
        let digits = |group: &str| u8::try_from(group.len()).ok();
        let lengths = digits(vendor).zip(digits(postal)).and_then(|(vendor, postal)| Lengths::new(vendor, postal).ok());
        let token = Self::parse(text, lengths.ok_or(TokenError::Groups)?)?;
        if token.to_string() == text { Ok(token) } else { Err(TokenError::Groups) }
    }

    /// The half of a party.
    pub const fn half(&self, party: Party) -> Half {
        match party {
            Party::Vendor => self.vendor,
            Party::Postal => self.postal,
        }
    }

    /// Judges a party's half by the MAC that its key makes of [`TokenData::message`].
    pub fn judge(&self, half: Party, mac: &[u8; MAC_LENGTH]) -> Judged {
        let printed = self.half(half);
        Judged { half, holds: Half::of_mac(mac, printed.digits()) == printed }
    }

    /// Judges the half of the party whose key this is.
    ///
    /// # Errors
    ///
    /// When the key makes no MAC: nothing was judged.
    pub fn verify<M: Mac + ?Sized>(&self, key: &M, party: Party, data: &TokenData) -> Result<Judged, M::Error> {
        Ok(self.judge(party, &key.mac(&data.message(party))?))
    }
}

impl fmt::Display for DigitalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (vendor, postal) = (self.vendor.to_string(), self.postal.to_string());
        let digits: Vec<u8> = vendor.bytes().chain(postal.bytes()).map(|byte| byte - b'0').collect();
        f.pad(&format!("{vendor} {postal} {}", check_digit(&digits)))
    }
}
