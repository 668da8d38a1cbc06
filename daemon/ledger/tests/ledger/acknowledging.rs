//! The authority's word that verifiers know a key: it stands behind its instruction, is of the key that this names, and survives a restart.

use crate::world::*;
use psd::custody::KeyStep;
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::{AuthorityPurpose, Event};
use psdd_ledger::Rules;
use psdd_ledger::verify::{Fault, Outcome};
use std::path::Path;
use std::sync::Arc;

/// Two PSDs, each with two indicium keys that wait, of certificates 205 and 206, and the inspection key of the authority.
pub fn waiting(dir: &Path) -> World {
    let mut world = World::born(dir, 2, Rules::default());
    let purpose = AuthorityPurpose::Inspection;
    world.commit_events(vec![Event::AuthorityKeyInstalled {
        purpose,
        certificate: b"inspection certificate"[..].into(),
    }]);
    for number in 0..2 {
        for serial in [205, 206] {
            let (key_id, psd) = (key_id(number, serial), psd_id(number));
            let spki: Arc<[u8]> = world.appliance.psds[&psd].key_in_use(Role::Indicium).unwrap().key.spki.clone();
            let made = Event::KeyCreated {
                stamp: world.next_stamp(psd),
                key_id: Arc::clone(&key_id),
                role: Role::Indicium,
                algorithm: Algorithm::EcdsaP256,
                token: "token".into(),
                spki: Arc::clone(&spki),
                wrapped: None,
            };
            world.commit_events(vec![made]);
            let chain = vec![Arc::from([&serial.to_be_bytes()[..], &spki].concat())];
            let stamp = world.next_stamp(psd);
            world.commit_events(vec![Event::CertificateInstalled { stamp, key_id, serial, chain }]);
        }
    }
    world
}

pub fn key_id(number: usize, serial: u32) -> Arc<[u8]> {
    [1, u8::try_from(number).unwrap(), u8::try_from(serial).unwrap()][..].into()
}

pub fn instructed(purpose: AuthorityPurpose, text: &str) -> Event {
    Event::InstructionTaken { purpose, number: 1, instruction: text.as_bytes().into() }
}

fn acknowledged(world: &World, number: usize, serial: u32) -> Event {
    Event::KeyStateChanged {
        stamp: world.next_stamp(psd_id(number)),
        key_id: key_id(number, serial),
        step: KeyStep::Acknowledged,
        since: psd::UnixMillis(world.now + 6),
        reason: None,
    }
}

#[test]
fn an_acknowledgement_behind_its_instruction_holds_and_is_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = waiting(dir.path());
    let word = format!("1 acknowledge {} indicium 206", psd_id(1));
    let effect = acknowledged(&world, 1, 206);
    world.commit_events(vec![instructed(AuthorityPurpose::Inspection, &word), effect]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    let slot = format!("acknowledged:{}", hex(&key_id(1, 206)));
    assert_eq!(number(dir.path(), &format!("SELECT count(*) FROM live WHERE slot = '{slot}'")), 1);
    let (world, _) = world.reopened(dir.path(), Rules::default());
    let keys = world.appliance.psds[&psd_id(1)].state();
    assert!(keys.key(&key_id(1, 206)).unwrap().life.acknowledged.is_some());
    assert!(keys.key(&key_id(1, 205)).unwrap().life.acknowledged.is_none());
}

#[test]
fn an_acknowledgement_that_nobody_ordered_is_found() {
    let (inspection, funds) = (AuthorityPurpose::Inspection, AuthorityPurpose::Funds);
    let word = format!("1 acknowledge {} indicium 205", psd_id(0));
    let of_a_device_key = format!("1 acknowledge {} device 205", psd_id(0));
    let lock = format!("1 lock {}", psd_id(0));
    type Effect = fn(&World) -> Event;
    type Row<'a> = (&'a str, Option<(AuthorityPurpose, &'a str)>, Effect, &'a str);
    let first: Effect = |world| acknowledged(world, 0, 205);
    let rows: [Row<'_>; 7] = [
        ("nobody", None, first, "without an instruction"),
        ("another key", Some((inspection, &word)), |world| acknowledged(world, 0, 206), "not the one"),
        ("another PSD", Some((inspection, &word)), |world| acknowledged(world, 1, 205), "not the one"),
        ("another role", Some((inspection, &of_a_device_key)), first, "not the one"),
        ("the funds key", Some((funds, &word)), first, "missing"),
        ("a lock", Some((inspection, &lock)), first, "missing"),
        (
            "a lock in its place",
            Some((inspection, &word)),
            |world| Event::LifecycleChanged {
                stamp: world.next_stamp(psd_id(0)),
                lifecycle: Lifecycle::Active,
                locks: Locks::NONE.with(LockReason::Authority),
            },
            "not the one instructed",
        ),
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
