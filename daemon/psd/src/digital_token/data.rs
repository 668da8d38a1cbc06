//! What a digital token is made of, and the message that is MACed.

use super::AddressCode;
use super::address::HASH_LENGTH;
use crate::indicium::Destination;
use crate::key::{Role, TOKEN_MAC_DOMAIN};
use crate::mac;
use crate::{MailingDate, PostageAmount, PsdId};
use minicbor::Decoder;
use minicbor::data::Type;
use std::fmt;

/// What the MAC is for that becomes half of a token.
pub const MESSAGE_PURPOSE: &str = "psdd-digital-token-1";

/// Whose key a half is under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
    /// Those whose halves a token has, in their order.
    pub const BOTH: [Party; 2] = [Party::Vendor, Party::Postal];

    /// As the message names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Party::Vendor => "vendor",
            Party::Postal => "postal",
        }
    }

    /// The role of the keys that make a party's half: one key, one half.
    pub const fn role(self) -> Role {
        match self {
            Party::Vendor => Role::TokenMac,
            Party::Postal => Role::PostalMac,
        }
    }

    /// Whose half a message for a MAC key is of; none where the MAC is for something else.
    ///
    /// # Errors
    ///
    /// What is wrong with a message that begins like one of a digital token and is none that [`TokenData::message`] gives.
    pub fn of_message(message: &[u8]) -> Option<Result<Self, &'static str>> {
        let body = message.strip_prefix(TOKEN_MAC_DOMAIN)?.strip_prefix(MESSAGE_PURPOSE.as_bytes())?;
        Some(read_party(body))
    }
}

fn read_party(body: &[u8]) -> Result<Party, &'static str> {
    let mut decoder = Decoder::new(body);
    if !matches!(decoder.array(), Ok(Some(7))) {
        return Err("the data of a digital token are an array of 7");
    }
    let party = match decoder.str() {
        Ok("vendor") => Party::Vendor,
        Ok("postal") => Party::Postal,
        Ok(_) | Err(_) => return Err("a digital token names neither the vendor nor the post"),
    };
    let told = decoder.str().is_ok()
        && (0..4).all(|_| decoder.u64().is_ok())
        && match decoder.datatype() {
            Ok(Type::Bytes) => decoder.bytes().is_ok_and(|code| code.len() == HASH_LENGTH),
            _ => decoder.u64().is_ok(),
        };
    match told && decoder.position() == body.len() {
        true => Ok(party),
        false => Err("the data of a digital token are not as they are MACed"),
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
