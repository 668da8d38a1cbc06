//! Pieces with digital tokens are found by PSD and number, and a verification names an index that says otherwise.

use crate::world::*;
use psd::digital_token::Party;
use psd::key::Algorithm;
use psd::record::Event;
use psdd_ledger::verify::{Fault, Outcome};
use psdd_ledger::{LogReader, Rules};
use std::path::Path;

/// Two PSDs, of which the second makes digital tokens; its piece 1 has none. Gives where its piece 2 stands.
fn original(dir: &Path) -> u64 {
    let mut world = World::born(dir, 2, Rules::default());
    world.commit_pieces(2);
    for party in Party::BOTH {
        let (role, psd) = (party.role(), psd_id(1));
        let made = Event::KeyCreated {
            stamp: world.next_stamp(psd),
            key_id: [role.number(), 1][..].into(),
            role,
            algorithm: Algorithm::HmacSha256,
            token: "token".into(),
            spki: [7; 32][..].into(),
            wrapped: None,
        };
        world.commit_events(vec![made]);
    }
    let durable = world.commit_pieces(8);
    world.checkpoint();
    world.commit_pieces(2);
    world.close();
    durable[1].leaf()
}

#[test]
fn a_piece_with_a_token_is_found_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let leaf = original(dir.path());
    let outcome = verify(dir.path());
    assert!(matches!(outcome, Outcome::Holds(_)), "{outcome:?}");
    let log = LogReader::open(dir.path()).unwrap();
    let found = |psd, pieces| log.digital_token(psd_id(psd), pieces).unwrap();
    assert_eq!(found(1, 2), Some((leaf, log.record(leaf).unwrap())));
    assert_eq!((2..=6).filter(|pieces| found(1, *pieces).is_some()).count(), 5);
    for (psd, pieces) in [(1, 1), (1, 7), (0, 1), (0, 2)] {
        assert_eq!(found(psd, pieces), None, "piece {pieces} of PSD {psd}");
    }
    // The same after a start.
    drop(recover(dir.path(), Rules::default()).unwrap());
    assert_eq!(found(1, 2).map(|(leaf, _)| leaf), Some(leaf));
}

#[test]
fn an_index_that_says_otherwise_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let leaf = original(dir.path());
    let tampered = |statement: &str| {
        let database = database(dir.path());
        database.execute_batch(&format!("BEGIN; {statement}")).unwrap();
        database.execute_batch("COMMIT").unwrap();
        match verify(dir.path()) {
            Outcome::Broken(finding) => (finding.leaf, finding.fault),
            other => panic!("{other:?}"),
        }
    };
    let psd = psd_id(1);
    let (at, fault) = tampered(&format!("DELETE FROM digital_token WHERE leaf = {leaf}"));
    assert!(at == Some(leaf) && matches!(fault, Fault::Token { found: None, pieces: 2, .. }), "{fault}");
    let (at, fault) = tampered(&format!("INSERT INTO digital_token VALUES ('{psd}', 2, {})", leaf + 2));
    assert!(at == Some(leaf) && matches!(fault, Fault::Token { found: Some(_), .. }), "{fault}");
    let (_, fault) = tampered(&format!(
        "UPDATE digital_token SET leaf = {leaf} WHERE psd = '{psd}' AND pieces = 2; INSERT INTO digital_token VALUES ('{psd}', 1, 5)"
    ));
    assert!(matches!(fault, Fault::TokenSurplus { rows: 6, expected: 5 }), "{fault}");
}
