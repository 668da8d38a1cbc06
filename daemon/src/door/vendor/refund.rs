//! The postage of a spoiled mark comes back: a download that names the piece (DOMAIN.md, "Refund of spoiled marks").

use super::connection::Connection;
use super::problems::Failure;
use super::value::{command, nonce, requested};
use crate::core::ValueStep;
use http::StatusCode;
use psd::record::{Event, Indicium};
use psd::{PieceKey, PsdId};
use psdd_policy::Action;
use psdd_wire::message::{RefundClaims, RefundRequest};

pub(super) async fn request(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let message: RefundRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    let key = <[u8; 16]>::try_from(&*message.key).ok().and_then(PieceKey::from_bytes);
    let key = key.ok_or_else(|| {
        let detail = "the key of a piece is a UUID of version 7 in 16 bytes";
        Failure::lasting(StatusCode::BAD_REQUEST, "key-not-uuid7", detail)
    })?;
    let stored = connection.state.core.piece(connection.identity.tenant.clone(), key)?.await.ok().flatten();
    let stored = stored.as_ref().and_then(|durable| match &durable.record().event {
        Event::Indicium(piece @ Indicium { stamp, .. }) if stamp.psd == id => Some((durable.leaf(), piece)),
        _ => None,
    });
    let (leaf, piece) = stored.ok_or_else(|| {
        Failure::lasting(StatusCode::NOT_FOUND, "key-unknown", "this PSD signed no piece for this key")
    })?;
    connection.may(id, Action::RequestRefund { amount: piece.postage }).ok_or_else(|| Failure::unknown_psd(psd))??;
    let claims = RefundClaims { key: *key.as_bytes(), leaf, indicium: piece.indicium.clone() };
    let ascending = piece.stamp.registers.ascending();
    let step = ValueStep::Refund { piece: claims, ascending, postage: piece.postage, nonce: nonce() };
    requested(id, command(connection, id, step).await?, psd)
}
