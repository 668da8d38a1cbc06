//! Commits: order, durability, and the end of the journal at the first fault.

use crate::world::*;
use psd::record::Event;
use psdd_ledger::{Reader, Rules};

#[test]
fn a_commit_gives_its_records_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, Rules::default());
    let before = world.journal.size();
    let records: Vec<_> = (0..64).map(|n| world.piece(n % 2)).collect();
    let expected: Vec<_> = records.iter().map(|new| new.record.clone()).collect();
    let durable = world.commit(records);
    let leaves: Vec<u64> = durable.iter().map(psdd_ledger::Durable::leaf).collect();
    assert_eq!(leaves, (before..before + 64).collect::<Vec<_>>());
    assert_eq!(durable.iter().map(|d| d.record().clone()).collect::<Vec<_>>(), expected);
    let reader = Reader::open(dir.path()).unwrap();
    for durable in &durable {
        let stored = reader.record(durable.leaf()).unwrap().unwrap();
        assert_eq!(stored.record(), durable.record());
    }
    assert!(reader.record(world.journal.size()).unwrap().is_none());
}

/// A trigger stands in for a disk that fails in the midst of a transaction.
#[test]
fn after_a_failed_write_nothing_is_written_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    let (size, root) = (world.journal.size(), world.journal.root());
    let trigger = format!(
        "CREATE TRIGGER full BEFORE INSERT ON entry WHEN NEW.leaf = {} BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        size + 2
    );
    database(dir.path()).execute_batch(&trigger).unwrap();
    let pieces: Vec<_> = (0..5).map(|_| world.piece(0)).collect();
    let fault = world.journal.commit(pieces).unwrap_err();
    assert_eq!(fault.step, "writing a record");
    assert!(fault.to_string().contains("disk full"), "{fault}");
    assert_eq!((world.journal.size(), world.journal.root()), (size, root), "nothing of it is on disk");
    database(dir.path()).execute_batch("DROP TRIGGER full").unwrap_err();
    let at = world.at();
    let piece = world.piece(0);
    assert!(world.journal.commit(vec![piece]).is_err(), "one fault is the end");
    assert!(world.journal.commit(Vec::new()).is_err());
    assert!(world.journal.digest_now(at).is_err());
    let (_, start) = world.reopened(dir.path(), Rules::default());
    assert_eq!(start.replayed, size);
}

#[test]
fn a_key_used_twice_is_a_broken_invariant() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 3, Rules::default());
    let key = world.next_key();
    let first = world.piece_with(0, key);
    world.commit(vec![first]);
    let of_another_tenant = world.piece_with(1, key);
    world.commit(vec![of_another_tenant]);
    let second = world.piece_with(2, key);
    let fault = world.journal.commit(vec![second]).unwrap_err();
    assert_eq!(fault.step, "writing a key");
    let size = world.journal.size();
    let (world, _) = world.reopened(dir.path(), Rules::default());
    assert_eq!(world.journal.size(), size);
}

#[test]
fn records_that_do_not_continue_the_log_are_never_written() {
    type Change = fn(&mut World) -> psdd_ledger::NewRecord;
    let cases: [(&str, Change); 4] = [
        ("its time is behind", |world| {
            let mut piece = world.piece(0);
            piece.record.at.time = psd::UnixMillis(START);
            piece
        }),
        ("not the PSD's next", |world| {
            let _dropped = world.piece(0);
            world.piece(0)
        }),
        ("genesis is leaf 0", |world| {
            let mut genesis = genesis();
            genesis.at = world.at();
            genesis.into()
        }),
        ("longer than a record", |world| {
            let at = world.at();
            let certificate = vec![0; 65_536].into();
            let event = Event::AuthorityKeyInstalled { purpose: psd::record::AuthorityPurpose::Policy, certificate };
            psd::record::Record { at, event }.into()
        }),
    ];
    for (what, change) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        let size = world.journal.size();
        let record = change(&mut world);
        let fault = world.journal.commit(vec![record]).unwrap_err();
        assert!(fault.to_string().contains(what), "{fault}");
        let (world, _) = world.reopened(dir.path(), Rules::default());
        assert_eq!(world.journal.size(), size);
    }
}

#[test]
fn checkpoints_are_pruned_but_for_the_newest_and_one_over_each_digest() {
    let rules = Rules { state_digest_records: 50, ..Rules::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, rules);
    let mut signed = Vec::new();
    for _ in 0..60 {
        world.checkpoint();
        signed.push(world.journal.checkpoint_size());
        world.commit_pieces(4);
    }
    let database = database(dir.path());
    let column = |query| -> Vec<u64> {
        let mut statement = database.prepare(query).unwrap();
        let numbers = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        numbers.map(|number| u64::try_from(number.unwrap()).unwrap()).collect()
    };
    let stored = column("SELECT size FROM checkpoint ORDER BY size");
    // Kind 8 is the second byte pair of the map: key 0, value 8.
    let digests = column("SELECT leaf FROM entry WHERE hex(substr(record, 2, 2)) = '0008' ORDER BY leaf");
    assert_eq!(digests.len(), 4);
    let mut wanted: Vec<u64> =
        digests.iter().filter_map(|leaf| signed.iter().copied().find(|size| size > leaf)).collect();
    wanted.push(*signed.last().unwrap());
    wanted.dedup();
    assert_eq!(stored, wanted);
}
