//! The ledger thread: group commit for all who wait, and checkpoints off the hot path.

use super::checkpoint::{Newest, Pace};
use super::metrics::Metrics;
use super::{Fatal, die};
use crate::core::{ChunkId, Event};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use psd::certification::{Proof, proof_of};
use psd::clock::ClockReading;
use psd::record::Event as RecordEvent;
use psdd_ledger::{Hash, Journal, NewRecord};
use psdd_wire::checkpoint::{Checkpoint, LogKey};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What the ledger thread is told.
pub(super) enum ToLedger {
    /// Write these, in this order.
    Write(Vec<(Option<ChunkId>, Vec<NewRecord>)>),
    /// The log key signed the checkpoint of this size.
    CheckpointSigned(u64, Hash, Vec<u8>),
    /// It could not.
    CheckpointFailed,
    /// Write a state digest if there is a time, have it signed, close.
    Close(Option<ClockReading>),
}

/// Whether whoever asked for this piece waits for a checkpoint that covers it.
fn waits_for_a_receipt(event: &RecordEvent) -> bool {
    matches!(event, RecordEvent::Certification(piece) if proof_of(&piece.certification) == Proof::Receipt)
}

/// Asks for a signature over the body of the checkpoint of this size and root; `false` if it cannot be asked now.
type AskForSignature = Box<dyn Fn(u64, Hash, &str) -> bool + Send>;

pub(super) struct LedgerThread {
    pub(super) journal: Journal,
    pub(super) requests: Receiver<ToLedger>,
    pub(super) core: Sender<Event>,
    pub(super) sign: AskForSignature,
    pub(super) origin: String,
    pub(super) log_key: LogKey,
    pub(super) newest: Arc<Newest>,
    /// A checkpoint that goes with the next commit. Shown to a client before it is durable, it would be newer than all that a start
    /// after a crash has, and the client would take the crash for a rollback.
    pub(super) unpublished: Option<(u64, String)>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pace: Pace,
    pub(super) closing_patience: Duration,
}

/// Most records in one transaction: enough to share the sync, few enough that nobody waits long.
const MOST_RECORDS: usize = 4096;

impl LedgerThread {
    pub(super) fn run(mut self) {
        let mut overdue = false;
        let closing = loop {
            let message = match self.requests.recv_timeout(self.pace.patience()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break None,
            };
            match message {
                Some(ToLedger::Write(batch)) => {
                    if let Some(closing) = self.write_with_followers(batch) {
                        break closing;
                    }
                }
                Some(ToLedger::CheckpointSigned(size, root, signature)) => self.checkpoint(size, root, &signature),
                Some(ToLedger::CheckpointFailed) => self.pace.failed(),
                Some(ToLedger::Close(at)) => break at,
                None => {}
            }
            self.store_checkpoint();
            self.ask_for_checkpoint();
            let now_overdue = self.pace.overdue(Instant::now());
            if now_overdue != overdue {
                overdue = now_overdue;
                tracing::warn!(overdue, "the log's signature");
                if self.core.send(Event::LogOverdue(overdue)).is_err() {
                    break None;
                }
            }
        };
        self.close(closing);
    }

    /// Commits a batch together with all that arrived behind it. Gives the clock reading of a close among them.
    fn write_with_followers(&mut self, first: Vec<(Option<ChunkId>, Vec<NewRecord>)>) -> Option<Option<ClockReading>> {
        let mut batch = first;
        let mut records: usize = batch.iter().map(|(_, records)| records.len()).sum();
        while records < MOST_RECORDS {
            match self.requests.try_recv() {
                Ok(ToLedger::Write(more)) => {
                    records += more.iter().map(|(_, records)| records.len()).sum::<usize>();
                    batch.extend(more);
                }
                Ok(ToLedger::CheckpointSigned(size, root, signature)) => self.checkpoint(size, root, &signature),
                Ok(ToLedger::CheckpointFailed) => self.pace.failed(),
                Ok(ToLedger::Close(at)) => {
                    self.write(batch);
                    return Some(at);
                }
                Err(_) => break,
            }
        }
        self.write(batch);
        None
    }

    fn write(&mut self, batch: Vec<(Option<ChunkId>, Vec<NewRecord>)>) {
        let begun = Instant::now();
        let mut records = Vec::with_capacity(batch.iter().map(|(_, records)| records.len()).sum());
        let mut chunks = Vec::with_capacity(batch.len());
        for (chunk, mut of_chunk) in batch {
            chunks.push((chunk, of_chunk.len()));
            records.append(&mut of_chunk);
        }
        let mut durable = match self.journal.commit(records) {
            Ok(durable) => durable.into_iter(),
            Err(fault) => die(&Fatal::Ledger(fault.to_string())),
        };
        let elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        Metrics::add(&self.metrics.commits, 1);
        Metrics::add(&self.metrics.commit_us, elapsed_us);
        self.metrics.log_size.store(self.journal.size(), Ordering::Relaxed);
        self.publish_stored();
        for (chunk, count) in chunks {
            let of_chunk: Vec<_> = durable.by_ref().take(count).collect();
            for record in &of_chunk {
                if waits_for_a_receipt(&record.record().event) {
                    self.pace.want(record.leaf() + 1);
                }
                if let Some(debit) = record.record().event.debit() {
                    Metrics::add(&self.metrics.pieces, 1);
                    Metrics::add(&self.metrics.mills, debit.amount.mills());
                }
            }
            if let Some(chunk) = chunk
                && self.core.send(Event::Committed(chunk, of_chunk)).is_err()
            {
                tracing::debug!("the core has gone; its commits stand");
            }
        }
    }

    fn ask_for_checkpoint(&mut self) {
        let (size, now) = (self.journal.size(), Instant::now());
        if !self.pace.due(size, now) {
            return;
        }
        let root = self.journal.root();
        let body = Checkpoint { origin: self.origin.clone(), size, root }.body();
        if (self.sign)(size, root, &body) {
            self.pace.asked(size, now);
        }
    }

    fn checkpoint(&mut self, size: u64, root: Hash, signature: &[u8]) {
        let note = Checkpoint { origin: self.origin.clone(), size, root }.note(&self.log_key, signature);
        // A log key that signs wrongly must not go unnoticed until an inspector looks.
        if Checkpoint::verified(&note, &self.origin, &self.log_key).is_err() {
            tracing::error!(size, "the token's signature on the checkpoint does not verify");
            return self.pace.failed();
        }
        self.pace.signed(size);
        self.journal.note_checkpoint(size, note.clone());
        self.unpublished = Some((size, note));
    }

    /// Commits a checkpoint that no records took along.
    fn store_checkpoint(&mut self) {
        if self.unpublished.is_none() {
            return;
        }
        if let Err(fault) = self.journal.commit(Vec::new()) {
            die(&Fatal::Ledger(fault.to_string()));
        }
        self.publish_stored();
    }

    /// A commit has succeeded, and the journal stores every checkpoint noted before with it.
    fn publish_stored(&mut self) {
        if let Some((size, note)) = self.unpublished.take() {
            self.newest.publish(size, &note);
            self.metrics.checkpoint_size.store(size, Ordering::Relaxed);
        }
    }

    /// A clean stop: state digest, a checkpoint that covers it, an empty WAL.
    fn close(mut self, at: Option<ClockReading>) {
        self.store_checkpoint();
        if let Some(at) = at
            && let Err(fault) = self.journal.digest_now(at)
        {
            die(&Fatal::Ledger(fault.to_string()));
        }
        self.pace = Pace::new(Duration::from_millis(50), Duration::MAX, self.newest.size());
        let deadline = Instant::now() + self.closing_patience;
        while self.newest.size() < self.journal.size() && Instant::now() < deadline {
            self.ask_for_checkpoint();
            match self.requests.recv_timeout(self.pace.patience()) {
                Ok(ToLedger::CheckpointSigned(size, root, signature)) => self.checkpoint(size, root, &signature),
                Ok(ToLedger::CheckpointFailed) => self.pace.failed(),
                Ok(ToLedger::Write(_) | ToLedger::Close(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.store_checkpoint();
        }
        if self.newest.size() < self.journal.size() {
            tracing::warn!("stopping without a checkpoint over the last records: the next start replays all of them");
        }
        if let Err(fault) = self.journal.close() {
            die(&Fatal::Ledger(fault.to_string()));
        }
    }
}
