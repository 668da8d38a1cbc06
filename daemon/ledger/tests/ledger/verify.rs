//! Verification of ledgers that hold, in use and at rest; signatures and messages that do not.

use crate::world::*;
use psd::key::{Algorithm, Role};
use psd::record::{Event, Indicium, Record};
use psdd_ledger::verify::{Fault, Finding, Outcome, Settings};
use psdd_ledger::{NewRecord, Rules};
use std::sync::Arc;

fn finding(outcome: Outcome) -> Finding {
    match outcome {
        Outcome::Broken(finding) => *finding,
        Outcome::Holds(_) => panic!("nothing found"),
    }
}

#[test]
fn the_summary_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 3, Rules { state_digest_records: 100, ..Rules::default() });
    world.commit_pieces(501);
    world.checkpoint();
    world.commit_pieces(9);
    let Outcome::Holds(summary) = verify(dir.path()) else { panic!() };
    assert_eq!((summary.records, summary.root), (world.journal.size(), world.journal.root()));
    assert_eq!((summary.pieces, summary.psds.len(), summary.checkpoints), (510, 3, 1));
    assert_eq!(summary.signed_size, world.journal.checkpoint_size());
    for psd in &summary.psds {
        assert_eq!(psd.registers, world.appliance.psds[&psd.psd].state().registers);
        assert_eq!(psd.registers.ascending(), mills(730 * 170));
    }
}

/// Beside a running journal: nothing of it is changed, and a WAL is read too.
#[test]
fn evidence_is_read_and_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 2, Rules::default());
    world.commit_pieces(300);
    let files = || ["ledger.db", "ledger.db-wal"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
    let before = files();
    assert!(!before[1].is_empty(), "the records are in the WAL");
    assert!(matches!(verify(dir.path()), Outcome::Holds(s) if s.records == world.journal.size()));
    assert!(files() == before);
    world.commit_pieces(10);
    assert!(matches!(verify(dir.path()), Outcome::Holds(s) if s.records == world.journal.size()));
}

#[test]
fn a_ledger_that_grows_meanwhile_is_verified_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules { state_digest_records: 500, wal_pages: 256 };
    let mut world = World::born(dir.path(), 2, rules);
    world.commit_pieces(3_000);
    let mut commits = 0;
    let settings = Settings { authority_root: None, threads: 2 };
    let mut grow = |progress: psdd_ledger::verify::Progress| {
        if commits < 5 && progress.records >= 3_000 {
            commits += 1;
            world.checkpoint();
            world.commit_pieces(1_500);
        }
    };
    let outcome = psdd_ledger::verify::verify(dir.path(), &TestJudge, &settings, &mut grow).unwrap();
    let Outcome::Holds(summary) = outcome else { panic!("{outcome:?}") };
    assert!(summary.records >= 3_000);
}

#[test]
fn a_copy_without_wal_in_a_directory_that_cannot_be_written_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    world.commit_pieces(5);
    world.close();
    let names = || std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    assert!(!names().iter().any(|name| name.to_string_lossy().ends_with("-wal")), "{:?}", names());
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
}

/// Signed records that are wrong in themselves, in a log that is right in every other way.
#[test]
fn what_was_signed_wrongly_is_found_at_its_record() {
    type Change = fn(&mut Indicium);
    let changes: [(&str, Change); 7] = [
        ("signature does not verify", |piece| *piece.indicium.last_mut().unwrap() ^= 1),
        ("signature does not verify", |piece| piece.indicium[45] ^= 1),
        ("ascending register is", |piece| piece.indicium[14] ^= 1),
        ("software ID is", |piece| piece.indicium[35..41].copy_from_slice(b"psdd01")),
        ("names certificate", |piece| piece.indicium[2] ^= 1),
        ("not one of the ibi layout", |piece| piece.indicium.push(0)),
        ("licensing ZIP is", |piece| piece.indicium[26] ^= 1),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        world.commit_pieces(3);
        let NewRecord { record: Record { at, event: Event::Indicium(mut piece) }, body } = world.piece(0) else {
            panic!()
        };
        change(&mut piece);
        let bad = NewRecord { record: Record { at, event: Event::Indicium(piece) }, body };
        let durable = world.commit(vec![bad]);
        world.commit_pieces(3);
        let found = finding(verify(dir.path()));
        assert_eq!(found.leaf, Some(durable[0].leaf()), "{what}: {found}");
        assert!(found.to_string().contains(what), "{found}");
    }
}

#[test]
fn vouchers_that_were_signed_wrongly_are_found_at_their_record() {
    fn replaced(piece: &mut Indicium, what: &[u8], by: &[u8]) {
        let at = piece.indicium.windows(what.len()).position(|window| window == what).unwrap();
        piece.indicium[at..at + what.len()].copy_from_slice(by);
    }
    type Change = fn(&mut Indicium);
    let changes: [(&str, Change); 10] = [
        ("signature does not verify", |piece| *piece.indicium.last_mut().unwrap() ^= 1),
        ("signature does not verify", |piece| replaced(piece, b"seat 12 B", b"seat 13 B")),
        ("device is PS", |piece| replaced(piece, b"PS01", b"PS02")),
        ("postage is 0.74", |piece| replaced(piece, b"0.73", b"0.74")),
        ("currency is USD", |piece| replaced(piece, b"EUR", b"USD")),
        ("piece count is 2", |piece| replaced(piece, b"count\x01", b"count\x02")),
        ("names certificate", |piece| replaced(piece, b"certificate\x18\x65", b"certificate\x18\x66")),
        ("not one of the voucher layout", |piece| piece.indicium.push(0)),
        ("not one of the voucher layout", |piece| replaced(piece, b"specimen\xf5", b"specimen\xf4")),
        ("not one of the voucher layout", |piece| piece.indicium = vec![1; 113]),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        world.make_voucher_psd();
        let NewRecord { record: Record { at, event: Event::Indicium(mut piece) }, body } = world.piece(VOUCHERS) else {
            panic!()
        };
        change(&mut piece);
        let bad = NewRecord { record: Record { at, event: Event::Indicium(piece) }, body };
        let durable = world.commit(vec![bad]);
        let good = world.piece(VOUCHERS);
        world.commit(vec![good]);
        let found = finding(verify(dir.path()));
        assert_eq!(found.leaf, Some(durable[0].leaf()), "{what}: {found}");
        assert!(found.to_string().contains(what), "{found}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    world.make_voucher_psd();
    let pieces = (0..6).map(|n| world.piece([0, VOUCHERS][n % 2])).collect();
    world.commit(pieces);
    let Outcome::Holds(summary) = verify(dir.path()) else { panic!("vouchers and marks in one ledger") };
    assert_eq!(summary.pieces, 6);
}

#[test]
fn messages_and_certificates_that_do_not_hold_are_found() {
    type Change = fn(&mut World) -> Event;
    let changes: [(&str, Change); 5] = [
        ("request", |world| {
            let NewRecord { record, .. } = world.value_request(0, 100);
            let Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, .. } = record.event else {
                panic!()
            };
            Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request: b"forged"[..].into() }
        }),
        ("void", |world| {
            let request = world.value_request(0, 100);
            world.commit(vec![request]);
            let NewRecord { record, .. } = world.value_void(0);
            let Event::ValueVoided { stamp, tenant, value_sequence, amount, .. } = record.event else { panic!() };
            Event::ValueVoided { stamp, tenant, value_sequence, amount, statement: b"forged"[..].into() }
        }),
        ("the certificate does not hold", |_| Event::AuthorityKeyInstalled {
            purpose: psd::record::AuthorityPurpose::Funds,
            certificate: b"x"[..].into(),
        }),
        ("the certificate's public key", |world| {
            let key_id = another_key(world, b"indicium key");
            let stamp = world.next_stamp(psd_id(0));
            let chain = vec![[&7u32.to_be_bytes()[..], b"another key"].concat().into()];
            Event::CertificateInstalled { stamp, key_id, serial: 7, chain }
        }),
        ("the certificate's serial number", |world| {
            let key_id = another_key(world, b"device key");
            let stamp = world.next_stamp(psd_id(0));
            let chain = vec![[&7u32.to_be_bytes()[..], b"device key"].concat().into()];
            Event::CertificateInstalled { stamp, key_id, serial: 8, chain }
        }),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        let event = change(&mut world);
        let at = world.at();
        let durable = world.commit(vec![Record { at, event }.into()]);
        let found = finding(verify(dir.path()));
        assert_eq!(found.leaf, Some(durable[0].leaf()), "{what}: {found}");
        assert!(found.to_string().contains(what), "{found}");
    }
}

/// A key that waits for its certificate.
fn another_key(world: &mut World, spki: &[u8]) -> Arc<[u8]> {
    let (stamp, key_id): (_, Arc<[u8]>) = (world.next_stamp(psd_id(0)), [1, 9][..].into());
    let (role, algorithm, token) = (Role::Indicium, Algorithm::EcdsaP256, "token".into());
    let made = key_id.clone();
    let event = Event::KeyCreated { stamp, key_id: made, role, algorithm, token, spki: spki.into(), wrapped: None };
    let made = world.take_in(event);
    world.commit(vec![made]);
    key_id
}

#[test]
fn leaf_0_must_name_the_root_given() {
    let dir = tempfile::tempdir().unwrap();
    let _world = World::born(dir.path(), 1, Rules::default());
    let settings = Settings { authority_root: Some(b"another".to_vec()), threads: 1 };
    let outcome = psdd_ledger::verify::verify(dir.path(), &TestJudge, &settings, &mut |_| {}).unwrap();
    assert!(matches!(finding(outcome), Finding { leaf: Some(0), fault: Fault::AuthorityRoot }));
}
