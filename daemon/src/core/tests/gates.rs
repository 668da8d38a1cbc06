//! What binds the very next item, inside a batch as well: policy, the log's signature, the token.

use super::shell::{Setup, Shell};
use crate::core::{Event, TokenIndex};

/// A batch of four, of which the window has let two through.
fn half_through() -> (Shell, crate::core::RequestId) {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    let request = shell.submit(0, &[(1, 700), (2, 700), (3, 700), (4, 700)]);
    assert_eq!(shell.frames.values().map(|(_, frame)| frame.messages.len()).collect::<Vec<_>>(), [2]);
    (shell, request)
}

#[test]
fn each_gate_closes_for_the_rest_of_a_batch() {
    let cases = [
        (Event::PolicyFiles(2), "stale"),
        (Event::LogOverdue(true), "log-unsigned"),
        (Event::TokenDown(TokenIndex(0)), "token-unavailable"),
    ];
    for (event, word) in cases {
        let (mut shell, request) = half_through();
        shell.event(event);
        shell.settle();
        assert_eq!(shell.words(request), ["signed", "signed", word, word]);
        assert_eq!(shell.working(0).piece_count(), 2);
        shell.assert_idle();
    }
}

#[test]
fn gates_open_again() {
    let (mut shell, request) = half_through();
    shell.events(vec![
        Event::LogOverdue(true),
        Event::LogOverdue(false),
        Event::TokenDown(TokenIndex(0)),
        Event::TokenUp(TokenIndex(0)),
    ]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed"; 4]);
    shell.assert_idle();
}

#[test]
fn a_token_stops_its_own_psds_only() {
    let mut shell = Shell::new(Setup::default());
    shell.event(Event::TokenDown(TokenIndex(0)));
    shell.event(Event::TokenDown(TokenIndex(9)));
    let (down, up) = (shell.submit(0, &[(1, 700)]), shell.submit(1, &[(1, 700)]));
    shell.settle();
    assert_eq!((shell.words(down), shell.words(up)), (vec!["token-unavailable"], vec!["signed"]));
    shell.assert_idle();
}

#[test]
fn stored_results_pass_every_gate() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    shell.settle();
    shell.events(vec![Event::PolicyFiles(2), Event::LogOverdue(true), Event::TokenDown(TokenIndex(0))]);
    let request = shell.submit(0, &[(1, 700), (1, 701), (2, 700)]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed", "key-reused", "stale"]);
    shell.assert_idle();
}

#[test]
fn a_key_in_a_token_that_is_not_configured_never_reaches_one() {
    let mut shell = Shell::new(Setup::default());
    shell.engine.settings.tokens.truncate(1);
    shell.engine.refresh_all();
    let request = shell.submit(1, &[(1, 700)]);
    assert_eq!(shell.words(request), ["token-unavailable"]);
    shell.assert_idle();
}
