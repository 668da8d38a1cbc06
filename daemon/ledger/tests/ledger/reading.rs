//! Look-ups beside the writer.

use crate::world::*;
use psdd_ledger::reader::ReadError;
use psdd_ledger::{Reader, Rules};

#[test]
fn keys_are_looked_up_within_their_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, Rules::default());
    let mut reader = Reader::open(dir.path()).unwrap();
    let shared = world.next_key();
    let (own, unused) = (world.next_key(), world.next_key());
    let pieces = vec![world.piece_with(0, shared), world.piece_with(1, shared), world.piece_with(1, own)];
    let durable = world.commit(pieces);
    let (acme, globex, stranger) = (tenant(0), tenant(1), "stranger".parse().unwrap());
    let keys =
        [(&globex, &own), (&acme, &shared), (&acme, &own), (&globex, &shared), (&stranger, &own), (&acme, &unused)];
    let found = reader.look_up(keys.into_iter()).unwrap();
    let leaves: Vec<Option<u64>> = found.iter().map(|found| found.as_ref().map(psdd_ledger::Durable::leaf)).collect();
    let leaf = |n: usize| Some(durable[n].leaf());
    assert_eq!(leaves, [leaf(2), leaf(0), None, leaf(1), None, None]);
    assert_eq!(found[0].as_ref().unwrap().record(), durable[2].record());
}

#[test]
fn the_greatest_key_of_each_tenant_is_the_last_one_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, Rules::default());
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.greatest().unwrap(), psdd_ledger::Greatest::default());
    let (low, middle, high) = (world.next_key(), world.next_key(), world.next_key());
    let pieces = vec![world.piece_with(0, high), world.piece_with(0, low), world.piece_with(1, middle)];
    world.commit(pieces);
    let mut greatest = reader.greatest().unwrap().keys;
    greatest.sort();
    assert_eq!(greatest, [(tenant(0), high), (tenant(1), middle)]);
    database(dir.path()).execute("UPDATE piece SET key = x'00' WHERE tenant = 1", []).unwrap_err();
    database(dir.path())
        .execute("UPDATE piece SET key = x'ff' WHERE leaf = (SELECT max(leaf) FROM piece)", [])
        .unwrap();
    assert!(reader.greatest().is_err(), "a key that is none must not pass for no key");
}

#[test]
fn an_index_that_points_elsewhere_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    let (one, two) = (world.next_key(), world.next_key());
    let pieces = vec![world.piece_with(0, one), world.piece_with(0, two)];
    let durable = world.commit(pieces);
    database(dir.path()).execute("UPDATE piece SET leaf = ?1", [i64::try_from(durable[1].leaf()).unwrap()]).unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    assert!(reader.look_up([(&tenant(0), &two)].into_iter()).is_ok());
    let wrong = reader.look_up([(&tenant(0), &one)].into_iter());
    assert!(matches!(wrong, Err(ReadError::Index { leaf }) if leaf == durable[1].leaf()));
}
