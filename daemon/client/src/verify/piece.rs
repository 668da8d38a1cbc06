//! One signed piece against what was asked and what was told with it.

use super::VerificationError;
use super::chain::CertifiedKey;
use crate::item::Asked;
use psd::digital_token::DigitalToken;
use psd::indicium::{Decoded, Format, Known, compare};
use psd::{Currency, PieceKey, PsdId, Registers, UnixMillis};
use psdd_wire::message::{RegisterView, SignedPiece};
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::task::JoinSet;

/// From this many signatures on, they are verified off the runtime's threads.
const MANY: usize = 16;

/// An indicium whose fields are right, and the key that must have signed it.
pub(crate) struct Proven {
    pub(crate) key: PieceKey,
    pub(crate) at: UnixMillis,
    pub(crate) decoded: Decoded,
    pub(crate) certified: Arc<CertifiedKey>,
}

/// The registers told, if they add up.
pub(crate) fn registers_of(piece: &SignedPiece) -> Result<Registers, VerificationError> {
    registers_of_view(piece.psd, piece.sequence, &piece.registers)
}

/// The same of any record of a PSD.
pub(crate) fn registers_of_view(
    psd: PsdId,
    sequence: u64,
    told: &RegisterView,
) -> Result<Registers, VerificationError> {
    let registers = Registers::from_parts(told.ascending, told.descending, told.control_total, told.pieces);
    registers.ok().ok_or(VerificationError::ControlTotal { psd, sequence })
}

/// Decodes the indicium and compares every field with what was asked (where it is known) and told.
pub(crate) fn fields_match(
    key: PieceKey,
    asked: Option<&Asked>,
    piece: &SignedPiece,
    registers: &Registers,
    (format, currency): (&'static dyn Format, Currency),
) -> Result<Decoded, VerificationError> {
    let decoded = format.decode(&piece.indicium);
    let decoded = decoded.map_err(|source| VerificationError::Indicium { key, source })?;
    let (postage, details) = asked.map_or((None, None), |asked| (Some(asked.postage), Some(&asked.details)));
    let known = Known { psd: piece.psd, registers, postage, currency: Some(currency), issuer: None, details };
    compare(format, &decoded, &known).map_err(|mismatch| VerificationError::Field { key, mismatch })?;
    token_matches(piece.token.as_deref(), asked.map(|asked| asked.token))
        .map_err(|what| VerificationError::Token { key, what })?;
    Ok(decoded)
}

/// Whether there is a token where one was asked for, and its check digit holds. Its halves are for the holders of their keys.
fn token_matches(told: Option<&str>, asked: Option<bool>) -> Result<(), String> {
    match (told, asked) {
        (None, Some(true)) => Err("asked for and not there".to_owned()),
        (Some(_), Some(false)) => Err("there and not asked for".to_owned()),
        (None, _) => Ok(()),
        (Some(token), _) => DigitalToken::stored(token).map(drop).map_err(|error| error.to_string()),
    }
}

/// Verifies signatures: a few at once here, many on the threads for blocking work.
pub(crate) async fn verify_signatures(mut pieces: Vec<Proven>) -> Result<(), VerificationError> {
    if pieces.len() < MANY {
        return pieces.iter().try_for_each(verify);
    }
    let share = pieces.len().div_ceil(available_parallelism().map_or(1, usize::from));
    let mut shares = JoinSet::new();
    while !pieces.is_empty() {
        let rest = pieces.split_off(share.min(pieces.len()));
        let part = std::mem::replace(&mut pieces, rest);
        shares.spawn_blocking(move || part.iter().try_for_each(verify));
    }
    while let Some(joined) = shares.join_next().await {
        match joined {
            Ok(verdict) => verdict?,
            Err(broken) => match broken.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels; then nobody waits for this answer.
                Err(cancelled) => unreachable!("nobody cancels these tasks: {cancelled}"),
            },
        }
    }
    Ok(())
}

fn verify(piece: &Proven) -> Result<(), VerificationError> {
    let (key, serial, at) = (piece.key, piece.certified.serial(), piece.at);
    if !piece.certified.signed(&piece.decoded) {
        return Err(VerificationError::Signature { key, serial });
    }
    if !piece.certified.valid_at(at) {
        return Err(VerificationError::NotValidAt { key, serial, at });
    }
    Ok(())
}
