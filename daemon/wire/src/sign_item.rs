//! What a sign request asks for, one item at a time: mail, or value other than postage.

use crate::exact;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::borrow::Cow;

/// One item. Which kind it is shows in its fields.
#[derive(Serialize, Clone, Debug)]
#[serde(untagged)]
pub enum SignItem<'a> {
    /// A piece of mail.
    Postal(PostalItem<'a>),
    /// A ticket, a gift certificate and the like.
    Voucher(VoucherItem<'a>),
}

/// A piece of mail.
#[derive(Serialize, Clone, Debug)]
pub struct PostalItem<'a> {
    /// Idempotency key, a UUID of version 7.
    #[serde(serialize_with = "serde_bytes::serialize")]
    pub key: Cow<'a, [u8]>,
    /// Day of mailing, `YYYY-MM-DD`.
    pub date: Cow<'a, str>,
    /// Rate category.
    pub rate: Cow<'a, str>,
    /// Whether it is to have a digital token as well.
    #[serde(skip_serializing_if = "is_not")]
    pub token: bool,
    /// Grams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Decimal text.
    pub postage: Cow<'a, str>,
    /// Personal; only its salted hash enters the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Cow<'a, str>>,
    /// The client's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    /// ZIP, ZIP+4 or delivery point.
    pub destination: Cow<'a, str>,
}

/// Value other than postage.
#[derive(Serialize, Clone, Debug)]
pub struct VoucherItem<'a> {
    /// Idempotency key, a UUID of version 7.
    #[serde(serialize_with = "serde_bytes::serialize")]
    pub key: Cow<'a, [u8]>,
    /// What it is good for.
    pub kind: Cow<'a, str>,
    /// Decimal text, in the currency of the PSD.
    pub value: Cow<'a, str>,
    /// The vendor's own reference to the holder; readable in symbol and log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Cow<'a, str>>,
    /// The client's own reference; in the log only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    /// First day, `YYYY-MM-DD`.
    pub valid_from: Cow<'a, str>,
    /// Last day, `YYYY-MM-DD`.
    pub valid_until: Cow<'a, str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_not(asked: &bool) -> bool {
    !*asked
}

impl SignItem<'_> {
    /// The idempotency key as received.
    pub fn key(&self) -> &[u8] {
        match self {
            SignItem::Postal(item) => &item.key,
            SignItem::Voucher(item) => &item.key,
        }
    }

    /// The personal field, which vouchers have not.
    pub fn recipient(&self) -> Option<&str> {
        match self {
            SignItem::Postal(item) => item.recipient.as_deref(),
            SignItem::Voucher(_) => None,
        }
    }
}

impl<'a> From<PostalItem<'a>> for SignItem<'a> {
    fn from(item: PostalItem<'a>) -> Self {
        SignItem::Postal(item)
    }
}

impl<'a> From<VoucherItem<'a>> for SignItem<'a> {
    fn from(item: VoucherItem<'a>) -> Self {
        SignItem::Voucher(item)
    }
}

/// Both kinds of item in one shape: reading it needs no second pass over the bytes, as trying one kind after the other would.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EitherItem<'a> {
    #[serde(borrow, deserialize_with = "exact::bytes")]
    key: Cow<'a, [u8]>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    date: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    rate: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "exact::some_bool")]
    token: Option<bool>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    holder: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "exact::some_number")]
    weight: Option<u64>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    postage: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    recipient: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    reference: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    valid_from: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    destination: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    valid_until: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for SignItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EitherItem::deserialize(deserializer)?.one_kind()
    }
}

impl<'a> EitherItem<'a> {
    /// The item, if it has all fields of one kind and none of the other.
    fn one_kind<E: de::Error>(self) -> Result<SignItem<'a>, E> {
        let Self {
            key,
            date,
            kind,
            rate,
            token,
            value,
            holder,
            weight,
            postage,
            recipient,
            reference,
            valid_from,
            destination,
            valid_until,
        } = self;
        let of_voucher = [&kind, &value, &holder, &valid_from, &valid_until].into_iter().any(Option::is_some);
        let of_mail = token.is_some()
            || weight.is_some()
            || [&date, &rate, &postage, &recipient, &destination].into_iter().any(Option::is_some);
        if of_voucher && of_mail {
            return Err(E::custom("an item has the fields of a postal item or those of a voucher item, not of both"));
        }
        let stands = |field: Option<Cow<'a, str>>, name| field.ok_or_else(|| E::missing_field(name));
        if of_voucher {
            return Ok(SignItem::Voucher(VoucherItem {
                key,
                kind: stands(kind, "kind")?,
                value: stands(value, "value")?,
                holder,
                reference,
                valid_from: stands(valid_from, "valid_from")?,
                valid_until: stands(valid_until, "valid_until")?,
            }));
        }
        Ok(SignItem::Postal(PostalItem {
            key,
            date: stands(date, "date")?,
            rate: stands(rate, "rate")?,
            token: token.unwrap_or(false),
            weight,
            postage: stands(postage, "postage")?,
            recipient,
            reference,
            destination: stands(destination, "destination")?,
        }))
    }
}
