//! Bounded queues, fair between tenants; a stop takes nothing new and finishes what it took (guarantee 7).

use super::shell::{Setup, Shell, psd_id, tenant};
use crate::core::{Event, SubmitReply, ValueReply};
use psdd_hsm::protocol::Form;

fn items(from: u64, count: u64) -> Vec<(u64, u64)> {
    (from..from + count).map(|ms| (ms, 700)).collect()
}

#[test]
fn no_chunk_and_no_window_is_larger_than_its_bound() {
    let mut shell = Shell::new(Setup { chunk_items: 4, in_flight_items: 10, ..Setup::default() });
    let request = shell.submit(0, &items(1, 30));
    let mut most = 0;
    while !shell.is_answered(request) {
        assert!(shell.frames.values().all(|(_, frame)| frame.messages.len() <= 4));
        let (in_flight, waiting) = shell.engine.load();
        assert!(in_flight <= 10 && in_flight + waiting <= 30);
        most = most.max(in_flight);
        shell.sign(shell.signing()[0]);
        shell.commit_all();
    }
    assert_eq!(most, 10, "the window is used");
    assert_eq!(shell.words(request), ["signed"; 30]);
    shell.assert_idle();
}

#[test]
fn of_small_requests_half_is_signed_while_the_other_half_waits_its_turn() {
    let bounds = Setup {
        chunk_items: 256,
        in_flight_items: 512,
        queued_items_per_tenant: 256,
        queued_items: 256,
        ..Setup::default()
    };
    let mut shell = Shell::new(bounds);
    let submissions: Vec<_> = (1..=100).map(|ms| shell.submission(0, vec![piece_at(ms)], false)).collect();
    let (requests, events): (Vec<_>, Vec<_>) = submissions.into_iter().unzip();
    shell.events(events);
    let sizes: Vec<usize> = shell.frames.values().map(|(_, frame)| frame.messages.len()).collect();
    assert_eq!(sizes, [50, 32, 18], "a frame of less than 32 is not worth its cost");
    shell.settle();
    assert!(requests.iter().all(|request| shell.words(*request) == ["signed"]));
    // A request that is large by itself is not divided for it.
    let large = shell.submit(0, &items(1_000, 200));
    assert_eq!(shell.frames.values().map(|(_, frame)| frame.messages.len()).collect::<Vec<_>>(), [200]);
    shell.settle();
    assert_eq!(shell.words(large), ["signed"; 200]);
    shell.assert_idle();
}

#[test]
fn small_requests_of_one_tenant_for_one_psd_share_a_chunk() {
    let mut shell = Shell::new(Setup { chunk_items: 4, in_flight_items: 4, ..Setup::default() });
    let submissions: Vec<_> = (1..=6).map(|ms| shell.submission(0, vec![piece_at(ms)], false)).collect();
    let (requests, events): (Vec<_>, Vec<_>) = submissions.into_iter().unzip();
    shell.events(events);
    assert_eq!(shell.frames.values().map(|(_, frame)| frame.messages.len()).collect::<Vec<_>>(), [4]);
    shell.settle();
    assert!(requests.iter().all(|request| shell.words(*request) == ["signed"]));
    shell.assert_idle();
}

fn piece_at(ms: u64) -> psd::device::Piece {
    super::shell::piece(0, super::shell::key(ms), 700)
}

#[test]
fn overload_is_refused_before_anything_is_judged() {
    let setup =
        Setup { queued_items_per_tenant: 8, queued_items: 12, in_flight_items: 1, chunk_items: 1, ..Setup::default() };
    let mut shell = Shell::new(setup);
    let admitted = shell.submit(0, &items(1, 8));
    // One of eight is in flight, so there is room for one more of this tenant.
    let too_many = shell.submit(0, &items(20, 2));
    assert!(matches!(shell.replies[&too_many], SubmitReply::Overloaded));
    let one_more = shell.submit(0, &items(30, 1));
    let of_all = shell.submit(1, &items(1, 5));
    assert!(matches!(shell.replies[&of_all], SubmitReply::Overloaded), "the bound over all tenants");
    let fits = shell.submit(1, &items(1, 4));
    shell.settle();
    assert_eq!(shell.words(admitted), ["signed"; 8]);
    assert_eq!(shell.words(one_more), ["signed"]);
    assert_eq!(shell.words(fits), ["signed"; 4]);
    shell.assert_idle();
}

#[test]
fn items_being_looked_up_count_as_waiting() {
    let mut shell = Shell::new(Setup { queued_items_per_tenant: 4, ..Setup::default() });
    shell.submit(0, &items(100, 1));
    shell.settle();
    let (mut shell, _) = shell.crash();
    shell.submit(0, &items(1, 4));
    let refused = shell.submit(0, &items(50, 1));
    assert!(matches!(shell.replies[&refused], SubmitReply::Overloaded));
    shell.settle();
    shell.assert_idle();
}

#[test]
fn tenants_take_turns_by_chunk() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    let flood = shell.submit(0, &items(1, 20));
    let modest = shell.submit(1, &items(1, 4));
    let mut tokens = Vec::new();
    while !shell.is_answered(modest) {
        let chunk = shell.signing()[0];
        tokens.push(shell.frames[&chunk].0.0);
        shell.sign(chunk);
        shell.commit_all();
    }
    // The first was under way, and the flood stood in line for its second, when the modest one came.
    assert_eq!(tokens, [0, 0, 1, 0, 1]);
    shell.settle();
    assert_eq!(shell.words(flood), ["signed"; 20]);
    shell.assert_idle();
}

#[test]
fn a_psd_held_back_by_a_value_command_holds_back_no_other() {
    let mut shell = Shell::new(Setup::default());
    shell.ask_value(0, 1_000);
    let held = shell.submit(0, &items(1, 1));
    let free = shell.submit(2, &items(2, 1));
    let indicia: Vec<_> = shell.frames.iter().filter(|(_, (_, frame))| frame.form == Form::Indicium).collect();
    assert_eq!(indicia.len(), 1, "only the piece of the other PSD");
    shell.settle();
    assert_eq!((shell.words(held), shell.words(free)), (vec!["signed"], vec!["signed"]));
    shell.assert_idle();
}

#[test]
fn a_stop_finishes_what_was_admitted_and_takes_nothing_new() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    shell.submit(0, &items(100, 1));
    let admitted = shell.submit(0, &items(1, 5));
    let value = shell.ask_value(0, 1_000);
    shell.event(Event::Stop);
    assert!(shell.drained.is_empty());
    let refused = shell.submit(0, &items(50, 1));
    let refused_value = shell.ask_value(1, 1_000);
    assert!(matches!(shell.replies[&refused], SubmitReply::Stopping));
    assert!(matches!(shell.value_replies[&refused_value], ValueReply::Stopping));
    shell.settle();
    assert_eq!(shell.words(admitted), ["signed"; 5]);
    assert!(matches!(shell.value_replies[&value], ValueReply::Requested { .. }));
    assert_eq!(shell.drained.len(), 1, "it is said once");
    assert!(shell.drained[0].is_some());
    shell.assert_idle();
}

#[test]
fn an_idle_core_drains_at_once() {
    let mut shell = Shell::new(Setup::default());
    shell.event(Event::Stop);
    assert_eq!(shell.drained.len(), 1);
    assert_eq!(shell.engine.devices[0].psd.identity().psd, psd_id(0));
    assert_eq!(shell.engine.devices[0].psd.identity().tenant, tenant(0));
}
