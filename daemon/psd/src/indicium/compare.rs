//! A decoded mark against what is known of it from elsewhere: its record, its PSD, what was asked for.

use super::{Decoded, Details, Format, LicensingZip};
use crate::currency::Currency;
use crate::id::PsdId;
use crate::money::PostageAmount;
use crate::register::Registers;
use std::fmt::Display;

/// What is known of a mark. `None` is what the one who compares does not know.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The device that signed.
    pub psd: PsdId,
    /// Its registers after the piece.
    pub registers: &'a Registers,
    /// Postage of the piece, or value of the voucher.
    pub postage: Option<PostageAmount>,
    /// What its registers count.
    pub currency: Option<Currency>,
    /// What the device puts into all its marks.
    pub issuer: Option<Issuer>,
    /// What was asked for.
    pub details: Option<&'a Details>,
}

/// What a device puts into all its marks.
#[derive(Clone, Copy, Debug)]
pub struct Issuer {
    /// ZIP of the licence.
    pub licensing_zip: LicensingZip,
    /// Software ID.
    pub software_id: [u8; 6],
    /// Whether its marks are specimens.
    pub specimen: bool,
}

/// A field of a mark that is not what is known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field} is {found}, expected {expected}")]
pub struct Mismatch {
    /// The field.
    pub field: &'static str,
    /// In the mark.
    pub found: String,
    /// Known.
    pub expected: String,
}

impl Mismatch {
    /// Passes where the two are equal.
    pub(super) fn unless(
        field: &'static str,
        found: &dyn Display,
        expected: &dyn Display,
        equal: bool,
    ) -> Result<(), Self> {
        if equal { Ok(()) } else { Err(Self { field, found: found.to_string(), expected: expected.to_string() }) }
    }
}

/// Compares every field of a mark of this layout with what is known; the first that differs is told.
pub fn compare(format: &dyn Format, mark: &Decoded, known: &Known<'_>) -> Result<(), Mismatch> {
    Mismatch::unless("device", &mark.device, &known.psd, mark.psd == Some(known.psd))?;
    let same = |field, found: PostageAmount, expected: PostageAmount| {
        Mismatch::unless(field, &found, &expected, found == expected)
    };
    same("ascending register", mark.ascending, known.registers.ascending())?;
    same("descending register", mark.descending, known.registers.descending())?;
    known.postage.map_or(Ok(()), |postage| same("postage", mark.postage, postage))?;
    if let Some(currency) = known.currency {
        Mismatch::unless("currency", &mark.currency, &currency, mark.currency == currency)?;
    }
    format.compare_own(mark, known)
}
