//! Commits in order per PSD; the uncommitted suffix is dropped when a frame is not signed (guarantees 1, 3 and 4).

use super::shell::{Setup, Shell, hsm_fault, mills, psd_id};
use crate::core::{ChunkId, Event, Outcome, Sight};
use psd::record::Event as RecordEvent;
use psdd_hsm::link::Signatures;

/// Three chunks of two pieces on PSD 0, 700 mills each.
fn three_chunks(shell: &mut Shell) -> ([crate::core::RequestId; 3], Vec<ChunkId>) {
    let requests = [1, 3, 5].map(|ms| shell.submit(0, &[(ms, 700), (ms + 1, 700)]));
    let chunks = shell.signing();
    assert_eq!(chunks.len(), 3);
    (requests, chunks)
}

#[test]
fn frames_signed_out_of_order_are_committed_in_order() {
    let mut shell = Shell::new(Setup::default());
    let (requests, chunks) = three_chunks(&mut shell);
    shell.sign(chunks[2]);
    shell.sign(chunks[1]);
    assert!(shell.writes.is_empty(), "the first chunk is not signed, so nothing may be written");
    shell.sign(chunks[0]);
    assert_eq!(shell.handed_over, chunks);
    assert!(requests.iter().all(|request| !shell.is_answered(*request)), "nothing is durable yet");
    shell.write(1);
    assert!(!shell.is_answered(requests[0]), "the core has not heard of it");
    shell.committed();
    assert_eq!(shell.words(requests[0]), ["signed", "signed"]);
    assert!(!shell.is_answered(requests[1]));
    shell.settle();
    let sequences = requests.iter().flat_map(|request| shell.outcomes(*request)).map(|outcome| match outcome {
        Outcome::Signed(durable) => durable.record().event.stamp().unwrap().sequence,
        other => panic!("{other:?}"),
    });
    let sequences: Vec<u64> = sequences.collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
    shell.assert_idle();
}

#[test]
fn other_psds_do_not_wait() {
    let mut shell = Shell::new(Setup::default());
    let slow = shell.submit(0, &[(1, 700)]);
    shell.tick(5);
    let quick = shell.submit(1, &[(1, 700)]);
    let chunks = shell.signing();
    shell.sign(chunks[1]);
    shell.commit_all();
    assert!(shell.is_answered(quick) && !shell.is_answered(slow));
    // Its reading is behind that of the other PSD's record, and the time of the log never runs backwards.
    shell.sign(chunks[0]);
    shell.commit_all();
    assert_eq!(shell.words(slow), ["signed"]);
    let times = [quick, slow].map(|request| match &shell.outcomes(request)[0] {
        Outcome::Signed(durable) => durable.record().at.time,
        other => panic!("{other:?}"),
    });
    assert!(times[0] <= times[1]);
    shell.assert_idle();
}

#[test]
fn a_failed_frame_drops_its_chunk_and_those_behind_it() {
    let mut shell = Shell::new(Setup::default());
    let before = shell.working(0);
    let (requests, chunks) = three_chunks(&mut shell);
    let joined = shell.submit(0, &[(4, 700), (6, 700)]);
    shell.look_up_all();
    shell.sign(chunks[2]);
    shell.fail(chunks[1], false);
    assert_eq!(shell.working(0), before.debited(mills(700)).unwrap().debited(mills(700)).unwrap());
    // The token has something against the second frame only; the third was signed in vain.
    assert_eq!(shell.words(requests[1]), ["token-refused", "token-refused"]);
    assert_eq!(shell.words(requests[2]), ["token-unavailable", "token-unavailable"]);
    assert_eq!(
        shell.words(joined),
        ["token-refused", "token-unavailable"],
        "a duplicate shares the outcome of the first"
    );
    shell.sign(chunks[0]);
    shell.commit_all();
    assert_eq!(shell.words(requests[0]), ["signed", "signed"]);
    // What comes next takes the places of what was dropped.
    let again = shell.submit(0, &[(3, 700)]);
    shell.settle();
    match &shell.outcomes(again)[0] {
        Outcome::Signed(durable) => assert_eq!(durable.record().event.stamp().unwrap().registers.piece_count(), 3),
        other => panic!("{other:?}"),
    }
    shell.assert_idle();
}

#[test]
fn signatures_that_come_after_the_drop_go_nowhere() {
    let mut shell = Shell::new(Setup::default());
    let (requests, chunks) = three_chunks(&mut shell);
    shell.fail(chunks[0], true);
    let size = shell.journal.size();
    for chunk in &chunks[1..] {
        shell.sign(*chunk);
    }
    shell.event(Event::SignFailed(chunks[2], hsm_fault(true)));
    shell.commit_all();
    assert_eq!(shell.journal.size(), size);
    assert!(requests.iter().all(|request| shell.words(*request) == ["token-unavailable"; 2]));
    shell.assert_idle();
}

#[test]
fn a_frame_with_too_few_signatures_is_a_failed_one() {
    for signatures in [0, 64, 3 * 64] {
        let mut shell = Shell::new(Setup::default());
        let request = shell.submit(0, &[(1, 700), (2, 700)]);
        let chunk = shell.signing()[0];
        shell.frames.clear();
        shell.event(Event::Signed(chunk, Signatures::from_bytes(vec![1; signatures])));
        assert_eq!(shell.words(request), ["token-unavailable"; 2]);
        assert!(shell.writes.is_empty());
        shell.assert_idle();
    }
}

#[test]
fn what_was_handed_over_is_not_dropped_any_more() {
    let mut shell = Shell::new(Setup::default());
    let (requests, chunks) = three_chunks(&mut shell);
    shell.sign(chunks[0]);
    shell.event(Event::SignFailed(chunks[0], hsm_fault(true)));
    shell.event(Event::Signed(chunks[0], Signatures::from_bytes(vec![1; 128])));
    shell.fail(chunks[1], true);
    shell.settle();
    assert_eq!(shell.words(requests[0]), ["signed", "signed"]);
    assert_eq!(shell.handed_over, [chunks[0]]);
    shell.assert_idle();
}

#[test]
fn the_floor_of_a_frame_is_the_committed_ascending_register() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.submit(0, &[(2, 700)]);
    shell.submit(0, &[(3, 700)]);
    let floors: Vec<u64> = shell.frames.values().map(|(_, frame)| frame.floor).collect();
    assert_eq!(floors, [700, 700]);
}

#[test]
fn views_show_the_psds_in_sight_and_no_others() {
    let mut shell = Shell::new(Setup { funds: vec![1_000; 3], ..Setup::default() });
    let mut look = |sight| {
        let request = shell.request_id();
        shell.event(Event::View(request, sight));
        shell.views.remove(&request).unwrap().psds.iter().map(|(identity, _)| identity.psd).collect::<Vec<_>>()
    };
    let all = look(Sight::All);
    assert_eq!(all.len(), 3);
    assert_eq!(look(Sight::Psd(all[1])), [all[1]]);
    assert_eq!((look(Sight::Psd(psd_id(99))), look(Sight::Appliance)), (vec![], vec![]));
}

#[test]
fn views_show_committed_state_only() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    let chunk = shell.signing()[0];
    let mut seen = Vec::new();
    let mut look = |shell: &mut Shell| {
        let request = shell.request_id();
        shell.event(Event::View(request, Sight::All));
        let view = shell.views.remove(&request).unwrap();
        seen.push(view.psds[0].1.registers.ascending().mills());
    };
    look(&mut shell);
    shell.sign(chunk);
    shell.write(1);
    look(&mut shell);
    shell.committed();
    look(&mut shell);
    assert_eq!(seen, [0, 0, 700]);
}

#[test]
fn refusals_that_point_at_misuse_are_counted_into_the_log() {
    let mut shell = Shell::new(Setup::default());
    shell.event(Event::NoteRefusals);
    assert!(shell.writes.is_empty(), "there is nothing to note");
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.submit(0, &[(1, 701)]);
    shell.submit(0, &[(1, 702)]);
    shell.submit(0, &[(2, 200_000)]);
    shell.settle();
    // One more is in flight while they are noted, so that its reading is behind theirs.
    shell.submit(0, &[(3, 700)]);
    shell.tick(10);
    shell.event(Event::NoteRefusals);
    let noted = shell.write(1);
    match noted.iter().map(|durable| &durable.record().event).collect::<Vec<_>>()[..] {
        [RecordEvent::RefusalsNoted { tenant, code, count }] => {
            assert_eq!((tenant.as_str(), &**code, *count), ("acme", "key-reused", 2));
        }
        ref other => panic!("{other:?}"),
    }
    shell.settle();
    shell.event(Event::NoteRefusals);
    assert!(shell.writes.is_empty(), "they are noted once");
    shell.assert_idle();
}
