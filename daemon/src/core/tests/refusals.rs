//! Refusals that rest on debits in flight, batches, and all-or-none (guarantee 8).

use super::shell::{Setup, Shell, key, mills, piece, voucher};
use crate::core::{Event, Outcome};
use psd::Refusal;

fn poor(funds: u64) -> Shell {
    Shell::new(Setup { funds: vec![funds; 3], ..Setup::default() })
}

#[test]
fn lack_of_funds_caused_by_debits_in_flight_is_told_after_their_commit() {
    let mut shell = poor(1_000);
    let first = shell.submit(0, &[(1, 700)]);
    let second = shell.submit(0, &[(2, 700), (3, 300)]);
    assert!(!shell.is_answered(second));
    shell.settle();
    assert_eq!(shell.words(first), ["signed"]);
    assert_eq!(shell.words(second), ["insufficient-funds", "signed"], "others in the batch stand");
    let third = shell.submit(0, &[(4, 1)]);
    assert_eq!(shell.words(third), ["insufficient-funds"], "with nothing in flight it is told at once");
    shell.assert_idle();
}

#[test]
fn lack_of_funds_is_judged_again_when_what_it_rests_on_is_dropped() {
    let mut shell = poor(1_000);
    let first = shell.submit(0, &[(1, 700)]);
    let second = shell.submit(0, &[(2, 700)]);
    let third = shell.submit(0, &[(3, 300)]);
    let chunks = shell.signing();
    assert_eq!(chunks.len(), 2);
    shell.fail(chunks[0], true);
    assert_eq!((shell.words(first), shell.words(third)), (vec!["token-unavailable"], vec!["token-unavailable"]));
    shell.settle();
    assert_eq!(shell.words(second), ["signed"]);
    assert_eq!(shell.working(0).descending().mills(), 300);
    shell.assert_idle();
}

#[test]
fn lack_of_funds_inside_one_chunk_rests_on_that_chunk() {
    let mut shell = poor(1_000);
    let request = shell.submit(0, &[(1, 700), (2, 700)]);
    shell.fail(shell.signing()[0], true);
    // The refused one has its turn now.
    shell.settle();
    assert_eq!(shell.words(request), ["token-unavailable", "signed"]);
    shell.assert_idle();
}

#[test]
fn a_batch_is_judged_in_order_and_refused_items_debit_nothing() {
    let mut shell = poor(1_000);
    let request = shell.submit(0, &[(1, 600), (2, 100_001), (3, 500), (4, 400), (5, 1)]);
    shell.settle();
    let words = ["signed", "postage-too-large", "insufficient-funds", "signed", "insufficient-funds"];
    assert_eq!(shell.words(request), words);
    assert_eq!(shell.committed_registers(0).descending().mills(), 0);
    assert_eq!(shell.committed_registers(0).piece_count(), 2);
    shell.assert_idle();
}

#[test]
fn all_or_none_signs_all() {
    // More than a chunk and more than the window: it still is one frame.
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 3, ..Setup::default() });
    let items: Vec<(u64, u64)> = (1..=8).map(|ms| (ms, 700)).collect();
    let request = shell.submit_as(0, &items, true);
    assert_eq!(shell.frames.values().map(|(_, frame)| frame.messages.len()).collect::<Vec<_>>(), [8]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed"; 8]);
    shell.assert_idle();
}

#[test]
fn all_or_none_refuses_all_for_one() {
    let mut shell = poor(1_000);
    let before = shell.working(0);
    let large = shell.submit_as(0, &[(1, 100), (2, 100_001), (3, 100)], true);
    assert_eq!(shell.words(large), ["all-or-none", "postage-too-large", "all-or-none"]);
    assert!(matches!(shell.outcomes(large)[0], Outcome::Refused(Refusal::AllOrNone { index: 1 })));
    let poor = shell.submit_as(0, &[(1, 700), (2, 700)], true);
    shell.look_up_all();
    assert_eq!(shell.words(poor), ["all-or-none", "insufficient-funds"], "nothing was in flight but itself");
    let twice = shell.submit_as(0, &[(1, 100), (1, 200)], true);
    shell.look_up_all();
    assert_eq!(shell.words(twice), ["all-or-none", "key-reused"]);
    assert_eq!(shell.working(0), before);
    assert!(shell.signing().is_empty());
    shell.assert_idle();
}

#[test]
fn all_or_none_refused_because_of_debits_in_flight_waits_for_them() {
    for dropped in [false, true] {
        let mut shell = poor(1_000);
        shell.submit(0, &[(1, 700)]);
        let whole = shell.submit_as(0, &[(2, 400), (3, 400)], true);
        assert!(!shell.is_answered(whole));
        assert_eq!(shell.working(0).descending().mills(), 300, "nothing of it stays debited");
        let chunk = shell.signing()[0];
        if dropped {
            shell.fail(chunk, true);
            shell.settle();
            assert_eq!(shell.words(whole), ["signed", "signed"]);
        } else {
            shell.settle();
            // The first item would have been enough to be refused.
            assert_eq!(shell.words(whole), ["insufficient-funds", "all-or-none"]);
        }
        shell.assert_idle();
    }
}

#[test]
fn all_or_none_with_a_key_in_flight_under_other_content() {
    for dropped in [false, true] {
        let mut shell = Shell::new(Setup::default());
        shell.submit(2, &[(1, 700)]);
        let whole = shell.submit_as(0, &[(5, 700), (1, 700)], true);
        shell.look_up_all();
        let chunk = shell.signing()[0];
        if dropped {
            shell.fail(chunk, true)
        } else {
            shell.sign(chunk)
        }
        shell.settle();
        let words = if dropped { ["signed", "signed"] } else { ["all-or-none", "key-reused"] };
        assert_eq!(shell.words(whole), words);
        shell.assert_idle();
    }
}

#[test]
fn all_or_none_with_a_fault_gives_it_to_all_that_were_not_signed_before() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.event(Event::TokenDown(crate::core::TokenIndex(0)));
    let whole = shell.submit_as(0, &[(1, 700), (2, 700), (3, 700)], true);
    shell.settle();
    assert_eq!(shell.words(whole), ["signed", "token-unavailable", "token-unavailable"]);
    shell.assert_idle();
}

#[test]
fn all_or_none_takes_duplicates_of_itself_of_the_ledger_and_of_what_is_in_flight() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.submit(0, &[(2, 700)]);
    let items = [(1, 700), (2, 700), (3, 700), (3, 700)];
    let whole = shell.submit_as(0, &items, true);
    shell.settle();
    assert_eq!(shell.words(whole), ["signed"; 4]);
    assert_eq!(shell.working(0).piece_count(), 3);
    shell.assert_idle();
}

/// Whether a piece was signed by another request does not depend on the rest of this one.
#[test]
fn all_or_none_refused_tells_what_was_signed_before_all_the_same() {
    let items = [(4, 100_001), (1, 700), (2, 700)];
    let words = ["postage-too-large", "signed", "all-or-none"];
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.submit(0, &[(3, 700)]);
    // In flight, then committed before it is judged again, then stored.
    let whole = shell.submit_as(0, &items, true);
    shell.look_up_all();
    assert!(!shell.is_answered(whole), "what becomes of the piece in flight is not known");
    let read_before_the_commit = shell.submit_as(0, &items, true);
    shell.read();
    shell.settle();
    let later = shell.submit_as(0, &items, true);
    shell.settle();
    for request in [whole, read_before_the_commit, later] {
        assert_eq!(shell.words(request), words);
    }
    // And if the piece in flight is dropped, there is nothing to tell.
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    let whole = shell.submit_as(0, &items, true);
    shell.look_up_all();
    shell.fail(shell.signing()[0], true);
    shell.settle();
    assert_eq!(shell.words(whole), ["postage-too-large", "all-or-none", "all-or-none"]);
    shell.assert_idle();
}

#[test]
fn all_or_none_asks_the_disk_again_and_stays_whole() {
    let mut shell = Shell::new(Setup { in_flight_items: 1, chunk_items: 1, ..Setup::default() });
    shell.submit(0, &[(9, 700)]);
    // It is read while 9 is in flight and judged when 9 is committed.
    let whole = shell.submit_as(0, &[(3, 700), (9, 700), (4, 700)], true);
    shell.read();
    shell.sign(shell.signing()[0]);
    shell.commit_all();
    shell.looked_up();
    assert_eq!(shell.look_ups.len(), 1, "9 was committed since");
    assert!(shell.signing().is_empty(), "nothing of it is signed before all of it is judged");
    shell.settle();
    assert_eq!(shell.words(whole), ["signed"; 3]);
    assert_eq!(shell.working(0).piece_count(), 3);
    shell.assert_idle();
}

/// The descending register of an indicium has four bytes, and more can be loaded: a piece is refused until enough is spent.
#[test]
fn what_does_not_fit_the_layout_rests_on_the_registers_like_lack_of_funds() {
    let mut shell = Shell::new(Setup { funds: vec![100_000; 3], ..Setup::default() });
    let device = &mut shell.engine.devices[0];
    let full = (1 << 40) - 701;
    let registers = psd::Registers::from_parts(mills(full), mills(100_000), mills(full + 100_000), 0).unwrap();
    device.committed.registers = registers;
    device.psd.restore(device.committed.clone());
    let fits = shell.submit(0, &[(1, 700)]);
    let beyond = shell.submit(0, &[(2, 700)]);
    assert!(!shell.is_answered(beyond), "without the first it would fit");
    shell.fail(shell.signing()[0], true);
    assert_eq!(shell.words(fits), ["token-unavailable"]);
    assert_eq!(shell.signing().len(), 1, "now it does");
    let at_once = shell.submit(0, &[(3, 700), (4, 100_001)]);
    assert!(!shell.is_answered(at_once));
    shell.fail(shell.signing()[0], true);
    let last = shell.signing()[0];
    shell.fail(last, true);
    assert_eq!(shell.words(beyond), ["token-unavailable"]);
    assert_eq!(shell.words(at_once), ["token-unavailable", "postage-too-large"]);
    shell.assert_idle();
}

#[test]
fn vouchers_are_debited_as_pieces_are_and_neither_is_taken_for_the_other() {
    let mut shell = Shell::new(Setup { funds: vec![1_000; 3], format: "voucher", ..Setup::default() });
    let items = vec![voucher(0, key(1), 600), piece(0, key(2), 100), voucher(0, key(3), 600), voucher(0, key(4), 400)];
    let mixed = shell.submit_pieces(0, items, false);
    shell.settle();
    assert_eq!(shell.words(mixed), ["signed", "item-wrong-kind", "insufficient-funds", "signed"]);
    assert_eq!(shell.committed_registers(0).descending(), mills(0));
    // The refusal bound nothing to the key; a stored voucher is found again.
    let again = shell.submit_pieces(0, vec![voucher(0, key(1), 600), voucher(0, key(1), 601)], false);
    shell.settle();
    assert_eq!(shell.words(again), ["signed", "key-reused"]);
    assert_eq!(shell.committed_registers(0).piece_count(), 2);
    let whole = shell.submit_pieces(2, vec![voucher(2, key(5), 1), piece(2, key(6), 1)], true);
    shell.settle();
    assert_eq!(shell.words(whole), ["all-or-none", "item-wrong-kind"]);
    shell.assert_idle();

    let mut shell = poor(1_000);
    let other = shell.submit_pieces(0, vec![voucher(0, key(1), 600), piece(0, key(2), 100)], false);
    shell.settle();
    assert_eq!(shell.words(other), ["item-wrong-kind", "signed"]);
    shell.assert_idle();
}
