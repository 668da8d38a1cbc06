//! Records that do not follow, one row for each rule.

use crate::device::*;
use psd::device::ReplayError;
use psd::key::Role;
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::{Event, Indicium};
use psd::{Psd, Registers};

fn indicium(psd: &Psd, postage: u64) -> Event {
    psd.clone().prepare(&piece(postage), &context(&tenant())).unwrap().signed(&[0; 64]).event
}

fn with_pending(value: u64) -> Psd {
    let mut psd = active(value);
    let event = requested(&psd, 1, 500);
    psd.replay(&event).unwrap();
    psd
}

fn requested(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let (stamp, amount) = (next(psd), mills(amount));
    Event::ValueRequested { stamp, tenant: tenant(), value_sequence, amount, request: [1][..].into() }
}

fn applied(psd: &Psd, value_sequence: u64, amount: u64) -> Event {
    let (mut stamp, amount) = (next(psd), mills(amount));
    stamp.registers = stamp.registers.loaded(amount).unwrap();
    Event::ValueApplied { stamp, tenant: tenant(), value_sequence, amount, authorisation: [1][..].into() }
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
    let rows: [Row; 22] = [
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
            psd.replay(&voided(&psd, 1, 500)).unwrap();
            let event = applied(&psd, 1, 500);
            (psd, event)
        }),
        ("request is out of turn", || {
            let mut psd = with_pending(0);
            psd.replay(&voided(&psd, 1, 500)).unwrap();
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
        ("before an indicium key was certified", || {
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
        let error: ReplayError = psd.replay(&event).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(*psd.state(), before, "{says}: changed the PSD");
    }
}

#[test]
fn a_first_record_must_be_a_birth() {
    assert!(Psd::from_created(&created()).is_some());
    let Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, zips } = created()
    else {
        panic!()
    };
    let late = psd::record::Stamp { sequence: 2, ..stamp };
    let rich = psd::record::Stamp { registers: Registers::default().loaded(mills(1)).unwrap(), ..stamp };
    for (stamp, format) in [(late, format.clone()), (rich, format), (stamp, "unknown".into())] {
        let (tenant, licence) = (tenant.clone(), licence.clone());
        let event = Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, zips };
        assert!(Psd::from_created(&event).is_none());
    }
    assert!(Psd::from_created(&key_created(&newborn(), 1, Role::Log)).is_none());
}

#[test]
fn the_newest_certified_key_of_a_role_signs() {
    let mut psd = active(0);
    let event = key_created(&psd, 2, Role::Indicium);
    psd.replay(&event).unwrap();
    assert_eq!(psd.certified_key(Role::Indicium).unwrap().1, 77, "a key without certificate signs nothing");
    assert_eq!(*psd.state().newest_key(Role::Indicium).unwrap().key_id, [2]);
    let event = certified(&psd, 2, 78);
    psd.replay(&event).unwrap();
    assert_eq!(psd.certified_key(Role::Indicium).unwrap().1, 78);
    assert!(psd.certified_key(Role::Device).is_none());
}
