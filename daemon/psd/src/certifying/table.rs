//! A rate table as its record names it.

use crate::id::RateName;
use crate::time::MailingDate;

/// A published rate table that was taken. The table itself is archived as a file; its digest says which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenTable {
    /// Its name.
    pub name: RateName,
    /// Its version; a higher one takes over on its first day.
    pub version: u64,
    /// SHA-256 of the table's text, as certifications have it.
    pub digest: [u8; 32],
    /// First day of mailing that it is for.
    pub from: MailingDate,
    /// Last one, where it says so; never before the first.
    pub until: Option<MailingDate>,
}

impl TakenTable {
    /// Name and version, which stand for one table for ever.
    pub fn key(&self) -> (RateName, u64) {
        (self.name.clone(), self.version)
    }
}
