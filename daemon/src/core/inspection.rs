//! Inspections that are due: PSDs lock themselves when theirs is overdue, and the authority's acceptance of a report lifts that.
//!
//! The lock binds the very next item: due times are looked at with every reading that items are judged by, before any is. It takes its turn behind
//! what is in flight on the PSD, and nothing is prepared meanwhile. An audit that merely ran changes nothing here; its report is only remembered, so
//! that the authority can accept it.

use super::engine::Engine;
use super::pipeline::{Stage, Work};
use super::value::Waiting;
use super::{InspectionCounts, PeriodsByLicence};
use psd::authority::InstructionRefusal;
use psd::clock::ClockReading;
use psd::inspection::InspectionDue;
use psd::lifecycle::{Lifecycle, LockReason};
use psd::record::{Event, Record};
use psd::{PsdId, UnixMillis};
use psdd_ledger::Durable;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Reports of a PSD that can be accepted; older ones are forgotten.
const MOST_REPORTS: usize = 8;

/// Digests of the reports of a PSD since the start, the oldest first.
#[derive(Default)]
pub(super) struct Reports(VecDeque<[u8; 32]>);

impl Reports {
    fn note(&mut self, digest: [u8; 32]) {
        if self.0.contains(&digest) {
            return;
        }
        if self.0.len() >= MOST_REPORTS {
            self.0.pop_front();
        }
        self.0.push_back(digest);
    }

    /// Whether a report of this digest waits for its acceptance.
    pub(super) fn check(&self, psd: PsdId, digest: &[u8; 32]) -> Result<(), InstructionRefusal> {
        if self.0.contains(digest) { Ok(()) } else { Err(InstructionRefusal::UnknownReport(psd)) }
    }

    /// It is accepted: what it says, and older reports say, is no news any more.
    pub(super) fn accepted(&mut self, digest: &[u8; 32]) {
        if let Some(at) = self.0.iter().position(|known| known == digest) {
            self.0.drain(..=at);
        }
    }
}

/// When PSDs are to be warned of, and when they are to lock: those that are active, of licences that have periods.
#[derive(Default)]
pub(super) struct Inspections {
    due: BTreeSet<(UnixMillis, usize)>,
    warn: BTreeSet<(UnixMillis, usize)>,
    /// What each PSD has in the two.
    times: Vec<Option<InspectionDue>>,
    /// Locked for want of an inspection.
    overdue: BTreeSet<usize>,
    /// Periods in force, as far as they are durable.
    pub(super) committed: Arc<PeriodsByLicence>,
}

impl Inspections {
    pub(super) fn new(committed: Arc<PeriodsByLicence>) -> Self {
        Self { committed, ..Self::default() }
    }

    fn set(&mut self, device: usize, next: Option<InspectionDue>, overdue: bool) {
        if self.times.len() <= device {
            self.times.resize(device + 1, None);
        }
        let Some(times) = self.times.get_mut(device) else { return };
        if let Some(old) = std::mem::replace(times, next) {
            self.due.remove(&(old.due, device));
            self.warn.remove(&(old.warn, device));
        }
        if let Some(next) = next {
            self.due.insert((next.due, device));
            self.warn.insert((next.warn, device));
        }
        if overdue {
            self.overdue.insert(device);
        } else {
            self.overdue.remove(&device);
        }
    }

    /// One whose inspection is overdue at this time; it is given once.
    fn take_overdue(&mut self, now: UnixMillis) -> Option<usize> {
        let (due, device) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, device));
        Some(device)
    }

    /// How many are to be warned of at this time, and how many are locked.
    pub(super) fn counts(&self, now: UnixMillis) -> InspectionCounts {
        InspectionCounts {
            warned: self.warn.range(..=(now, usize::MAX)).count(),
            overdue: self.overdue.len(),
            first_due: self.due.first().map(|(due, _)| *due),
        }
    }
}

impl Engine {
    /// Puts a PSD where it belongs by its state and by the periods of its licence.
    pub(super) fn expect_inspection(&mut self, device: usize) {
        let psd = &self.devices[device].psd;
        let state = psd.state();
        let overdue = state.locks.has(LockReason::InspectionOverdue);
        let counts = state.lifecycle == Lifecycle::Active && !overdue;
        let next = self.authority.inspection_due(&psd.identity().licence, state.inspected).filter(|_| counts);
        self.inspections.set(device, next, overdue && state.lifecycle == Lifecycle::Active);
    }

    pub(super) fn expect_inspections(&mut self) {
        for device in 0..self.devices.len() {
            self.expect_inspection(device);
        }
    }

    /// Has every PSD lock itself whose inspection is overdue at this reading.
    pub(super) fn lock_overdue(&mut self, now: ClockReading, monotonic_ms: u64) {
        while let Some(device) = self.inspections.take_overdue(now.time) {
            self.before_all_that_waits(device, Waiting::overdue(now));
            self.run_commands(device, monotonic_ms);
        }
    }

    /// The turn of a lock for an overdue inspection has come on its PSD, which has nothing in flight. Whether it is begun: what came before it may
    /// have been an inspection.
    pub(super) fn run_overdue(&mut self, device_index: usize, at: ClockReading) -> bool {
        let at = self.latest.filter(|latest| (latest.epoch, latest.time) > (at.epoch, at.time)).unwrap_or(at);
        let device = &mut self.devices[device_index];
        let (licence, state) = (device.psd.identity().licence.clone(), device.psd.state());
        let next = self.authority.inspection_due(&licence, state.inspected);
        let is_due = next.is_some_and(|next| at.time >= next.due) && !state.locks.has(LockReason::InspectionOverdue);
        if !is_due || state.lifecycle != Lifecycle::Active {
            return false;
        }
        let Ok(event) = device.psd.lock_overdue(at.time) else { return false };
        tracing::warn!(psd = %device.psd.identity().psd, "its inspection is overdue: it signs nothing until the authority accepts an audit report");
        self.start_command(device_index, Work::Overdue, Stage::Signed(vec![Record { at, event }.into()]));
        self.commit_ready(device_index);
        true
    }

    /// A PSD gave an inspector a report.
    pub(super) fn reported(&mut self, psd: PsdId, digest: [u8; 32]) {
        if let Some(device) = self.by_id.get(&psd).copied() {
            self.devices[device].reports.note(digest);
        }
    }

    /// An instruction is durable: those who look see the periods that it set.
    pub(super) fn note_periods(&mut self, durable: &[Durable]) {
        for record in durable.iter().map(Durable::record) {
            if let Event::InspectionPeriodsSet { licence, periods } = &record.event {
                // Whoever looks at it meanwhile keeps what was.
                let committed = Arc::make_mut(&mut self.inspections.committed);
                match periods {
                    Some(periods) => committed.insert(licence.clone(), *periods),
                    None => committed.remove(licence),
                };
            }
        }
    }
}
