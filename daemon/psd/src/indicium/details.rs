//! What a piece says of itself beyond its value. Every layout takes one kind of it.

use super::address::{Destination, RateCategory};
use crate::time::MailingDate;

/// The details of a piece that is to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Details {
    /// Of mail.
    Postal(Postal),
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

impl Details {
    /// The day that must lie in the window of days: that of mailing.
    pub fn first_day(&self) -> MailingDate {
        match self {
            Details::Postal(postal) => postal.date,
        }
    }
}

/// The details that a decoder reads, as they stand in the mark: not always such as could be asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecodedDetails {
    /// Of mail.
    Postal(DecodedPostal),
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
