//! Idempotency: one key, one content, one debit, whenever the second request comes (guarantee 2).

use super::shell::{Setup, Shell, key, piece};
use crate::core::{Event, Outcome, RequestId, SubmitReply};

fn leaf(shell: &Shell, request: RequestId, index: usize) -> u64 {
    match &shell.outcomes(request)[index] {
        Outcome::Signed(durable) => durable.leaf(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_duplicate_in_flight_joins_and_shares_the_commit() {
    let mut shell = Shell::new(Setup::default());
    let first = shell.submit(0, &[(1, 700), (2, 700)]);
    let second = shell.submit(0, &[(2, 700)]);
    shell.look_up_all();
    assert_eq!(shell.signing().len(), 1, "the duplicate is not signed again");
    shell.settle();
    assert_eq!(leaf(&shell, first, 1), leaf(&shell, second, 0));
    assert_eq!(shell.working(0).piece_count(), 2);
    shell.assert_idle();
}

#[test]
fn a_duplicate_in_the_same_request_joins_as_well() {
    let mut shell = Shell::new(Setup::default());
    let request = shell.submit(0, &[(1, 700), (1, 700), (1, 701)]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed", "signed", "key-reused"]);
    assert_eq!(leaf(&shell, request, 0), leaf(&shell, request, 1));
    shell.assert_idle();
}

#[test]
fn other_content_under_a_key_in_flight_waits_for_its_commit() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    let other = shell.submit(0, &[(1, 701)]);
    shell.look_up_all();
    assert!(!shell.is_answered(other), "the refusal rests on a debit that can still be dropped");
    shell.settle();
    assert_eq!(shell.words(other), ["key-reused"]);
    shell.assert_idle();
}

#[test]
fn other_content_under_a_key_in_flight_is_judged_again_after_a_drop() {
    let mut shell = Shell::new(Setup::default());
    let first = shell.submit(0, &[(1, 700)]);
    let other = shell.submit(0, &[(1, 701)]);
    shell.look_up_all();
    shell.fail(shell.signing()[0], true);
    assert_eq!(shell.words(first), ["token-unavailable"]);
    shell.settle();
    assert_eq!(shell.words(other), ["signed"], "refusals bind nothing, and neither does what was dropped");
    shell.assert_idle();
}

#[test]
fn keys_are_scoped_by_tenant() {
    let mut shell = Shell::new(Setup::default());
    let ours = shell.submit(0, &[(1, 700)]);
    let theirs = shell.submit(1, &[(1, 700)]);
    let elsewhere = shell.submit(2, &[(1, 700)]);
    shell.settle();
    assert_eq!((shell.words(ours), shell.words(theirs)), (vec!["signed"], vec!["signed"]));
    assert_eq!(shell.words(elsewhere), ["key-reused"], "another PSD of the same tenant is other content");
    shell.assert_idle();
}

#[test]
fn a_key_committed_between_look_up_and_judgement_is_found() {
    // Where the second request stands when the first one's commit is told.
    for (name, read_before_commit) in [("read before the commit", true), ("read after the commit", false)] {
        let mut shell = Shell::new(Setup::default());
        shell.submit(0, &[(5, 700)]);
        shell.settle();
        let first = shell.submit(0, &[(9, 700)]);
        // Both keys are below the greatest, so the disk is asked; `other` is new, 9 is in flight.
        let second = shell.submit(0, &[(9, 700), (3, 700)]);
        if read_before_commit {
            shell.read();
        }
        shell.sign(shell.signing()[0]);
        shell.commit_all();
        shell.look_up_all();
        shell.settle();
        assert_eq!(shell.words(second), ["signed", "signed"], "{name}");
        assert_eq!(leaf(&shell, first, 0), leaf(&shell, second, 0), "{name}");
        assert_eq!(shell.working(0).piece_count(), 3, "{name}");
        shell.assert_idle();
    }
}

#[test]
fn a_key_greater_than_the_greatest_is_never_looked_up() {
    let mut shell = Shell::new(Setup::default());
    for ms in 1..5 {
        shell.submit(0, &[(ms, 700)]);
        assert!(shell.look_ups.is_empty());
    }
    shell.submit(0, &[(2, 700), (7, 700), (4, 700)]);
    let sought: Vec<_> = shell.look_ups[0].2.iter().map(|sought| sought.key).collect();
    assert_eq!(sought, [key(2), key(4)], "only those that may have been used");
    shell.settle();
    let (mut shell, _) = shell.crash();
    shell.submit(0, &[(8, 700)]);
    assert!(shell.look_ups.is_empty());
    shell.submit(0, &[(6, 700)]);
    assert_eq!(shell.look_ups.len(), 1);
    shell.settle();
    shell.assert_idle();
}

#[test]
fn a_new_key_that_was_used_while_the_request_waited_is_looked_up_after_all() {
    let mut shell = Shell::new(Setup { in_flight_items: 1, chunk_items: 1, ..Setup::default() });
    // Both are above the greatest when they come; the second waits for the window.
    let first = shell.submit(0, &[(1, 700)]);
    let second = shell.submit(0, &[(2, 700)]);
    let (third, event) = shell.submission(0, vec![piece(0, key(2), 700)], false);
    shell.event(event);
    assert!(shell.look_ups.is_empty());
    shell.settle();
    assert!([first, second, third].iter().all(|request| shell.words(*request) == ["signed"]));
    assert_eq!(leaf(&shell, second, 0), leaf(&shell, third, 0));
    assert_eq!(shell.working(0).piece_count(), 2);
    shell.assert_idle();
}

/// A second look-up of one request, while the first is under way, would take the first one's answer for its own: the items
/// are others by then, and an item would get the stored result of another key.
#[test]
fn a_drop_while_the_disk_is_asked_again_mixes_nothing_up() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    for ms in [50, 40] {
        shell.submit(0, &[(ms, 700)]);
    }
    shell.settle();
    let digest_of_all = 700;
    // Item 0 is refused because of a chunk on PSD 2, items 1 and 2 will be found committed since the look-up.
    let on_psd_2 = shell.submit(2, &[(60, 700)]);
    let blocker = shell.submit(0, &[(61, 700)]);
    let request =
        shell.submit(0, &[(60, digest_of_all), (40, digest_of_all), (61, digest_of_all), (50, digest_of_all)]);
    shell.read();
    shell.looked_up();
    let (first, second) = (shell.signing()[0], shell.signing()[1]);
    // The window opens by one commit: item 0 parks on PSD 2's chunk, then 61 is recent and the disk is asked again.
    shell.sign(second);
    shell.commit_all();
    shell.read();
    shell.fail(first, true);
    shell.settle();
    assert_eq!(shell.words(on_psd_2), ["token-unavailable"]);
    assert_eq!(shell.words(request), ["signed"; 4]);
    let keys: Vec<_> = shell
        .outcomes(request)
        .iter()
        .map(|outcome| match outcome {
            Outcome::Signed(durable) => match &durable.record().event {
                psd::record::Event::Indicium(indicium) => indicium.key,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, [key(60), key(40), key(61), key(50)], "every item has the result of its own key");
    assert_eq!(leaf(&shell, blocker, 0), leaf(&shell, request, 2));
    shell.assert_idle();
}

/// A request that asks the disk a second time keeps its tag: an item of it that is parked was not looked up again, and rests on
/// commits being remembered since the first time.
#[test]
fn a_parked_item_is_not_forgotten_over_later_look_ups_of_its_request() {
    let mut shell = Shell::new(Setup { funds: vec![1_000; 3], ..Setup::default() });
    shell.submit(0, &[(50, 100)]);
    shell.settle();
    shell.submit(0, &[(10, 700)]);
    shell.submit(2, &[(20, 100)]);
    shell.look_up_all();
    let (rests_on, twentieth) = (shell.signing()[0], shell.signing()[1]);
    // 30 lacks funds and parks; 20 and then 21 are committed between a look-up and its answer.
    let request = shell.submit(0, &[(30, 600), (20, 100), (21, 100)]);
    shell.read();
    shell.sign(twentieth);
    shell.commit_all();
    shell.looked_up();
    shell.read();
    shell.submit(2, &[(21, 100), (30, 50)]);
    shell.read();
    shell.found.rotate_left(1);
    shell.looked_up();
    shell.sign(shell.signing()[1]);
    shell.commit_all();
    shell.look_up_all();
    shell.fail(rests_on, true);
    shell.settle();
    assert_eq!(shell.words(request), ["key-reused"; 3]);
    shell.assert_idle();
}

#[test]
fn a_retry_after_a_restart_gets_the_same_bytes() {
    let mut shell = Shell::new(Setup::default());
    let first = shell.submit(0, &[(1, 700)]);
    let lost = shell.submit(0, &[(2, 700)]);
    let chunks = shell.signing();
    shell.sign(chunks[0]);
    shell.commit_all();
    let stored = shell.outcomes(first).to_vec();
    // The second is on the disk, but nobody was told.
    shell.sign(chunks[1]);
    shell.write(1);
    assert!(!shell.is_answered(lost));
    let (mut shell, _) = shell.crash();
    let again = shell.submit(0, &[(1, 700), (2, 700), (2, 701)]);
    shell.settle();
    assert_eq!(shell.words(again), ["signed", "signed", "key-reused"]);
    match (&stored[0], &shell.outcomes(again)[0]) {
        (Outcome::Signed(before), Outcome::Signed(now)) => {
            assert_eq!((before.leaf(), before.record()), (now.leaf(), now.record()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(shell.working(0).piece_count(), 2);
    shell.assert_idle();
}

#[test]
fn keys_outside_of_the_window_are_refused_used_or_not() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.tick(3_600_002);
    let request = shell.submit(0, &[(1, 700), (3_600_002 + 120_000, 700), (3_600_002 + 120_001, 700), (2, 700)]);
    shell.settle();
    assert_eq!(shell.words(request), ["key-too-old", "signed", "key-from-future", "signed"]);
    shell.assert_idle();
}

#[test]
fn without_a_clock_stored_results_are_still_found() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.now_ms += 2_000_000;
    let request = shell.submit(0, &[(1, 700), (1, 701), (2, 700)]);
    shell.look_up_all();
    shell.event(Event::LogOverdue(false));
    assert_eq!(shell.words(request), ["signed", "key-reused", "clock-stopped"]);
    shell.assert_idle();
}

#[test]
fn an_unknown_psd_and_an_empty_request_are_answered_at_once() {
    let mut shell = Shell::new(Setup::default());
    let unknown = shell.submit(7, &[(1, 700)]);
    let empty = shell.submit(0, &[]);
    assert!(matches!(shell.replies[&unknown], SubmitReply::UnknownPsd));
    assert!(shell.outcomes(empty).is_empty());
    shell.assert_idle();
}
