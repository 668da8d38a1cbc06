//! Rate tables and scales that come into force: recorded before what names them, and behind what was certified without them.

use super::shell::{START, Setup, Shell, corrected, receipted};
use crate::certify::Desk;
use crate::core::{Change, ChangeCommand, Event, NewDesk, RequestId, ValueReply};
use psd::certification;
use psd::certifying::{Basis, Certifying, ReadingsSigned, RegisteredScale, TakenTable};
use psd::record::{Event as RecordEvent, Record};
use psd::{MailingDate, UnixMillis};
use std::sync::Arc;

/// The table that certifications of these tests name.
fn table(version: u64) -> TakenTable {
    let (name, from) = ("postland".parse().unwrap(), "2026-01-01".parse().unwrap());
    TakenTable { name, version, digest: [u8::try_from(version).unwrap(); 32], from, until: None }
}

/// The scale that they name.
fn scale(site: &str) -> RegisteredScale {
    let today = MailingDate::of(UnixMillis(START)).unwrap();
    RegisteredScale {
        scale: "dock-3".parse().unwrap(),
        certificate: "C-1".into(),
        issuer: "Laboratory".into(),
        from: today,
        until: today,
        capacity_mg: 60_000,
        minimum_mg: 1_000,
        resolution_mg: 500,
        maker: "Maker".into(),
        model: "Model".into(),
        site: site.into(),
        signed: ReadingsSigned::Never,
    }
}

fn take(shell: &mut Shell, tables: &[TakenTable], scales: &[RegisteredScale]) -> RequestId {
    let basis = Basis { tables: tables.to_vec(), scales: scales.to_vec() };
    let (request, desk) = (shell.request_id(), Arc::new(Desk::empty()));
    let change = Change::Desk(NewDesk { desk, basis });
    shell.event(Event::Change(ChangeCommand { request, change }));
    request
}

#[track_caller]
fn taken(shell: &Shell, request: RequestId) {
    assert!(
        matches!(shell.value_replies.get(&request), Some(ValueReply::Changed(_))),
        "{:?}",
        shell.value_replies.get(&request)
    );
}

/// An appliance with a table and a scale.
pub(super) fn certifying() -> Shell {
    let mut shell = Shell::new(Setup { funds: vec![1_000_000; 4], certifying: true, ..Setup::default() });
    let request = take(&mut shell, &[table(1)], &[scale("Dock 3")]);
    taken(&shell, request);
    shell.settle();
    shell
}

/// Every record in the log, in order.
fn log(shell: &Shell) -> Vec<Record> {
    (0..shell.journal.size()).map(|leaf| shell.reader.record(leaf).unwrap().unwrap().record().clone()).collect()
}

/// Kinds of the last records.
fn last(shell: &Shell, count: usize) -> Vec<u64> {
    let log = log(shell);
    log[log.len() - count..].iter().map(|record| record.event.kind()).collect()
}

/// Every certification stands behind the records of what it names, and these hold where it stands.
#[track_caller]
fn assert_founded(shell: &Shell) {
    let mut certifying = Certifying::default();
    for (leaf, record) in log(shell).iter().enumerate() {
        certifying.check(&record.event).unwrap();
        certifying.fold(&record.event);
        if let RecordEvent::Certification(piece) = &record.event {
            let read = certification::decode(&piece.certification).unwrap();
            let unfounded: Vec<_> = certifying.unfounded(&read.certification).collect();
            assert!(unfounded.is_empty(), "record {leaf}: {unfounded:?}");
        }
    }
}

#[test]
fn what_is_new_is_recorded_before_it_certifies_and_nothing_is_recorded_twice() {
    let mut shell = certifying();
    assert_eq!((last(&shell, 2), shell.desks.as_slice()), (vec![32, 33], &[1][..]));
    let before = shell.journal.size();
    for _ in 0..2 {
        let again = take(&mut shell, &[table(1)], &[scale("Dock 3")]);
        taken(&shell, again);
    }
    shell.settle();
    assert_eq!(
        (shell.journal.size(), shell.desks.as_slice()),
        (before, &[1, 2, 3][..]),
        "in force, and nothing to write"
    );
    let (first, second) = (corrected(0, 1, 230, None), receipted(2, 2, 230, None));
    let requests = [shell.submit_pieces(0, vec![first], false), shell.submit_pieces(2, vec![second], false)];
    shell.settle();
    assert!(requests.iter().all(|request| shell.words(*request) == ["signed"]));
    assert_founded(&shell);
    // And the log says all of it to the next start.
    let (mut shell, _) = shell.crash();
    let before = shell.journal.size();
    let again = take(&mut shell, &[table(1)], &[scale("Dock 3")]);
    taken(&shell, again);
    shell.settle();
    assert_eq!(shell.journal.size(), before);
    shell.assert_idle();
}

#[test]
fn what_was_computed_before_is_computed_again() {
    let mut shell = certifying();
    let (late, submitted) = shell.submission(0, vec![corrected(0, 1, 230, None)], false);
    let request = take(&mut shell, &[table(1), table(2)], &[scale("Dock 3")]);
    shell.event(submitted);
    shell.settle();
    taken(&shell, request);
    assert_eq!((shell.words(late), last(&shell, 1)), (vec!["stale"], vec![32]));
    assert_eq!(shell.working(0).piece_count(), 0, "nothing is debited by the old ones");
    shell.assert_idle();
}

/// A certification is at its token while its scale is taken out of the registry and comes back elsewhere.
#[test]
fn records_wait_for_what_was_certified_before_and_what_is_certified_after_waits_for_them() {
    let mut shell = certifying();
    let old = shell.submit_pieces(0, vec![corrected(0, 1, 230, None)], false);
    shell.look_up_all();
    let at_token = shell.signing()[0];
    let removed = take(&mut shell, &[table(1)], &[]);
    let back = take(&mut shell, &[table(1)], &[scale("Dock 4")]);
    for request in [removed, back] {
        taken(&shell, request);
    }
    assert!(shell.writes.is_empty(), "their records belong behind the certification that is at its token");
    // Those by the new set are signed before it, one of them needs no token at all, and none is written.
    let signed = shell.submit_pieces(2, vec![corrected(2, 2, 230, None)], false);
    let receipt = shell.submit_pieces(3, vec![receipted(3, 3, 230, None)], false);
    shell.look_up_all();
    let newer: Vec<_> = shell.signing().into_iter().filter(|chunk| *chunk != at_token).collect();
    for chunk in newer {
        shell.sign(chunk);
    }
    assert!(shell.writes.is_empty() && !shell.is_answered(signed) && !shell.is_answered(receipt));
    // Marks of other PSDs wait for nobody.
    let marks = shell.submit(1, &[(4, 700)]);
    shell.look_up_all();
    let mark = *shell.signing().iter().find(|chunk| **chunk != at_token).unwrap();
    shell.sign(mark);
    shell.commit_all();
    assert_eq!((shell.words(marks), last(&shell, 1)), (vec!["signed"], vec![16]));

    shell.sign(at_token);
    shell.settle();
    for request in [old, signed, receipt] {
        assert_eq!(shell.words(request), ["signed"]);
    }
    assert_eq!(last(&shell, 5), [29, 34, 33, 29, 29]);
    assert_founded(&shell);
    assert_eq!(shell.engine.desks.waiting(), 0);
    shell.assert_idle();
}

#[test]
fn a_reload_that_says_nothing_new_waits_for_nobody() {
    let mut shell = certifying();
    let old = shell.submit_pieces(0, vec![corrected(0, 1, 230, None)], false);
    shell.look_up_all();
    let again = take(&mut shell, &[table(1)], &[scale("Dock 3")]);
    taken(&shell, again);
    let receipt = shell.submit_pieces(3, vec![receipted(3, 3, 230, None)], false);
    shell.look_up_all();
    shell.commit_all();
    assert_eq!((shell.words(receipt), shell.is_answered(old)), (vec!["signed"], false));
    shell.settle();
    assert_eq!(shell.words(old), ["signed"]);
    shell.assert_idle();
}

#[test]
fn what_the_token_fails_to_sign_holds_up_nothing() {
    let mut shell = certifying();
    let old = shell.submit_pieces(0, vec![corrected(0, 1, 230, None)], false);
    shell.look_up_all();
    let at_token = shell.signing()[0];
    take(&mut shell, &[table(1)], &[scale("Dock 4")]);
    let new = shell.submit_pieces(2, vec![receipted(2, 2, 230, None)], false);
    shell.look_up_all();
    assert!(shell.writes.is_empty());
    shell.fail(at_token, true);
    shell.settle();
    assert_eq!((shell.words(old), shell.words(new)), (vec!["token-unavailable"], vec!["signed"]));
    assert_eq!(last(&shell, 2), [33, 29]);
    assert_founded(&shell);
    shell.assert_idle();
}

#[test]
fn what_contradicts_the_log_does_not_come_into_force() {
    let mut shell = certifying();
    let other = TakenTable { digest: [9; 32], ..table(1) };
    let request = take(&mut shell, &[other], &[]);
    let Some(ValueReply::ChangeRefused(why)) = shell.value_replies.get(&request) else { panic!() };
    assert!(why.contains("postland version 1") && why.contains("next version"), "{why}");
    let after = shell.submit_pieces(0, vec![corrected(0, 1, 230, None)], false);
    shell.settle();
    assert_eq!((shell.words(after), shell.desks.as_slice()), (vec!["signed"], &[1][..]), "the old ones stay in force");
    assert_eq!(last(&shell, 2), [33, 29], "the scale was not removed either");
    assert_founded(&shell);
    shell.assert_idle();
}

#[test]
fn reloads_while_a_token_hangs_are_bounded_and_a_stop_leaves_none_unwritten() {
    let mut shell = certifying();
    let old = shell.submit_pieces(0, vec![corrected(0, 1, 230, None)], false);
    shell.look_up_all();
    let sites: Vec<String> = (0..17).map(|number| format!("Dock {number}")).collect();
    let requests: Vec<_> = sites.iter().map(|site| take(&mut shell, &[table(1)], &[scale(site)])).collect();
    let (refused, admitted) = requests.split_last().unwrap();
    admitted.iter().for_each(|request| taken(&shell, *request));
    assert!(matches!(shell.value_replies.get(refused), Some(ValueReply::Overloaded)));
    shell.event(Event::Stop);
    assert!(shell.drained.is_empty(), "a certification is at its token");
    shell.settle();
    assert_eq!((shell.words(old), shell.drained.len()), (vec!["signed"], 1));
    assert_eq!(last(&shell, 17), [&[29][..], &[33; 16]].concat());
    assert_founded(&shell);
}
