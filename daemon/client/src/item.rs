//! What is asked for, one piece at a time, and what became of it.

use psd::indicium::{Destination, Details, Postal, RateCategory, Voucher};
use psd::{MailingDate, PieceKey, PostageAmount};
use psdd_wire::message::{self, PostalItem, SignItem, SignedPiece};
use psdd_wire::problem::Problem;
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// One piece to be franked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Idempotency key; keep it until the outcome is stored. From [`new_key`].
    pub key: PieceKey,
    /// Postage.
    pub postage: PostageAmount,
    /// Day of mailing.
    pub date: MailingDate,
    /// Where the piece goes.
    pub destination: Destination,
    /// Rate category.
    pub rate: RateCategory,
    /// Personal, 1 to 512 bytes; only its salted hash enters the log.
    pub recipient: Option<String>,
    /// The caller's own reference, 1 to 64 bytes.
    pub reference: Option<String>,
    /// Weight in grams.
    pub weight_g: Option<u64>,
    /// Whether it is to have a digital token as well; needs the recipient, or a delivery point as the destination.
    pub token: bool,
}

/// Value other than postage to be signed: a ticket, a gift certificate. For PSDs of the format `voucher`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VoucherItem {
    /// Idempotency key; keep it until the outcome is stored. From [`new_key`].
    pub key: PieceKey,
    /// What it is worth, in the PSD's currency.
    pub value: PostageAmount,
    /// Kind, holder and validity.
    pub voucher: Arc<Voucher>,
    /// The caller's own reference, 1 to 64 bytes; in the log only.
    pub reference: Option<String>,
}

/// What became of one item.
// A signed piece is the rule, so a box for it would be an allocation for nearly every piece.
#[allow(clippy::large_enum_variant, reason = "the large variant is the common one")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<P = SignedPiece> {
    /// Debited, signed and verified.
    Signed(P),
    /// Neither. With `retry` in its facts the same item can succeed later; the retries of this call are spent.
    Refused(Problem),
}

/// A new idempotency key; keys rise within a process, so the appliance stores them in order.
pub fn new_key() -> PieceKey {
    loop {
        // Version 7 and its variant are what a piece key wants, so the first one always fits.
        if let Some(key) = PieceKey::from_bytes(*Uuid::now_v7().as_bytes()) {
            return key;
        }
    }
}

/// The part of an item that its indicium must repeat.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) key: PieceKey,
    pub(crate) postage: PostageAmount,
    pub(crate) details: Details,
    pub(crate) token: bool,
}

/// What items of every kind are to those who send them.
pub(crate) trait Ask: Sync {
    fn key(&self) -> PieceKey;
    fn asked(&self) -> Asked;
    /// The item as it is sent. Texts have one form each, so a repetition has the same content.
    fn wire(&self) -> SignItem<'_>;
}

impl Ask for Item {
    fn key(&self) -> PieceKey {
        self.key
    }

    fn asked(&self) -> Asked {
        let Item { key, postage, date, destination, rate, token, .. } = *self;
        Asked { key, postage, details: Details::Postal(Postal { date, destination, rate }), token }
    }

    fn wire(&self) -> SignItem<'_> {
        SignItem::Postal(PostalItem {
            key: Cow::Borrowed(self.key.as_bytes()),
            date: Cow::Owned(self.date.to_string()),
            rate: Cow::Owned(self.rate.to_string()),
            token: self.token,
            weight: self.weight_g,
            postage: Cow::Owned(self.postage.to_string()),
            recipient: self.recipient.as_deref().map(Cow::Borrowed),
            reference: self.reference.as_deref().map(Cow::Borrowed),
            destination: Cow::Owned(self.destination.to_string()),
        })
    }
}

impl Ask for VoucherItem {
    fn key(&self) -> PieceKey {
        self.key
    }

    fn asked(&self) -> Asked {
        let details = Details::Voucher(Arc::clone(&self.voucher));
        Asked { key: self.key, postage: self.value, details, token: false }
    }

    fn wire(&self) -> SignItem<'_> {
        let Voucher { kind, holder, validity } = &*self.voucher;
        SignItem::Voucher(message::VoucherItem {
            key: Cow::Borrowed(self.key.as_bytes()),
            kind: Cow::Borrowed(kind.as_str()),
            value: Cow::Owned(self.value.to_string()),
            holder: holder.as_ref().map(|holder| Cow::Borrowed(holder.as_str())),
            reference: self.reference.as_deref().map(Cow::Borrowed),
            valid_from: Cow::Owned(validity.from().to_string()),
            valid_until: Cow::Owned(validity.until().to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_within_a_process() {
        let keys: Vec<_> = (0..10_000).map(|_| new_key()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
