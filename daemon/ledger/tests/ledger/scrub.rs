//! The scrub: an old record that rots is found, and named, without a start or a verification.

use crate::world::*;
use psdd_ledger::Rules;
use psdd_ledger::open::ProvenHead;
use psdd_ledger::scrub::{Damage, Scrub, ScrubError};
use std::path::Path;

/// 700 records, 650 and more of them signed: the head that was.
fn original(dir: &Path) -> ProvenHead {
    let mut world = World::born(dir, 3, Rules { state_digest_records: 300, wal_pages: 4_096 });
    while world.journal.size() < 650 {
        world.commit_pieces(30);
    }
    let head = ProvenHead { size: world.journal.size(), root: world.journal.root() };
    world.commit_pieces(40);
    world.close();
    head
}

fn scrubbed(dir: &Path, head: &ProvenHead) -> Result<u64, String> {
    let mut scrub = Scrub::begin(dir, head.clone()).unwrap();
    loop {
        match scrub.step() {
            Ok(false) => {}
            Ok(true) => return Ok(scrub.records()),
            Err(ScrubError::Damage(damage)) => return Err(damage.to_string()),
            Err(ScrubError::Store(fault)) => panic!("{fault}"),
        }
    }
}

#[test]
fn what_rots_where_nobody_looks_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let head = original(dir.path());
    assert_eq!(scrubbed(dir.path(), &head), Ok(head.size));
    let run = |statement: &str| assert_eq!(database(dir.path()).execute(statement, ()).unwrap(), 1, "{statement}");
    let unsigned = head.size + 1;
    for (what, harm, mend, told) in [
        (
            "a byte",
            "UPDATE entry SET record = CAST(record || x'00' AS BLOB) WHERE leaf = 200",
            "UPDATE entry SET record = substr(record, 1, length(record) - 1) WHERE leaf = 200",
            Damage::Altered(200).to_string(),
        ),
        (
            "a byte behind the last full tile",
            "UPDATE entry SET record = CAST(record || x'00' AS BLOB) WHERE leaf = 640",
            "UPDATE entry SET record = substr(record, 1, length(record) - 1) WHERE leaf = 640",
            Damage::Root(head.size).to_string(),
        ),
        (
            "a record gone",
            "UPDATE entry SET leaf = 100000 WHERE leaf = 300",
            "UPDATE entry SET leaf = 300 WHERE leaf = 100000",
            Damage::Missing(300).to_string(),
        ),
        (
            "a tile gone",
            "UPDATE tile SET level = 9 WHERE number = 1",
            "UPDATE tile SET level = 0 WHERE level = 9",
            Damage::NoTile { level: 0, number: 1 }.to_string(),
        ),
        (
            "a tile cut",
            "UPDATE tile SET hashes = CAST(hashes || x'00' AS BLOB) WHERE number = 1",
            "UPDATE tile SET hashes = substr(hashes, 1, 8192) WHERE number = 1",
            Damage::Tile { level: 0, number: 1 }.to_string(),
        ),
    ] {
        run(harm);
        assert_eq!(scrubbed(dir.path(), &head), Err(told), "{what}");
        run(mend);
        assert_eq!(scrubbed(dir.path(), &head), Ok(head.size), "{what}, mended");
    }
    run(&format!("UPDATE entry SET record = CAST(record || x'00' AS BLOB) WHERE leaf = {unsigned}"));
    assert_eq!(scrubbed(dir.path(), &head), Ok(head.size), "what is not signed yet is for the next time");
}
