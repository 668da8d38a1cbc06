//! When a key gives way to the next one of its role: by age, by the end of its certificate, by pieces, by value, by the authority's order.
//!
//! A rule says when; [`tasks`] says what follows from it now. The next key is made ahead of time, takes over once the one in use is due, its own
//! certificate holds and, where the rule demands it, verifiers have acknowledged it; and what was superseded is retired and destroyed when its time has come. Nothing here takes a key out of use before another is
//! in its place. Revoked keys are left to operators.

use crate::custody::Activation;
use crate::device::CertifiedKey;
use crate::key::Role;
use crate::{PostageAmount, State, UnixMillis};
use std::sync::Arc;

/// When the keys of a role are rotated, and what becomes of the old ones. Times in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RotationRule {
    /// Due so long after a key took over.
    pub after_ms: Option<u64>,
    /// Due after so many pieces under one key.
    pub after_pieces: Option<u64>,
    /// Due after so much value under one key.
    pub after_value: Option<PostageAmount>,
    /// Due so long before the end of the certificate.
    pub before_expiry_ms: Option<u64>,
    /// The next key is made when so much of the way to the nearest of these is left, in percent.
    pub ahead_percent: u8,
    /// A certificate is installed and holds for so long before its key takes over, so that verifiers have it.
    pub notice_ms: u64,
    /// A key takes over only after the authority's signed word that verifiers know its certificate, whatever the notice.
    pub await_acknowledgement: bool,
    /// A superseded key is retired after so long; never where absent.
    pub retire_after_ms: Option<u64>,
    /// A retired key is destroyed after so long; never where absent.
    pub destroy_after_ms: Option<u64>,
    /// Most generations of the role whose private half is there at a time.
    pub most_generations: u8,
}

/// Between when a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// notBefore.
    pub from: UnixMillis,
    /// notAfter.
    pub until: UnixMillis,
}

/// What a key that was never in use waits for. In the order of the checks; the first that holds is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Its certificate.
    Certificate,
    /// The authority's word that verifiers know the certificate.
    Acknowledgement,
    /// The end of the notice, at this time.
    Notice(UnixMillis),
    /// Its turn: nothing of its own is missing.
    Turn,
}

/// What is to be done for a role of a PSD.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Task {
    /// The next key is made.
    Make(Role),
    /// The key with this CKA_ID takes over.
    Activate(Arc<[u8]>),
    /// The key with this CKA_ID is retired.
    Retire(Arc<[u8]>),
    /// The key with this CKA_ID is destroyed.
    Destroy(Arc<[u8]>),
    /// A key is due and the next one is not made: so many generations are there as the rule allows.
    AtTheCap(Role),
}

/// Pieces and value that a key signed: from its activation to that of the one after it, or to now. Nothing for a role other than indicia.
pub fn signed(state: &State, certified: &CertifiedKey) -> (u64, PostageAmount) {
    let (Some(from), Role::Indicium) = (certified.life.activated, certified.key.role) else {
        return (0, PostageAmount::ZERO);
    };
    let until = successor(state, certified).map_or(state.registers, |next| next.registers);
    let pieces = until.piece_count().saturating_sub(from.registers.piece_count());
    let value = until.ascending().checked_sub(from.registers.ascending()).unwrap_or(PostageAmount::ZERO);
    (pieces, value)
}

/// The activation of the key that took over from this one.
pub fn successor(state: &State, certified: &CertifiedKey) -> Option<Activation> {
    let from = certified.life.activated?.sequence;
    let later = state.keys.iter().filter(|other| other.key.role == certified.key.role);
    let later = later.filter_map(|other| other.life.activated).filter(|other| other.sequence > from);
    later.min_by_key(|other| other.sequence)
}

/// When a key is due by age or by the end of its certificate, whichever comes first. By the latter not before half of the certificate's
/// life: where the rule wants more than there is, every new key would be due at once.
pub fn due_at(rule: &RotationRule, certified: &CertifiedKey, validity: Option<Validity>) -> Option<UnixMillis> {
    let since = certified.life.activated?.at.0;
    let by_age = rule.after_ms.map(|after| since.saturating_add(after));
    let by_expiry = rule.before_expiry_ms.zip(validity).map(|(before, Validity { from, until })| {
        let half = from.0.saturating_add(until.0.saturating_sub(from.0) / 2);
        until.0.saturating_sub(before).max(half)
    });
    by_age.into_iter().chain(by_expiry).min().map(UnixMillis)
}

/// Whether the rule keeps the key from taking over until verifiers have acknowledged it.
pub const fn lacks_acknowledgement(rule: &RotationRule, next: &CertifiedKey) -> bool {
    rule.await_acknowledgement && next.life.acknowledged.is_none()
}

/// What a key that was never in use waits for under the rule.
pub fn waits_for(rule: &RotationRule, next: &CertifiedKey, validity: Option<Validity>, now: UnixMillis) -> Wait {
    let known = validity.zip(next.life.certified).map(|(it, installed)| it.from.max(installed));
    let Some(known) = known else { return Wait::Certificate };
    if lacks_acknowledgement(rule, next) {
        return Wait::Acknowledgement;
    }
    let noticed = UnixMillis(known.0.saturating_add(rule.notice_ms));
    if now < noticed { Wait::Notice(noticed) } else { Wait::Turn }
}

/// How far a key is on its way, in percent, rounded down; from 100 on it is due.
fn percent(
    rule: &RotationRule,
    state: &State,
    used: &CertifiedKey,
    validity: Option<Validity>,
    now: UnixMillis,
) -> u64 {
    let share = |done: u64, whole: u64| {
        let percent = u128::from(done) * 100 / u128::from(whole.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    };
    let since = used.life.activated.map_or(now.0, |activated| activated.at.0);
    let by_time = due_at(rule, used, validity).map(|due| match due.0.checked_sub(since) {
        Some(way) if now < due => share(now.0.saturating_sub(since), way).min(99),
        Some(_) | None => 100,
    });
    let (pieces, value) = signed(state, used);
    let by_pieces = rule.after_pieces.map(|after| share(pieces, after));
    let by_value = rule.after_value.map(|after| share(value.mills(), after.mills()));
    by_time.into_iter().chain(by_pieces).chain(by_value).max().unwrap_or(0)
}

/// What is to be done now for a role of a PSD. `validity` reads a key's certificate.
///
/// Where the authority ordered that the key changes, it is due, and none that was made before the order takes over, now or later: such a one that
/// waits is retired where the rule retires keys.
pub fn tasks(
    rule: &RotationRule,
    state: &State,
    role: Role,
    validity: impl Fn(&CertifiedKey) -> Option<Validity>,
    now: UnixMillis,
) -> Vec<Task> {
    let of_role = || state.keys.iter().filter(move |certified| certified.key.role == role);
    let past = |time: UnixMillis, after: u64| now.0 >= time.0.saturating_add(after);
    let waits = |other: &CertifiedKey| other.life.activated.is_none() && other.life.is_sound();
    let has_ended = |other: &CertifiedKey| validity(other).is_some_and(|it| now >= it.until);
    let mut tasks = Vec::new();
    if let Some(used) = state.key_in_use(role) {
        let ends = rule.before_expiry_ms.and_then(|_| validity(used));
        let ordered = state.change_ordered(role).is_some();
        let percent = if ordered { 100 } else { percent(rule, state, used, ends, now) };
        // Of several that wait, an operator's order among them, the newest: it is never weaker than the others.
        let next = of_role().rev().find(|other| waits(other) && !has_ended(other) && !state.is_ordered_away(other));
        let held = of_role().filter(|other| other.life.destroyed.is_none()).count();
        match next {
            Some(next) if percent >= 100 && waits_for(rule, next, validity(next), now) == Wait::Turn => {
                tasks.push(Task::Activate(Arc::clone(&next.key.key_id)));
            }
            Some(_) => {}
            None if percent < 100_u64.saturating_sub(u64::from(rule.ahead_percent)) => {}
            None if held < usize::from(rule.most_generations) => tasks.push(Task::Make(role)),
            None if percent >= 100 => tasks.push(Task::AtTheCap(role)),
            None => {}
        }
    }
    for old in of_role() {
        let superseded = successor(state, old).map(|next| next.at);
        let (retire, destroy) = (rule.retire_after_ms.zip(superseded), rule.destroy_after_ms.zip(old.life.retired));
        let key_id = || Arc::clone(&old.key.key_id);
        // One whose certificate ended while it waited takes over never, nor one that the authority ordered to be passed over.
        let late = rule.retire_after_ms.is_some() && waits(old) && (has_ended(old) || state.is_ordered_away(old));
        if late || old.life.is_sound() && retire.is_some_and(|(after, superseded)| past(superseded, after)) {
            tasks.push(Task::Retire(key_id()));
        }
        if old.life.destroyed.is_none()
            && old.life.revoked.is_none()
            && destroy.is_some_and(|(after, retired)| past(retired, after))
        {
            tasks.push(Task::Destroy(key_id()));
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::{KeyLife, Revocation, RevocationReason};
    use crate::key::{Algorithm, Key};
    use crate::lifecycle::{Lifecycle, Locks};
    use crate::register::Registers;

    fn registers(pieces: u64) -> Registers {
        let mills = PostageAmount::from_mills(pieces * 100).expect("an amount");
        Registers::from_parts(mills, PostageAmount::ZERO, mills, pieces).expect("registers")
    }

    const DAY: u64 = 86_400_000;

    fn rule() -> RotationRule {
        RotationRule {
            after_ms: None,
            after_pieces: None,
            after_value: None,
            before_expiry_ms: None,
            ahead_percent: 10,
            notice_ms: 0,
            await_acknowledgement: false,
            retire_after_ms: None,
            destroy_after_ms: None,
            most_generations: 4,
        }
    }

    fn key(generation: u8, activated: Option<(u64, u64, u64)>) -> CertifiedKey {
        let activated = activated.map(|(at, sequence, pieces)| Activation {
            at: UnixMillis(at),
            sequence,
            registers: registers(pieces),
        });
        CertifiedKey {
            key: Key {
                role: Role::Indicium,
                algorithm: Algorithm::EcdsaP256,
                key_id: Arc::from([7, generation]),
                token: "main".into(),
                spki: Arc::from([generation]),
                certificate_serial: Some(u32::from(generation)),
            },
            chain: Arc::from([]),
            wrapped: None,
            life: KeyLife { certified: Some(UnixMillis(0)), activated, ..KeyLife::begun(UnixMillis(0)) },
        }
    }

    fn state(pieces: u64, keys: Vec<CertifiedKey>) -> State {
        State {
            sequence: 20,
            registers: registers(pieces),
            lifecycle: Lifecycle::Active,
            locks: Locks::NONE,
            keys: keys.into(),
            value_sequence: 0,
            pending: None,
            refunded: Arc::default(),
            inspected: UnixMillis(0),
            change_orders: Arc::default(),
            runs: Arc::default(),
        }
    }

    fn year(_: &CertifiedKey) -> Option<Validity> {
        Some(Validity { from: UnixMillis(0), until: UnixMillis(365 * DAY) })
    }

    fn id(generation: u8) -> Arc<[u8]> {
        Arc::from([7, generation])
    }

    #[test]
    fn each_criterion_makes_the_next_key_ahead_of_time_and_lets_it_take_over_when_due() {
        let value = PostageAmount::from_mills(100_000);
        let rows = [
            ("age", RotationRule { after_ms: Some(100 * DAY), ..rule() }, [(0, 89), (0, 90), (0, 99), (0, 100)]),
            (
                "pieces",
                RotationRule { after_pieces: Some(1_000), ..rule() },
                [(899, 1), (900, 1), (999, 1), (1_000, 1)],
            ),
            ("value", RotationRule { after_value: value, ..rule() }, [(899, 1), (900, 1), (999, 1), (1_000, 1)]),
            (
                "expiry",
                RotationRule { before_expiry_ms: Some(65 * DAY), ..rule() },
                [(0, 269), (0, 270), (0, 299), (0, 300)],
            ),
        ];
        for (name, rule, [early, ahead, nearly, due]) in rows {
            let alone = |(pieces, days): (u64, u64)| {
                let state = state(pieces, vec![key(1, Some((0, 1, 0)))]);
                tasks(&rule, &state, Role::Indicium, year, UnixMillis(days * DAY))
            };
            let with_next = |(pieces, days): (u64, u64)| {
                let state = state(pieces, vec![key(1, Some((0, 1, 0))), key(2, None)]);
                tasks(&rule, &state, Role::Indicium, year, UnixMillis(days * DAY))
            };
            assert_eq!(alone(early), [], "{name}");
            assert_eq!(alone(ahead), [Task::Make(Role::Indicium)], "{name}");
            assert_eq!(alone(due), [Task::Make(Role::Indicium)], "{name}: late is better than never");
            assert_eq!(with_next(nearly), [], "{name}");
            assert_eq!(with_next(due), [Task::Activate(id(2))], "{name}");
        }
    }

    #[test]
    fn a_count_begins_with_the_key_and_ends_with_it() {
        let keys = vec![key(1, Some((0, 1, 0))), key(2, Some((DAY, 9, 700)))];
        let state = state(900, keys);
        let amount = |mills| PostageAmount::from_mills(mills).expect("an amount");
        assert_eq!(signed(&state, &state.keys[0]), (700, amount(70_000)));
        assert_eq!(signed(&state, &state.keys[1]), (200, amount(20_000)));
        let rule = RotationRule { after_pieces: Some(300), ..rule() };
        assert_eq!(tasks(&rule, &state, Role::Indicium, year, UnixMillis(2 * DAY)), []);
    }

    #[test]
    fn nothing_takes_over_without_a_certificate_that_verifiers_had_time_to_load() {
        let rule = RotationRule { after_ms: Some(DAY), notice_ms: 3 * DAY, ..rule() };
        let mut next = key(2, None);
        let state_with = |next: &CertifiedKey| state(0, vec![key(1, Some((0, 1, 0))), next.clone()]);
        let issued = |key: &CertifiedKey| {
            let from = if key.key.key_id == id(2) { 10 * DAY } else { 0 };
            Some(Validity { from: UnixMillis(from), until: UnixMillis(365 * DAY) })
        };
        let at = |next: &CertifiedKey, days: u64| {
            tasks(&rule, &state_with(next), Role::Indicium, issued, UnixMillis(days * DAY))
        };
        assert_eq!(at(&next, 12), [], "the notice is three days");
        assert_eq!(at(&next, 13), [Task::Activate(id(2))]);
        next.life.certified = Some(UnixMillis(11 * DAY));
        assert_eq!(at(&next, 13), [], "an authority that dates back takes nothing of the notice");
        assert_eq!(at(&next, 14), [Task::Activate(id(2))]);
        (next.key.certificate_serial, next.life.certified) = (None, None);
        assert_eq!(at(&next, 300), [], "without its certificate never");
    }

    #[test]
    fn nothing_takes_over_before_verifiers_acknowledged_it_where_the_rule_demands_that() {
        let demanding = RotationRule { after_ms: Some(DAY), await_acknowledgement: true, ..rule() };
        let both = RotationRule { notice_ms: 3 * DAY, ..demanding.clone() };
        let mut next = key(2, None);
        let at = |rule: &RotationRule, next: &CertifiedKey, days: u64| {
            let state = state(0, vec![key(1, Some((0, 1, 0))), next.clone()]);
            let wait = waits_for(rule, next, year(next), UnixMillis(days * DAY));
            (wait, tasks(rule, &state, Role::Indicium, year, UnixMillis(days * DAY)))
        };
        let takes_over = (Wait::Turn, vec![Task::Activate(id(2))]);
        assert_eq!(at(&demanding, &next, 2), (Wait::Acknowledgement, vec![]), "due and certified");
        assert_eq!(at(&both, &next, 300), (Wait::Acknowledgement, vec![]), "no notice is long enough");
        next.life.acknowledged = Some(UnixMillis(DAY));
        assert_eq!(at(&demanding, &next, 2), takes_over);
        assert_eq!(at(&both, &next, 2), (Wait::Notice(UnixMillis(3 * DAY)), vec![]), "the notice holds as well");
        assert_eq!(at(&both, &next, 3), takes_over);
        assert_eq!(at(&demanding, &next, 0), (Wait::Turn, vec![]), "the word makes nothing due");
        let mut uncertified = key(2, None);
        (uncertified.key.certificate_serial, uncertified.life.certified) = (None, None);
        assert_eq!(at(&demanding, &uncertified, 2), (Wait::Certificate, vec![]));
        let unacknowledged = key(2, None);
        assert_eq!(at(&RotationRule { after_ms: Some(DAY), ..rule() }, &unacknowledged, 2), takes_over);
    }

    #[test]
    fn what_was_superseded_is_retired_then_destroyed_and_the_rest_left_alone() {
        let rule = RotationRule { retire_after_ms: Some(30 * DAY), destroy_after_ms: Some(10 * DAY), ..rule() };
        let mut old = key(1, Some((0, 1, 0)));
        let at = |old: &CertifiedKey, days: u64| {
            let state = state(0, vec![old.clone(), key(2, Some((100 * DAY, 9, 0)))]);
            tasks(&rule, &state, Role::Indicium, year, UnixMillis(days * DAY))
        };
        assert_eq!(at(&old, 129), []);
        assert_eq!(at(&old, 130), [Task::Retire(id(1))]);
        old.life.retired = Some(UnixMillis(131 * DAY));
        assert_eq!(at(&old, 140), []);
        assert_eq!(at(&old, 141), [Task::Destroy(id(1))]);
        old.life.destroyed = Some(UnixMillis(141 * DAY));
        assert_eq!(at(&old, 999), []);
        let mut revoked = key(1, Some((0, 1, 0)));
        revoked.life.revoked = Some(Revocation { since: UnixMillis(1), reason: RevocationReason::KeyCompromise });
        assert_eq!(at(&revoked, 999), [], "operators decide about what was revoked");
        revoked.life.retired = Some(UnixMillis(131 * DAY));
        assert_eq!(at(&revoked, 999), [], "after it was retired too");
    }

    #[test]
    fn the_cap_counts_what_is_there_and_is_told_when_a_key_is_due() {
        let rule = RotationRule { after_ms: Some(10 * DAY), most_generations: 2, ..rule() };
        let mut old = key(1, Some((0, 1, 0)));
        let at = |old: &CertifiedKey, days: u64| {
            let state = state(0, vec![old.clone(), key(2, Some((100 * DAY, 9, 0)))]);
            tasks(&rule, &state, Role::Indicium, year, UnixMillis(days * DAY))
        };
        assert_eq!(at(&old, 109), [], "ahead of time the cap is no trouble yet");
        assert_eq!(at(&old, 110), [Task::AtTheCap(Role::Indicium)]);
        old.life.retired = Some(UnixMillis(101 * DAY));
        assert_eq!(at(&old, 110), [Task::AtTheCap(Role::Indicium)], "a retired key is still in the token");
        old.life.destroyed = Some(UnixMillis(102 * DAY));
        assert_eq!(at(&old, 110), [Task::Make(Role::Indicium)]);
    }

    #[test]
    fn a_certificate_that_is_shorter_than_the_rule_wants_is_used_for_half_of_its_life() {
        let rule = RotationRule { before_expiry_ms: Some(400 * DAY), ..rule() };
        let at = |days: u64| {
            let state = state(0, vec![key(1, Some((0, 1, 0)))]);
            tasks(&rule, &state, Role::Indicium, year, UnixMillis(days * DAY))
        };
        assert_eq!(at(0), [], "not at once, or it would never end");
        assert_eq!(at(163), []);
        assert_eq!(at(183), [Task::Make(Role::Indicium)]);
    }

    #[test]
    fn a_key_whose_certificate_ended_while_it_waited_takes_over_never_and_another_is_made() {
        let rule = RotationRule { after_pieces: Some(10), retire_after_ms: Some(0), ..rule() };
        let state = state(10, vec![key(1, Some((0, 1, 0))), key(2, None)]);
        let ended = |key: &CertifiedKey| {
            let days = if key.key.key_id == id(2) { 100 } else { 365 };
            Some(Validity { from: UnixMillis(0), until: UnixMillis(days * DAY) })
        };
        let at = |days: u64| tasks(&rule, &state, Role::Indicium, ended, UnixMillis(days * DAY));
        assert_eq!(at(99), [Task::Activate(id(2))]);
        assert_eq!(at(100), [Task::Make(Role::Indicium), Task::Retire(id(2))]);
    }

    #[test]
    fn a_change_that_is_ordered_is_due_at_once_and_only_a_key_made_since_takes_over() {
        let rule = RotationRule { after_ms: Some(100 * DAY), most_generations: 3, ..rule() };
        let retiring = RotationRule { retire_after_ms: Some(5 * DAY), ..rule.clone() };
        let at =
            |rule: &RotationRule, state: &State, days| tasks(rule, state, Role::Indicium, year, UnixMillis(days * DAY));
        let first = key(1, Some((0, 1, 0)));
        let mut state_1 = state(0, vec![first.clone()]);
        assert_eq!(at(&rule, &state_1, 1), []);
        state_1.order_change(Role::Indicium, UnixMillis(DAY));
        assert_eq!(at(&rule, &state_1, 1), [Task::Make(Role::Indicium)]);
        let mut state_2 = state(0, vec![first.clone(), key(2, None)]);
        state_2.order_change(Role::Indicium, UnixMillis(DAY));
        assert_eq!(at(&rule, &state_2, 1), [Task::Make(Role::Indicium)], "the one that waits was made before");
        assert_eq!(at(&retiring, &state_2, 1), [Task::Make(Role::Indicium), Task::Retire(id(2))]);
        let few = RotationRule { most_generations: 2, ..rule.clone() };
        assert_eq!(at(&few, &state_2, 1), [Task::AtTheCap(Role::Indicium)], "the cap holds for it as for any other");
        state_2.keys = vec![first.clone(), key(2, None), key(3, None)].into();
        assert_eq!(at(&rule, &state_2, 1), [Task::Activate(id(3))]);
        let noticed = RotationRule { notice_ms: 2 * DAY, ..rule.clone() };
        assert_eq!((at(&noticed, &state_2, 1), at(&noticed, &state_2, 2)), (vec![], vec![Task::Activate(id(3))]));
        let awaiting = RotationRule { await_acknowledgement: true, ..rule.clone() };
        assert_eq!(at(&awaiting, &state_2, 50), [], "verifiers come first as always");
        state_2.keys = vec![first, key(2, None), key(3, Some((DAY, 9, 0)))].into();
        assert_eq!(at(&rule, &state_2, 1), [], "done");
        let many = RotationRule { most_generations: 4, ..rule };
        assert_eq!(at(&many, &state_2, 101), [Task::Make(Role::Indicium)], "not the one of before the order, ever");
    }

    #[test]
    fn without_a_key_in_use_nothing_is_made() {
        let rule = RotationRule { after_ms: Some(1), after_pieces: Some(1), ..rule() };
        let mut revoked = key(1, Some((0, 1, 0)));
        revoked.life.revoked = Some(Revocation { since: UnixMillis(1), reason: RevocationReason::KeyCompromise });
        let state = state(5, vec![revoked, key(2, None)]);
        assert_eq!(tasks(&rule, &state, Role::Indicium, year, UnixMillis(DAY)), []);
    }
}
