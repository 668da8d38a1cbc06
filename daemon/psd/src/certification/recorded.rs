//! A certification as its record must have it.

use super::{CertificationError, Certified, decode};
use crate::device::Identity;
use crate::record::{CertifiedPiece, Environment};

/// Why a certification is not that of its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordedError {
    /// It is none.
    #[error(transparent)]
    Form(#[from] CertificationError),
    /// A claim is not what the record says.
    #[error("the certification's {field} is not that of the record")]
    Field {
        /// Which claim.
        field: &'static str,
    },
}

/// Reads the certification of a record and compares it with that record. The signature is the caller's to verify.
///
/// # Errors
///
/// The first claim that differs.
pub fn decode_recorded(
    piece: &CertifiedPiece,
    identity: &Identity,
    environment: Environment,
) -> Result<Certified, RecordedError> {
    let certified = decode(&piece.certification)?;
    let (certifier, certification) = (&certified.certifier, &certified.certification);
    let rows = [
        ("device", certifier.psd == piece.stamp.psd),
        ("registers", certifier.registers == piece.stamp.registers),
        ("currency", certifier.currency == identity.currency),
        ("specimen", certifier.specimen == environment.makes_specimens()),
        ("debit", certification.shortfall() == piece.debited),
        ("run", certification.run.as_ref() == piece.run.as_ref().map(|run| &run.id)),
        ("paying indicium", certification.paid.mark().map(|mark| mark.id) == piece.mark),
    ];
    match rows.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(RecordedError::Field { field }),
        None => Ok(certified),
    }
}
