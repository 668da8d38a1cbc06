//! A certification as its record must have it.

use super::{COSE_SIGN1, Certification, CertificationError, Certified, decode, parts_of_message, read_in_any_form};
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

/// What a record certifies that this appliance wrote itself: its certification was encoded here, and is not encoded again to compare it.
/// Records of another origin are for [`decode_recorded`], bytes for [`decode`].
///
/// # Errors
///
/// Where it is none.
pub fn of_own_record(piece: &CertifiedPiece) -> Result<Certification, CertificationError> {
    let read = match piece.certification.strip_prefix(COSE_SIGN1) {
        None => read_in_any_form(&piece.certification),
        Some(rest) => parts_of_message(rest).and_then(|[_, payload, _]| read_in_any_form(payload)),
    };
    read.map(|(_, certification)| certification).map_err(CertificationError)
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
