//! Inspections in the log: periods and acceptances stand behind their instruction, and a PSD is locked only when its inspection was due.

use crate::world::*;
use psd::inspection::InspectionPeriods;
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::{AuthorityPurpose, Event, Record};
use psdd_ledger::Rules;
use psdd_ledger::verify::{Fault, Finding, Outcome};
use std::path::Path;

const HOUR: u64 = 3_600_000;
const OVERDUE: Locks = Locks::NONE.with(LockReason::InspectionOverdue);

/// Two PSDs of a licence that has periods of 48 and 72 hours.
fn watched(dir: &Path) -> World {
    let mut world = World::born(dir, 2, Rules::default());
    let certificate = b"inspection certificate"[..].into();
    world.commit_events(vec![Event::AuthorityKeyInstalled { purpose: AuthorityPurpose::Inspection, certificate }]);
    let periods = InspectionPeriods::new(48, 72).ok();
    world.commit_events(vec![instructed(1, "periods 48 72"), periods_set(periods)]);
    world
}

fn instructed(number: u64, text: &str) -> Event {
    let instruction = format!("{number} {text}").as_bytes().into();
    Event::InstructionTaken { purpose: AuthorityPurpose::Inspection, number, instruction }
}

fn periods_set(periods: Option<InspectionPeriods>) -> Event {
    Event::InspectionPeriodsSet { licence: "L-1".parse().unwrap(), periods }
}

fn relocked(world: &World, number: usize, locks: Locks) -> Event {
    Event::LifecycleChanged { stamp: world.next_stamp(psd_id(number)), lifecycle: Lifecycle::Active, locks }
}

fn accepted(world: &World, number: usize, digest: u8) -> Event {
    Event::AuditAccepted { stamp: world.next_stamp(psd_id(number)), digest: [digest; 32] }
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
fn a_lock_when_it_was_due_and_its_acceptance_hold_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = watched(dir.path());
    world.now += 72 * HOUR;
    let (first, second) = (relocked(&world, 0, OVERDUE), relocked(&world, 1, OVERDUE));
    world.commit_events(vec![first, second]);
    let word = format!("accept {} 7", psd_id(0));
    let effect = accepted(&world, 0, 7);
    world.commit_events(vec![instructed(2, &word), effect]);
    let inspected = world.now;
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    for slot in ["audit-accepted", "inspection-periods:L-1"] {
        assert_eq!(number(dir.path(), &format!("SELECT count(*) FROM live WHERE slot = '{slot}'")), 1, "{slot}");
    }
    let (world, _) = world.reopened(dir.path(), Rules::default());
    let state = |number: usize| world.appliance.psds[&psd_id(number)].state();
    assert_eq!((state(0).locks, state(0).inspected.0), (Locks::NONE, inspected));
    assert_eq!(state(1).locks, OVERDUE);
    let next = world.appliance.authority.inspection_due(&"L-1".parse().unwrap(), state(0).inspected).unwrap();
    assert_eq!(next.due.0, inspected + 72 * HOUR);
}

#[test]
fn a_lock_that_comes_too_early_or_goes_by_itself_is_found() {
    type Row = (&'static str, u64, fn(&World) -> Event, &'static str);
    let rows: [Row; 3] = [
        ("early", 72 * HOUR - 60_000, |world| relocked(world, 0, OVERDUE), "none was due"),
        ("with another reason", 72 * HOUR, |world| relocked(world, 0, OVERDUE.with(LockReason::Operator)), "another"),
        ("cleared", 72 * HOUR, |world| relocked(world, 0, Locks::NONE), "without the authority's acceptance"),
    ];
    for (name, after, event, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = watched(dir.path());
        world.now += after;
        if name == "cleared" {
            let locked = relocked(&world, 0, OVERDUE);
            world.commit_events(vec![locked]);
        }
        let event = event(&world);
        let finding = forge(&mut world, dir.path(), vec![event]);
        assert!(finding.to_string().contains(words), "{name}: {finding}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1), "{name}");
    }
}

#[test]
fn a_lock_where_no_periods_are_or_after_a_download_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = watched(dir.path());
    world.commit_events(vec![instructed(2, "periods none none"), periods_set(None)]);
    world.now += 80 * HOUR;
    let event = relocked(&world, 0, OVERDUE);
    let finding = forge(&mut world, dir.path(), vec![event]);
    assert!(finding.to_string().contains("none was due"), "{finding}");

    let dir = tempfile::tempdir().unwrap();
    let mut world = watched(dir.path());
    world.now += 71 * HOUR;
    let download = world.download(0, 1_000);
    world.commit(download);
    world.now += HOUR;
    let event = relocked(&world, 0, OVERDUE);
    let finding = forge(&mut world, dir.path(), vec![event]);
    assert!(finding.to_string().contains("none was due"), "{finding}");
}

#[test]
fn periods_and_acceptances_that_nobody_ordered_are_found() {
    let word = format!("accept {} 7", psd_id(0));
    type Row<'a> = (&'a str, Option<&'a str>, fn(&World) -> Event, &'a str);
    let rows: [Row<'_>; 6] = [
        ("periods of nobody", None, |_| periods_set(None), "without an instruction"),
        ("other periods", Some("periods 48 96"), |_| periods_set(InspectionPeriods::new(48, 97).ok()), "not those"),
        ("an acceptance of nobody", None, |world| accepted(world, 0, 7), "without an instruction"),
        ("another report", Some(&word), |world| accepted(world, 0, 8), "not the one"),
        ("another PSD", Some(&word), |world| accepted(world, 1, 7), "not the one"),
        ("periods in its place", Some(&word), |_| periods_set(None), "missing"),
    ];
    for (name, instruction, effect, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = watched(dir.path());
        let effect = effect(&world);
        let instruction = instruction.map(|text| instructed(2, text));
        let finding = forge(&mut world, dir.path(), instruction.into_iter().chain([effect]).collect());
        let Fault::Instruction(what) = finding.fault else { panic!("{name}: {finding}") };
        assert!(what.contains(words), "{name}: {what}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1), "{name}");
    }
}
