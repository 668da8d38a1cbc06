//! The reading of a scale, judged.

use super::refused;
use psd::UnixMillis;
use psd::certification::{NotCertifiable, Weighed};
use psdd_certification::scale::{Freshness, Reading, ReadingError, Registry};
use psdd_wire::item::ToCertify;
use psdd_wire::message::CertifyItem;

/// What the piece weighs, by a scale that counts at this time.
pub(super) fn weighed(
    scales: &Registry,
    item: &CertifyItem<'_>,
    asked: &ToCertify,
    now: UnixMillis,
    freshness: Freshness,
) -> Result<Weighed, NotCertifiable> {
    let reading = Reading {
        scale: asked.scale.clone(),
        weight_mg: item.weight,
        taken_at: UnixMillis(item.weighed),
        signature: item.reading.as_deref().map(<[u8]>::to_vec),
    };
    let judged = scales.judge(&reading, now, freshness).map_err(|error| refused(code(&error), error))?;
    Ok(Weighed { weight_mg: judged.weight().0, scale: judged.scale().clone(), taken: judged.taken_at() })
}

/// The stable code on the wire.
const fn code(error: &ReadingError) -> &'static str {
    match error {
        ReadingError::UnknownScale(_) => "scale-unknown",
        ReadingError::FromTheFuture { .. } => "reading-from-future",
        ReadingError::TooOld { .. } => "reading-too-old",
        ReadingError::NotYetValid { .. } | ReadingError::Overdue { .. } => "scale-not-calibrated",
        ReadingError::Negative { .. } => "weight-negative",
        ReadingError::BelowMinimum { .. } | ReadingError::BeyondCapacity { .. } | ReadingError::Resolution { .. } => {
            "weight-not-of-scale"
        }
        ReadingError::Unsigned(_)
        | ReadingError::NoKey(_)
        | ReadingError::Signature { .. }
        | ReadingError::SignedOther { .. } => "reading-unproven",
    }
}
