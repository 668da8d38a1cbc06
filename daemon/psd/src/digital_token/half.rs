//! A MAC as a few digits: the dynamic truncation of RFC 4226 §5.3, for a MAC of 32 bytes.
//!
//! The low four bits of the last byte (number 31 here, 19 with SHA-1) are an offset of 0 to 15; the four bytes from there, without the
//! highest bit, are a number below 2³¹; its last N decimal digits are printed. RFC 6238 does the same with SHA-256. Digits are not quite
//! even: of 2³¹ numbers, ⌈2³¹ / 10ᴺ⌉ at most end in the same N, so that one guess holds with a chance of at most that part.

use crate::mac::MAC_LENGTH;
use std::fmt;

/// How many digits each half has, 4 to 8; 5 and 5 where nothing else was agreed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lengths {
    vendor: u8,
    postal: u8,
}

/// A half has fewer digits than protect anything, or more than a MAC of 31 bits gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} digits; each half of a digital token has 4 to 8")]
pub struct LengthError(pub u8);

/// One party's digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Half {
    value: u32,
    digits: u8,
}

impl Lengths {
    /// These many digits of the vendor's half and of the post's.
    ///
    /// # Errors
    ///
    /// [`LengthError`].
    pub fn new(vendor: u8, postal: u8) -> Result<Self, LengthError> {
        match [vendor, postal].into_iter().find(|digits| !(4..=8).contains(digits)) {
            Some(digits) => Err(LengthError(digits)),
            None => Ok(Self { vendor, postal }),
        }
    }

    /// Digits of the vendor's half.
    pub const fn vendor(self) -> u8 {
        self.vendor
    }

    /// Digits of the post's half.
    pub const fn postal(self) -> u8 {
        self.postal
    }
}

impl Default for Lengths {
    fn default() -> Self {
        Self { vendor: 5, postal: 5 }
    }
}

impl Half {
    /// The last `digits` digits of what the truncation makes of a MAC; of [`Lengths`], so that there are 4 to 8.
    pub(super) fn of_mac(mac: &[u8; MAC_LENGTH], digits: u8) -> Self {
        let offset = usize::from(mac[MAC_LENGTH - 1] & 0x0f);
        let number = mac[offset..offset + 4].iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        Self { value: (number & 0x7fff_ffff) % 10u32.pow(u32::from(digits)), digits }
    }

    /// Of digits as they were printed.
    pub(super) fn of_digits(digits: &[u8]) -> Self {
        let value = digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(*digit));
        Self { value, digits: u8::try_from(digits.len()).unwrap_or(u8::MAX) }
    }

    /// How many digits there are.
    pub const fn digits(self) -> u8 {
        self.digits
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.value, width = usize::from(self.digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4226 §5.4: the example, its twenty bytes with the last one at the end of thirty-two.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let example = [
            0x1f, 0x86, 0x98, 0x69, 0x0e, 0x02, 0xca, 0x16, 0x61, 0x85, 0x50, 0xef, 0x7f, 0x19, 0xda, 0x8e, 0x94, 0x5b,
            0x55,
        ];
        let mut mac = [0xee; MAC_LENGTH];
        mac[..19].copy_from_slice(&example);
        mac[31] = 0x5a;
        assert_eq!(Half::of_mac(&mac, 6).to_string(), "872921");
        assert_eq!(Half::of_mac(&mac, 8).to_string(), "57872921");
        // The highest bit does not count, and zeros in front are printed.
        (mac[10], mac[11], mac[12], mac[13]) = (0x80, 0, 0, 7);
        assert_eq!(Half::of_mac(&mac, 5).to_string(), "00007");
        // The furthest offset.
        (mac[31], mac[15], mac[16], mac[17], mac[18]) = (0xff, 0, 0, 1, 0);
        assert_eq!(Half::of_mac(&mac, 4).to_string(), "0256");
    }

    #[test]
    fn a_half_has_four_to_eight_digits() {
        assert_eq!((Lengths::default().vendor(), Lengths::default().postal()), (5, 5));
        for (vendor, postal, wrong) in [(3, 5, 3), (5, 9, 9), (0, 0, 0)] {
            assert_eq!(Lengths::new(vendor, postal), Err(LengthError(wrong)));
        }
        assert!(Lengths::new(4, 8).is_ok());
    }
}
