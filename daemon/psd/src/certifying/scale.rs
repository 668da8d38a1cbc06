//! A scale as its record has it.

use super::standing::ends;
use super::{LONGEST_LINE, Standing, standing};
use crate::id::ScaleId;
use crate::time::{MailingDate, UnixMillis};
use std::sync::Arc;

/// A scale of the registry, with the calibration that makes its readings count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredScale {
    /// As readings name it.
    pub scale: ScaleId,
    /// Number of the calibration certificate.
    pub certificate: Arc<str>,
    /// Who issued it.
    pub issuer: Arc<str>,
    /// First day on which the scale counts, in UTC.
    pub from: MailingDate,
    /// Last day on which it counts, in UTC.
    pub until: MailingDate,
    /// Greatest load, milligrams: a multiple of the resolution.
    pub capacity_mg: u64,
    /// Smallest load, milligrams.
    pub minimum_mg: u64,
    /// Readings are multiples of it, milligrams.
    pub resolution_mg: u64,
    /// Who made it.
    pub maker: Arc<str>,
    /// Its model.
    pub model: Arc<str>,
    /// Where it stands.
    pub site: Arc<str>,
    /// Whether its readings are signed, and by which key.
    pub signed: ReadingsSigned,
}

/// Whether readings of a scale are signed, by the key with this SubjectPublicKeyInfo (DER).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadingsSigned {
    /// The scale has no key.
    Never,
    /// A signature may be absent.
    Optional(Arc<[u8]>),
    /// A reading without one does not count.
    Required(Arc<[u8]>),
}

impl ReadingsSigned {
    /// The number in records.
    pub const fn number(&self) -> u8 {
        match self {
            ReadingsSigned::Never => 0,
            ReadingsSigned::Optional(_) => 1,
            ReadingsSigned::Required(_) => 2,
        }
    }

    /// What this number and this key mean; none where they do not go together.
    pub fn from_parts(number: u8, spki: Option<Arc<[u8]>>) -> Option<Self> {
        match (number, spki) {
            (0, None) => Some(ReadingsSigned::Never),
            (1, Some(spki)) => Some(ReadingsSigned::Optional(spki)),
            (2, Some(spki)) => Some(ReadingsSigned::Required(spki)),
            _ => None,
        }
    }

    /// The scale's key (SPKI, DER).
    pub fn spki(&self) -> Option<&Arc<[u8]>> {
        match self {
            ReadingsSigned::Never => None,
            ReadingsSigned::Optional(spki) | ReadingsSigned::Required(spki) => Some(spki),
        }
    }

    /// The word for people and for the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            ReadingsSigned::Never => "never",
            ReadingsSigned::Optional(_) => "optional",
            ReadingsSigned::Required(_) => "required",
        }
    }
}

/// An entry that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScaleError {
    /// It ends before it begins.
    #[error("the calibration ends before it begins")]
    Calibration,
    /// Loads and resolution do not go together.
    #[error("capacity is above zero, below 2^63 and a multiple of the resolution, the minimum not above it")]
    Loads,
    /// A text is no line.
    #[error("a text has 1 to {LONGEST_LINE} characters and none that control")]
    Text,
}

/// A weight that a scale cannot have read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WeightNotOf {
    /// Below the smallest load.
    #[error("below its smallest load, {0} mg")]
    BelowMinimum(u64),
    /// Above the greatest load.
    #[error("beyond its capacity, {0} mg")]
    BeyondCapacity(u64),
    /// Between two readings.
    #[error("between its readings, which are multiples of {0} mg")]
    Resolution(u64),
}

impl RegisteredScale {
    /// The entry itself, if it makes sense.
    ///
    /// # Errors
    ///
    /// The first of [`ScaleError`] that applies.
    pub fn checked(self) -> Result<Self, ScaleError> {
        if self.until < self.from {
            return Err(ScaleError::Calibration);
        }
        let steps = self.resolution_mg > 0 && self.capacity_mg.is_multiple_of(self.resolution_mg);
        let range = self.capacity_mg > 0 && i64::try_from(self.capacity_mg).is_ok();
        if !steps || !range || self.minimum_mg > self.capacity_mg {
            return Err(ScaleError::Loads);
        }
        let texts = [&self.certificate, &self.issuer, &self.maker, &self.model, &self.site];
        let line =
            |text: &&Arc<str>| (1..=LONGEST_LINE).contains(&text.chars().count()) && !text.contains(char::is_control);
        if texts.iter().all(line) { Ok(self) } else { Err(ScaleError::Text) }
    }

    /// Whether the calibration held at a time.
    pub fn is_calibrated(&self, at: UnixMillis) -> bool {
        self.from.begins() <= at && at < ends(self.until)
    }

    /// Whether this scale can read this weight, milligrams.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn reads(&self, weight_mg: u64) -> Result<(), WeightNotOf> {
        if weight_mg < self.minimum_mg {
            return Err(WeightNotOf::BelowMinimum(self.minimum_mg));
        }
        if weight_mg > self.capacity_mg {
            return Err(WeightNotOf::BeyondCapacity(self.capacity_mg));
        }
        if !weight_mg.is_multiple_of(self.resolution_mg) {
            return Err(WeightNotOf::Resolution(self.resolution_mg));
        }
        Ok(())
    }

    /// How its calibration stands at a time; `Due` from so many days before its end.
    pub fn standing(&self, now: UnixMillis, due_days: u32) -> Standing {
        standing((self.from, self.until), now, due_days)
    }
}
