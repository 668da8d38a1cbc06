//! Whether a reading counts.

use super::{Milligrams, Registry, Scale, Signing};
use psd::{MailingDate, ScaleId, UnixMillis};
use psdd_wire::cose::CoseError;
use psdd_wire::scale::ReadingClaims;

/// What a scale said, or is said to have said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Which scale.
    pub scale: ScaleId,
    /// Milligrams; below zero where the scale said so.
    pub weight_mg: i64,
    /// When, by the scale's clock.
    pub taken_at: UnixMillis,
    /// The scale's word for it: COSE_Sign1 over [`ReadingClaims`].
    pub signature: Option<Vec<u8>>,
}

/// How old a reading may be, and how far a scale's clock may be ahead; milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// Greatest age.
    pub max_age_ms: u64,
    /// Furthest ahead.
    pub max_ahead_ms: u64,
}

/// A weight to rate by: proof that its reading was judged.
#[must_use]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weighed {
    scale: ScaleId,
    weight: Milligrams,
    taken_at: UnixMillis,
    signed: bool,
}

/// Why a reading does not count. Judged in the order of this list; the first that applies is told.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The registry does not have the scale.
    #[error("scale {0} is not in the registry; register it with its calibration, or weigh on another")]
    UnknownScale(ScaleId),
    /// It was taken later than it can have been.
    #[error("the reading is from {taken_at}, and it is {now}; set the clock of scale {scale}")]
    FromTheFuture {
        /// The scale.
        scale: ScaleId,
        /// By its clock.
        taken_at: UnixMillis,
        /// By the caller's.
        now: UnixMillis,
    },
    /// It is too old.
    #[error("the reading of scale {scale} is {age_ms} ms old, at most {max_age_ms} ms are allowed; weigh again")]
    TooOld {
        /// The scale.
        scale: ScaleId,
        /// Its age.
        age_ms: u64,
        /// What is allowed.
        max_age_ms: u64,
    },
    /// It was taken before the calibration began.
    #[error("the calibration of scale {scale} is valid from {from}; weigh on another")]
    NotYetValid {
        /// The scale.
        scale: ScaleId,
        /// First day.
        from: MailingDate,
    },
    /// The calibration has ended.
    #[error("the calibration of scale {scale} was valid until {until}; have it calibrated, or weigh on another")]
    Overdue {
        /// The scale.
        scale: ScaleId,
        /// Last day.
        until: MailingDate,
    },
    /// Below zero.
    #[error("scale {scale} reads {weight_mg} mg; set it to zero and weigh again")]
    Negative {
        /// The scale.
        scale: ScaleId,
        /// What it reads.
        weight_mg: i64,
    },
    /// Below the smallest load.
    #[error("{weight} is below what scale {scale} weighs ({minimum}); weigh on a finer one")]
    BelowMinimum {
        /// The scale.
        scale: ScaleId,
        /// What it reads.
        weight: Milligrams,
        /// Its smallest load.
        minimum: Milligrams,
    },
    /// Above the greatest load.
    #[error("{weight} is above what scale {scale} weighs ({capacity}); weigh on a larger one")]
    BeyondCapacity {
        /// The scale.
        scale: ScaleId,
        /// What it reads.
        weight: Milligrams,
        /// Its greatest load.
        capacity: Milligrams,
    },
    /// Between two readings that the scale can give.
    #[error("scale {scale} reads in steps of {resolution}, and {weight} is none; the reading is not this scale's")]
    Resolution {
        /// The scale.
        scale: ScaleId,
        /// What it is said to read.
        weight: Milligrams,
        /// Its step.
        resolution: Milligrams,
    },
    /// It must be signed.
    #[error("readings of scale {0} are to be signed by its key, and this is not")]
    Unsigned(ScaleId),
    /// It is signed, and the scale has no key.
    #[error("the reading is signed, and the registry has no key of scale {0}; register the key")]
    NoKey(ScaleId),
    /// The signature does not verify.
    #[error("the reading is not signed by the key of scale {scale}: {source}")]
    Signature {
        /// The scale.
        scale: ScaleId,
        /// Why.
        source: CoseError,
    },
    /// The signature is over another reading.
    #[error("scale {scale} signed {signed_mg} mg at {signed_at}, and that is not this reading")]
    SignedOther {
        /// The scale.
        scale: ScaleId,
        /// What it signed.
        signed_mg: i64,
        /// And when it was taken.
        signed_at: UnixMillis,
    },
}

impl Reading {
    /// The reading that a signed message says, to be judged like every other: nothing of it is proven yet.
    ///
    /// # Errors
    ///
    /// Not a signed reading in the one form documented.
    pub fn of_signed(bytes: &[u8]) -> Result<Self, CoseError> {
        let ReadingClaims { time, scale, weight } = ReadingClaims::claimed(bytes)?;
        Ok(Self { scale, weight_mg: weight, taken_at: UnixMillis(time), signature: Some(bytes.to_vec()) })
    }
}

impl Weighed {
    /// The scale.
    pub const fn scale(&self) -> &ScaleId {
        &self.scale
    }

    /// The weight.
    pub const fn weight(&self) -> Milligrams {
        self.weight
    }

    /// When it was taken, by the scale's clock.
    pub const fn taken_at(&self) -> UnixMillis {
        self.taken_at
    }

    /// Whether the scale signed it.
    pub const fn is_signed(&self) -> bool {
        self.signed
    }
}

impl Registry {
    /// Judges a reading at a time.
    ///
    /// # Errors
    ///
    /// The first of [`ReadingError`] that applies.
    pub fn judge(&self, reading: &Reading, now: UnixMillis, freshness: Freshness) -> Result<Weighed, ReadingError> {
        let scale = self.scale(&reading.scale).ok_or_else(|| ReadingError::UnknownScale(reading.scale.clone()))?;
        fresh(reading, now, freshness)?;
        calibrated(scale, reading.taken_at, now)?;
        let weight = in_range(scale, reading.weight_mg)?;
        let signed = signed(scale, reading)?;
        Ok(Weighed { scale: reading.scale.clone(), weight, taken_at: reading.taken_at, signed })
    }
}

fn fresh(reading: &Reading, now: UnixMillis, freshness: Freshness) -> Result<(), ReadingError> {
    let (scale, taken_at) = (reading.scale.clone(), reading.taken_at);
    match now.0.checked_sub(taken_at.0) {
        None if taken_at.0 - now.0 > freshness.max_ahead_ms => {
            Err(ReadingError::FromTheFuture { scale, taken_at, now })
        }
        Some(age_ms) if age_ms > freshness.max_age_ms => {
            Err(ReadingError::TooOld { scale, age_ms, max_age_ms: freshness.max_age_ms })
        }
        None | Some(_) => Ok(()),
    }
}

/// The calibration must have begun when it was weighed, and hold still.
fn calibrated(scale: &Scale, taken_at: UnixMillis, now: UnixMillis) -> Result<(), ReadingError> {
    let (id, calibration) = (scale.id(), scale.calibration());
    if taken_at < calibration.begins() {
        return Err(ReadingError::NotYetValid { scale: id.clone(), from: calibration.from() });
    }
    if taken_at.max(now) >= calibration.ends() {
        return Err(ReadingError::Overdue { scale: id.clone(), until: calibration.until() });
    }
    Ok(())
}

fn in_range(scale: &Scale, weight_mg: i64) -> Result<Milligrams, ReadingError> {
    let id = || scale.id().clone();
    let weight = match u64::try_from(weight_mg) {
        Ok(weight) => Milligrams(weight),
        Err(_) => return Err(ReadingError::Negative { scale: id(), weight_mg }),
    };
    if weight < scale.minimum() {
        return Err(ReadingError::BelowMinimum { scale: id(), weight, minimum: scale.minimum() });
    }
    if weight > scale.capacity() {
        return Err(ReadingError::BeyondCapacity { scale: id(), weight, capacity: scale.capacity() });
    }
    if !weight.0.is_multiple_of(scale.resolution().0) {
        return Err(ReadingError::Resolution { scale: id(), weight, resolution: scale.resolution() });
    }
    Ok(weight)
}

/// Whether the scale signed this very reading; refused where it had to, or where what is there is not its word.
fn signed(scale: &Scale, reading: &Reading) -> Result<bool, ReadingError> {
    let id = || scale.id().clone();
    let (spki, signature) = match (scale.signing(), reading.signature.as_deref()) {
        (Signing::Never | Signing::Optional(_), None) => return Ok(false),
        (Signing::Required(_), None) => return Err(ReadingError::Unsigned(id())),
        (Signing::Never, Some(_)) => return Err(ReadingError::NoKey(id())),
        (Signing::Optional(spki) | Signing::Required(spki), Some(signature)) => (spki, signature),
    };
    let claims =
        ReadingClaims::signed_by(signature, spki).map_err(|source| ReadingError::Signature { scale: id(), source })?;
    let same = claims.scale == reading.scale && claims.weight == reading.weight_mg && claims.time == reading.taken_at.0;
    if same {
        return Ok(true);
    }
    Err(ReadingError::SignedOther { scale: claims.scale, signed_mg: claims.weight, signed_at: UnixMillis(claims.time) })
}
