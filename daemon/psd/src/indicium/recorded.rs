//! A symbol as its record must have it.

use super::{Decoded, Issuer, Known, Mismatch, compare};
use crate::device::Identity;
use crate::record::{Environment, Indicium, Stamp};

/// Why a symbol is not that of its record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordedError {
    /// It is not of the PSD's layout.
    #[error("the symbol is not one of the {format} layout")]
    Layout {
        /// The layout.
        format: &'static str,
    },
    /// A field is not that of the record.
    #[error("the symbol's {} is {}, by the record it is {}", .0.field, .0.found, .0.expected)]
    Field(Mismatch),
}

/// Reads the symbol of a record and compares it with that record. The signature is the caller's to verify.
pub fn decode_recorded(
    piece: &Indicium,
    identity: &Identity,
    environment: Environment,
) -> Result<Decoded, RecordedError> {
    let format = identity.format;
    let wrong = RecordedError::Layout { format: format.name() };
    let Ok(decoded) = format.decode(&piece.indicium) else { return Err(wrong) };
    let ours = format.committed_ascending(&decoded.signed).is_some();
    if !ours || !decoded.special.is_empty() {
        return Err(wrong);
    }
    let issuer = Issuer {
        licensing_zip: identity.licensing_zip,
        software_id: identity.software_id,
        specimen: environment.makes_specimens(),
    };
    let currency = Some(identity.currency);
    let Stamp { psd, ref registers, .. } = piece.stamp;
    let known = Known { psd, registers, postage: Some(piece.postage), currency, issuer: Some(issuer), details: None };
    compare(format, &decoded, &known).map_err(RecordedError::Field)?;
    Ok(decoded)
}
