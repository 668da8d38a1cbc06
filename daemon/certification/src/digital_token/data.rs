//! What a digital token is made of, and the message that is MACed.

use super::AddressCode;
use crate::mac;
use psd::indicium::Destination;
use psd::{MailingDate, PostageAmount, PsdId};
use std::fmt;

/// What the MAC is for that becomes half of a token.
pub const MESSAGE_PURPOSE: &str = "psdd-digital-token-1";

/// Whose key a half is under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Party {
    /// The postage vendor's.
    Vendor,
    /// The post's.
    Postal,
}

/// The postal data of a piece, all of which a verifier reads off it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenData {
    psd: PsdId,
    pieces: u64,
    postage: PostageAmount,
    date: MailingDate,
    zip: u32,
    recipient: AddressCode,
}

/// The data contradict themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenDataError {
    /// The delivery point lies elsewhere.
    #[error("the delivery point {point} is not in the ZIP {zip:05} of the destination")]
    Elsewhere {
        /// The recipient's.
        point: Destination,
        /// The piece's.
        zip: u32,
    },
}

impl Party {
    /// As the message names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Party::Vendor => "vendor",
            Party::Postal => "postal",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl TokenData {
    /// The data of a piece: its PSD and number among the pieces of that, postage, day of mailing, destination (of which the
    /// five-digit ZIP counts) and recipient.
    ///
    /// # Errors
    ///
    /// [`TokenDataError`].
    pub fn new(
        (psd, pieces): (PsdId, u64),
        postage: PostageAmount,
        date: MailingDate,
        destination: Destination,
        recipient: AddressCode,
    ) -> Result<Self, TokenDataError> {
        let zip = destination.zip();
        match recipient {
            AddressCode::DeliveryPoint(point) if point.zip() != zip => Err(TokenDataError::Elsewhere { point, zip }),
            AddressCode::DeliveryPoint(_) | AddressCode::Address(_) => {
                Ok(Self { psd, pieces, postage, date, zip, recipient })
            }
        }
    }

    /// The message that a party's key MACs: the domain of MAC keys, [`MESSAGE_PURPOSE`], and in deterministic CBOR
    /// `[party, device ID, piece count, mills, YYYYMMDD, ZIP, delivery point or address hash]`.
    pub fn message(&self, party: Party) -> Vec<u8> {
        mac::message(MESSAGE_PURPOSE, |encoder| {
            encoder.array(7)?.str(party.as_str())?.str(self.psd.text().as_str())?.u64(self.pieces)?;
            encoder.u64(self.postage.mills())?.u32(self.date.yyyymmdd())?.u32(self.zip)?;
            match &self.recipient {
                AddressCode::DeliveryPoint(point) => encoder.u64(point.number())?,
                AddressCode::Address(code) => encoder.bytes(code)?,
            };
            Ok(())
        })
    }
}
