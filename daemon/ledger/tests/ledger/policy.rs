//! The authority's own policy in the log: it stands behind its instruction, and versions rise by one.

use crate::world::*;
use psd::policy::{AuthorityPolicy, PolicyText};
use psd::record::{AuthorityPurpose, Event, Record};
use psdd_ledger::Rules;
use psdd_ledger::verify::{Fault, Finding, Outcome};
use std::path::Path;

const POLICY: AuthorityPurpose = AuthorityPurpose::Policy;

/// An appliance with a policy of the authority, version 1.
fn governed(dir: &Path) -> World {
    let mut world = World::born(dir, 1, Rules::default());
    for purpose in [POLICY, AuthorityPurpose::Inspection] {
        let certificate = b"policy certificate"[..].into();
        world.commit_events(vec![Event::AuthorityKeyInstalled { purpose, certificate }]);
    }
    world.commit_events(vec![instructed(POLICY, 1, "policy 1 forbid all"), set(1, "forbid all")]);
    world
}

fn instructed(purpose: AuthorityPurpose, number: u64, text: &str) -> Event {
    let instruction = format!("{number} {text}").as_bytes().into();
    Event::InstructionTaken { purpose, number, instruction }
}

fn set(version: u64, text: &str) -> Event {
    Event::AuthorityPolicySet { version, text: PolicyText::new(text).unwrap() }
}

/// Writes what the core never would.
fn forge(world: &mut World, dir: &Path, events: Vec<Event>) -> Finding {
    let records = events.into_iter().map(|event| Record { at: world.at(), event }.into()).collect();
    world.commit(records);
    match verify(dir) {
        Outcome::Broken(finding) => *finding,
        Outcome::Holds(_) => panic!("nothing found"),
    }
}

#[test]
fn a_policy_behind_its_instruction_holds_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = governed(dir.path());
    world.commit_events(vec![instructed(POLICY, 2, "policy 2 "), set(2, "")]);
    world.commit_events(vec![instructed(POLICY, 3, "policy 3 forbid some"), set(3, "forbid some")]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    assert_eq!(number(dir.path(), "SELECT count(*) FROM live WHERE slot = 'authority-policy'"), 1, "the newest alone");
    let (world, _) = world.reopened(dir.path(), Rules::default());
    let newest = AuthorityPolicy { version: 3, text: PolicyText::new("forbid some").unwrap() };
    assert_eq!(*world.appliance.authority.policy(), newest);
}

#[test]
fn a_policy_that_nobody_instructed_is_found() {
    type Row<'a> = (&'a str, Option<(AuthorityPurpose, &'a str)>, Event, &'a str);
    let rows: [Row<'_>; 5] = [
        ("a policy of nobody", None, set(2, ""), "without an instruction"),
        ("another text", Some((POLICY, "policy 2 forbid all")), set(2, "forbid al"), "not the one instructed"),
        ("another version", Some((POLICY, "policy 3 forbid all")), set(2, "forbid all"), "not the one instructed"),
        (
            "by the inspection key",
            Some((AuthorityPurpose::Inspection, "policy 2 forbid all")),
            set(2, "forbid all"),
            "missing",
        ),
        ("of a ceiling", Some((POLICY, "ceiling 5")), set(2, ""), "missing"),
    ];
    for (name, instruction, effect, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = governed(dir.path());
        let instruction = instruction.map(|(purpose, text)| instructed(purpose, 2, text));
        let finding = forge(&mut world, dir.path(), instruction.into_iter().chain([effect]).collect());
        let Fault::Instruction(what) = finding.fault else { panic!("{name}: {finding}") };
        assert!(what.contains(words), "{name}: {what}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1), "{name}");
    }
}

#[test]
fn a_version_that_does_not_rise_by_one_is_found() {
    for version in [0, 1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = governed(dir.path());
        let instruction = instructed(POLICY, 2, &format!("policy {version} forbid all"));
        let finding = forge(&mut world, dir.path(), vec![instruction, set(version, "forbid all")]);
        let words = format!("version {version} of the authority's policy does not follow version 1");
        assert!(finding.to_string().contains(&words), "{finding}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1));
    }
}
