//! Inspections that are due: they lock from the very next item on, and only the acceptance of a report of that PSD lifts it.

use super::shell::{Setup, Shell, any_psd, key, piece, psd_id};
use crate::core::{
    Change, ChangeCommand, Event, InspectionCounts, PeriodsByLicence, RequestId, Selection, Sight, ValueReply,
};
use psd::authority::Act;
use psd::device::Change as PsdChange;
use psd::indicium::{Details, Postal};
use psd::inspection::InspectionPeriods;
use psd::lifecycle::{LockReason, Locks};
use psd::record::{AuthorityPurpose, Event as RecordEvent};
use psd::{PsdId, UnixMillis};

const INSPECTION: AuthorityPurpose = AuthorityPurpose::Inspection;
const HOUR: u64 = 3_600_000;
const OVERDUE: Locks = Locks::NONE.with(LockReason::InspectionOverdue);

impl Shell {
    /// A piece that can be mailed for some days to come.
    fn submit_now(&mut self, psd: usize, postage: u64) -> RequestId {
        let mut one = piece(psd, key(self.now_ms + postage), postage);
        let (date, destination) = ("2026-11-25".parse().unwrap(), "20500-0003".parse().unwrap());
        one.details = Details::Postal(Postal { date, destination, rate: "FCL".parse().unwrap() });
        self.submit_pieces(psd, vec![one], false)
    }

    #[track_caller]
    fn signed_now(&mut self, psd: usize, postage: u64) -> &'static str {
        let request = self.submit_now(psd, postage);
        self.settle();
        self.words(request)[0]
    }

    fn accept(&mut self, number: u64, psd: PsdId, digest: u8) -> RequestId {
        self.instruct(INSPECTION, number, Act::AcceptAudit { psd, digest: [digest; 32] })
    }

    fn report(&mut self, psd: usize, digest: u8) {
        self.event(Event::Reported(psd_id(psd), [digest; 32]));
    }

    #[track_caller]
    fn taken(&self, request: RequestId) -> &'static str {
        match &self.value_replies[&request] {
            ValueReply::Instructed(_) => "taken",
            ValueReply::InstructionRefused(refusal) => refusal.code(),
            other => panic!("{other:?}"),
        }
    }

    fn change_psd_to(&mut self, psd: usize, change: PsdChange) {
        let (request, changes) = (self.request_id(), vec![(change, None)]);
        let change = Change::Psd { psd: psd_id(psd), changes, step: None };
        self.event(Event::Change(ChangeCommand { request, change }));
        self.settle();
    }

    fn seen(&mut self) -> (PeriodsByLicence, InspectionCounts) {
        let request = self.request_id();
        self.event(Event::View(request, Sight::Appliance));
        let view = &self.views[&request];
        ((*view.periods).clone(), view.inspections)
    }

    fn locks(&self, psd: usize) -> Locks {
        self.engine.devices[psd].committed.locks
    }
}

fn periods(block_hours: u32) -> Act {
    let periods = InspectionPeriods::new(48, block_hours).unwrap();
    Act::InspectionPeriods { licence: "L-1".parse().unwrap(), periods: Some(periods) }
}

/// Three PSDs, to be inspected within 72 hours.
fn watched() -> Shell {
    let mut shell = Shell::new(Setup::default());
    let set = shell.instruct(INSPECTION, 1, periods(72));
    shell.settle();
    assert_eq!(shell.taken(set), "taken");
    shell
}

#[test]
fn an_overdue_inspection_binds_the_very_next_item_and_not_the_one_before() {
    let mut shell = watched();
    shell.tick(72 * HOUR - 1);
    assert_eq!(shell.signed_now(0, 100), "signed", "due in a millisecond");
    // The clock goes on with nobody looking: the item itself has it looked at.
    shell.now_ms += 1;
    let first = shell.submit_now(0, 101);
    assert!(shell.signing().is_empty(), "nothing is prepared");
    shell.settle();
    assert_eq!(shell.words(first), ["psd-locked"]);
    assert_eq!((shell.locks(0), shell.locks(2)), (OVERDUE, OVERDUE), "each of them");
    assert_eq!(shell.working(0).descending().mills(), 999_900, "registers are never touched");
    let any = shell.submit_now(any_psd(Selection::RoundRobin, 0), 102);
    shell.settle();
    assert_eq!(shell.words(any), ["no-psd-available"], "the pool passes over them");
    let (mut shell, _) = shell.crash();
    assert_eq!(shell.signed_now(0, 103), "psd-locked", "a restart changes nothing");
    shell.assert_idle();
}

#[test]
fn a_clock_event_alone_locks_and_says_so_in_the_log() {
    let mut shell = watched();
    shell.tick(72 * HOUR);
    let written = shell.write(usize::MAX);
    let locked = written.iter().map(|durable| &durable.record().event);
    let locked = locked.filter(|event| matches!(event, RecordEvent::LifecycleChanged { locks: OVERDUE, .. }));
    assert_eq!(locked.count(), 3);
    shell.settle();
    shell.tick(HOUR);
    assert!(shell.writes.is_empty(), "once is enough");
    shell.assert_idle();
}

#[test]
fn a_start_locks_what_fell_due_meanwhile_before_anything_is_signed() {
    let mut shell = watched();
    shell.now_ms += 80 * HOUR;
    let (mut shell, _) = shell.crash();
    let request = shell.submit_now(1, 100);
    assert!(shell.signing().is_empty());
    shell.settle();
    assert_eq!(shell.words(request), ["psd-locked"]);
    shell.assert_idle();
}

#[test]
fn a_batch_under_way_is_finished_and_nothing_is_prepared_behind_it() {
    let mut shell = watched();
    shell.tick(72 * HOUR - 1);
    let under_way = shell.submit_now(0, 100);
    shell.tick(1);
    let behind = shell.submit_now(0, 101);
    assert_eq!(shell.signing().len(), 1, "the one under way alone");
    assert!(shell.locks(0).is_empty() && !shell.is_answered(behind), "the lock waits its turn");
    shell.settle();
    assert_eq!((shell.words(under_way), shell.words(behind)), (vec!["signed"], vec!["psd-locked"]));
    assert_eq!(shell.locks(0), OVERDUE);
    shell.assert_idle();
}

#[test]
fn only_a_report_of_that_psd_is_accepted_and_only_once() {
    let mut shell = watched();
    shell.tick(73 * HOUR);
    shell.settle();
    let unknown = shell.accept(2, psd_id(0), 1);
    assert_eq!(shell.taken(unknown), "report-unknown");
    shell.report(1, 1);
    let anothers = shell.accept(2, psd_id(0), 1);
    assert_eq!(shell.taken(anothers), "report-unknown");
    let nowhere = shell.accept(2, psd_id(9), 1);
    assert_eq!(shell.taken(nowhere), "psd-unknown");
    let by_funds = Act::AcceptAudit { psd: psd_id(1), digest: [1; 32] };
    let by_funds = shell.instruct(AuthorityPurpose::Funds, 1, by_funds);
    assert_eq!(shell.taken(by_funds), "instruction-wrong-signer");
    assert_eq!(
        (shell.signed_now(0, 100), shell.signed_now(1, 101)),
        ("psd-locked", "psd-locked"),
        "an audit lifts nothing"
    );
    let accepted = shell.accept(2, psd_id(1), 1);
    shell.settle();
    assert_eq!(shell.taken(accepted), "taken");
    assert_eq!((shell.signed_now(0, 102), shell.signed_now(1, 103)), ("psd-locked", "signed"));
    let twice = shell.accept(3, psd_id(1), 1);
    assert_eq!(shell.taken(twice), "report-unknown", "it is no news any more");
    // The newest few of a PSD are remembered.
    (10..=18).for_each(|digest| shell.report(0, digest));
    let forgotten = shell.accept(3, psd_id(0), 10);
    assert_eq!(shell.taken(forgotten), "report-unknown");
    shell.report(1, 99);
    let (mut shell, _) = shell.crash();
    let before_the_start = shell.accept(3, psd_id(1), 99);
    assert_eq!(shell.taken(before_the_start), "report-unknown");
    shell.assert_idle();
}

#[test]
fn an_acceptance_lifts_the_one_lock_and_begins_the_period_anew() {
    let mut shell = watched();
    shell.change_psd_to(0, PsdChange::Lock);
    shell.tick(72 * HOUR);
    shell.settle();
    assert_eq!(shell.locks(0), OVERDUE.with(LockReason::Operator));
    shell.change_psd_to(0, PsdChange::Unlock);
    shell.settle();
    assert_eq!(shell.locks(0), OVERDUE, "each party its own");
    shell.change_psd_to(0, PsdChange::Lock);
    shell.report(0, 1);
    let accepted = shell.accept(2, psd_id(0), 1);
    shell.settle();
    assert_eq!(shell.taken(accepted), "taken");
    assert_eq!(shell.locks(0), Locks::NONE.with(LockReason::Operator));
    shell.change_psd_to(0, PsdChange::Unlock);
    assert_eq!(shell.signed_now(0, 100), "signed");
    shell.tick(72 * HOUR - 1);
    shell.settle();
    assert!(shell.locks(0).is_empty(), "the time of the acceptance counts");
    let (mut shell, _) = shell.crash();
    shell.settle();
    assert!(shell.locks(0).is_empty(), "a restart changes nothing");
    shell.tick(1);
    shell.settle();
    assert_eq!(shell.locks(0), OVERDUE);
    shell.assert_idle();
}

#[test]
fn an_audit_that_nobody_accepts_changes_nothing() {
    let mut shell = watched();
    shell.tick(71 * HOUR);
    let before = shell.engine.devices[0].psd.state().clone();
    shell.report(0, 1);
    shell.settle();
    assert_eq!(*shell.engine.devices[0].psd.state(), before);
    shell.tick(HOUR);
    shell.settle();
    assert_eq!(shell.locks(0), OVERDUE);
}

#[test]
fn a_download_begins_the_period_anew_and_lifts_no_lock() {
    let mut shell = watched();
    shell.tick(71 * HOUR);
    for psd in [0, 1] {
        shell.ask_value(psd, 100);
    }
    shell.settle();
    shell.apply_value(0, 2, 100, 1_000_100);
    shell.settle();
    shell.tick(HOUR);
    shell.settle();
    assert_eq!((shell.locks(0), shell.locks(1)), (Locks::NONE, OVERDUE));
    shell.apply_value(1, 2, 100, 1_000_100);
    shell.settle();
    assert_eq!(shell.working(1).descending().mills(), 1_000_100, "a lock does not stop value");
    assert_eq!((shell.locks(1), shell.signed_now(1, 100)), (OVERDUE, "psd-locked"), "the acceptance alone lifts it");
    shell.tick(71 * HOUR);
    shell.settle();
    assert_eq!(shell.locks(0), OVERDUE, "71 hours later it is its turn as well");
    shell.assert_idle();
}

/// What stands before the lock in its PSD's line may be an inspection.
#[test]
fn an_acceptance_that_waits_comes_before_the_lock() {
    let mut shell = watched();
    shell.tick(72 * HOUR - 1);
    let under_way = shell.submit_now(0, 100);
    shell.report(0, 1);
    let accepted = shell.accept(2, psd_id(0), 1);
    shell.tick(1);
    shell.settle();
    assert_eq!((shell.words(under_way), shell.taken(accepted)), (vec!["signed"], "taken"));
    assert!(shell.locks(0).is_empty(), "it is inspected");
    assert_eq!(shell.signed_now(0, 101), "signed");
    shell.assert_idle();
}

#[test]
fn periods_are_shown_once_durable_and_can_be_taken_away() {
    let mut shell = Shell::new(Setup::default());
    let licence: psd::LicenceNumber = "L-1".parse().unwrap();
    shell.instruct(INSPECTION, 1, periods(72));
    assert!(shell.seen().0.is_empty(), "committed state only");
    shell.settle();
    let (shown, counts) = shell.seen();
    assert_eq!(shown.get(&licence), InspectionPeriods::new(48, 72).ok().as_ref());
    assert_eq!((counts.warned, counts.overdue), (0, 0));
    shell.tick(48 * HOUR);
    let (_, counts) = shell.seen();
    assert_eq!((counts.warned, counts.overdue), (3, 0));
    assert_eq!(counts.first_due, Some(UnixMillis(super::shell::START + 72 * HOUR)));
    shell.tick(24 * HOUR);
    shell.settle();
    let (_, counts) = shell.seen();
    assert_eq!((counts.warned, counts.overdue, counts.first_due), (0, 3, None));
    let taken_away = Act::InspectionPeriods { licence: licence.clone(), periods: None };
    shell.instruct(INSPECTION, 2, taken_away);
    shell.settle();
    assert!(shell.seen().0.is_empty());
    assert_eq!(shell.signed_now(0, 100), "psd-locked", "what is locked waits for its acceptance");
    shell.report(0, 1);
    shell.accept(3, psd_id(0), 1);
    shell.settle();
    assert_eq!(shell.signed_now(0, 101), "signed");
    let nobodys = Act::InspectionPeriods { licence: "L-9".parse().unwrap(), periods: None };
    let nobodys = shell.instruct(INSPECTION, 4, nobodys);
    assert_eq!(shell.taken(nobodys), "licence-unknown");
    shell.assert_idle();
}

/// Shorter periods may make an inspection overdue at once.
#[test]
fn periods_that_are_shorter_bind_the_next_item() {
    let mut shell = Shell::new(Setup::default());
    shell.instruct(INSPECTION, 1, periods(96));
    shell.settle();
    shell.tick(80 * HOUR);
    assert_eq!(shell.signed_now(0, 100), "signed");
    let set = shell.instruct(INSPECTION, 2, periods(72));
    let behind = shell.submit_now(0, 101);
    shell.settle();
    assert_eq!((shell.taken(set), shell.words(behind)), ("taken", vec!["psd-locked"]));
    shell.assert_idle();
}
