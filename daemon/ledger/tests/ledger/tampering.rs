//! One row per way to tamper: what a start says of it, and what a verification finds.

use crate::world::*;
use psdd_ledger::Rules;
use psdd_ledger::verify::Outcome;
use std::path::Path;

const RULES: Rules = Rules { state_digest_records: 300, wal_pages: 4_096 };

/// What a start makes of it.
enum Start {
    /// Says this and does not start.
    Refuses(&'static str),
    /// Does not look there; the scrub and `ledger verify` do.
    DoesNotLook,
}
use Start::{DoesNotLook, Refuses};

/// About 700 records: state digests near 300 and 600, a signed checkpoint, a tail with downloads.
fn original(dir: &Path, rules: Rules) {
    let mut world = World::born(dir, 3, rules);
    while world.journal.size() < 650 {
        world.commit_pieces(30);
    }
    let download = world.download(1, 4_000);
    world.commit(download);
    world.checkpoint();
    world.commit_pieces(40);
    world.close();
}

fn copied(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

#[test]
fn whatever_is_altered_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    original(dir.path(), RULES);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    let forged = note(400, [7; 32]);
    let larger = note(5_000, [7; 32]);
    let flip = |leaf: u64| format!("UPDATE entry SET record = ({}) WHERE leaf = {leaf}", flipped(dir.path(), leaf));
    // The client's reference: bytes that no other rule looks at.
    let edited = |leaf: u64| {
        let old = b"job-";
        let bytes = entry(dir.path(), leaf);
        let at = bytes.windows(4).position(|window| window == old).unwrap();
        let mut new = bytes.clone();
        new[at + 1] = b'a';
        format!("UPDATE entry SET record = x'{}' WHERE leaf = {leaf}", hex(&new))
    };
    let size = number(dir.path(), "SELECT count(*) FROM entry");
    let last_digest: u64 = number(dir.path(), "SELECT value FROM meta WHERE name = 'state_digest_leaf'");
    let psd = psd_id(1);
    let rows: Vec<(&str, String, Start, &str)> = vec![
        ("a byte of an old record", flip(200), DoesNotLook, "record 200: tile 0 of level 0 is not that"),
        ("a reference in an old record", edited(200), DoesNotLook, "record 200: tile 0 of level 0 is not that"),
        ("a reference in the tail", edited(size - 3), Refuses("the head of the ledger is not that"), "the head's root is"),
        ("a reference in the signed tail", edited(last_digest + 2), Refuses("not those of the signed checkpoint"), ""),
        ("genesis", flip(0), Refuses(""), "record 0"),
        ("an old record gone", "DELETE FROM entry WHERE leaf = 100".into(), DoesNotLook, "record 100: it is missing; the next one there is leaf 101"),
        ("a record of the tail gone", format!("DELETE FROM entry WHERE leaf = {}", size - 2), Refuses("is missing"), "it is missing"),
        ("the last record gone", format!("DELETE FROM entry WHERE leaf = {}", size - 1), Refuses("is missing"), "it is missing; the next one there is none"),
        ("a record more", format!("INSERT INTO entry SELECT {size}, record FROM entry WHERE leaf = 300"), Refuses(""), "outside the"),
        ("a record below zero", "INSERT INTO entry VALUES (-1, x'a0')".into(), DoesNotLook, "outside the"),
        ("a register row", format!("UPDATE register SET descending = descending + 1, control_total = control_total + 1 WHERE psd = '{psd}'"), Refuses("the register row of PSD PS010001000001"), "the row of PSD PS010001000001 in register is (sequence"),
        ("a register row that does not add up", format!("UPDATE register SET ascending = ascending + 1 WHERE psd = '{psd}'"), Refuses("the register row of PSD"), "in register"),
        ("a register row gone", format!("DELETE FROM register WHERE psd = '{psd}'"), Refuses("the register row of PSD"), "is not there"),
        ("a register row more", "INSERT INTO register VALUES ('PS010009999999', 1, 0, 0, 0, 0)".into(), Refuses("the register row of PSD PS010009999999"), "by its records it is not there"),
        ("a snapshot row", format!("UPDATE snapshot SET pieces = pieces + 1 WHERE psd = '{psd}'"), Refuses("the snapshot row of PSD PS010001000001"), "in snapshot"),
        ("a snapshot row gone", format!("DELETE FROM snapshot WHERE psd = '{psd}'"), Refuses("the snapshot row of PSD"), "in snapshot"),
        ("a live row gone", format!("DELETE FROM live WHERE psd = '{psd}' AND slot = 'lifecycle'"), Refuses("the live row (\"PS010001000001\", \"lifecycle\""), "the live row (\"PS010001000001\", \"lifecycle\") of it is missing"),
        ("a live row of the tail gone", format!("DELETE FROM live WHERE psd = '{psd}' AND slot = 'value-applied' AND leaf > {last_digest}"), Refuses("the live row"), "of it is missing"),
        ("a live row more", format!("INSERT INTO live SELECT '{psd}', 'key:ff', leaf FROM live WHERE slot LIKE 'key:%' LIMIT 1"), Refuses("the live row"), "though it is not live"),
        ("a live row doubled under another name", "INSERT INTO live SELECT 'PS010001000002', slot, leaf FROM live WHERE psd = 'PS010001000001' AND slot LIKE 'key:%'".into(), Refuses("the live row"), "though it is not live"),
        ("the leaf of the last state digest", "UPDATE meta SET value = value - 1 WHERE name = 'state_digest_leaf'".into(), Refuses("the leaf noted for the last state digest"), "the last state digest is noted at leaf"),
        ("an older state digest noted as the last", format!("UPDATE meta SET value = {} WHERE name = 'state_digest_leaf'", first_digest(dir.path())), Refuses("the leaf noted for the last state digest"), "the last state digest is noted at leaf"),
        ("no state digest noted", "DELETE FROM meta WHERE name = 'state_digest_leaf'".into(), Refuses("the leaf noted for the last state digest"), "is noted at none"),
        ("the head's size", "UPDATE head SET size = size - 1".into(), Refuses(""), "outside the"),
        ("the head's root", "UPDATE head SET root = zeroblob(32)".into(), Refuses("the head of the ledger"), "the head's root is 0000"),
        ("the head's time", "UPDATE head SET time = time + 1".into(), DoesNotLook, "the head's time is"),
        ("the head gone", "DELETE FROM head".into(), Refuses("no genesis"), "no genesis"),
        ("a tile", "UPDATE tile SET hashes = zeroblob(8192) WHERE number = 1".into(), Refuses(""), "record 256: tile 1 of level 0 is not that"),
        ("a tile cut short", "UPDATE tile SET hashes = zeroblob(32) WHERE number = 1".into(), Refuses("tile 1 of level 0 has a wrong length"), "tile 1 of level 0 is not that"),
        ("a tile gone", "DELETE FROM tile WHERE number = 0".into(), DoesNotLook, "record 0: tile 0 of level 0 is missing"),
        ("a tile more", "INSERT INTO tile VALUES (1, 0, zeroblob(8192))".into(), Refuses("not those of the signed checkpoint"), "there is a tile 0 of level 1"),
        ("a checkpoint's signature", "UPDATE checkpoint SET note = CAST(note || '0' AS BLOB)".into(), Refuses("the newest checkpoint does not verify"), "the checkpoint of size"),
        ("a checkpoint under another size", "UPDATE checkpoint SET size = size + 1".into(), Refuses("the newest checkpoint does not verify"), "does not verify"),
        ("an older checkpoint forged by who has the key", format!("INSERT INTO checkpoint VALUES (400, CAST('{forged}' AS BLOB))"), DoesNotLook, "the checkpoint of size 400 has root 0707"),
        ("a rollback", format!("INSERT INTO checkpoint VALUES (5000, CAST('{larger}' AS BLOB))"), Refuses("it was rolled back"), "it was rolled back"),
        ("an index row gone", "DELETE FROM piece WHERE leaf = 333".into(), DoesNotLook, "record 333: the index of keys has none for its key"),
        ("an index row moved", "UPDATE piece SET leaf = leaf + 1 WHERE leaf = 333".into(), DoesNotLook, "record 333: the index of keys has leaf 334"),
        ("an index row more", "INSERT INTO piece VALUES (1, x'00112233445570008000000000000000', 333)".into(), DoesNotLook, "(tenant 1, key 00112233445570008000000000000000) that no record has"),
        ("a body altered", "UPDATE body SET body = x'00' WHERE leaf = (SELECT min(leaf) FROM body)".into(), DoesNotLook, "the personal field"),
        ("a salt altered", "UPDATE body SET salt = zeroblob(15) WHERE leaf = (SELECT min(leaf) FROM body)".into(), DoesNotLook, "the personal field"),
        ("a body that no record commits to", "INSERT INTO body VALUES (3, zeroblob(16), x'00')".into(), DoesNotLook, "record 3: the personal field"),
    ];
    let mut wrong = Vec::new();
    for (name, statement, start, finding) in rows {
        let dir = copied(dir.path());
        let changed = database(dir.path()).execute(&statement, []).unwrap();
        assert!(changed > 0, "{name}: changed nothing");
        let verdict = match verify(dir.path()) {
            Outcome::Holds(_) => "holds".to_owned(),
            Outcome::Broken(finding) => finding.to_string(),
        };
        if !verdict.contains(finding) || verdict == "holds" {
            wrong.push(format!("{name}: verification: {verdict}"));
        }
        match (start, recover(dir.path(), RULES)) {
            (Refuses(text), Err(error)) if error.to_string().contains(text) => {}
            (DoesNotLook, Ok(recovered)) if !recovered.replayed_all => {}
            (_, Ok(recovered)) => wrong.push(format!("{name}: started, all replayed: {}", recovered.replayed_all)),
            (_, Err(error)) => wrong.push(format!("{name}: start: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Personal fields may go; everything still verifies.
#[test]
fn erased_personal_fields_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    original(dir.path(), RULES);
    let erased = database(dir.path()).execute("DELETE FROM body WHERE leaf % 2 = 0", []).unwrap();
    assert!(erased > 50);
    assert!(matches!(verify(dir.path()), Outcome::Holds(summary) if summary.bodies > 50));
}

/// Records that were replaced together with tree, head and every cache: with a state digest to begin from, and without one.
#[test]
fn a_history_rewritten_as_a_whole_does_not_match_the_signed_checkpoint() {
    for rules in [RULES, Rules::default()] {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        original(dir.path(), rules);
        original(other.path(), rules);
        let newest = "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1";
        let signed: (i64, Vec<u8>) =
            database(dir.path()).query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let attacker = database(other.path());
        attacker.execute("DELETE FROM checkpoint", []).unwrap();
        attacker.execute("INSERT INTO checkpoint VALUES (?1, ?2)", signed).unwrap();
        drop(attacker);
        let error = recover(other.path(), rules).err().unwrap().to_string();
        assert!(error.contains("not those of the signed checkpoint"), "{error}");
        assert!(matches!(verify(other.path()), Outcome::Broken(f) if f.to_string().contains("the checkpoint of size")));
    }
}

fn entry(dir: &Path, leaf: u64) -> Vec<u8> {
    let leaf = i64::try_from(leaf).unwrap();
    database(dir).query_row("SELECT record FROM entry WHERE leaf = ?1", [leaf], |row| row.get(0)).unwrap()
}

/// A literal of the record with a bit of its last byte turned over.
fn flipped(dir: &Path, leaf: u64) -> String {
    let mut bytes = entry(dir, leaf);
    let last = bytes.len() - 1;
    bytes[last] ^= 0x80;
    format!("x'{}'", hex(&bytes))
}

fn first_digest(dir: &Path) -> u64 {
    number(dir, "SELECT min(leaf) FROM entry WHERE hex(substr(record, 2, 2)) = '0008'")
}
