//! What a piece says of itself beyond its value. Every layout takes one kind of it; a certification is of none.

use super::address::{Destination, RateCategory};
use crate::certification::{Certification, MarkId, NotCertifiable, Proof};
use crate::id::RunId;
use crate::key::Role;
use crate::money::PostageAmount;
use crate::run::Dues;
use crate::time::MailingDate;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The details of a piece that is to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Details {
    /// Of mail.
    Postal(Postal),
    /// Of a ticket, a gift certificate and the like. Shared, so that mail does not carry its size.
    Voucher(Arc<Voucher>),
    /// Of corrected mail that is certified, whatever the PSD's layout; where it is part of a run, with what it owes under each tariff of that.
    /// Shared as well.
    Certification(Arc<Certification>, Option<Dues>),
    /// The same, where what was asked for cannot be certified. Its day of mailing is that of the request.
    NotCertifiable(MailingDate, Proof, Arc<NotCertifiable>),
}

/// The kinds of details.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// [`Details::Postal`].
    Postal,
    /// [`Details::Voucher`].
    Voucher,
    /// [`Details::Certification`] and [`Details::NotCertifiable`].
    Certification,
}

/// Of a piece of mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Postal {
    /// Day of mailing.
    pub date: MailingDate,
    /// Where the piece goes.
    pub destination: Destination,
    /// Rate category.
    pub rate: RateCategory,
}

/// Of value other than postage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voucher {
    /// What it is good for.
    pub kind: VoucherKind,
    /// The vendor's own reference to who holds it.
    pub holder: Option<Holder>,
    /// When it can be redeemed.
    pub validity: Validity,
}

impl Kind {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Postal => "postal item",
            Kind::Voucher => "voucher item",
            Kind::Certification => "certification item",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Details {
    /// Which kind they are.
    pub fn kind(&self) -> Kind {
        match self {
            Details::Postal(_) => Kind::Postal,
            Details::Voucher(_) => Kind::Voucher,
            Details::Certification(..) | Details::NotCertifiable(..) => Kind::Certification,
        }
    }

    /// The day that must lie in the window of days: that of mailing, or the first of the validity.
    pub fn first_day(&self) -> MailingDate {
        match self {
            Details::Postal(postal) => postal.date,
            Details::Voucher(voucher) => voucher.validity.from(),
            Details::Certification(certification, _) => certification.date,
            Details::NotCertifiable(date, ..) => *date,
        }
    }

    /// The role of the key that signs such a piece; none where a receipt is to prove it.
    pub fn signed_by(&self) -> Option<Role> {
        let proof = match self {
            Details::Postal(_) | Details::Voucher(_) => return Some(Role::Indicium),
            Details::Certification(certification, _) => certification.proof,
            Details::NotCertifiable(_, proof, _) => *proof,
        };
        match proof {
            Proof::Signature => Some(Role::Certification),
            Proof::Receipt => None,
        }
    }

    /// The run that the piece is to be part of, where it is certified and is of one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Details::Postal(_) | Details::Voucher(_) | Details::NotCertifiable(..) => None,
            Details::Certification(certification, _) => certification.run.as_ref(),
        }
    }

    /// The indicium that pays for the piece, where it is certified and one does.
    pub fn paying_mark(&self) -> Option<MarkId> {
        match self {
            Details::Postal(_) | Details::Voucher(_) | Details::NotCertifiable(..) => None,
            Details::Certification(certification, _) => certification.paid.mark().map(|mark| mark.id),
        }
    }
}

/// What no voucher can have. In the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VoucherError {
    /// The kind has other characters, or too many.
    #[error("{0:?} is no kind of voucher: 1 to {LONGEST_KIND} of a-z 0-9 -, beginning with a letter")]
    Kind(String),
    /// The holder reference is empty, too long, or has control characters.
    #[error("a holder reference is 1 to {LONGEST_HOLDER} bytes without control characters")]
    Holder,
    /// The last day is before the first.
    #[error("the last day, {until}, is before the first, {from}")]
    Backwards {
        /// First day.
        from: MailingDate,
        /// Last day.
        until: MailingDate,
    },
    /// The last day is too far from the first.
    #[error("the last day, {until}, is more than {MOST_DAYS} days after the first, {from}")]
    TooLong {
        /// First day.
        from: MailingDate,
        /// Last day.
        until: MailingDate,
    },
}

/// Most bytes of a kind.
pub const LONGEST_KIND: usize = 32;
/// Most bytes of a holder reference.
pub const LONGEST_HOLDER: usize = 64;
/// Most days from the first to the last: ten years.
pub const MOST_DAYS: i64 = 3_653;

/// What a voucher is good for, in the vendor's own words: `ticket`, `gift-certificate`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VoucherKind(Arc<str>);

impl VoucherKind {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VoucherKind {
    type Err = VoucherError;

    fn from_str(text: &str) -> Result<Self, VoucherError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let valid = text.len() <= LONGEST_KIND
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(plain);
        if valid { Ok(Self(text.into())) } else { Err(VoucherError::Kind(text.chars().take(40).collect())) }
    }
}

impl fmt::Display for VoucherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The vendor's own reference to the holder of a voucher. It stands readable in symbol and log, so it must be no name and no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder(Arc<str>);

impl Holder {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Holder {
    type Err = VoucherError;

    fn from_str(text: &str) -> Result<Self, VoucherError> {
        let valid = (1..=LONGEST_HOLDER).contains(&text.len()) && !text.chars().any(char::is_control);
        if valid { Ok(Self(text.into())) } else { Err(VoucherError::Holder) }
    }
}

/// The days on which a voucher can be redeemed, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    from: MailingDate,
    until: MailingDate,
}

impl Validity {
    /// From the one day to the other, at most [`MOST_DAYS`] later.
    pub fn new(from: MailingDate, until: MailingDate) -> Result<Self, VoucherError> {
        match until.day_number() - from.day_number() {
            days if days < 0 => Err(VoucherError::Backwards { from, until }),
            days if days > MOST_DAYS => Err(VoucherError::TooLong { from, until }),
            _ => Ok(Self { from, until }),
        }
    }

    /// First day.
    pub fn from(self) -> MailingDate {
        self.from
    }

    /// Last day.
    pub fn until(self) -> MailingDate {
        self.until
    }
}

/// The details that a decoder reads, as they stand in the mark: not always such as could be asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecodedDetails {
    /// Of mail.
    Postal(DecodedPostal),
    /// Of a ticket, a gift certificate and the like.
    Voucher(Box<DecodedVoucher>),
}

/// Of a piece of mail, as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodedPostal {
    /// Licensing ZIP.
    pub licensing_zip: u32,
    /// Destination.
    pub destination: u64,
    /// Rate category.
    pub rate: [u8; 4],
}

/// Of value other than postage, with what this layout alone says of the registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedVoucher {
    /// What was asked for.
    pub details: Voucher,
    /// Control total.
    pub control_total: PostageAmount,
    /// Piece count after this one.
    pub pieces: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_plain_word() {
        for text in ["ticket", "gift-certificate", "t", "a2-", &"k".repeat(32)] {
            assert_eq!(text.parse::<VoucherKind>().unwrap().as_str(), text);
        }
        for text in ["", "Ticket", "2nd", "-x", "a b", "a_b", "é", &"k".repeat(33)] {
            assert!(matches!(text.parse::<VoucherKind>(), Err(VoucherError::Kind(_))), "{text:?}");
        }
    }

    #[test]
    fn a_holder_is_a_short_reference() {
        for text in ["x", "Seat 12 B", "é", &"h".repeat(64)] {
            assert_eq!(text.parse::<Holder>().unwrap().as_str(), text);
        }
        for text in ["", "a\nb", "\u{7f}", &"h".repeat(65)] {
            assert_eq!(text.parse::<Holder>(), Err(VoucherError::Holder), "{text:?}");
        }
    }

    #[test]
    fn a_validity_runs_forward_and_ends_after_ten_years() {
        let validity = |from: &str, until: &str| Validity::new(from.parse().unwrap(), until.parse().unwrap());
        assert!(validity("2026-11-20", "2026-11-20").is_ok());
        assert!(validity("2026-11-20", "2036-11-20").is_ok(), "ten years with three leap days");
        assert!(matches!(validity("2026-11-20", "2036-11-21"), Err(VoucherError::TooLong { .. })));
        assert!(matches!(validity("2026-11-20", "2026-11-19"), Err(VoucherError::Backwards { .. })));
    }
}
