//! From an item as received to a piece that can be judged.

use crate::digest::content_digest;
use crate::message::{CertifyItem, PostalItem, SignItem, SignTarget, TokenQuery, VoucherItem};
use psd::device::Piece;
use psd::digital_token::{AddressCode, AddressCodeError, TokenData, TokenDataError};
use psd::id::NameError;
use psd::indicium::{AddressError, Destination, Details, Postal, Validity, Voucher, VoucherError};
use psd::money::AmountError;
use psd::time::DateError;
use psd::{MailingDate, PieceKey, PostageAmount, PsdId, RateName, ScaleId};
use std::sync::Arc;

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
    /// The value of a voucher is no amount.
    #[error("value: {0}")]
    Value(#[source] AmountError),
    /// Kind, holder or validity of a voucher.
    #[error(transparent)]
    Voucher(#[from] VoucherError),
    /// A day of the validity is no day.
    #[error("validity: {0}")]
    ValidityDay(#[source] DateError),
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
    /// Not the name of a scale.
    #[error("scale: {0}")]
    Scale(#[source] NameError),
    /// Not the name of a class.
    #[error("class: {0}")]
    Class(#[source] NameError),
    /// The imprint is no amount.
    #[error("imprint: {0}")]
    Imprint(#[source] AmountError),
    /// Paid in two ways.
    #[error("a piece is paid by an indicium or by an imprint, not by both; leave out the imprint")]
    PaidBothWays,
    /// A digital token is asked for, and nothing tells the recipient.
    #[error(
        "a digital token tells the recipient: give one with a letter or digit, or a delivery point as the destination ({0})"
    )]
    TokenRecipient(#[source] AddressCodeError),
    /// Empty or too long.
    #[error("reference is 1 to {LONGEST_REFERENCE} bytes, this one has {0}")]
    Reference(usize),
}

impl ItemError {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            ItemError::Key => "key-not-uuid7",
            ItemError::Postage(error) | ItemError::Value(error) | ItemError::Imprint(error) => match error {
                AmountError::NotDecimal(_) => "amount-not-decimal",
                AmountError::Negative(_) => "amount-negative",
                AmountError::TooFine(_) => "amount-too-fine",
                AmountError::TooLarge(_) => "amount-too-large",
            },
            ItemError::Voucher(VoucherError::Kind(_)) => "kind-invalid",
            ItemError::Voucher(VoucherError::Holder) => "holder-invalid",
            ItemError::Voucher(VoucherError::Backwards { .. } | VoucherError::TooLong { .. })
            | ItemError::ValidityDay(_) => "validity-invalid",
            ItemError::Date(_) => "date-invalid",
            ItemError::Destination(_) => "destination-invalid",
            ItemError::Rate(_) => "rate-invalid",
            ItemError::Recipient(_) => "recipient-invalid",
            ItemError::TokenRecipient(_) => "token-needs-recipient",
            ItemError::Reference(_) => "reference-invalid",
            ItemError::Scale(_) => "scale-invalid",
            ItemError::Class(_) => "class-invalid",
            ItemError::PaidBothWays => "paid-both-ways",
        }
    }
}

/// A piece to be certified, as far as its item tells: valid in form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToCertify {
    /// The client's idempotency key.
    pub key: PieceKey,
    /// Day of mailing.
    pub date: MailingDate,
    /// Where it goes.
    pub destination: Destination,
    /// Class of mail.
    pub class: RateName,
    /// The scale.
    pub scale: ScaleId,
    /// Postage printed on it, where that is claimed.
    pub imprint: Option<PostageAmount>,
    /// The client's own reference.
    pub reference: Option<Arc<str>>,
}

/// What an item asks to be certified. In the order of [`ItemError`]'s checks, those of an indicium first.
pub fn to_certify(item: &CertifyItem<'_>) -> Result<ToCertify, ItemError> {
    let key = <[u8; 16]>::try_from(&*item.key).ok().and_then(PieceKey::from_bytes).ok_or(ItemError::Key)?;
    let imprint = item.imprint.as_deref().map(str::parse).transpose().map_err(ItemError::Imprint)?;
    let date = item.date.parse()?;
    let destination = item.destination.parse().map_err(ItemError::Destination)?;
    let class = item.class.parse().map_err(ItemError::Class)?;
    let scale = item.scale.parse().map_err(ItemError::Scale)?;
    if imprint.is_some() && item.indicium.is_some() {
        return Err(ItemError::PaidBothWays);
    }
    let reference = reference_of(item.reference.as_deref())?;
    Ok(ToCertify { key, date, destination, class, scale, imprint, reference })
}

fn reference_of(reference: Option<&str>) -> Result<Option<Arc<str>>, ItemError> {
    match reference {
        Some(reference) if !(1..=LONGEST_REFERENCE).contains(&reference.len()) => {
            Err(ItemError::Reference(reference.len()))
        }
        reference => Ok(reference.map(Into::into)),
    }
}

/// The piece that an item asks for of this signer. The recipient's salted hash is put in by the caller, who has the randomness.
pub fn piece_of(target: &SignTarget<'_>, item: &SignItem<'_>) -> Result<Piece, ItemError> {
    let key = <[u8; 16]>::try_from(item.key()).ok().and_then(PieceKey::from_bytes).ok_or(ItemError::Key)?;
    let (postage, details) = match item {
        SignItem::Postal(item) => (item.postage.parse()?, Details::Postal(postal(item)?)),
        SignItem::Voucher(item) => {
            (item.value.parse().map_err(ItemError::Value)?, Details::Voucher(Arc::new(voucher(item)?)))
        }
    };
    let (reference, weight_g) = match item {
        SignItem::Postal(item) => (&item.reference, item.weight),
        SignItem::Voucher(item) => (&item.reference, None),
    };
    if let Some(recipient) = item.recipient().filter(|r| !(1..=LONGEST_RECIPIENT).contains(&r.len())) {
        return Err(ItemError::Recipient(recipient.len()));
    }
    let token = match (item, &details) {
        (SignItem::Postal(PostalItem { token: true, recipient, .. }), Details::Postal(postal)) => {
            let code = AddressCode::of_piece(postal.destination, recipient.as_deref());
            Some(code.map_err(ItemError::TokenRecipient)?)
        }
        _ => None,
    };
    let reference = reference_of(reference.as_deref())?;
    let digest = content_digest(target, item);
    Ok(Piece { key, digest, postage, details, recipient: None, reference, weight_g, token })
}

/// What the token that was read off a piece of this PSD must be made of. In the order of [`ItemError`]'s checks.
pub fn token_data(psd: PsdId, query: &TokenQuery<'_>) -> Result<TokenData, ItemError> {
    let (postage, date) = (query.postage.parse()?, query.date.parse()?);
    let destination: Destination = query.destination.parse().map_err(ItemError::Destination)?;
    if let Some(recipient) = query.recipient.as_deref().filter(|r| !(1..=LONGEST_RECIPIENT).contains(&r.len())) {
        return Err(ItemError::Recipient(recipient.len()));
    }
    let code = AddressCode::of_piece(destination, query.recipient.as_deref()).map_err(ItemError::TokenRecipient)?;
    let data = TokenData::new((psd, query.pieces), postage, date, destination, code);
    data.map_err(|TokenDataError::Elsewhere { .. }| ItemError::TokenRecipient(AddressCodeError::Missing))
}

fn postal(item: &PostalItem<'_>) -> Result<Postal, ItemError> {
    Ok(Postal {
        date: item.date.parse()?,
        destination: item.destination.parse().map_err(ItemError::Destination)?,
        rate: item.rate.parse().map_err(ItemError::Rate)?,
    })
}

fn voucher(item: &VoucherItem<'_>) -> Result<Voucher, ItemError> {
    let kind = item.kind.parse()?;
    let holder = item.holder.as_deref().map(str::parse).transpose()?;
    let day = |text: &str| text.parse().map_err(ItemError::ValidityDay);
    let validity = Validity::new(day(&item.valid_from)?, day(&item.valid_until)?)?;
    Ok(Voucher { kind, holder, validity })
}
