//! Every generation of every key, as operators and the authority see it.

use super::OperatorState;
use crate::ceremony::standing;
use crate::config::{Rotation, rule_for};
use crate::core::{Sight, View};
use crate::custodian::validity;
use crate::door::failure::Failure;
use crate::spine::Handle;
use http::StatusCode;
use psd::device::{CertifiedKey, Identity};
use psd::key::{Residence, Role};
use psd::rotation::{RotationRule, Wait, due_at, signed, successor, waits_for};
use psd::{PostageAmount, PsdId, State, UnixMillis};
use psdd_wire::operator::{KeyState, KeysResponse, MOST_ROWS, NextRotation, OperatorKeyView};
use psdd_wire::status;
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// Committed state.
pub(super) async fn view(state: &OperatorState, sight: Sight) -> Result<View, Failure> {
    state.core.view(sight)?.await.ok().ok_or_else(Failure::stopping)
}

/// A value of the query, of which each name stands once at most.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Where a row stands in the listing: by PSD, then by CKA_ID.
type Place = (PsdId, Arc<[u8]>);

fn text_of((psd, key_id): &Place) -> String {
    let hex: String = key_id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{psd}.{hex}")
}

fn place_of(text: &str) -> Option<Place> {
    let (psd, hex) = text.split_once('.')?;
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let key_id = digits.chunks(2).map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect::<Option<_>>()?;
    Some((psd.parse().ok()?, key_id))
}

/// One page of so many rows in the order of PSD and key, those behind `after`, and what to give as `after` for the next.
pub(super) fn page<T>(
    rows: Vec<T>,
    query: Option<&str>,
    most: usize,
    place: impl Fn(&T) -> Place,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let detail = "after: give what the page before said as `next`";
    let malformed = || Failure::lasting(StatusCode::BAD_REQUEST, "malformed", detail);
    let after = parameter(query, "after").map(|after| place_of(after).ok_or_else(malformed)).transpose()?;
    let mut rows: Vec<(Place, T)> = rows.into_iter().map(|row| (place(&row), row)).collect();
    rows.retain(|(place, _)| after.as_ref().is_none_or(|after| place > after));
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).map(|(place, _)| text_of(place));
    Ok((rows.into_iter().map(|(_, row)| row).collect(), next))
}

/// A page of all keys, or of those of the PSD that the query names.
pub async fn keys(core: &Handle, rotations: &[Rotation], query: Option<&str>) -> Result<Vec<u8>, Failure> {
    let wanted: Option<PsdId> = match parameter(query, "psd") {
        None => None,
        Some(psd) => {
            let parsed = psd.parse().ok();
            let detail = "psd: a device ID";
            Some(parsed.ok_or_else(|| Failure::lasting(StatusCode::BAD_REQUEST, "malformed", detail))?)
        }
    };
    let view = core.view(wanted.map_or(Sight::All, Sight::Psd))?.await.ok().ok_or_else(Failure::stopping)?;
    let rows = view
        .psds
        .iter()
        .flat_map(|(identity, state)| state.keys.iter().map(move |certified| (identity, state, certified)));
    let name = |(identity, _, certified): &(&Arc<Identity>, &State, &CertifiedKey)| {
        (identity.psd, Arc::clone(&certified.key.key_id))
    };
    let (rows, next) = page(rows.collect(), query, MOST_ROWS, name)?;
    let time = view.clock.as_ref().map_or(0, |clock| clock.time.0);
    let shown = |(identity, of, certified): (&Arc<Identity>, &State, &CertifiedKey)| {
        key_view(identity, of, certified, rotations, UnixMillis(time))
    };
    let keys = rows.into_iter().map(shown).collect();
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

/// When a key that was in use went out of it.
fn ended(state: &State, certified: &CertifiedKey) -> Option<u64> {
    let life = &certified.life;
    life.activated?;
    let after = successor(state, certified).map(|next| next.at);
    let ends = [after, life.retired, life.revoked.map(|revoked| revoked.since), life.destroyed];
    ends.into_iter().flatten().min().map(|time| time.0)
}

/// What a key that never was in use waits for, in words; none of any other.
fn waits(rule: Option<&RotationRule>, state: &State, certified: &CertifiedKey, now: UnixMillis) -> Option<String> {
    if certified.life.activated.is_some() || !certified.life.is_sound() {
        return None;
    }
    if state.is_ordered_away(certified) {
        return Some("an order: the authority ordered a later key, and no rule lets it take over".to_owned());
    }
    let validity = validity(certified);
    if validity.is_some_and(|validity| now >= validity.until) {
        return Some("nothing any more: its certificate has ended".to_owned());
    }
    Some(match rule.map(|rule| waits_for(rule, certified, validity, now)) {
        None if !certified.is_certified() => "its certificate".to_owned(),
        None => "an order: no rule is for it".to_owned(),
        Some(Wait::Certificate) => "its certificate".to_owned(),
        Some(Wait::Acknowledgement) => "the verifiers' acknowledgement".to_owned(),
        Some(Wait::Notice(until)) => format!("the end of its notice, {until}"),
        Some(Wait::Turn) if state.change_ordered(certified.key.role).is_some() => {
            let locked = !state.locks.is_empty();
            if locked { "the end of the PSD's locks" } else { "its turn, by the authority's order" }.to_owned()
        }
        Some(Wait::Turn) => "its turn: the key in use is not due".to_owned(),
    })
}

/// When the authority ordered that another key takes the place of this one, where that is not done: of the key in use, or of the newest of its role where
/// none is.
fn ordered(state: &State, certified: &CertifiedKey) -> Option<UnixMillis> {
    let role = certified.key.role;
    let at = state.change_ordered(role)?;
    let used = state.key_in_use(role).map(|used| &used.key).or_else(|| state.newest_key(role));
    used.is_some_and(|used| used.key_id == certified.key.key_id).then_some(at)
}

/// How an order of the authority is carried out, in words, and what hinders it.
fn by_order(rule: Option<&RotationRule>, state: &State, role: Role) -> &'static str {
    let held = state.keys.iter().filter(|key| key.key.role == role && key.life.destroyed.is_none()).count();
    let later = |key: &CertifiedKey| key.key.role == role && key.life.is_sound() && !state.is_ordered_away(key);
    match rule {
        None => "ordered by the authority: no rule is for it, it takes a rotate-key ceremony",
        Some(_) if state.key_in_use(role).is_none() => {
            "ordered by the authority: no key is in use, it takes a rotate-key ceremony"
        }
        Some(_) if !state.locks.is_empty() => "ordered by the authority: the PSD is locked, so that its rule waits",
        Some(rule) if !state.keys.iter().any(later) && held >= usize::from(rule.most_generations) => {
            "ordered by the authority: most_generations are in the token, retire and destroy old ones"
        }
        Some(_) => "ordered by the authority",
    }
}

fn key_view(
    identity: &Identity,
    state: &State,
    certified: &CertifiedKey,
    rotations: &[Rotation],
    now: UnixMillis,
) -> OperatorKeyView {
    let (pieces, value) = signed(state, certified);
    let key = &certified.key;
    let validity = validity(certified);
    let in_use = state.key_in_use(key.role).is_some_and(|used| used.key.key_id == key.key_id);
    let rule = rule_for(rotations, &identity.licence, key.role);
    let ordered = ordered(state, certified);
    let by_rule = rule.filter(|_| in_use);
    let by_rule = by_rule.map(|rule| next_rotation(rule, (pieces, value), due_at(rule, certified, validity)));
    let by_order =
        |at: UnixMillis| NextRotation { time: Some(at.0), reason: by_order(rule, state, key.role).to_owned() };
    let next_rotation = ordered.map(by_order).or(by_rule);
    let residence = if certified.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    OperatorKeyView {
        psd: identity.psd,
        role: key.role.to_string(),
        spki: key.spki.to_vec(),
        chain: certified.chain.iter().map(|der| ByteBuf::from(der.to_vec())).collect(),
        ended: ended(state, certified),
        state: key_state(state, certified),
        token: key.token.to_string(),
        value,
        key_id: key.key_id.to_vec(),
        pieces,
        serial: key.certificate_serial,
        created: certified.life.created.0,
        ordered: ordered.map(|at| at.0),
        activated: certified.life.activated.map(|activated| activated.at.0),
        algorithm: key.algorithm.to_string(),
        not_after: validity.map(|validity| validity.until.0),
        residence: residence.as_str().to_owned(),
        waits_for: waits(rule, state, certified, now),
        generation: key.generation(),
        acknowledged: certified.life.acknowledged.map(|time| time.0),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_by_psd_and_key() {
        let row = |serial: u32, generation: u8| -> Place {
            (PsdId::new(*b"PS", *b"01", serial).unwrap(), vec![1, 0xab, generation].into())
        };
        let count = 4;
        let rows: Vec<Place> = (1..=count).rev().flat_map(|serial| [row(serial, 2), row(serial, 1)]).collect();
        let (first, next) = page(rows.clone(), None, 6, Place::clone).unwrap();
        assert_eq!((first.len(), &first[0], &first[1], &first[2]), (6, &row(1, 1), &row(1, 2), &row(2, 1)));
        let query = format!("after={}", next.unwrap());
        let (second, next) = page(rows.clone(), Some(&query), 6, Place::clone).unwrap();
        assert_eq!((second, next), (vec![row(count, 1), row(count, 2)], None));
        for wrong in
            ["after=", "after=PS010000000001", "after=PS010000000001.0", "after=PS010000000001.0g", "after=x.00"]
        {
            assert!(page(rows.clone(), Some(wrong), 6, Place::clone).is_err(), "{wrong}");
        }
    }
}
