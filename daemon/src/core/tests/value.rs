//! Value downloads: a barrier for the pieces of their PSD, once for each number.

use super::shell::{Setup, Shell, mills, psd_id};
use crate::core::{Event, RequestId, TokenIndex, ValueReply};
use psd::authority::{Act, Period};
use psd::device::ValueRefusal;
use psd::record::{AuthorityPurpose, Event as RecordEvent};
use psdd_hsm::protocol::Form;

/// A PSD with 1000 mills, loaded by download 1.
fn shell() -> Shell {
    Shell::new(Setup { funds: vec![1_000; 3], ..Setup::default() })
}

fn forms(shell: &Shell) -> Vec<Form> {
    shell.frames.values().map(|(_, frame)| frame.form).collect()
}

#[track_caller]
fn requested(shell: &Shell, request: RequestId) -> (u64, u64, Vec<u8>) {
    match shell.value_replies.get(&request) {
        Some(ValueReply::Requested { sequence, amount, request, .. }) => (*sequence, amount.mills(), request.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(shell: &Shell, request: RequestId) -> &ValueRefusal {
    match shell.value_replies.get(&request) {
        Some(ValueReply::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_download_is_asked_for_and_applied_between_the_pieces_around_it() {
    let mut shell = shell();
    let before = shell.submit(0, &[(1, 700)]);
    let ask = shell.ask_value(0, 5_000);
    let after = shell.submit(0, &[(2, 700)]);
    assert_eq!(forms(&shell), [Form::Indicium], "the command waits for what is in flight");
    shell.sign(shell.signing()[0]);
    shell.commit_all();
    assert_eq!(forms(&shell), [Form::CoseSign1], "and what comes after it waits for the command");
    shell.sign(shell.signing()[0]);
    assert!(!shell.value_replies.contains_key(&ask), "signed is not durable");
    shell.commit_all();
    let (sequence, amount, _) = requested(&shell, ask);
    assert_eq!((sequence, amount), (2, 5_000));
    let apply = shell.apply_value(0, 2, 5_000, 6_000);
    assert!(!shell.value_replies.contains_key(&apply));
    shell.settle();
    match &shell.value_replies[&apply] {
        ValueReply::Applied(durable) => assert!(matches!(durable.record().event, RecordEvent::ValueApplied { .. })),
        other => panic!("{other:?}"),
    }
    assert_eq!((shell.words(before), shell.words(after)), (vec!["signed"], vec!["insufficient-funds"]));
    let later = shell.submit(0, &[(3, 700)]);
    shell.settle();
    assert_eq!(shell.words(later), ["signed"]);
    assert_eq!(shell.committed_registers(0).control_total().mills(), 6_000);
    shell.assert_idle();
}

#[test]
fn a_request_over_the_same_amount_is_answered_by_the_one_under_way() {
    let mut shell = shell();
    let first = shell.ask_value(0, 5_000);
    let (same, other) = (shell.ask_value(0, 5_000), shell.ask_value(0, 4_000));
    shell.settle();
    assert_eq!(requested(&shell, first), requested(&shell, same));
    assert!(matches!(refused(&shell, other), ValueRefusal::RequestPending { sequence: 2, .. }));
    let (mut shell, _) = { shell }.crash();
    let again = shell.ask_value(0, 5_000);
    assert_eq!(requested(&shell, again).0, 2, "a restart changes nothing");
    shell.assert_idle();
}

#[test]
fn a_download_is_applied_once() {
    let mut shell = shell();
    shell.ask_value(0, 5_000);
    shell.settle();
    let (first, second) = (shell.apply_value(0, 2, 5_000, 6_000), shell.apply_value(0, 2, 5_000, 6_000));
    shell.settle();
    assert!(matches!(shell.value_replies[&first], ValueReply::Applied(_)));
    assert!(matches!(shell.value_replies[&second], ValueReply::EndedBefore));
    assert_eq!(shell.committed_registers(0).control_total().mills(), 6_000);
    let (mut shell, appliance) = { shell }.crash();
    let third = shell.apply_value(0, 2, 5_000, 6_000);
    assert!(matches!(shell.value_replies[&third], ValueReply::EndedBefore));
    assert_eq!(appliance.psds[&super::shell::psd_id(0)].state().registers.control_total().mills(), 6_000);
    shell.assert_idle();
}

#[test]
fn a_download_that_is_given_up_is_never_applied() {
    let mut shell = shell();
    let unasked = shell.void_value(0, 2);
    assert!(matches!(refused(&shell, unasked), ValueRefusal::WrongSequence { given: 2, expected: None }));
    let ask = shell.ask_value(0, 5_000);
    shell.settle();
    let other = shell.void_value(0, 3);
    assert!(matches!(refused(&shell, other), ValueRefusal::WrongSequence { given: 3, expected: Some(2) }));
    let (void, late) = (shell.void_value(0, 2), shell.apply_value(0, 2, 5_000, 6_000));
    assert_eq!(forms(&shell), [Form::CoseSign1], "the PSD states it under its device key");
    shell.sign(shell.signing()[0]);
    assert!(!shell.value_replies.contains_key(&void), "signed is not durable");
    shell.settle();
    let statement = match &shell.value_replies[&void] {
        ValueReply::Voided(durable) => match &durable.record().event {
            RecordEvent::ValueVoided { value_sequence: 2, amount, statement, .. } if amount.mills() == 5_000 => {
                statement.clone()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_ne!(*statement, *requested(&shell, ask).2, "a statement of its own");
    assert!(matches!(shell.value_replies[&late], ValueReply::EndedBefore));
    let again = shell.void_value(0, 2);
    assert!(matches!(shell.value_replies[&again], ValueReply::EndedBefore));
    assert_eq!(shell.committed_registers(0).control_total().mills(), 1_000, "nothing was loaded");

    let (mut shell, _) = shell.crash();
    let late = shell.apply_value(0, 2, 5_000, 6_000);
    assert!(matches!(shell.value_replies[&late], ValueReply::EndedBefore), "for ever");
    let next = shell.ask_value(0, 4_000);
    shell.settle();
    assert_eq!(requested(&shell, next).0, 3, "its number is used up");
    let applied = shell.apply_value(0, 3, 4_000, 5_000);
    shell.settle();
    assert!(matches!(shell.value_replies[&applied], ValueReply::Applied(_)));
    shell.assert_idle();
}

#[test]
fn a_statement_that_is_not_signed_gives_nothing_up() {
    let mut shell = shell();
    shell.ask_value(0, 5_000);
    shell.settle();
    let failed = shell.void_value(0, 2);
    shell.fail(shell.signing()[0], true);
    assert!(matches!(&shell.value_replies[&failed], ValueReply::Fault(fault) if fault.retryable()));
    let applied = shell.apply_value(0, 2, 5_000, 6_000);
    shell.settle();
    assert!(matches!(shell.value_replies[&applied], ValueReply::Applied(_)));
    shell.assert_idle();
}

#[test]
fn value_that_was_not_asked_for_is_refused() {
    let mut shell = shell();
    let unasked = shell.apply_value(0, 2, 5_000, 6_000);
    shell.ask_value(0, 5_000);
    shell.settle();
    let cases =
        [(3, 5_000, 6_000), (2, 4_000, 5_000), (2, 5_000, 7_000)].map(|(n, a, c)| shell.apply_value(0, n, a, c));
    assert!(matches!(refused(&shell, unasked), ValueRefusal::WrongSequence { expected: None, .. }));
    let codes = cases.map(|request| refused(&shell, request).code());
    assert_eq!(codes, ["value-wrong-sequence", "value-wrong-amount", "value-wrong-control-total"]);
    assert_eq!(shell.committed_registers(0).control_total().mills(), 1_000);
    shell.event(Event::NoteRefusals);
    assert_eq!(shell.write(1).len(), 2, "wrong amounts and control totals are noted");
    shell.assert_idle();
}

#[test]
fn a_request_that_is_not_signed_leaves_nothing_behind() {
    let mut shell = shell();
    let failed = shell.ask_value(0, 5_000);
    let (next, piece) = (shell.ask_value(0, 4_000), shell.submit(0, &[(1, 700)]));
    shell.fail(shell.signing()[0], true);
    assert!(matches!(&shell.value_replies[&failed], ValueReply::Fault(fault) if fault.retryable()));
    assert_eq!(forms(&shell), [Form::CoseSign1], "the next command has its turn at once");
    shell.settle();
    assert_eq!(requested(&shell, next).0, 2, "the number of the failed one is free again");
    assert_eq!(shell.words(piece), ["signed"]);
    shell.assert_idle();
}

/// Without it the PSD would never sign again: the command waits for a commit, the pieces wait for the command.
#[test]
fn a_command_that_waits_for_pieces_that_are_dropped_has_its_turn() {
    let mut shell = shell();
    let dropped = shell.submit(0, &[(1, 700)]);
    let (ask, after) = (shell.ask_value(0, 5_000), shell.submit(0, &[(2, 700)]));
    shell.fail(shell.signing()[0], true);
    assert_eq!(shell.words(dropped), ["token-unavailable"]);
    shell.settle();
    assert_eq!(requested(&shell, ask).0, 2);
    assert_eq!(shell.words(after), ["signed"]);
    shell.assert_idle();
}

#[test]
fn commands_need_a_token_and_a_clock_and_have_a_bound() {
    let mut shell = shell();
    shell.event(Event::TokenDown(TokenIndex(0)));
    let no_token = shell.ask_value(0, 5_000);
    assert!(matches!(&shell.value_replies[&no_token], ValueReply::Fault(fault) if fault.retryable()));
    shell.event(Event::TokenUp(TokenIndex(0)));
    shell.now_ms += 2_000_000;
    let no_clock = shell.ask_value(0, 5_000);
    assert!(matches!(&shell.value_replies[&no_clock], ValueReply::NoClock(_)));
    let nowhere = shell.ask_value(7, 5_000);
    assert!(matches!(&shell.value_replies[&nowhere], ValueReply::UnknownPsd));
    shell.sample_clock();
    let asked: Vec<_> = (0..40).map(|_| shell.ask_value(0, 5_000)).collect();
    let overloaded =
        asked.iter().filter(|ask| matches!(shell.value_replies.get(ask), Some(ValueReply::Overloaded))).count();
    assert_eq!(overloaded, 24);
    shell.settle();
    shell.assert_idle();
}

#[test]
fn the_postage_of_a_piece_comes_back_once() {
    let mut shell = shell();
    let ask = shell.ask_refund(0, 9, 700);
    shell.settle();
    let (sequence, amount, _) = requested(&shell, ask);
    assert_eq!((sequence, amount), (2, 700));
    let again = shell.ask_refund(0, 9, 700);
    assert_eq!(requested(&shell, again).0, 2, "the one under way");
    let plain = shell.apply_value(0, 2, 700, 1_700);
    assert_eq!(refused(&shell, plain).code(), "value-wrong-piece");
    let applied = shell.apply_refund(0, 2, 700, 1_700, 9);
    shell.settle();
    assert!(matches!(shell.value_replies[&applied], ValueReply::Applied(_)));
    let twice = shell.ask_refund(0, 9, 700);
    assert_eq!(refused(&shell, twice).code(), "refunded-before");
    let (mut shell, _) = shell.crash();
    let for_ever = shell.ask_refund(0, 9, 700);
    assert_eq!(refused(&shell, for_ever).code(), "refunded-before", "a restart changes nothing");
    let other = shell.ask_refund(0, 8, 700);
    shell.settle();
    assert_eq!(requested(&shell, other).0, 3);
    shell.assert_idle();
}

#[test]
fn a_withdrawal_stops_the_pieces_behind_it_and_ends_at_zero() {
    let mut shell = shell();
    let before = shell.submit(0, &[(1, 300)]);
    let ask = shell.withdraw(0);
    let behind = shell.submit(0, &[(2, 300)]);
    shell.settle();
    assert_eq!((shell.words(before), shell.words(behind)), (vec!["signed"], vec!["psd-withdrawing"]));
    assert_eq!((requested(&shell, ask).0, requested(&shell, ask).1), (2, 700), "what the piece before it left");
    let (mut shell, _) = shell.crash();
    let again = shell.withdraw(0);
    assert_eq!(requested(&shell, again).1, 700, "a restart changes nothing");
    let wrong = shell.acknowledge(0, 2, 700, 1_000);
    assert_eq!(refused(&shell, wrong).code(), "value-wrong-control-total");
    let end = shell.acknowledge(0, 2, 700, 300);
    assert_eq!(forms(&shell), [Form::CoseSign1], "the final report is signed");
    shell.settle();
    assert!(matches!(shell.value_replies[&end], ValueReply::Withdrawn(_)));
    let registers = shell.committed_registers(0);
    assert_eq!((registers.ascending().mills(), registers.descending().mills()), (300, 0));
    let twice = shell.acknowledge(0, 2, 700, 300);
    assert!(matches!(shell.value_replies[&twice], ValueReply::EndedBefore));
    let value = shell.ask_value(0, 100);
    assert_eq!(refused(&shell, value).code(), "psd-not-active");
    shell.assert_idle();
}

fn ceiling(amount: u64) -> Act {
    Act::Ceiling { licence: "L-1".parse().unwrap(), period: Period::Month, amount: Some(mills(amount)) }
}

/// Three PSDs of one licence have 3,000 loaded; two of them ask for the last 500 under the ceiling at once.
#[test]
fn a_ceiling_is_shared_by_the_psds_of_a_licence() {
    let mut shell = shell();
    shell.instruct(AuthorityPurpose::Policy, 1, ceiling(3_500));
    shell.settle();
    let asks = [shell.ask_value(0, 500), shell.ask_value(1, 500)];
    shell.settle();
    asks.iter().for_each(|ask| assert_eq!(requested(&shell, *ask).1, 500));
    let (first, second) = (shell.apply_value(0, 2, 500, 1_500), shell.apply_value(1, 2, 500, 1_500));
    assert!(!shell.value_replies.contains_key(&second), "the refusal waits for what it rests on");
    shell.settle();
    assert!(matches!(shell.value_replies[&first], ValueReply::Applied(_)));
    assert_eq!(refused(&shell, second).code(), "value-above-ceiling");
    let asked = shell.ask_value(2, 1);
    assert_eq!(refused(&shell, asked).code(), "value-above-ceiling");
    let (mut shell, _) = shell.crash();
    let asked = shell.ask_value(2, 1);
    assert_eq!(refused(&shell, asked).code(), "value-above-ceiling", "a restart changes nothing");
    shell.instruct(AuthorityPurpose::Policy, 2, ceiling(4_000));
    let (raised, asked) = (shell.apply_value(1, 2, 500, 1_500), shell.ask_value(2, 1));
    shell.settle();
    assert!(
        matches!(shell.value_replies[&raised], ValueReply::Applied(_)),
        "the same authorisation, under the new ceiling"
    );
    assert_eq!(refused(&shell, asked).code(), "value-above-ceiling");
    shell.assert_idle();
}

#[test]
fn a_lock_binds_the_next_piece_and_is_cleared_by_its_own_party() {
    let mut shell = shell();
    let before = shell.submit(0, &[(1, 100)]);
    let ask = shell.ask_value(0, 5_000);
    let lock = shell.instruct(AuthorityPurpose::Inspection, 7, Act::Lock(psd_id(0)));
    let behind = shell.submit(0, &[(2, 100)]);
    assert_eq!(forms(&shell), [Form::Indicium], "the lock waits for what is in flight");
    shell.sign(shell.signing()[0]);
    shell.commit_all();
    assert!(!shell.value_replies.contains_key(&ask), "the lock comes before commands that waited");
    shell.settle();
    assert!(matches!(shell.value_replies[&lock], ValueReply::Instructed(_)));
    assert_eq!((shell.words(before), shell.words(behind)), (vec!["signed"], vec!["psd-locked"]));
    assert_eq!(requested(&shell, ask).1, 5_000, "a lock does not stop value");

    let by_funds = shell.instruct(AuthorityPurpose::Funds, 1, Act::Unlock(psd_id(0)));
    shell.settle();
    assert!(matches!(shell.value_replies[&by_funds], ValueReply::Instructed(_)));
    let still = shell.submit(0, &[(3, 100)]);
    shell.settle();
    assert_eq!(shell.words(still), ["psd-locked"], "another party's reason stays");
    let (mut shell, _) = shell.crash();
    let old = shell.instruct(AuthorityPurpose::Inspection, 6, Act::Unlock(psd_id(0)));
    assert!(
        matches!(&shell.value_replies[&old], ValueReply::InstructionRefused(refusal) if refusal.code() == "instruction-stale")
    );
    let same = shell.instruct(AuthorityPurpose::Inspection, 7, Act::Lock(psd_id(0)));
    assert!(matches!(shell.value_replies[&same], ValueReply::EndedBefore));
    let still = shell.submit(0, &[(4, 100)]);
    shell.settle();
    assert_eq!(shell.words(still), ["psd-locked"], "a restart changes nothing");
    shell.instruct(AuthorityPurpose::Inspection, 8, Act::Unlock(psd_id(0)));
    let free = shell.submit(0, &[(5, 100)]);
    shell.settle();
    assert_eq!(shell.words(free), ["signed"]);
    shell.assert_idle();
}

/// Instructions to several PSDs are written in the order of their numbers, however long one of them has to wait.
#[test]
fn instructions_are_written_in_their_order() {
    let mut shell = shell();
    shell.submit(0, &[(1, 100)]);
    let purpose = AuthorityPurpose::Inspection;
    let locks = [
        shell.instruct(purpose, 1, Act::Lock(psd_id(0))),
        shell.instruct(purpose, 2, Act::Lock(psd_id(1))),
        shell.instruct(AuthorityPurpose::Policy, 1, ceiling(9_000)),
    ];
    let behind = shell.submit(1, &[(2, 100)]);
    let early = shell.instruct(purpose, 2, Act::Unlock(psd_id(1)));
    assert!(matches!(shell.value_replies[&early], ValueReply::Overloaded), "it is not yet known which one it is");
    shell.settle();
    let leaves = locks.map(|lock| match &shell.value_replies[&lock] {
        ValueReply::Instructed(durable) => durable.leaf(),
        other => panic!("{other:?}"),
    });
    assert!(leaves.is_sorted());
    assert_eq!(shell.words(behind), ["psd-locked"]);
    let nowhere = shell.instruct(purpose, 3, Act::Lock(psd_id(9)));
    assert!(
        matches!(&shell.value_replies[&nowhere], ValueReply::InstructionRefused(refusal) if refusal.code() == "psd-unknown")
    );
    let (shell, _) = shell.crash();
    shell.assert_idle();
}
