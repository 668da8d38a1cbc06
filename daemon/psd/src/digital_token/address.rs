//! The recipient's address code: what of an address is in the token.
//!
//! The delivery point where there is one: eleven digits that a sorter reads anyway. Elsewhere a hash of the address as it is written, so
//! that who verifies reads the address off the piece. A hash of an address hides nothing from who can list addresses; it is not printed.

use crate::indicium::{AddressError, Destination};
use sha2::{Digest, Sha256};

/// What the hash of an address begins with, so that it is the hash of nothing else.
const HASH_PREFIX: &[u8] = b"psdd-address-code-1";
/// Bytes of the hash that are kept.
pub(super) const HASH_LENGTH: usize = 8;

/// The code of a recipient's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressCode {
    /// ZIP+4 and two digits.
    DeliveryPoint(Destination),
    /// The first eight bytes of SHA-256 over `psdd-address-code-1` and the normalised address.
    Address([u8; HASH_LENGTH]),
}

/// What was given has no address code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressCodeError {
    /// Not a delivery point.
    #[error(transparent)]
    DeliveryPoint(#[from] AddressError),
    /// Nothing is left of the address.
    #[error("the address has no letter and no digit")]
    Empty,
    /// A piece has neither a delivery point nor a recipient.
    #[error("the destination is no delivery point, and there is no recipient")]
    Missing,
}

impl AddressCode {
    /// Of a piece of mail: the delivery point, where its destination is one, else the address of its recipient as it is written.
    ///
    /// A [`Destination`] does not tell a delivery point of 00 from none, so with one the address counts.
    ///
    /// # Errors
    ///
    /// [`AddressCodeError::Missing`] and [`AddressCodeError::Empty`].
    pub fn of_piece(destination: Destination, recipient: Option<&str>) -> Result<Self, AddressCodeError> {
        match recipient {
            _ if !destination.number().is_multiple_of(100) => Ok(Self::DeliveryPoint(destination)),
            Some(address) => Self::of_address(address),
            None => Err(AddressCodeError::Missing),
        }
    }

    /// Of a delivery point, eleven digits with hyphens or without: `20500-0003-12`.
    ///
    /// # Errors
    ///
    /// [`AddressCodeError::DeliveryPoint`], for a ZIP or a ZIP+4 too.
    pub fn of_delivery_point(text: &str) -> Result<Self, AddressCodeError> {
        let destination: Destination = text.parse()?;
        if text.bytes().filter(u8::is_ascii_digit).count() == 11 {
            return Ok(Self::DeliveryPoint(destination));
        }
        let rule = "a delivery point has 11 digits; give the address instead";
        Err(AddressError { kind: "delivery point", text: text.to_owned(), rule }.into())
    }

    /// Of an address as it is written on the piece, in UTF-8.
    ///
    /// Normalised first, so that line breaks, punctuation and case count for nothing: a to z become A to Z, every run of ASCII
    /// characters that are neither letters nor digits becomes one blank, and none stands at either end. Other characters stay as they are;
    /// whoever writes accents writes them composed (Unicode NFC).
    ///
    /// # Errors
    ///
    /// [`AddressCodeError::Empty`].
    pub fn of_address(address: &str) -> Result<Self, AddressCodeError> {
        let normalised = normalised(address);
        if normalised.is_empty() {
            return Err(AddressCodeError::Empty);
        }
        let digest = Sha256::new().chain_update(HASH_PREFIX).chain_update(normalised).finalize();
        let mut code = [0; HASH_LENGTH];
        code.copy_from_slice(&digest[..HASH_LENGTH]);
        Ok(Self::Address(code))
    }
}

fn normalised(address: &str) -> String {
    let separates = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
    let words: Vec<String> =
        address.split(separates).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_cannot_tell_counts_for_nothing() {
        let written = "A. Resident\n1600 Pennsylvania Ave., N.W.\r\nWashington  DC 20500-0003\n";
        assert_eq!(normalised(written), "A RESIDENT 1600 PENNSYLVANIA AVE N W WASHINGTON DC 20500 0003");
        assert_eq!(normalised(" Ägidienstraße 4/II "), "ÄGIDIENSTRAßE 4 II");
        let code = |text| AddressCode::of_address(text);
        assert_eq!(code("1 Main St\n20500"), code("  1, MAIN ST. 20500"));
        assert_ne!(code("1 Main St 20500"), code("11 Main St 20500"));
        assert_ne!(code("1 Main St 20500"), code("1Main St 20500"));
        assert_eq!((code(""), code(" .,\n-")), (Err(AddressCodeError::Empty), Err(AddressCodeError::Empty)));
    }

    #[test]
    fn a_piece_is_told_by_its_delivery_point_and_else_by_its_address() {
        let of = |destination: &str, recipient| AddressCode::of_piece(destination.parse().unwrap(), recipient);
        assert_eq!(of("20500-0003-12", Some("1 Main St")), AddressCode::of_delivery_point("20500-0003-12"));
        assert_eq!(of("20500-0003-12", None), AddressCode::of_delivery_point("20500-0003-12"));
        for destination in ["20500", "20500-0003", "20500-0003-00"] {
            assert_eq!(of(destination, Some("1 Main St")), AddressCode::of_address("1 MAIN ST"), "{destination}");
            assert_eq!(of(destination, Some(" .")), Err(AddressCodeError::Empty), "{destination}");
            assert_eq!(of(destination, None), Err(AddressCodeError::Missing), "{destination}");
        }
    }

    #[test]
    fn a_delivery_point_has_eleven_digits() {
        let code = AddressCode::of_delivery_point("20500-0003-00").unwrap();
        assert_eq!(code, AddressCode::DeliveryPoint("20500-0003-00".parse().unwrap()));
        assert_eq!(AddressCode::of_delivery_point("20500000300"), Ok(code));
        for text in ["20500", "20500-0003", "2050000030", ""] {
            assert!(
                matches!(AddressCode::of_delivery_point(text), Err(AddressCodeError::DeliveryPoint(_))),
                "{text:?}"
            );
        }
    }
}
