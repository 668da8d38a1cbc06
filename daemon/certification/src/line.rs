//! The line that is printed next to a mark: licence, class, date, what was due, and the certification number.
//!
//! `L-1000 FCL 2026-11-20 0.29 7KQ4-M2XD-P0N2`: five fields with a blank between them, printable ASCII, at most 64 characters, and
//! one text for one content. It proves nothing by itself; it says in words what the number leads to.

use crate::number::{CertificationNumber, NumberError};
use psd::id::NameError;
use psd::money::AmountError;
use psd::time::DateError;
use psd::{LicenceNumber, MailingDate, PostageAmount, RateName};
use std::fmt;
use std::str::FromStr;

/// Most characters of a line.
pub const LONGEST_LINE: usize = 64;

/// What the line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrintedLine {
    licence: LicenceNumber,
    class: RateName,
    date: MailingDate,
    due: PostageAmount,
    number: CertificationNumber,
}

/// A line that cannot be printed, or a text that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than a line may be.
    #[error(
        "the line has {0} characters, and there is room for {LONGEST_LINE}; a shorter licence number or name of a class helps"
    )]
    TooLong(usize),
    /// Fewer fields than five.
    #[error("a printed line has five fields (licence, class, date, amount due, number); this has {0}")]
    Fields(usize),
    /// The licence.
    #[error("licence: {0}")]
    Licence(NameError),
    /// The class.
    #[error("class: {0}")]
    Class(NameError),
    /// The date.
    #[error("date: {0}")]
    Date(DateError),
    /// What was due.
    #[error("amount due: {0}")]
    Due(AmountError),
    /// The number.
    #[error("number: {0}")]
    Number(NumberError),
}

impl PrintedLine {
    /// A line that says this.
    ///
    /// # Errors
    ///
    /// [`LineError::TooLong`].
    pub fn new(
        licence: LicenceNumber,
        class: RateName,
        date: MailingDate,
        due: PostageAmount,
        number: CertificationNumber,
    ) -> Result<Self, LineError> {
        let line = Self { licence, class, date, due, number };
        // Every field is ASCII, so bytes are characters.
        match line.to_string().len() {
            length if length <= LONGEST_LINE => Ok(line),
            length => Err(LineError::TooLong(length)),
        }
    }

    /// Under which licence it was certified.
    pub const fn licence(&self) -> &LicenceNumber {
        &self.licence
    }

    /// The class of mail that was rated.
    pub const fn class(&self) -> &RateName {
        &self.class
    }

    /// The day of mailing.
    pub const fn date(&self) -> MailingDate {
        self.date
    }

    /// What was due, in the currency of the PSD.
    pub const fn due(&self) -> PostageAmount {
        self.due
    }

    /// The certification number.
    pub const fn number(&self) -> CertificationNumber {
        self.number
    }
}

impl FromStr for PrintedLine {
    type Err = LineError;

    /// Reads a line as it was scanned or typed: any blanks between fields, and the number with blanks in it as well.
    fn from_str(text: &str) -> Result<Self, LineError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [licence, class, date, due, number @ ..] = fields.as_slice() else {
            return Err(LineError::Fields(fields.len()));
        };
        if number.is_empty() {
            return Err(LineError::Fields(fields.len()));
        }
        Self::new(
            licence.parse().map_err(LineError::Licence)?,
            class.parse().map_err(LineError::Class)?,
            date.parse().map_err(LineError::Date)?,
            due.parse().map_err(LineError::Due)?,
            number.concat().parse().map_err(LineError::Number)?,
        )
    }
}

impl fmt::Display for PrintedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.licence, self.class, self.date, self.due, self.number)
    }
}
