//! Birth, and starts: what is replayed and what comes back.

use crate::world::*;
use proptest::prelude::*;
use psdd_ledger::open::OpenError;
use psdd_ledger::{Ledger, Rules};
use std::collections::BTreeMap;

fn states(world: &World) -> BTreeMap<psd::PsdId, psd::State> {
    world.appliance.psds.iter().map(|(id, psd)| (*id, psd.state().clone())).collect()
}

#[test]
fn an_appliance_is_born_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(OpenError::Io { .. })));
    let ledger = Ledger::create(dir.path()).unwrap();
    assert!(matches!(Ledger::create(dir.path()), Err(OpenError::InUse(_))));
    drop(ledger);
    assert!(matches!(recover(dir.path(), Rules::default()), Err(OpenError::NoGenesis)));
    let born = Ledger::create(dir.path()).expect("an interrupted birth is repeated");
    let born = born.bear(&genesis(), vec![authority_key()], Rules::default()).unwrap();
    assert_eq!((born.journal.size(), born.replayed), (2, 2));
    drop(born);
    assert!(matches!(Ledger::create(dir.path()), Err(OpenError::Exists(_))));
    let again = Ledger::open(dir.path()).unwrap().bear(&genesis(), Vec::new(), Rules::default());
    assert!(matches!(again, Err(OpenError::Exists(_))));
    assert_eq!(recover(dir.path(), Rules::default()).unwrap().journal.size(), 2);
}

#[test]
fn a_birth_interrupted_before_the_tables_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ledger.db"), "").unwrap();
    let born = Ledger::create(dir.path()).unwrap().bear(&genesis(), Vec::new(), Rules::default()).unwrap();
    assert_eq!(born.journal.size(), 1);
}

#[test]
fn records_that_do_not_follow_leaf_0_are_not_born_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let again = Ledger::create(dir.path()).unwrap().bear(&genesis(), vec![genesis()], Rules::default());
    assert!(matches!(again, Err(OpenError::Follow { leaf: 1, .. })));
    assert!(matches!(recover(dir.path(), Rules::default()), Err(OpenError::NoGenesis)), "none of them");
}

#[test]
fn a_ledger_of_another_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    World::born(dir.path(), 1, Rules::default()).close();
    for format in [1, 2, 3, 5] {
        let connection = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        connection.execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [format]).unwrap();
        drop(connection);
        assert!(matches!(recover(dir.path(), Rules::default()), Err(OpenError::Format(found)) if found == format));
    }
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::born(dir.path(), 1, Rules::default());
    assert!(matches!(Ledger::open(dir.path()), Err(OpenError::InUse(_))));
    world.close();
    assert!(Ledger::open(dir.path()).is_ok());
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 3, Rules::default());
    world.commit_pieces(50);
    let (size, root, before) = (world.journal.size(), world.journal.root(), states(&world));
    let (mut world, start) = world.reopened(dir.path(), Rules::default());
    assert_eq!((world.journal.size(), world.journal.root()), (size, root));
    assert_eq!(states(&world), before);
    assert_eq!(start, Start { replayed_all: true, replayed: size });
    world.commit_pieces(50);
    assert_eq!(world.journal.size(), size + 50);
}

#[test]
fn a_start_replays_only_what_follows_a_signed_state_digest() {
    let rules = Rules { state_digest_records: 200, ..Rules::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 3, rules);
    while world.journal.size() < 230 {
        world.commit_pieces(10);
    }
    // After the digest at about leaf 200: a download that ends, one that does not, locks set and cleared, pieces.
    for number in [0, 1] {
        let download = world.download(number, 5_000 + 1_000 * u64::try_from(number).unwrap());
        world.commit(download);
    }
    let pending = world.value_request(2, 9_000);
    world.commit(vec![pending]);
    let locks = psd::lifecycle::Locks::NONE.with(psd::lifecycle::LockReason::Operator);
    for locks in [locks, psd::lifecycle::Locks::NONE] {
        let (stamp, lifecycle) = (world.next_stamp(psd_id(0)), psd::lifecycle::Lifecycle::Active);
        world.commit_events(vec![psd::record::Event::LifecycleChanged { stamp, lifecycle, locks }]);
    }
    world.checkpoint();
    world.commit_pieces(9);
    let (size, root, before) = (world.journal.size(), world.journal.root(), states(&world));
    let digest_leaf = number(dir.path(), "SELECT value FROM meta WHERE name = 'state_digest_leaf'");
    let (world, start) = world.reopened(dir.path(), rules);
    assert_eq!(start, Start { replayed_all: false, replayed: size - digest_leaf - 1 });
    assert_eq!((world.journal.size(), world.journal.root()), (size, root));
    assert_eq!(states(&world), before);
}

#[test]
fn a_digest_that_no_checkpoint_covers_is_not_believed() {
    let rules = Rules { state_digest_records: 100, ..Rules::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, rules);
    world.checkpoint();
    world.commit_pieces(150);
    let (size, before) = (world.journal.size(), states(&world));
    let (mut world, start) = world.reopened(dir.path(), rules);
    assert_eq!(start, Start { replayed_all: true, replayed: size });
    assert_eq!(states(&world), before);
    world.checkpoint();
    world.commit_pieces(1);
    let (_, start) = world.reopened(dir.path(), rules);
    assert!(!start.replayed_all, "{start:?}");
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, Rules::default());
    world.commit_pieces(20);
    let at = world.at();
    world.journal.digest_now(at).unwrap();
    let size = world.journal.size();
    world.journal.digest_now(at).unwrap();
    assert_eq!(world.journal.size(), size, "nothing happened since the last digest");
    world.checkpoint();
    world.close();
    let recovered = recover(dir.path(), Rules::default()).unwrap();
    assert_eq!((recovered.replayed_all, recovered.replayed), (false, 0));
    assert!(matches!(verify(dir.path()), psdd_ledger::verify::Outcome::Holds(_)));
}

#[test]
fn a_digest_from_a_clock_that_fell_behind_takes_the_last_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    let mut at = world.at();
    at.time = psd::UnixMillis(START - 60_000);
    world.journal.digest_now(at).unwrap();
    let (_, start) = world.reopened(dir.path(), Rules::default());
    assert!(start.replayed_all);
}

#[derive(Clone, Debug)]
enum Step {
    Pieces(usize, usize),
    Download(usize),
    Request(usize),
    Void(usize),
    Lock(usize),
    Checkpoint,
    Digest,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3, 1usize..9).prop_map(|(psd, n)| Step::Pieces(psd, n)),
        2 => (0usize..3).prop_map(Step::Download),
        1 => (0usize..3).prop_map(Step::Request),
        1 => (0usize..3).prop_map(Step::Void),
        1 => (0usize..3).prop_map(Step::Lock),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Digest),
        2 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever happened, and wherever digests and checkpoints fell: a start gives the state back, and all of it verifies.
    #[test]
    fn every_history_comes_back(steps in prop::collection::vec(step(), 1..40), every in 5u64..40) {
        let rules = Rules { state_digest_records: every, wal_pages: 64 };
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 3, rules);
        for step in steps.into_iter().chain([Step::Kill]) {
            let idle = |world: &World, psd: usize| world.appliance.psds[&psd_id(psd)].state().pending.is_none();
            match step {
                Step::Pieces(psd, n) => {
                    let pieces = (0..n).map(|_| world.piece(psd)).collect();
                    world.commit(pieces);
                }
                Step::Download(psd) if idle(&world, psd) => {
                    let records = world.download(psd, 1_000);
                    world.commit(records);
                }
                Step::Request(psd) if idle(&world, psd) => {
                    let record = world.value_request(psd, 2_000);
                    world.commit(vec![record]);
                }
                Step::Void(psd) if !idle(&world, psd) => {
                    let record = world.value_void(psd);
                    world.commit(vec![record]);
                }
                Step::Lock(psd) => {
                    let (stamp, lifecycle) = (world.next_stamp(psd_id(psd)), psd::lifecycle::Lifecycle::Active);
                    let locks = psd::lifecycle::Locks::NONE;
                    world.commit_events(vec![psd::record::Event::LifecycleChanged { stamp, lifecycle, locks }]);
                }
                Step::Download(_) | Step::Request(_) | Step::Void(_) => {}
                Step::Checkpoint => world.checkpoint(),
                Step::Digest => {
                    let at = world.at();
                    world.journal.digest_now(at).unwrap();
                }
                Step::Kill => {
                    let before = (states(&world), world.journal.size(), world.journal.root());
                    world = world.reopened(dir.path(), rules).0;
                    prop_assert_eq!((states(&world), world.journal.size(), world.journal.root()), before);
                }
            }
        }
        match verify(dir.path()) {
            psdd_ledger::verify::Outcome::Holds(summary) => prop_assert_eq!(summary.records, world.journal.size()),
            psdd_ledger::verify::Outcome::Broken(finding) => return Err(TestCaseError::fail(finding.to_string())),
        }
    }
}
