//! Operators, ceremonies in turn, revocations: what follows and what does not.

use psd::custody::{Revocation, RevocationReason};
use psd::governance::{CeremonyEnd, Governance, Operator, Subject, check_operators};
use psd::record::{Charter, Environment, Event, Genesis};
use psd::{OperatorName, UnixMillis};
use std::sync::Arc;

fn operator(name: &str, key: u8) -> Operator {
    Operator { name: name.parse().unwrap(), spki: [key; 91][..].into() }
}

fn born() -> Governance {
    Governance::born(&Genesis {
        appliance: "test-1".parse().unwrap(),
        environment: Environment::Development,
        operators: vec![operator("anna", 1), operator("ben", 2), operator("cleo", 3)],
        quorum: 2,
        authority_root: b"root"[..].into(),
        log_key_id: [5][..].into(),
        log_spki: b"log"[..].into(),
        log_token: "main".into(),
        charter: Charter::default(),
    })
}

fn begun(number: u64) -> Event {
    Event::CeremonyBegun { number, digest: [7; 32], file: b"file"[..].into(), approvals: Vec::new() }
}

fn step(number: u64, step: u64) -> Event {
    Event::CeremonyStep { number, step, text: "done".into() }
}

fn ended(number: u64) -> Event {
    Event::CeremonyEnded { number, end: CeremonyEnd::Done, transcript: None }
}

fn revoked(subject: Subject) -> Event {
    Event::Revoked { subject, revocation: Revocation { since: UnixMillis(9), reason: RevocationReason::Unspecified } }
}

fn take(governance: &mut Governance, event: &Event) -> Result<(), &'static str> {
    governance.check(event)?;
    governance.fold(event);
    Ok(())
}

#[test]
fn ceremonies_come_one_after_the_other() {
    let mut governance = born();
    assert!(take(&mut governance, &begun(2)).is_err(), "the first has number 1");
    assert!(take(&mut governance, &step(1, 1)).is_err(), "nothing is under way");
    take(&mut governance, &begun(1)).unwrap();
    assert!(take(&mut governance, &begun(2)).is_err(), "the first has not ended");
    assert!(take(&mut governance, &step(1, 2)).is_err(), "steps come in order");
    take(&mut governance, &step(1, 1)).unwrap();
    assert!(take(&mut governance, &step(1, 1)).is_err(), "and once");
    assert_eq!(governance.open().map(|open| (open.number, open.steps)), Some((1, 1)));
    assert!(take(&mut governance, &ended(2)).is_err());
    take(&mut governance, &ended(1)).unwrap();
    assert!(take(&mut governance, &ended(1)).is_err());
    take(&mut governance, &begun(2)).unwrap();
    assert_eq!(governance.newest(), 2);
}

#[test]
fn a_quorum_is_always_left() {
    let name = |name: &str| Subject::Operator(name.parse::<OperatorName>().unwrap());
    let mut governance = born();
    assert!(take(&mut governance, &revoked(name("dora"))).is_err(), "nobody of that name");
    take(&mut governance, &revoked(name("anna"))).unwrap();
    assert!(take(&mut governance, &revoked(name("anna"))).is_err(), "once");
    assert!(take(&mut governance, &revoked(name("ben"))).is_err(), "one operator would be left, two are needed");
    let operators = vec![operator("anna", 4), operator("ben", 2)];
    take(&mut governance, &Event::OperatorsChanged { operators, quorum: 1 }).unwrap();
    assert!(governance.revocation(&name("anna")).is_none(), "named anew, with another key");
    take(&mut governance, &revoked(name("ben"))).unwrap();
}

#[test]
fn operators_that_could_never_decide_are_refused() {
    let rows: [(&str, Vec<Operator>, u64, bool); 6] = [
        ("none", vec![], 0, false),
        ("no quorum", vec![operator("a", 1)], 0, false),
        ("a quorum beyond them", vec![operator("a", 1)], 2, false),
        ("a name twice", vec![operator("a", 1), operator("a", 2)], 1, false),
        ("a key twice", vec![operator("a", 1), operator("b", 1)], 1, false),
        ("two of two", vec![operator("a", 1), operator("b", 2)], 2, true),
    ];
    for (name, operators, quorum, fit) in rows {
        assert_eq!(check_operators(&operators, quorum).is_ok(), fit, "{name}");
    }
}

#[test]
fn a_client_is_revoked_by_itself_or_with_its_account() {
    let mut governance = born();
    let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
    let (mail, post): (Arc<str>, Arc<str>) = ("mail".into(), "post".into());
    let client = Subject::Client { tenant: "acme".parse().unwrap(), client: Arc::clone(&mail) };
    take(&mut governance, &revoked(client)).unwrap();
    assert!(governance.client_revocation(&acme, &mail).is_some());
    assert!(
        governance.client_revocation(&acme, &post).is_none() && governance.client_revocation(&other, &mail).is_none()
    );
    take(&mut governance, &revoked(Subject::Account("acme".parse().unwrap()))).unwrap();
    assert!(governance.client_revocation(&acme, &post).is_some());
}
