//! Reading: PSDs, registers, certificates, stored results. Committed state only.

use super::certify;
use super::connection::Connection;
use super::problems::Failure;
use super::sign::signed_piece;
use crate::core::{Sight, View};
use crate::door::numbers;
use crate::door::views::{key_views, policy_view, psd_view};
use http::StatusCode;
use psd::device::Identity;
use psd::record::Record;
use psd::{PieceKey, PsdId, State};
use psdd_ledger::Durable;
use psdd_policy::{Action, ApplianceAction};
use psdd_wire::message::{
    ApplianceResponse, CertificatesResponse, CertificationResponse, PieceResponse, PsdResponse, PsdView, PsdsResponse,
};
use std::sync::Arc;

pub(super) async fn piece(connection: &Connection, key: &str) -> Result<Vec<u8>, Failure> {
    let unknown = || Failure::lasting(StatusCode::NOT_FOUND, "key-unknown", "no piece was signed for this key");
    let durable = stored(connection, key).await?.ok_or_else(unknown)?;
    let piece = signed_piece(&durable).ok_or_else(unknown)?;
    connection.may(piece.psd, Action::ReadResult).ok_or_else(unknown)??;
    Ok(psdd_wire::encode(&PieceResponse { piece, checkpoint: connection.state.newest.note() }))
}

/// The stored result of a certification.
pub(super) async fn certification(connection: &Connection, key: &str) -> Result<Vec<u8>, Failure> {
    let unknown = || Failure::lasting(StatusCode::NOT_FOUND, "key-unknown", "no piece was certified for this key");
    let durable = stored(connection, key).await?.ok_or_else(unknown)?;
    certification_at(connection, durable.leaf(), durable.record(), unknown).await
}

/// The same by its number, as people write it.
pub(super) async fn numbered(connection: &Connection, number: &str) -> Result<Vec<u8>, Failure> {
    let numbers = connection.state.numbers.as_ref().ok_or_else(numbers::unknown)?;
    let (leaf, record) = numbers.open(number).await?;
    let own = record.event.debit().is_some_and(|debit| *debit.tenant == connection.identity.tenant);
    if !own {
        return Err(numbers::unknown());
    }
    certification_at(connection, leaf, &record, numbers::unknown).await
}

async fn certification_at(
    connection: &Connection,
    leaf: u64,
    record: &Record,
    unknown: fn() -> Failure,
) -> Result<Vec<u8>, Failure> {
    let psd = record.event.stamp().ok_or_else(unknown)?.psd;
    connection.may(psd, Action::ReadResult).ok_or_else(unknown)??;
    let piece = certify::stored(connection, leaf, record).await?.ok_or_else(unknown)?;
    Ok(psdd_wire::encode(&CertificationResponse { piece, checkpoint: connection.state.newest.note() }))
}

/// What is stored for a key of the tenant.
async fn stored(connection: &Connection, key: &str) -> Result<Option<Durable>, Failure> {
    let uuid = uuid::Uuid::try_parse(key).ok().and_then(|uuid| PieceKey::from_bytes(uuid.into_bytes()));
    let detail = "the key in the path is a UUID of version 7";
    let key = uuid.ok_or_else(|| Failure::lasting(StatusCode::BAD_REQUEST, "key-not-uuid7", detail))?;
    Ok(connection.state.core.piece(connection.identity.tenant.clone(), key)?.await.ok().flatten())
}

pub(super) async fn psds(connection: &Connection) -> Result<Vec<u8>, Failure> {
    let view = view(connection, Sight::All).await?;
    let clock = view.clock.ok();
    let readable = |identity: &Identity| matches!(connection.may(identity.psd, Action::ReadRegisters), Some(Ok(_)));
    let psds = view.psds.iter().filter(|(identity, _)| readable(identity));
    let mut psds: Vec<PsdView> =
        psds.map(|(identity, state)| psd_view(identity, state, clock, &view.periods)).collect();
    psds.sort_by_key(|view| view.psd);
    Ok(psdd_wire::encode(&PsdsResponse { psds, checkpoint: connection.state.newest.note() }))
}

pub(super) async fn psd(connection: &Connection, psd: &str) -> Result<Vec<u8>, Failure> {
    let (identity, state, view) = one(connection, psd, Action::ReadRegisters).await?;
    let psd = psd_view(&identity, &state, view.clock.ok(), &view.periods);
    Ok(psdd_wire::encode(&PsdResponse { psd, checkpoint: connection.state.newest.note() }))
}

pub(super) async fn certificates(connection: &Connection, psd: &str) -> Result<Vec<u8>, Failure> {
    let (identity, state, _) = one(connection, psd, Action::ReadCertificates).await?;
    Ok(psdd_wire::encode(&CertificatesResponse {
        psd: identity.psd,
        keys: key_views(&state),
        checkpoint: connection.state.newest.note(),
        authority_root: connection.state.authority_root.to_vec(),
    }))
}

pub(super) async fn appliance(connection: &Connection) -> Result<Vec<u8>, Failure> {
    connection.may_on_appliance(ApplianceAction::Read)?;
    let View { policy, .. } = view(connection, Sight::Appliance).await?;
    let state = &connection.state;
    Ok(psdd_wire::encode(&ApplianceResponse {
        origin: state.origin.clone(),
        policy: policy_view(&policy),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log_spki: state.log_key.spki.clone(),
        appliance: state.appliance.to_string(),
        checkpoint: state.newest.note(),
        environment: state.environment.as_str().to_owned(),
        authority_root: state.authority_root.to_vec(),
    }))
}

async fn view(connection: &Connection, sight: Sight) -> Result<View, Failure> {
    connection.state.core.view(sight)?.await.ok().ok_or_else(Failure::stopping)
}

async fn one(connection: &Connection, psd: &str, action: Action) -> Result<(Arc<Identity>, State, View), Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    connection.may(id, action).ok_or_else(|| Failure::unknown_psd(psd))??;
    let mut view = view(connection, Sight::Psd(id)).await?;
    let (identity, state) = view.psds.pop().ok_or_else(|| Failure::unknown_psd(psd))?;
    Ok((identity, state, view))
}
