//! Rate tables and scales that come into force: what is new of them is in the log before any certification that names it.
//!
//! A new set binds the very next item. Certifications prepared under the one before may still be at their token then, and belong before its records;
//! those prepared under the new one belong behind them. So the records wait for the former, and the latter for the records; indicia wait for neither,
//! but on the PSD of one that waits.

use super::engine::Engine;
use super::pipeline::{Chunk, Stage};
use super::{Action, NewDesk, RequestId, ValueReply};
use psd::certifying::Certifying;
use psd::record::Record;
use psd::run::Run;
use psdd_ledger::NewRecord;
use std::collections::{BTreeSet, VecDeque};

/// Most sets whose records wait. Each is a reload during one signature of a token.
const MOST_WAITING: usize = 16;

/// Tables and scales by the records so far, and what waits to be recorded.
#[derive(Default)]
pub(super) struct Desks {
    /// With all that was taken in, recorded or not.
    certifying: Certifying,
    waiting: VecDeque<Unrecorded>,
    /// Generation of the newest set whose records are handed over.
    recorded: u64,
}

struct Unrecorded {
    generation: u64,
    records: Vec<NewRecord>,
}

impl Desks {
    /// As the log has them.
    pub(super) fn recovered(certifying: Certifying) -> Self {
        Self { certifying, ..Self::default() }
    }

    /// Whether a chunk belongs behind records that are not handed over.
    pub(super) fn holds_back(&self, chunk: &Chunk) -> bool {
        chunk.desk.is_some_and(|generation| generation > self.recorded)
    }

    /// Whether the records handed over have the table that a run was rated by, in force on its day.
    pub(super) fn has(&self, run: &Run) -> bool {
        self.waiting.is_empty() && self.certifying.unfounded_run(run).is_none()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Engine {
    /// Puts a new set in force, or says why not. What the log has of it already is not written again.
    pub(super) fn take_desk(&mut self, request: RequestId, new: NewDesk, monotonic_ms: u64) {
        let reply = match self.admit_desk(&new, monotonic_ms) {
            Ok(records) => {
                self.policy.desk += 1;
                self.actions.push(Action::Desk(self.policy.desk, new.desk));
                self.desks.waiting.push_back(Unrecorded { generation: self.policy.desk, records });
                self.record_desks();
                ValueReply::Changed(Vec::new())
            }
            Err(reply) => reply,
        };
        self.reply_value(request, reply);
    }

    fn admit_desk(&mut self, new: &NewDesk, monotonic_ms: u64) -> Result<Vec<NewRecord>, ValueReply> {
        if self.desks.waiting.len() >= MOST_WAITING {
            return Err(ValueReply::Overloaded);
        }
        let events = self.desks.certifying.changes_to(&new.basis);
        let events = events.map_err(|error| ValueReply::ChangeRefused(error.to_string()))?;
        let mut records = Vec::with_capacity(events.len());
        if !events.is_empty() {
            let at = self.reading(monotonic_ms)?;
            for event in events {
                self.desks.certifying.fold(&event);
                records.push(Record { at, event }.into());
            }
        }
        Ok(records)
    }

    /// Hands over the records of every set for which nothing of an older one is left at a token, and then what waited for them. A set that says nothing
    /// new waits for nobody.
    pub(super) fn record_desks(&mut self) {
        let before = self.desks.recorded;
        while let Some(next) = self.desks.waiting.front() {
            let older = |chunk: &Chunk| {
                chunk.desk.is_some_and(|desk| desk < next.generation) && !matches!(chunk.stage, Stage::Committing)
            };
            if !next.records.is_empty() && self.chunks.values().any(older) {
                break;
            }
            let Some(Unrecorded { generation, records }) = self.desks.waiting.pop_front() else { break };
            if !records.is_empty() {
                self.hand_over(None, records);
            }
            self.desks.recorded = generation;
        }
        if self.desks.recorded == before {
            return;
        }
        let waited = |chunk: &&Chunk| chunk.desk.is_some_and(|desk| desk > before);
        let devices: BTreeSet<usize> = self.chunks.values().filter(waited).map(|chunk| chunk.device).collect();
        for device in devices {
            self.commit_ready(device);
        }
    }
}
