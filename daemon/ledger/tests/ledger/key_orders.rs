//! Orders of the authority about keys: each stands behind its instruction, is of the key that this names, and survives a restart.

use crate::acknowledging::{instructed, key_id, waiting};
use crate::world::*;
use psd::UnixMillis;
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::key::Role;
use psd::record::{AuthorityPurpose, Event};
use psdd_ledger::Rules;
use psdd_ledger::verify::{Fault, Outcome};

const INSPECTION: AuthorityPurpose = AuthorityPurpose::Inspection;
const REASON: RevocationReason = RevocationReason::KeyCompromise;

fn revoked(world: &World, number: usize, serial: u32, since: u64) -> Event {
    Event::KeyStateChanged {
        stamp: world.next_stamp(psd_id(number)),
        key_id: key_id(number, serial),
        step: KeyStep::Revoked,
        since: UnixMillis(since),
        reason: Some(REASON),
    }
}

fn ordered(world: &World, number: usize, role: Role) -> Event {
    Event::KeyChangeOrdered { stamp: world.next_stamp(psd_id(number)), role }
}

#[test]
fn orders_behind_their_instructions_hold_and_are_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = waiting(dir.path());
    let effect = revoked(&world, 1, 206, 7);
    let word = format!("1 revoke {} indicium 206 7", psd_id(1));
    world.commit_events(vec![instructed(INSPECTION, &word), effect]);
    let effect = ordered(&world, 1, Role::Indicium);
    let word = format!("2 change {} indicium", psd_id(1));
    let Event::InstructionTaken { purpose, instruction, .. } = instructed(INSPECTION, &word) else { panic!() };
    world.commit_events(vec![Event::InstructionTaken { purpose, number: 2, instruction }, effect]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    let slots = [format!("revoked:{}", hex(&key_id(1, 206))), "key-change:1".to_owned()];
    for slot in slots {
        assert_eq!(number(dir.path(), &format!("SELECT count(*) FROM live WHERE slot = '{slot}'")), 1, "{slot}");
    }
    let (mut world, _) = world.reopened(dir.path(), Rules::default());
    let state = world.appliance.psds[&psd_id(1)].state().clone();
    let life = state.key(&key_id(1, 206)).unwrap().life;
    assert_eq!(life.revoked, Some(Revocation { since: UnixMillis(7), reason: REASON }));
    assert!(state.change_ordered(Role::Indicium).is_some());
    assert!(state.is_ordered_away(state.key(&key_id(1, 205)).unwrap()), "made before the order");
    // An operator's revocation needs no instruction.
    let effect = revoked(&world, 0, 205, 7);
    world.commit_events(vec![effect]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
}

#[test]
fn an_order_that_nobody_gave_or_gave_otherwise_is_found() {
    type Effect = fn(&World) -> Event;
    type Row<'a> = (&'a str, Option<(AuthorityPurpose, &'a str)>, Effect, &'a str);
    let (revoke, change) =
        (format!("1 revoke {} indicium 205 7", psd_id(0)), format!("1 change {} indicium", psd_id(0)));
    let of_a_device_key = format!("1 revoke {} device 205 7", psd_id(0));
    let of_the_device_key = format!("1 change {} device", psd_id(0));
    let lock = format!("1 lock {}", psd_id(0));
    let (first, second): (Effect, Effect) =
        (|world| revoked(world, 0, 205, 7), |world| ordered(world, 0, Role::Indicium));
    let other_reason: Effect = |world| {
        let Event::KeyStateChanged { stamp, key_id, step, since, .. } = revoked(world, 0, 205, 7) else { panic!() };
        Event::KeyStateChanged { stamp, key_id, step, since, reason: Some(RevocationReason::Superseded) }
    };
    let rows: [Row<'_>; 14] = [
        ("another key is revoked", Some((INSPECTION, &revoke)), |world| revoked(world, 0, 206, 7), "not the one"),
        ("another PSD's key is revoked", Some((INSPECTION, &revoke)), |world| revoked(world, 1, 205, 7), "not the one"),
        ("another role's key is revoked", Some((INSPECTION, &of_a_device_key)), first, "not the one"),
        ("since another time", Some((INSPECTION, &revoke)), |world| revoked(world, 0, 205, 8), "time or reason"),
        ("for another reason", Some((INSPECTION, &revoke)), other_reason, "time or reason"),
        ("revoked by the funds key", Some((AuthorityPurpose::Funds, &revoke)), first, "missing"),
        ("revoked where a lock was said", Some((INSPECTION, &lock)), first, "missing"),
        ("revoked where a change was said", Some((INSPECTION, &change)), first, "missing"),
        ("changed where a revocation was said", Some((INSPECTION, &revoke)), second, "missing"),
        ("ordered by nobody", None, second, "without an instruction"),
        (
            "the change of another PSD's key",
            Some((INSPECTION, &change)),
            |world| ordered(world, 1, Role::Indicium),
            "not the one",
        ),
        ("the change of another key", Some((INSPECTION, &of_the_device_key)), second, "not the one"),
        ("ordered by the funds key", Some((AuthorityPurpose::Funds, &change)), second, "missing"),
        ("ordered where a lock was said", Some((INSPECTION, &lock)), second, "missing"),
    ];
    for (name, instruction, effect, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = waiting(dir.path());
        let effect = effect(&world);
        let instruction = instruction.map(|(purpose, text)| instructed(purpose, text));
        world.commit_events(instruction.into_iter().chain([effect]).collect());
        let Outcome::Broken(finding) = verify(dir.path()) else { panic!("{name}: nothing found") };
        let Fault::Instruction(what) = finding.fault else { panic!("{name}: {finding}") };
        assert!(what.contains(words), "{name}: {what}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1), "{name}");
    }
}
