//! Copies of the ledger: whole or not there, and made once for one order.

use crate::world::*;
use psdd_ledger::verify::Outcome;
use psdd_ledger::{BackUpError, Rules, back_up};

#[test]
fn a_copy_that_an_attempt_before_made_is_taken_for_this_one_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let (state, target) = (dir.path().join("state"), dir.path().join("copy"));
    std::fs::create_dir_all(&state).unwrap();
    std::fs::create_dir_all(&target).unwrap();
    let mut world = World::born(&state, 1, Rules::default());
    let ordered = world.commit_pieces(3).last().unwrap().leaf();
    // What a kill left is no copy.
    std::fs::write(target.join("ledger.db.part"), b"half a ledger").unwrap();
    let size = back_up(&state, &target, ordered).unwrap();
    assert_eq!(size, ordered + 1);
    assert!(matches!(verify(&target), Outcome::Holds(_)), "the copy holds by itself");
    let later = world.commit_pieces(2).last().unwrap().leaf();
    assert_eq!(back_up(&state, &target, ordered).unwrap(), size, "it is there, and holds what was ordered");
    let newer = back_up(&state, &target, later);
    assert!(matches!(newer, Err(BackUpError::Exists(_))), "it is older than the order: {newer:?}");

    let other = dir.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    let mut stranger = World::born(&other, 1, Rules::default());
    for pieces in [0, 20] {
        stranger.commit_pieces(pieces);
        let foreign = back_up(&other, &target, 0);
        assert!(matches!(foreign, Err(BackUpError::Exists(_))), "it is of another ledger: {foreign:?}");
    }
    let text = dir.path().join("text");
    std::fs::create_dir_all(&text).unwrap();
    std::fs::write(text.join("ledger.db"), b"no ledger").unwrap();
    let taken = back_up(&state, &text, ordered);
    assert!(matches!(taken, Err(BackUpError::Exists(_))), "it is no ledger: {taken:?}");
    assert_eq!(std::fs::read(text.join("ledger.db")).unwrap(), b"no ledger", "and stays as it is");
}
