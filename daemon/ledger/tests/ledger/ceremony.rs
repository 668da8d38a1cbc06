//! What a ceremony did, as its records tell.

use crate::world::*;
use psd::key::{Algorithm, Role};
use psd::record::{Event, Record, Stamp};
use psdd_ledger::{DoneStep, Durable, Reader, Rules};

/// Writes records without the rules of who may follow whom, which are not the journal's.
struct Writer {
    world: World,
    stamp: Stamp,
}

impl Writer {
    fn commit(&mut self, events: Vec<Event>) {
        let at = self.world.at();
        self.world.commit(events.into_iter().map(|event| Record { at, event }.into()).collect());
    }

    fn key(&mut self, name: u8) -> Event {
        let stamp = self.stamp;
        self.stamp.sequence += 1;
        Event::KeyCreated {
            stamp,
            key_id: [4, name].into(),
            role: Role::Device,
            algorithm: Algorithm::EcdsaP256,
            token: "main".into(),
            spki: [name].into(),
            wrapped: None,
        }
    }
}

fn started() -> Event {
    Event::Started { version: "1".into(), owner_epoch: [1; 16] }
}

fn step(number: u64, step: u64) -> Event {
    Event::CeremonyStep { number, step, text: format!("{step} of {number}").into() }
}

fn keys(step: &DoneStep) -> Vec<u8> {
    let name = |key: &Durable| match &key.record().event {
        Event::KeyCreated { key_id, .. } => key_id[1],
        other => panic!("{other:?}"),
    };
    step.keys.iter().map(name).collect()
}

#[test]
fn every_step_is_told_in_order_with_the_keys_of_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::born(dir.path(), 1, Rules::default());
    let stamp = world.next_stamp(psd_id(0));
    let mut writer = Writer { world, stamp };
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.ceremony_steps(1, 8).unwrap().is_empty());
    let made = vec![started(), writer.key(1), writer.key(2), step(1, 1)];
    writer.commit(made);
    for number in 2..=11 {
        let made = vec![writer.key(10), step(1, number)];
        writer.commit(made);
    }
    // Another ceremony, and a key that a console made after its step.
    let made = vec![step(11, 1), writer.key(30), started(), step(11, 2)];
    writer.commit(made);
    let told = reader.ceremony_steps(1, usize::MAX).unwrap();
    let numbers = told.iter().map(|done| match &done.record.record().event {
        Event::CeremonyStep { number: 1, step, .. } => *step,
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
    assert_eq!((keys(&told[0]), keys(&told[1]), keys(&told[10])), (vec![1, 2], vec![10], vec![10]));
    let other = reader.ceremony_steps(11, usize::MAX).unwrap();
    assert_eq!(other.iter().map(keys).collect::<Vec<_>>(), [[]; 2], "no key of theirs");
    let few = reader.ceremony_steps(1, 1).unwrap();
    assert_eq!((few.len(), few.iter().map(|done| done.keys.len()).sum::<usize>()), (11, 2), "no more are read");
}
