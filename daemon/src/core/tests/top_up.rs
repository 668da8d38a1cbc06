//! Which PSDs need value, and when that is said: once, until asking for it has ended.

use super::shell::{Setup, Shell, mills, psd_id};
use crate::config::TopUpRule;
use crate::core::{Event, ValueReply};

/// PSDs with 1000 mills; below 500 they need 2000.
fn shell(licence: Option<&str>) -> Shell {
    let licence = licence.map(|licence| licence.parse().unwrap());
    let rule = TopUpRule { licence, below: mills(500), amount: mills(2_000) };
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
    let rule = TopUpRule { licence: None, below: mills(3_999_999), amount: mills(2_000) };
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
