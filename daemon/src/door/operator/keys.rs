//! Every generation of every key, as operators see it.

use super::OperatorState;
use crate::ceremony::standing;
use crate::core::View;
use crate::door::failure::Failure;
use http::StatusCode;
use psd::device::{CertifiedKey, Identity};
use psd::key::{Residence, Role};
use psd::{PostageAmount, PsdId, State};
use psdd_wire::operator::{KeyState, KeysResponse, MOST_ROWS, OperatorKeyView};
use psdd_wire::status;
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// Committed state.
pub(super) async fn view(state: &OperatorState) -> Result<View, Failure> {
    state.core.view()?.await.ok().ok_or_else(Failure::stopping)
}

/// A value of the query, of which each name stands once at most.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn place((psd, key_id): &(PsdId, Arc<[u8]>)) -> String {
    let hex: String = key_id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{psd}.{hex}")
}

/// One page of rows in the order of PSD and key, those behind `after`, and what to give as `after` for the next.
pub(super) fn page<T>(
    rows: Vec<T>,
    query: Option<&str>,
    key: impl Fn(&T) -> (PsdId, Arc<[u8]>),
) -> Result<(Vec<T>, Option<String>), Failure> {
    let after = parameter(query, "after");
    if after.is_some_and(|after| !after.contains('.')) {
        let detail = "after: give what the page before said as `next`";
        return Err(Failure::lasting(StatusCode::BAD_REQUEST, "malformed", detail));
    }
    let mut rows: Vec<(String, T)> = rows.into_iter().map(|row| (place(&key(&row)), row)).collect();
    rows.retain(|(place, _)| after.is_none_or(|after| place.as_str() > after));
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = rows.len() > MOST_ROWS;
    rows.truncate(MOST_ROWS);
    let next = rows.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((rows.into_iter().map(|(_, row)| row).collect(), next))
}

pub(super) async fn keys(state: &OperatorState, query: Option<&str>) -> Result<Vec<u8>, Failure> {
    let view = view(state).await?;
    let wanted: Option<PsdId> = match parameter(query, "psd") {
        None => None,
        Some(psd) => {
            let parsed = psd.parse().ok();
            let detail = "psd: a device ID";
            Some(parsed.ok_or_else(|| Failure::lasting(StatusCode::BAD_REQUEST, "malformed", detail))?)
        }
    };
    let psds = view.psds.iter().filter(|(identity, _)| wanted.is_none_or(|wanted| wanted == identity.psd));
    let rows = psds.flat_map(|(identity, state)| state.keys.iter().map(move |certified| (identity, state, certified)));
    let name = |(identity, _, certified): &(&Arc<Identity>, &State, &CertifiedKey)| {
        (identity.psd, Arc::clone(&certified.key.key_id))
    };
    let (rows, next) = page(rows.collect(), query, name)?;
    let keys = rows.into_iter().map(|(identity, state, certified)| key_view(identity.psd, state, certified)).collect();
    let time = view.clock.as_ref().map_or(0, |clock| clock.time.0);
    Ok(psdd_wire::encode(&KeysResponse { keys, next, time }))
}

/// The state on the wire of this door.
fn key_state(state: &State, certified: &CertifiedKey) -> KeyState {
    match standing(state, certified).0 {
        status::KeyState::Created => KeyState::Created,
        status::KeyState::Certified => KeyState::Certified,
        status::KeyState::Active => KeyState::Active,
        status::KeyState::Superseded => KeyState::Superseded,
        status::KeyState::Retired => KeyState::Retired,
        // What is gone from the token can be revoked as well, and operators look for what is gone.
        status::KeyState::Revoked if certified.life.destroyed.is_some() => KeyState::Destroyed,
        status::KeyState::Destroyed => KeyState::Destroyed,
        status::KeyState::Revoked => KeyState::Revoked,
    }
}

/// What an indicium key signed: from its activation to that of the one after it, or to now.
fn signed(state: &State, certified: &CertifiedKey) -> (u64, PostageAmount) {
    let (Some(from), Role::Indicium) = (certified.life.activated, certified.key.role) else {
        return (0, PostageAmount::ZERO);
    };
    let later = state.keys.iter().filter(|other| other.key.role == certified.key.role);
    let later = later.filter_map(|other| other.life.activated).filter(|other| other.sequence > from.sequence);
    let until = later.min_by_key(|other| other.sequence).map_or(state.registers, |next| next.registers);
    let pieces = until.piece_count().saturating_sub(from.registers.piece_count());
    let value = until.ascending().checked_sub(from.registers.ascending()).unwrap_or(PostageAmount::ZERO);
    (pieces, value)
}

fn key_view(psd: PsdId, state: &State, certified: &CertifiedKey) -> OperatorKeyView {
    let (pieces, value) = signed(state, certified);
    let key = &certified.key;
    let residence = if certified.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    OperatorKeyView {
        psd,
        role: key.role.to_string(),
        spki: key.spki.to_vec(),
        chain: certified.chain.iter().map(|der| ByteBuf::from(der.to_vec())).collect(),
        state: key_state(state, certified),
        token: key.token.to_string(),
        value,
        key_id: key.key_id.to_vec(),
        pieces,
        serial: key.certificate_serial,
        created: certified.life.created.0,
        activated: certified.life.activated.map(|activated| activated.at.0),
        algorithm: key.algorithm.to_string(),
        not_after: certified.chain.first().and_then(|leaf| not_after(leaf)),
        residence: residence.as_str().to_owned(),
        generation: key.key_id.last().copied().unwrap_or(1),
        next_rotation: None,
    }
}

/// The end of a certificate, milliseconds since 1970.
fn not_after(certificate: &[u8]) -> Option<u64> {
    let end = psdd_tls::not_after(&[psdd_tls::CertificateDer::from(certificate)]).ok()?;
    end.as_secs().checked_mul(1_000)
}
