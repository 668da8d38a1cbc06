//! Which PSDs need value, and when that is said: once, until asking for it has ended.

use super::shell::{Setup, Shell, mills, psd_id};
use crate::config::TopUpRule;
use crate::core::{Event, ValueReply};

/// Any PSD of the licence, by round robin.
const ANY: usize = 100;

/// PSDs with 1000 mills; below 500 they need 2000.
fn shell(licence: Option<&str>) -> Shell {
    let licence = licence.map(|licence| licence.parse().unwrap());
    let rule = TopUpRule { licence, below: mills(500), amount: mills(2_000), wait_ms: 0 };
    Shell::new(Setup { funds: vec![1_000, 1_000, 0], top_ups: vec![rule], ..Setup::default() })
}

#[test]
fn a_need_is_told_once_until_asking_has_ended() {
    let mut shell = shell(None);
    shell.event(Event::TopUpAll);
    assert_eq!(shell.needs, [(psd_id(2), 2_000)], "at the start, who is below");
    shell.submit(0, &[(1, 500)]);
    shell.settle();
    assert_eq!(shell.needs.len(), 1, "500 is not below 500");
    shell.submit(0, &[(2, 1)]);
    shell.settle();
    assert_eq!(shell.needs[1..], [(psd_id(0), 2_000)]);
    shell.submit(0, &[(3, 1)]);
    shell.settle();
    assert_eq!(shell.needs.len(), 2, "somebody asks already");
    shell.event(Event::TopUpEnded(psd_id(0)));
    assert_eq!(shell.needs[2..], [(psd_id(0), 2_000)], "in vain, and it is still needed");

    let ask = shell.ask_value(0, 2_000);
    shell.settle();
    let Some(ValueReply::Requested { sequence, .. }) = shell.value_replies.get(&ask) else { panic!() };
    let apply = shell.apply_value(0, *sequence, 2_000, 3_000);
    shell.settle();
    assert!(matches!(shell.value_replies[&apply], ValueReply::Applied(_)));
    shell.event(Event::TopUpEnded(psd_id(0)));
    assert_eq!(shell.needs.len(), 3, "it has enough");
    shell.assert_idle();
}

#[test]
fn a_need_leaves_room_and_a_withdrawn_psd_has_none() {
    let rule = TopUpRule { licence: None, below: mills(3_999_999), amount: mills(2_000), wait_ms: 0 };
    let mut shell = Shell::new(Setup { funds: vec![3_999_000, 10], top_ups: vec![rule], ..Setup::default() });
    shell.withdraw(1);
    shell.settle();
    shell.event(Event::TopUpAll);
    assert_eq!(shell.needs, [(psd_id(0), 1_000)], "up to the largest descending register");
}

#[test]
fn a_rule_is_for_its_licence() {
    let mut other = shell(Some("L-2"));
    other.event(Event::TopUpAll);
    assert!(other.needs.is_empty());
    let mut own = shell(Some("L-1"));
    own.event(Event::TopUpAll);
    assert_eq!(own.needs.len(), 1);
}

/// PSDs with 1000 mills; a request that is short waits for 5 s.
fn patient() -> Shell {
    let rule = TopUpRule { licence: None, below: mills(1), amount: mills(2_000), wait_ms: 5_000 };
    Shell::new(Setup { funds: vec![1_000, 1_000, 1_000], top_ups: vec![rule], ..Setup::default() })
}

fn load(shell: &mut Shell, psd: usize, amount: u64, control_total: u64) {
    let ask = shell.ask_value(psd, amount);
    shell.settle();
    let Some(ValueReply::Requested { sequence, .. }) = shell.value_replies.get(&ask) else { panic!() };
    let sequence = *sequence;
    let apply = shell.apply_value(psd, sequence, amount, control_total);
    shell.settle();
    assert!(matches!(shell.value_replies[&apply], ValueReply::Applied(_)));
}

#[test]
fn a_request_that_is_short_waits_for_funds_from_its_short_item_on() {
    let mut shell = patient();
    let short = shell.submit(0, &[(1, 900), (2, 700), (3, 50)]);
    let whole = shell.submit_as(0, &[(4, 90), (5, 800)], true);
    shell.settle();
    assert_eq!(shell.needs, [(psd_id(0), 2_000)], "it is asked for, though nothing is below the threshold");
    assert!(!shell.is_answered(short) && !shell.is_answered(whole));
    assert_eq!(shell.committed_registers(0).piece_count(), 1, "what stands before the short item is signed");
    load(&mut shell, 0, 2_000, 3_000);
    shell.event(Event::TopUpEnded(psd_id(0)));
    shell.settle();
    assert_eq!(shell.words(short), ["signed"; 3]);
    assert_eq!(shell.words(whole), ["signed"; 2]);
    assert_eq!(shell.committed_registers(0).descending().mills(), 3_000 - 900 - 700 - 50 - 90 - 800);
    shell.assert_idle();
}

#[test]
fn patience_ends_and_so_does_waiting() {
    let mut shell = patient();
    let short = shell.submit(0, &[(1, 1_001), (2, 1_000)]);
    shell.settle();
    assert!(!shell.is_answered(short));
    shell.now_ms += 4_999;
    shell.events(Vec::new());
    assert!(!shell.is_answered(short));
    shell.now_ms += 1;
    shell.events(Vec::new());
    shell.settle();
    assert_eq!(shell.words(short), ["insufficient-funds", "signed"], "and the later, smaller one still fits");
    shell.assert_idle();

    let stopped = shell.submit(1, &[(3, 1_001)]);
    shell.settle();
    shell.event(Event::Stop);
    shell.settle();
    assert_eq!(shell.words(stopped), ["insufficient-funds"], "a stop waits for nobody");
}

#[test]
fn value_for_any_psd_of_a_licence_ends_the_wait_for_it() {
    let mut shell = patient();
    let any = shell.submit(ANY, &[(1, 1_500)]);
    shell.settle();
    assert!(!shell.is_answered(any));
    assert_eq!(shell.needs.len(), 1);
    load(&mut shell, 2, 2_000, 3_000);
    shell.settle();
    assert_eq!(shell.words(any), ["signed"]);
    shell.assert_idle();
}
