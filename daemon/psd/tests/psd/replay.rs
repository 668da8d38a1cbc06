//! Records that do not follow, one row for each rule.

use crate::device::*;
use psd::authority::{Loaded, acknowledgeable};
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::device::{Change, Purpose, ReplayError};
use psd::key::Role;
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::{Applied, Event, Indicium, Stamp};
use psd::{Psd, Registers, State, UnixMillis};

fn indicium(psd: &Psd, postage: u64) -> Event {
    psd.clone().prepare(&piece(postage), &context(&tenant())).unwrap().signed(&[0; 64]).event
}

fn with_pending(value: u64) -> Psd {
    let mut psd = active(value);
    let event = requested(&psd, 1, 500);
    psd.replay(&event, UnixMillis(1)).unwrap();
    psd
}

fn requested(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let (stamp, amount) = (next(psd), mills(amount));
    let (tenant, purpose, request) = (tenant(), Purpose::Download, [1][..].into());
    Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request }
}

fn asked_for(psd: &Psd, purpose: Purpose, amount: u64) -> Event {
    let Event::ValueRequested { stamp, tenant, value_sequence, amount, request, .. } =
        requested(psd, psd.state().value_sequence + 1, amount)
    else {
        panic!()
    };
    Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request }
}

fn withdrawing(value: u64) -> Psd {
    let mut psd = active(value);
    let event = asked_for(&psd, Purpose::Withdrawal, value);
    psd.replay(&event, UnixMillis(1)).unwrap();
    psd
}

fn withdrawn(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let mut stamp = next(psd);
    stamp.registers = stamp.registers.withdrawn();
    let (tenant, amount, acknowledgement, report) = (tenant(), mills(amount), [1][..].into(), [2][..].into());
    Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report }
}

fn applied(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let (mut stamp, amount) = (next(psd), mills(amount));
    stamp.registers = stamp.registers.loaded(amount).unwrap();
    let (tenant, authorisation) = (tenant(), [1][..].into());
    let applied = Applied::Download { loaded: Loaded::default() };
    Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied }
}

fn voided(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let (stamp, amount) = (next(psd), mills(amount));
    Event::ValueVoided { stamp, tenant: tenant(), value_sequence, amount, statement: [1][..].into() }
}

fn stamped(event: Event, change: impl FnOnce(&mut psd::record::Stamp)) -> Event {
    let Event::Indicium(mut indicium) = event else { panic!() };
    change(&mut indicium.stamp);
    Event::Indicium(indicium)
}

#[test]
fn a_record_that_does_not_follow_is_named_and_changes_nothing() {
    type Row = (&'static str, fn() -> (Psd, Event));
    let rows: [Row; 34] = [
        ("neither authorised nor active", || {
            let mut psd = active(0);
            let event = lifecycle(&psd, Lifecycle::Withdrawn, Locks::NONE);
            psd.replay(&event, UnixMillis(1)).unwrap();
            let event = requested(&psd, 1, 500);
            (psd, event)
        }),
        ("postage is beyond", || {
            let psd = active(1_000);
            let Event::Indicium(Indicium { mut stamp, .. }) = indicium(&psd, 100) else { panic!() };
            let Event::Indicium(piece) = indicium(&psd, 100) else { panic!() };
            stamp.registers = psd.state().registers.debited(mills(99)).unwrap();
            (psd, Event::Indicium(Indicium { stamp, postage: mills(99), ..piece }))
        }),
        ("refill is beyond", || {
            let psd = active(0);
            let event = requested(&psd, 1, 0);
            (psd, event)
        }),
        ("register is above its limit", || {
            let mut psd = active(1);
            let event = requested(&psd, 1, 1 << 40);
            psd.replay(&event, UnixMillis(1)).unwrap();
            let event = applied(&psd, 1, 1 << 40);
            (psd, event)
        }),
        ("not the value requested", || {
            let psd = with_pending(0);
            let Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, .. } =
                applied(&psd, 1, 500)
            else {
                panic!()
            };
            let applied = Applied::Refund(spoiled(3));
            (psd, Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied })
        }),
        ("asked back twice", || {
            let mut psd = active(0);
            let mut state = psd.state().clone();
            state.refunded = [mills(3)].into_iter().collect::<std::collections::BTreeSet<_>>().into();
            psd.restore(state);
            let event = asked_for(&psd, Purpose::Refund(spoiled(3)), 5);
            (psd, event)
        }),
        ("not over all that is left", || {
            let psd = active(1_000);
            let event = asked_for(&psd, Purpose::Withdrawal, 999);
            (psd, event)
        }),
        ("given up is not the value requested", || {
            let psd = withdrawing(1_000);
            let event = voided(&psd, 1, 1_000);
            (psd, event)
        }),
        ("not the value requested", || {
            let psd = withdrawing(1_000);
            let event = applied(&psd, 1, 1_000);
            (psd, event)
        }),
        ("not the one asked for", || {
            let psd = with_pending(500);
            let event = withdrawn(&psd, 1, 500);
            (psd, event)
        }),
        ("signed during the withdrawal", || {
            let psd = withdrawing(1_000);
            let mut before = psd.clone();
            let mut state = before.state().clone();
            state.pending = None;
            before.restore(state);
            let event = indicium(&before, 100);
            (psd, event)
        }),
        ("registers do not follow", || {
            let psd = withdrawing(1_000);
            let Event::Withdrawn { mut stamp, tenant, value_sequence, amount, acknowledgement, report } =
                withdrawn(&psd, 1, 1_000)
            else {
                panic!()
            };
            stamp.registers = psd.state().registers;
            (psd, Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report })
        }),
        ("is not known", || {
            let psd = active(1_000);
            let event = indicium(&psd, 100);
            (psd, stamped(event, |stamp| stamp.psd = "PS010001000002".parse().unwrap()))
        }),
        ("where 6 must follow", || {
            let psd = active(1_000);
            let event = indicium(&psd, 100);
            (psd, stamped(event, |stamp| stamp.sequence += 1))
        }),
        ("where 6 must follow", || {
            let psd = active(1_000);
            let event = indicium(&psd, 100);
            (psd, stamped(event, |stamp| stamp.sequence -= 1))
        }),
        ("registers do not follow", || {
            let psd = active(1_000);
            let event = indicium(&psd, 100);
            (psd, stamped(event, |stamp| stamp.registers = Registers::default().loaded(mills(1_000)).unwrap()))
        }),
        ("registers do not follow", || {
            let psd = active(1_000);
            let Event::Indicium(piece) = indicium(&psd, 100) else { panic!() };
            (psd, Event::Indicium(Indicium { postage: mills(101), ..piece }))
        }),
        ("registers do not follow", || {
            let psd = active(1_000);
            let Event::LifecycleChanged { mut stamp, lifecycle, locks } =
                lifecycle(&psd, Lifecycle::Active, Locks::NONE)
            else {
                panic!()
            };
            stamp.registers = Registers::default().loaded(mills(2_000)).unwrap();
            (psd, Event::LifecycleChanged { stamp, lifecycle, locks })
        }),
        ("created twice", || {
            let mut psd = newborn();
            let mut state = psd.state().clone();
            state.sequence = 0;
            psd.restore(state);
            (psd, created())
        }),
        ("key id exists", || {
            let psd = active(0);
            let event = key_created(&psd, 1, Role::Device);
            (psd, event)
        }),
        ("never made", || {
            let psd = active(0);
            let event = certified(&psd, 9, 1);
            (psd, event)
        }),
        ("cannot take that step", || {
            let psd = active(0);
            let event = lifecycle(&psd, Lifecycle::Initialised, Locks::NONE);
            (psd, event)
        }),
        ("request is out of turn", || {
            let psd = with_pending(0);
            let event = requested(&psd, 2, 10);
            (psd, event)
        }),
        ("request is out of turn", || {
            let psd = active(0);
            let event = requested(&psd, 2, 10);
            (psd, event)
        }),
        ("not the value requested", || {
            let psd = active(0);
            let event = applied(&psd, 1, 500);
            (psd, event)
        }),
        ("not the value requested", || {
            let psd = with_pending(0);
            let event = applied(&psd, 1, 501);
            (psd, event)
        }),
        ("not the value requested", || {
            let psd = with_pending(0);
            let event = applied(&psd, 2, 500);
            (psd, event)
        }),
        ("given up is not the value requested", || {
            let psd = active(0);
            let event = voided(&psd, 1, 500);
            (psd, event)
        }),
        ("given up is not the value requested", || {
            let psd = with_pending(0);
            let event = voided(&psd, 1, 501);
            (psd, event)
        }),
        ("given up is not the value requested", || {
            let psd = with_pending(0);
            let event = voided(&psd, 2, 500);
            (psd, event)
        }),
        ("not the value requested", || {
            let mut psd = with_pending(0);
            psd.replay(&voided(&psd, 1, 500), UnixMillis(1)).unwrap();
            let event = applied(&psd, 1, 500);
            (psd, event)
        }),
        ("request is out of turn", || {
            let mut psd = with_pending(0);
            psd.replay(&voided(&psd, 1, 500), UnixMillis(1)).unwrap();
            let event = requested(&psd, 1, 500);
            (psd, event)
        }),
        ("not active", || {
            let mut psd = active(1_000);
            let event = indicium(&psd, 100);
            let mut state = psd.state().clone();
            state.locks = Locks::NONE.with(LockReason::Authority);
            psd.restore(state);
            (psd, event)
        }),
        ("while no indicium key was in use", || {
            let mut psd = active(1_000);
            let event = indicium(&psd, 100);
            let mut state = psd.state().clone();
            state.keys = [].into();
            psd.restore(state);
            (psd, event)
        }),
    ];
    for (says, row) in rows {
        let (mut psd, event) = row();
        let before = psd.state().clone();
        let error: ReplayError = psd.replay(&event, UnixMillis(1)).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(*psd.state(), before, "{says}: changed the PSD");
    }
}

#[test]
fn a_first_record_must_be_a_birth() {
    assert!(Psd::from_created(&created(), UnixMillis(1)).is_some());
    let Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, currency, zips } =
        created()
    else {
        panic!()
    };
    let late = psd::record::Stamp { sequence: 2, ..stamp };
    let rich = psd::record::Stamp { registers: Registers::default().loaded(mills(1)).unwrap(), ..stamp };
    for (stamp, format) in [(late, format.clone()), (rich, format), (stamp, "unknown".into())] {
        let (tenant, licence) = (tenant.clone(), licence.clone());
        let event =
            Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, currency, zips };
        assert!(Psd::from_created(&event, UnixMillis(1)).is_none());
    }
    let other = "EUR".parse().unwrap();
    let event = Event::PsdCreated {
        stamp,
        tenant,
        licence,
        licensing_zip,
        format: "ibi".into(),
        software_id,
        limits,
        currency: other,
        zips,
    };
    assert!(Psd::from_created(&event, UnixMillis(1)).is_none(), "the IBI layout is of dollars");
    assert!(Psd::from_created(&key_created(&newborn(), 1, Role::Log), UnixMillis(1)).is_none());
}

#[test]
fn the_key_activated_last_signs() {
    let mut psd = active(0);
    let serial = |psd: &Psd| psd.key_in_use(Role::Indicium).and_then(|used| used.key.certificate_serial);
    let event = key_created(&psd, 2, Role::Indicium);
    psd.replay(&event, UnixMillis(1)).unwrap();
    assert_eq!(serial(&psd), Some(77), "a key without certificate signs nothing");
    assert_eq!(*psd.state().newest_key(Role::Indicium).unwrap().key_id, [2]);
    let event = certified(&psd, 2, 78);
    psd.replay(&event, UnixMillis(2)).unwrap();
    assert_eq!(serial(&psd), Some(77), "nor one that was not activated, where another is in use");
    psd.change(&step(2, KeyStep::Activated), UnixMillis(3)).unwrap();
    assert_eq!(serial(&psd), Some(78));
    assert!(psd.key_in_use(Role::Device).is_none());
    let activated = psd.state().key(&[2]).unwrap().life.activated.unwrap();
    assert_eq!((activated.at, activated.sequence), (UnixMillis(3), psd.state().sequence));
}

fn step(id: u8, step: KeyStep) -> Change {
    let reason = (step == KeyStep::Revoked).then_some(RevocationReason::KeyCompromise);
    Change::Key { key_id: [id][..].into(), step, since: None, reason }
}

#[test]
fn a_revoked_key_signs_no_more_and_none_takes_its_place_by_itself() {
    let mut psd = active(0);
    let old = step(1, KeyStep::Activated);
    assert!(psd.change(&old, UnixMillis(1)).is_err(), "it is in use already");
    let event = key_created(&psd, 2, Role::Indicium);
    psd.replay(&event, UnixMillis(1)).unwrap();
    let event = certified(&psd, 2, 78);
    psd.replay(&event, UnixMillis(1)).unwrap();
    psd.change(&step(2, KeyStep::Activated), UnixMillis(2)).unwrap();
    let before = psd.state().clone();
    assert!(psd.change(&step(2, KeyStep::Retired), UnixMillis(3)).is_err(), "the key in use is not retired");
    assert!(psd.change(&step(1, KeyStep::Destroyed), UnixMillis(3)).is_err(), "nor one destroyed that was not");
    assert_eq!(*psd.state(), before, "what is refused changes nothing");
    psd.change(&step(2, KeyStep::Revoked), UnixMillis(4)).unwrap();
    assert!(psd.signing_key(Role::Indicium).is_none(), "the one before it stays out of use");
    assert!(psd.change(&step(2, KeyStep::Revoked), UnixMillis(5)).is_err());
    psd.change(&step(1, KeyStep::Retired), UnixMillis(6)).unwrap();
    psd.change(&step(1, KeyStep::Destroyed), UnixMillis(7)).unwrap();
    psd.change(&step(2, KeyStep::Destroyed), UnixMillis(8)).unwrap();
    let life = psd.state().key(&[2]).unwrap().life;
    let revoked = life.revoked.unwrap();
    assert_eq!((revoked.since, revoked.reason), (UnixMillis(4), RevocationReason::KeyCompromise));
    assert!(psd.change(&step(9, KeyStep::Revoked), UnixMillis(9)).is_err(), "a key that was never made");
}

#[test]
fn a_psd_is_inspected_by_its_creation_an_acceptance_and_a_download() {
    let mut psd = Psd::from_created(&created(), UnixMillis(5)).unwrap();
    assert_eq!(psd.state().inspected, UnixMillis(5));
    let event = psd.accept_audit([7; 32], UnixMillis(6)).unwrap();
    assert!(matches!(event, Event::AuditAccepted { digest, .. } if digest == [7; 32]));
    assert_eq!((psd.state().inspected, psd.state().sequence), (UnixMillis(6), 2));
    let mut folded = Psd::from_created(&created(), UnixMillis(5)).unwrap();
    folded.fold(&event, UnixMillis(6));
    assert_eq!(folded.state(), psd.state());
}

#[test]
fn the_lock_for_an_overdue_inspection_is_set_alone_and_lifted_by_an_acceptance_alone() {
    let mut psd = active(0);
    let overdue = Locks::NONE.with(LockReason::InspectionOverdue);
    let change = |psd: &Psd, lifecycle, locks| Event::LifecycleChanged {
        stamp: Stamp { sequence: psd.state().sequence + 1, ..psd.stamp() },
        lifecycle,
        locks,
    };
    let rows = [
        ("with another reason", Lifecycle::Active, overdue.with(LockReason::Operator)),
        ("with a step of its life", Lifecycle::Withdrawn, overdue),
    ];
    for (name, lifecycle, locks) in rows {
        assert!(psd.replay(&change(&psd, lifecycle, locks), UnixMillis(2)).is_err(), "{name}");
    }
    let mut withdrawn = active(0);
    withdrawn.restore(State { lifecycle: Lifecycle::Withdrawn, ..withdrawn.state().clone() });
    assert!(withdrawn.lock_overdue(UnixMillis(2)).is_err(), "not of one that is at the end of its life");
    psd.lock_overdue(UnixMillis(2)).unwrap();
    assert_eq!(psd.state().locks, overdue);
    psd.change(&Change::Lock, UnixMillis(3)).unwrap();
    psd.change(&Change::Unlock, UnixMillis(3)).unwrap();
    assert!(psd.replay(&change(&psd, Lifecycle::Active, Locks::NONE), UnixMillis(3)).is_err(), "no change lifts it");
    psd.change(&Change::Lock, UnixMillis(4)).unwrap();
    psd.accept_audit([7; 32], UnixMillis(5)).unwrap();
    assert_eq!(psd.state().locks, Locks::NONE.with(LockReason::Operator), "another reason stays");
}

#[test]
fn a_key_is_acknowledged_once_while_it_waits_and_by_the_authority_alone() {
    let mut psd = active(0);
    let named = |psd: &Psd, role, serial| {
        acknowledgeable(id(), psd.state(), role, serial).map_err(|refusal| refusal.code()).map(|key_id| key_id.to_vec())
    };
    assert_eq!(named(&psd, Role::Indicium, 77), Err("key-not-waiting"), "it is in use");
    let event = key_created(&psd, 2, Role::Indicium);
    psd.replay(&event, UnixMillis(1)).unwrap();
    assert_eq!(named(&psd, Role::Indicium, 78), Err("certificate-unknown"), "not installed");
    assert!(psd.acknowledge([2][..].into(), UnixMillis(1)).is_err(), "nor is a key without certificate acknowledged");
    let event = certified(&psd, 2, 78);
    psd.replay(&event, UnixMillis(2)).unwrap();
    assert_eq!(named(&psd, Role::Device, 78), Err("certificate-unknown"), "of another role");
    assert_eq!(named(&psd, Role::Indicium, 79), Err("certificate-unknown"));
    assert_eq!(named(&psd, Role::Indicium, 78), Ok(vec![2]));
    let before = psd.state().clone();
    assert!(psd.change(&step(2, KeyStep::Acknowledged), UnixMillis(3)).is_err(), "no ceremony says it");
    assert_eq!(*psd.state(), before, "what is refused changes nothing");
    let event = psd.acknowledge([2][..].into(), UnixMillis(3)).unwrap();
    assert!(matches!(
        event,
        Event::KeyStateChanged { step: KeyStep::Acknowledged, since: UnixMillis(3), reason: None, .. }
    ));
    let key = psd.state().key(&[2]).unwrap();
    assert_eq!((key.life.acknowledged, key.life.activated), (Some(UnixMillis(3)), None), "it waits still");
    assert_eq!(named(&psd, Role::Indicium, 78), Err("key-not-waiting"), "once");
    assert!(psd.acknowledge([2][..].into(), UnixMillis(4)).is_err());
    let mut folded = active(0);
    folded.restore(before);
    folded.fold(&event, UnixMillis(3));
    assert_eq!(folded.state(), psd.state(), "a fold takes it in too");
    psd.change(&step(2, KeyStep::Activated), UnixMillis(5)).unwrap();
    psd.change(&step(1, KeyStep::Retired), UnixMillis(6)).unwrap();
    assert_eq!(named(&psd, Role::Indicium, 77), Err("key-not-waiting"), "retired");
}

#[test]
fn a_change_of_a_key_is_ordered_once_and_done_by_a_key_made_since_whoever_folds_it() {
    let mut psd = active(0);
    let before = psd.state().clone();
    assert!(psd.order_key_change(Role::Certification, UnixMillis(2)).is_err(), "there is no such key");
    assert_eq!(*psd.state(), before, "what is refused changes nothing");
    let ordered = psd.order_key_change(Role::Indicium, UnixMillis(2)).unwrap();
    assert!(matches!(ordered, Event::KeyChangeOrdered { role: Role::Indicium, .. }));
    assert_eq!(ordered.slot().as_deref(), Some("key-change:1"));
    assert_eq!(psd.state().change_ordered(Role::Indicium), Some(UnixMillis(2)));
    let twice = psd.order_key_change(Role::Indicium, UnixMillis(3)).unwrap_err();
    assert!(twice.to_string().contains("ordered while one is ordered"), "{twice}");
    let mut folded = active(0);
    folded.fold(&ordered, UnixMillis(2));
    type Next = fn(&Psd) -> Event;
    let made: Next = |psd| key_created(psd, 2, Role::Indicium);
    let certified: Next = |psd| certified(psd, 2, 78);
    for event in [made, certified] {
        let event = event(&psd);
        psd.replay(&event, UnixMillis(4)).unwrap();
        folded.fold(&event, UnixMillis(4));
        assert!(psd.state().change_ordered(Role::Indicium).is_some(), "not in use yet");
    }
    let taken_over = psd.change(&step(2, KeyStep::Activated), UnixMillis(5)).unwrap();
    folded.fold(&taken_over, UnixMillis(5));
    assert_eq!(psd.state().change_ordered(Role::Indicium), None);
    assert_eq!(folded.state(), psd.state(), "a fold takes it in too");
    psd.restore(State { lifecycle: Lifecycle::Withdrawn, ..psd.state().clone() });
    let ended = psd.order_key_change(Role::Indicium, UnixMillis(7)).unwrap_err();
    assert!(ended.to_string().contains("signs nothing"), "{ended}");
}

#[test]
fn the_authority_revokes_a_key_from_a_time_of_before_on() {
    let mut psd = active(0);
    let revocation = Revocation { since: UnixMillis(1), reason: RevocationReason::KeyCompromise };
    let event = psd.revoke_key([1][..].into(), revocation, UnixMillis(4)).unwrap();
    assert!(matches!(event, Event::KeyStateChanged { step: KeyStep::Revoked, since: UnixMillis(1), .. }));
    assert_eq!(psd.state().key(&[1]).unwrap().life.revoked, Some(revocation));
    assert!(psd.signing_key(Role::Indicium).is_none());
    assert!(psd.revoke_key([1][..].into(), revocation, UnixMillis(5)).is_err(), "once");
}
