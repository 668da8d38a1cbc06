//! What is found of certifications: each finding on its own, named with its records, and none where there is none.

use crate::findings::shown;
use crate::world::{World, mills, psd_id};
use psd::certification::PayingMark;
use psd::record::Event;
use psdd_inspector::{Code, Rules};

/// PSD 0 signs, PSD 1 certifies as well.
fn certifying() -> World {
    let mut world = World::born(2);
    world.certifying(1);
    world
}

#[test]
fn honest_certifications_are_no_findings_and_count_as_pieces() {
    let mut world = certifying();
    let mark = world.sign(0);
    world.certify(1, Some(mark));
    world.certify(1, None);
    world.sign(1);
    assert_eq!(world.findings(&Rules::default()), []);
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    let view = fold.view(&mirror, &Rules::default(), psd::UnixMillis(world.now)).unwrap();
    assert_eq!(view.pieces, 4);
}

#[test]
fn an_indicium_that_paid_twice_is_found_in_a_later_run_too() {
    let mut world = certifying();
    let mark = world.sign(0);
    let first = world.certify(1, Some(mark));
    let second = world.certify(1, Some(mark));
    shown(&world, Code::PaidTwice, Some(0), &[first, second]);

    let mut world = certifying();
    let mark = world.sign(0);
    let first = world.certify(1, Some(mark));
    let dir = tempfile::tempdir().unwrap();
    drop(world.inspected(dir.path()));
    let second = world.certify(1, Some(mark));
    let (mirror, fold) = world.inspected(dir.path());
    let found = fold.view(&mirror, &Rules::default(), psd::UnixMillis(world.now)).unwrap().findings;
    assert_eq!(
        found.iter().map(|finding| (finding.code, finding.leaves.clone())).collect::<Vec<_>>(),
        [(Code::PaidTwice, vec![first, second])]
    );
}

/// The record is consistent in itself and moves less than the certification says.
#[test]
fn a_certification_without_its_debit() {
    let mut world = certifying();
    let before = world.appliance.psds[&psd_id(1)].stamp();
    let mut record = world.certified(1, None);
    let Event::Certification(piece) = &mut record.event else { unreachable!() };
    piece.debited = mills(0);
    piece.stamp.registers = before.registers.debited(mills(0)).unwrap();
    let leaf = world.push_wrong(&record);
    let finding = shown(&world, Code::CertificationWithoutDebit, Some(1), &[leaf]);
    assert!(finding.says.contains("registers"), "{}", finding.says);
}

#[test]
fn a_certification_that_the_certified_key_did_not_sign() {
    let mut world = certifying();
    world.certify(1, None);
    let right = std::mem::replace(&mut world.indicium, crate::world::Key::new());
    let leaf = world.certify(1, None);
    world.indicium = right;
    world.certify(1, None);
    shown(&world, Code::BadSignature, Some(1), &[leaf]);
}

#[test]
fn a_certification_that_is_none() {
    let mut world = certifying();
    let mut record = world.certified(1, None);
    let Event::Certification(piece) = &mut record.event else { unreachable!() };
    piece.certification.truncate(40);
    let leaf = world.push_wrong(&record);
    shown(&world, Code::MarkDiffers, Some(1), &[leaf]);
}

#[test]
fn an_indicium_that_paid_and_whose_postage_came_back() {
    let mut world = certifying();
    let mark = world.sign(0);
    let paid = world.certify(1, Some(mark));
    let asked = world.refund(0, mark) - 1;
    shown(&world, Code::PaidAndRefunded, Some(0), &[paid, asked]);

    // The other way round, and in a later run.
    let mut world = certifying();
    let mark = world.sign(0);
    world.refund(0, mark);
    let paid = world.certify(1, Some(mark));
    shown(&world, Code::PaidAndRefunded, Some(1), &[paid]);

    let mut world = certifying();
    let mark = world.sign(0);
    let paid = world.certify(1, Some(mark));
    let dir = tempfile::tempdir().unwrap();
    drop(world.inspected(dir.path()));
    let asked = world.refund(0, mark) - 1;
    let (mirror, fold) = world.inspected(dir.path());
    let found = fold.view(&mirror, &Rules::default(), psd::UnixMillis(world.now)).unwrap().findings;
    let found: Vec<_> = found.iter().map(|finding| (finding.code, finding.leaves.clone())).collect();
    assert_eq!(found, [(Code::PaidAndRefunded, vec![paid, asked])]);
}

/// The certification is consistent in itself, and what it says it was paid by is not in the log like that.
#[test]
fn a_payment_that_the_log_does_not_have() {
    let elsewhere: fn(&mut PayingMark) = |mark| mark.id.ascending = mills(7);
    for (what, spoil) in [
        ("stands nowhere", elsewhere),
        ("other bytes", |mark| mark.digest = [7; 32]),
        ("another postage", |mark| mark.postage = mills(600)),
    ] {
        let mut world = certifying();
        let mark = world.sign(0);
        let record = world.certified_by(1, Some(mark), spoil);
        let leaf = world.push_wrong(&record);
        let leaves = if what == "stands nowhere" { vec![leaf] } else { vec![leaf, mark] };
        let finding = shown(&world, Code::PaidUnproven, Some(0), &leaves);
        assert!(finding.says.contains(what), "{}", finding.says);
    }
}
