//! Certifications in the core: keys of another role, and indicia that pay but once.

use super::shell::{Setup, Shell, corrected, piece, receipted};
use crate::core::tests::shell::key;
use crate::core::{Change, ChangeCommand, Event, RequestId, TokenIndex, ValueReply};
use psd::custody::{KeyStep, RevocationReason};
use psd::device::Change as PsdChange;
use psd::key::Role;
use psdd_hsm::protocol::Form;

fn certifying() -> Setup {
    Setup { certifying: true, ..Setup::default() }
}

#[test]
fn pieces_of_two_roles_never_share_a_frame() {
    let mut shell = Shell::new(Setup { in_flight_items: 8, ..certifying() });
    let marks = shell.submit(0, &[(1, 700), (2, 700)]);
    let certified = shell.submit_pieces(0, vec![corrected(0, 3, 230, None), corrected(0, 4, 0, Some(900))], false);
    let more = shell.submit(0, &[(5, 700)]);
    shell.look_up_all();
    let frames: Vec<_> =
        shell.frames.values().map(|(_, frame)| (frame.role, frame.form, frame.messages.len())).collect();
    assert_eq!(
        frames,
        [
            (Role::Indicium, Form::Indicium, 2),
            (Role::Certification, Form::CoseSign1, 2),
            (Role::Indicium, Form::Indicium, 1)
        ]
    );
    let keys: Vec<_> = shell.frames.values().map(|(_, frame)| frame.key_id[0]).collect();
    assert_eq!(keys, [1, 2, 1], "each with the key of its role");
    // Signed in any order, committed in theirs.
    for chunk in shell.signing().into_iter().rev() {
        shell.sign(chunk);
    }
    shell.settle();
    for request in [marks, certified, more] {
        assert!(shell.words(request).iter().all(|word| *word == "signed"));
    }
    let registers = shell.working(0);
    assert_eq!((registers.ascending().mills(), registers.piece_count()), (3 * 700 + 230, 5));
    shell.assert_idle();
}

#[test]
fn an_indicium_pays_once_however_soon_it_is_shown_again() {
    let mut shell = Shell::new(certifying());
    let first = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    let second = shell.submit_pieces(2, vec![corrected(2, 2, 230, Some(900))], false);
    shell.look_up_all();
    assert!(!shell.is_answered(second), "the refusal rests on a debit that can still be dropped");
    shell.settle();
    assert_eq!((shell.words(first), shell.words(second)), (vec!["signed"], vec!["indicium-certified"]));
    // The same piece under its own key is what was signed.
    let again = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    let third = shell.submit_pieces(0, vec![corrected(0, 3, 230, Some(900)), corrected(0, 4, 230, Some(901))], false);
    shell.settle();
    assert_eq!(shell.words(again), ["signed"]);
    assert_eq!(shell.words(third), ["indicium-certified", "signed"]);
    // And after a restart, which knows it from the disk alone.
    let (mut shell, _) = shell.crash();
    let fourth = shell.submit_pieces(2, vec![corrected(2, 5, 230, Some(900)), corrected(2, 6, 230, Some(902))], false);
    shell.settle();
    assert_eq!(shell.words(fourth), ["indicium-certified", "signed"]);
    assert_eq!(shell.working(2).piece_count(), 1);
    shell.assert_idle();
}

#[test]
fn an_indicium_whose_certification_was_dropped_pays_for_the_next() {
    let mut shell = Shell::new(certifying());
    let first = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    let second = shell.submit_pieces(2, vec![corrected(2, 2, 230, Some(900))], false);
    shell.look_up_all();
    shell.fail(shell.signing()[0], true);
    shell.settle();
    assert_eq!((shell.words(first), shell.words(second)), (vec!["token-unavailable"], vec!["signed"]));
    let again = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(again), ["indicium-certified"], "it was the other one that was paid");
    shell.assert_idle();
}

#[test]
fn an_indicium_shown_twice_in_one_request_pays_for_the_first_piece() {
    let mut shell = Shell::new(certifying());
    let pieces = || vec![corrected(0, 1, 230, Some(900)), corrected(0, 2, 230, Some(900))];
    let whole = shell.submit_pieces(0, pieces(), true);
    shell.settle();
    assert_eq!(shell.words(whole), ["all-or-none", "indicium-certified"]);
    assert_eq!(shell.working(0).piece_count(), 0);
    let each = shell.submit_pieces(0, pieces(), false);
    shell.settle();
    assert_eq!(shell.words(each), ["signed", "indicium-certified"]);
    assert_eq!(shell.working(0).piece_count(), 1);
    shell.assert_idle();
}

/// The look-up began before the other certification was committed, and could not see it.
#[test]
fn an_indicium_that_paid_while_a_request_waited_is_looked_up_after_all() {
    let mut shell = Shell::new(Setup { in_flight_items: 1, chunk_items: 1, ..certifying() });
    let blocker = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    let waiting = shell.submit_pieces(0, vec![corrected(0, 2, 230, None), corrected(0, 3, 230, Some(900))], false);
    shell.settle();
    assert_eq!((shell.words(blocker), shell.words(waiting)), (vec!["signed"], vec!["signed", "indicium-certified"]));
    shell.assert_idle();
}

#[test]
fn a_revoked_certification_key_drops_what_it_has_not_signed_and_no_indicium() {
    let mut shell = Shell::new(Setup { in_flight_items: 8, ..certifying() });
    let marks = shell.submit(0, &[(1, 700)]);
    let certified = shell.submit_pieces(0, vec![corrected(0, 2, 230, Some(900))], false);
    shell.look_up_all();
    let first = shell.signing()[0];
    shell.sign(first);
    let key_id = shell.engine.devices[0].psd.signing_key(Role::Certification).unwrap().key_id.clone();
    let reason = Some(RevocationReason::KeyCompromise);
    let changes = vec![(PsdChange::Key { key_id, step: KeyStep::Revoked, since: None, reason }, None)];
    let psd = shell.engine.devices[0].psd.identity().psd;
    let request = shell.request_id();
    shell.event(Event::Change(ChangeCommand { request, change: Change::Psd { psd, changes, step: None } }));
    shell.settle();
    assert_eq!((shell.words(marks), shell.words(certified)), (vec!["signed"], vec!["key-revoked"]));
    let after = shell.submit_pieces(0, vec![corrected(0, 3, 230, Some(900))], false);
    let mark = shell.submit_pieces(0, vec![piece(0, key(4), 700)], false);
    shell.settle();
    assert_eq!((shell.words(after), shell.words(mark)), (vec!["no-certified-key"], vec!["signed"]));
    shell.assert_idle();
}

/// The number of a refund that was asked for.
fn requested(shell: &Shell, asked: RequestId) -> u64 {
    match shell.value_replies.get(&asked) {
        Some(ValueReply::Requested { sequence, .. }) => *sequence,
        other => panic!("{other:?}"),
    }
}

/// A mark that pays and a mark whose postage comes back: whichever is asked first is the one.
#[test]
fn an_indicium_whose_postage_is_asked_back_pays_nothing() {
    let mut shell = Shell::new(certifying());
    let asked = shell.ask_refund(1, 900, 500);
    let paid = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900)), corrected(0, 2, 230, Some(901))], false);
    assert!(!shell.is_answered(paid), "the request can still be dropped");
    shell.settle();
    let sequence = requested(&shell, asked);
    assert_eq!(shell.words(paid), ["indicium-refunded", "signed"]);

    // It stays so after a restart, and once it has come back.
    let (mut shell, _) = shell.crash();
    let again = shell.submit_pieces(0, vec![corrected(0, 3, 230, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(again), ["indicium-refunded"]);
    let total = shell.working(1).control_total().mills();
    let back = shell.apply_refund(1, sequence, 500, total + 500, 900);
    shell.settle();
    assert!(matches!(shell.value_replies.get(&back), Some(ValueReply::Applied(_))));
    let (mut shell, _) = shell.crash();
    let for_ever = shell.submit_pieces(2, vec![corrected(2, 4, 230, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(for_ever), ["indicium-refunded"]);
    shell.assert_idle();
}

#[test]
fn an_indicium_whose_refund_was_given_up_or_failed_pays() {
    let mut shell = Shell::new(certifying());
    let asked = shell.ask_refund(1, 900, 500);
    shell.settle();
    shell.void_value(1, requested(&shell, asked));
    shell.settle();
    let paid = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(paid), ["signed"]);

    let failed = shell.ask_refund(1, 901, 500);
    let waits = shell.submit_pieces(0, vec![corrected(0, 2, 230, Some(901))], false);
    shell.look_up_all();
    assert!(!shell.is_answered(waits));
    shell.fail(shell.signing()[0], true);
    shell.settle();
    assert!(matches!(shell.value_replies.get(&failed), Some(ValueReply::Fault(_))));
    assert_eq!(shell.words(waits), ["signed"]);
    shell.assert_idle();
}

#[test]
fn the_postage_of_an_indicium_that_paid_does_not_come_back() {
    let mut shell = Shell::new(certifying());
    let paid = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    shell.look_up_all();
    let asked = shell.ask_refund(1, 900, 500);
    shell.look_up_all();
    assert!(!shell.value_replies.contains_key(&asked), "the certification can still be dropped");
    shell.settle();
    assert_eq!(shell.words(paid), ["signed"]);
    let refused = |shell: &Shell, asked| match shell.value_replies.get(&asked) {
        Some(ValueReply::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&shell, asked), "refund-of-paying-indicium");
    assert!(shell.engine.devices[1].psd.state().pending.is_none());

    let (mut shell, _) = shell.crash();
    let again = shell.ask_refund(1, 900, 500);
    let other = shell.ask_refund(1, 901, 500);
    shell.settle();
    assert_eq!(refused(&shell, again), "refund-of-paying-indicium", "the disk knows");
    requested(&shell, other);
    shell.assert_idle();
}

#[test]
fn a_refund_waits_for_a_certification_that_is_dropped_and_then_comes() {
    let mut shell = Shell::new(certifying());
    let paid = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    shell.look_up_all();
    let asked = shell.ask_refund(1, 900, 500);
    shell.fail(shell.signing()[0], true);
    let again = shell.submit_pieces(0, vec![corrected(0, 1, 230, Some(900))], false);
    shell.settle();
    requested(&shell, asked);
    assert_eq!((shell.words(paid), shell.words(again)), (vec!["token-unavailable"], vec!["indicium-refunded"]));
    shell.assert_idle();
}

/// No key, no token: they are written as soon as they are judged, and behind what is signed before them.
#[test]
fn what_receipts_are_to_prove_waits_for_no_token_but_for_what_is_in_flight_before_it() {
    let mut shell = Shell::new(Setup { in_flight_items: 8, ..certifying() });
    let marks = shell.submit(0, &[(1, 700)]);
    let pieces = || vec![receipted(0, 2, 230, None), receipted(0, 3, 0, Some(900))];
    let proven = shell.submit_pieces(0, pieces(), false);
    shell.look_up_all();
    assert_eq!(shell.signing().len(), 1, "the mark alone is signed");
    shell.commit_all();
    assert!(!shell.is_answered(proven), "records of a PSD stand in the order of its debits");
    shell.settle();
    assert_eq!((shell.words(marks), shell.words(proven)), (vec!["signed"], vec!["signed", "signed"]));
    let registers = shell.working(0);
    assert_eq!((registers.ascending().mills(), registers.piece_count()), (930, 3));

    shell.event(Event::TokenDown(TokenIndex(0)));
    let without_token =
        shell.submit_pieces(0, vec![receipted(0, 4, 100, None), receipted(0, 5, 100, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(without_token), ["signed", "indicium-certified"]);
    let (mut shell, _) = shell.crash();
    let again = shell.submit_pieces(0, pieces(), false);
    shell.settle();
    assert_eq!(shell.words(again), ["signed", "signed"]);
    assert_eq!(shell.working(0).piece_count(), 4, "what was written is not written again");
    shell.assert_idle();
}

#[test]
fn what_is_dropped_takes_along_what_stands_behind_it_for_a_receipt() {
    let mut shell = Shell::new(Setup { in_flight_items: 8, ..certifying() });
    let marks = shell.submit(0, &[(1, 700)]);
    let proven = shell.submit_pieces(0, vec![receipted(0, 2, 230, Some(900))], false);
    shell.look_up_all();
    shell.fail(shell.signing()[0], true);
    assert_eq!((shell.words(marks), shell.words(proven)), (vec!["token-unavailable"], vec!["token-unavailable"]));
    assert_eq!(shell.working(0).piece_count(), 0);
    let again = shell.submit_pieces(0, vec![receipted(0, 2, 230, Some(900))], false);
    shell.settle();
    assert_eq!(shell.words(again), ["signed"]);
    shell.assert_idle();
}
