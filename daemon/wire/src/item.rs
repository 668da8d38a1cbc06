//! From an item as received to a piece that can be judged.

use crate::digest::content_digest;
use crate::message::{SignItem, SignTarget};
use psd::PieceKey;
use psd::device::Piece;
use psd::indicium::AddressError;
use psd::money::AmountError;
use psd::time::DateError;

/// Most bytes of a recipient.
pub const LONGEST_RECIPIENT: usize = 512;
/// Most bytes of a reference.
pub const LONGEST_REFERENCE: usize = 64;

/// A value in an item that no piece can have. In the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ItemError {
    /// Not a UUID of version 7.
    #[error("key is not a UUID of version 7 in 16 bytes (RFC 9562 §5.7)")]
    Key,
    /// The postage is no amount.
    #[error("postage: {0}")]
    Postage(#[from] AmountError),
    /// The date is no day.
    #[error("date: {0}")]
    Date(#[from] DateError),
    /// The destination is no ZIP.
    #[error("destination: {0}")]
    Destination(#[source] AddressError),
    /// The rate category has other characters.
    #[error("rate: {0}")]
    Rate(#[source] AddressError),
    /// Empty or too long.
    #[error("recipient is 1 to {LONGEST_RECIPIENT} bytes, this one has {0}")]
    Recipient(usize),
    /// Empty or too long.
    #[error("reference is 1 to {LONGEST_REFERENCE} bytes, this one has {0}")]
    Reference(usize),
}

impl ItemError {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            ItemError::Key => "key-not-uuid7",
            ItemError::Postage(AmountError::NotDecimal(_)) => "amount-not-decimal",
            ItemError::Postage(AmountError::Negative(_)) => "amount-negative",
            ItemError::Postage(AmountError::TooFine(_)) => "amount-too-fine",
            ItemError::Postage(AmountError::TooLarge(_)) => "amount-too-large",
            ItemError::Date(_) => "date-invalid",
            ItemError::Destination(_) => "destination-invalid",
            ItemError::Rate(_) => "rate-invalid",
            ItemError::Recipient(_) => "recipient-invalid",
            ItemError::Reference(_) => "reference-invalid",
        }
    }
}

/// The piece that an item asks for of this signer. The recipient's salted hash is put in by the caller, who has the randomness.
pub fn piece_of(target: &SignTarget<'_>, item: &SignItem<'_>) -> Result<Piece, ItemError> {
    let key = <[u8; 16]>::try_from(item.key.as_ref()).ok().and_then(PieceKey::from_bytes).ok_or(ItemError::Key)?;
    let piece = Piece {
        key,
        digest: content_digest(target, item),
        postage: item.postage.parse()?,
        date: item.date.parse()?,
        destination: item.destination.parse().map_err(ItemError::Destination)?,
        rate: item.rate.parse().map_err(ItemError::Rate)?,
        recipient: None,
        reference: item.reference.as_deref().map(Into::into),
        weight_g: item.weight,
    };
    if let Some(recipient) = item.recipient.as_deref().filter(|r| !(1..=LONGEST_RECIPIENT).contains(&r.len())) {
        return Err(ItemError::Recipient(recipient.len()));
    }
    if let Some(reference) = item.reference.as_deref().filter(|r| !(1..=LONGEST_REFERENCE).contains(&r.len())) {
        return Err(ItemError::Reference(reference.len()));
    }
    Ok(piece)
}
