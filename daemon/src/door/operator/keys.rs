//! Every generation of every key, as operators see it.

use super::OperatorState;
use crate::ceremony::standing;
use crate::config::{Rotation, rule_for};
use crate::core::View;
use crate::custodian::validity;
use crate::door::failure::Failure;
use http::StatusCode;
use psd::device::{CertifiedKey, Identity};
use psd::key::Residence;
use psd::rotation::{RotationRule, due_at, signed};
use psd::{PostageAmount, PsdId, State, UnixMillis};
use psdd_wire::operator::{KeyState, KeysResponse, MOST_ROWS, NextRotation, OperatorKeyView};
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
    let shown = |(identity, of, certified): (&Arc<Identity>, &State, &CertifiedKey)| {
        key_view(identity, of, certified, &state.rotations)
    };
    let keys = rows.into_iter().map(shown).collect();
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

fn key_view(identity: &Identity, state: &State, certified: &CertifiedKey, rotations: &[Rotation]) -> OperatorKeyView {
    let (pieces, value) = signed(state, certified);
    let key = &certified.key;
    let validity = validity(certified);
    let in_use = state.key_in_use(key.role).is_some_and(|used| used.key.key_id == key.key_id);
    let rule = rule_for(rotations, &identity.licence, key.role).filter(|_| in_use);
    let next_rotation = rule.map(|rule| next_rotation(rule, (pieces, value), due_at(rule, certified, validity)));
    let residence = if certified.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    OperatorKeyView {
        psd: identity.psd,
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
        not_after: validity.map(|validity| validity.until.0),
        residence: residence.as_str().to_owned(),
        generation: key.key_id.last().copied().unwrap_or(1),
        next_rotation,
    }
}

/// When the key in use gives way, in words where it depends on what it signs.
fn next_rotation(rule: &RotationRule, (pieces, value): (u64, PostageAmount), due: Option<UnixMillis>) -> NextRotation {
    let by_time = match (rule.after_ms, rule.before_expiry_ms) {
        (Some(_), Some(_)) => Some("by age or its certificate's end"),
        (Some(_), None) => Some("by age"),
        (None, Some(_)) => Some("by its certificate's end"),
        (None, None) => None,
    };
    let by_pieces = rule.after_pieces.map(|after| format!("in {} pieces", after.saturating_sub(pieces)));
    let by_value = rule.after_value.map(|after| {
        let left = after.checked_sub(value).unwrap_or(PostageAmount::ZERO);
        format!("in {left} of value")
    });
    let reasons: Vec<String> = by_time.map(str::to_owned).into_iter().chain(by_pieces).chain(by_value).collect();
    NextRotation { time: due.map(|due| due.0), reason: reasons.join(" or ") }
}
