//! Chunks in flight: signed in any order, committed in order per PSD, dropped as a suffix.

use super::engine::Engine;
use super::keys::TenantIndex;
use super::token::{self, Gathering};
use super::value::ValueWork;
use super::{Action, ChunkId, Fault, Outcome, RequestId};
use psd::certification::MarkId;
use psd::device::PreparedPiece;
use psd::digital_token::DigitalToken;
use psd::{PieceKey, Refusal, State};
use psdd_hsm::link::Signatures;
use psdd_hsm::protocol::{FaultClass, HsmFault};
use psdd_ledger::{Body, Durable, NewRecord};
use std::collections::BTreeSet;

/// What is prepared, signed and committed as one.
pub(super) struct Chunk {
    pub(super) device: usize,
    pub(super) work: Work,
    /// The PSD's state before this chunk: where a drop takes it back to.
    pub(super) before: State,
    /// And after it: what is committed with it.
    pub(super) after: State,
    pub(super) stage: Stage,
    /// Where it has certifications: the set of rate tables and scales they were made by.
    pub(super) desk: Option<u64>,
    /// Items of any request that wait for what becomes of this chunk.
    pub(super) parked: Vec<Parked>,
}

pub(super) enum Work {
    Pieces {
        slots: Vec<Slot>,
        prepared: Vec<PreparedPiece>,
        bodies: Vec<Option<Body>>,
        /// Where some of them are to have digital tokens.
        gathering: Option<Box<Gathering>>,
    },
    Value(ValueWork),
    /// Locks changed by an instruction.
    Instruction,
    /// Locked because an inspection is overdue.
    Overdue,
    /// A change by a ceremony or the custodian.
    Change(RequestId),
}

pub(super) struct Slot {
    pub(super) request: RequestId,
    pub(super) index: usize,
    pub(super) tenant: TenantIndex,
    pub(super) key: PieceKey,
    /// The indicium that pays for it, where one does.
    pub(super) mark: Option<MarkId>,
}

pub(super) enum Stage {
    Signing,
    Signed(Vec<NewRecord>),
    Committing,
}

pub(super) enum Parked {
    /// The same key with the same content: shares the outcome.
    Joined { slot: usize, request: RequestId, index: usize },
    /// Refused if the chunk is committed, judged again if it is dropped.
    Refused { request: RequestId, index: usize, refusal: Refusal },
    /// The same for a whole all-or-none request.
    Whole { request: RequestId, outcomes: Vec<Outcome> },
    /// An all-or-none request to be judged again, whatever becomes of the chunk.
    JudgeAgain { request: RequestId },
    /// The command whose turn it is on this PSD: to be taken again, whatever becomes of the chunk.
    Command { device: usize },
}

impl Engine {
    pub(super) fn signed(&mut self, id: ChunkId, signatures: Signatures, monotonic_ms: u64) {
        // A chunk that was dropped meanwhile is not known any more; its signatures go nowhere.
        let Some(chunk) = self.chunks.get_mut(&id).filter(|chunk| matches!(chunk.stage, Stage::Signing)) else {
            return;
        };
        let wanted = match &chunk.work {
            Work::Pieces { prepared, .. } => prepared.len(),
            Work::Value(_) => 1,
            Work::Instruction | Work::Overdue | Work::Change(_) => return,
        };
        if signatures.len() != wanted {
            return self.incomplete(id, monotonic_ms);
        }
        if let Work::Pieces { gathering: Some(gathering), .. } = &mut chunk.work {
            gathering.signatures = Some(signatures);
            return self.gathered(id);
        }
        self.all_signed(id, &signatures, Vec::new());
    }

    /// Where all of a chunk with digital tokens is there, it is signed.
    pub(super) fn gathered(&mut self, id: ChunkId) {
        let work = self.chunks.get_mut(&id).map(|chunk| &mut chunk.work);
        let Some(Work::Pieces { gathering: Some(gathering), .. }) = work else { return };
        if let Some((signatures, tokens)) = gathering.complete() {
            self.all_signed(id, &signatures, tokens);
        }
    }

    /// The token gave another number of signatures or MACs than was asked for.
    pub(super) fn incomplete(&mut self, id: ChunkId, monotonic_ms: u64) {
        let (code, step) = ("signatures-missing".to_owned(), "signing a frame".to_owned());
        let fault = HsmFault { class: FaultClass::Module, code, step, retryable: true };
        self.sign_failed(id, &fault, monotonic_ms);
    }

    fn all_signed(&mut self, id: ChunkId, signatures: &Signatures, tokens: Vec<DigitalToken>) {
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        let device = chunk.device;
        let records = match &mut chunk.work {
            Work::Pieces { prepared, bodies, gathering, .. } => {
                let prepared = std::mem::take(prepared);
                let prepared = if gathering.is_some() { token::put(prepared, tokens) } else { prepared };
                let signed = prepared.into_iter().zip(std::mem::take(bodies)).zip(signatures.iter());
                signed.map(|((piece, body), signature)| NewRecord { record: piece.signed(signature), body }).collect()
            }
            Work::Instruction | Work::Overdue | Work::Change(_) => Vec::new(),
            Work::Value(_) => {
                signatures.iter().next().map_or_else(Vec::new, |signature| self.value_signed(id, signature))
            }
        };
        if let Some(chunk) = self.chunks.get_mut(&id) {
            chunk.stage = Stage::Signed(records);
        }
        self.commit_ready(device);
    }

    /// Hands over every chunk of a PSD that is signed and has only committing ones before it.
    pub(super) fn commit_ready(&mut self, device: usize) {
        let mut ready = Vec::new();
        for id in &self.devices[device].pipeline {
            let Some(chunk) = self.chunks.get_mut(id) else { break };
            if self.desks.holds_back(chunk) {
                break;
            }
            match std::mem::replace(&mut chunk.stage, Stage::Committing) {
                Stage::Committing => {}
                Stage::Signed(records) => ready.push((*id, records)),
                Stage::Signing => {
                    chunk.stage = Stage::Signing;
                    break;
                }
            }
        }
        for (id, records) in ready {
            self.hand_over(Some(id), records);
        }
        self.record_desks();
    }

    /// Hands records over to be written. Chunks of several PSDs are signed in any order, while the time of the log never runs
    /// backwards (docs/ledger.md): a record whose reading is behind takes that of the record before it.
    pub(super) fn hand_over(&mut self, chunk: Option<ChunkId>, mut records: Vec<NewRecord>) {
        for NewRecord { record, .. } in &mut records {
            let behind = self.latest.filter(|latest| (record.at.epoch, record.at.time) < (latest.epoch, latest.time));
            record.at = behind.unwrap_or(record.at);
            self.latest = Some(record.at);
        }
        self.actions.push(Action::Commit(chunk, records));
    }

    pub(super) fn committed(&mut self, id: ChunkId, durable: Vec<Durable>, monotonic_ms: u64) {
        let Some(chunk) = self.chunks.remove(&id) else {
            if !self.apart_committed(id, &durable) {
                self.ceiling_committed(id, durable, monotonic_ms);
            }
            return;
        };
        let device = &mut self.devices[chunk.device];
        let in_turn = device.pipeline.pop_front();
        debug_assert_eq!(in_turn, Some(id), "chunks of a PSD are committed in order");
        device.committed = chunk.after;
        self.keys.count_commit();
        match chunk.work {
            Work::Pieces { slots, .. } => {
                self.in_flight_items -= slots.len();
                for parked in &chunk.parked {
                    if let Parked::Joined { slot, request, index } = parked {
                        self.settle(*request, *index, Outcome::Signed(durable[*slot].clone()));
                    }
                }
                for (slot, durable) in slots.into_iter().zip(durable) {
                    self.keys.committed(slot.tenant, &slot.key, slot.mark);
                    self.settle(slot.request, slot.index, Outcome::Signed(durable));
                }
            }
            Work::Value(work) => self.value_committed(id, chunk.device, work, durable, monotonic_ms),
            Work::Instruction => self.instruction_committed(chunk.device, durable, monotonic_ms),
            Work::Overdue => self.finish_command(chunk.device),
            Work::Change(request) => self.change_committed(chunk.device, request, durable),
        }
        for parked in chunk.parked {
            self.tell(parked);
        }
        self.pool_chunk_committed(chunk.device, id);
        self.run_commands(chunk.device, monotonic_ms);
        self.consider_top_up(chunk.device);
    }

    /// The token failed a frame: drops this chunk and all after it on the PSD (DESIGN.md §4, guarantee 3).
    pub(super) fn sign_failed(&mut self, id: ChunkId, fault: &HsmFault, monotonic_ms: u64) {
        let Some(chunk) = self.chunks.get(&id).filter(|chunk| matches!(chunk.stage, Stage::Signing)) else { return };
        let device_index = chunk.device;
        tracing::warn!(chunk = id.0, code = %fault.code, step = %fault.step, "a frame was not signed; its pieces are dropped");
        let fault =
            if fault.retryable { Fault::Token(fault.to_string()) } else { Fault::TokenRefused(fault.to_string()) };
        let Some(at) = self.devices[device_index].pipeline.iter().position(|queued| *queued == id) else { return };
        self.drop_from(device_index, at, fault, "an earlier frame of this PSD was not signed");
        self.run_commands(device_index, monotonic_ms);
    }

    /// Drops everything of a PSD that is not on its way to the disk.
    pub(super) fn drop_uncommitted(&mut self, device_index: usize, fault: &Fault) {
        let open = |id: &ChunkId| {
            self.chunks.get(id).is_some_and(|chunk| matches!(chunk.stage, Stage::Signing | Stage::Signed(_)))
        };
        if let Some(at) = self.devices[device_index].pipeline.iter().position(open) {
            self.drop_from(device_index, at, fault.clone(), "the key was revoked");
        }
    }

    /// Drops the chunks of a PSD from a place in its pipeline on. The fault is that of the first; those behind it share only its fate.
    fn drop_from(&mut self, device_index: usize, at: usize, mut fault: Fault, fate: &str) {
        let dropped: Vec<ChunkId> = self.devices[device_index].pipeline.drain(at..).collect();
        let mut again = BTreeSet::new();
        for (nth, id) in dropped.into_iter().enumerate() {
            let Some(chunk) = self.chunks.remove(&id) else { continue };
            if nth == 0 {
                self.devices[device_index].psd.restore(chunk.before);
                self.refresh(device_index);
            }
            match chunk.work {
                Work::Pieces { slots, .. } => {
                    self.in_flight_items -= slots.len();
                    let refused = self.pool_chunk_dropped(device_index, id);
                    self.release_parked(refused, &fault, &mut again);
                    for slot in slots {
                        self.keys.dropped(slot.tenant, &slot.key, slot.mark);
                        self.settle(slot.request, slot.index, Outcome::Fault(fault.clone()));
                    }
                }
                Work::Value(work) => self.value_dropped(device_index, work, &fault),
                // Nothing is prepared before them or signed for them, so they are on their way to the disk at once.
                Work::Instruction | Work::Overdue | Work::Change(_) => {}
            }
            self.release_parked(chunk.parked, &fault, &mut again);
            // What the token has against this frame, it has not against those behind it.
            fault = Fault::Token(fate.to_owned());
        }
        self.enqueue_again(again);
        self.record_desks();
    }

    /// What an item waited for has come true.
    pub(super) fn tell(&mut self, parked: Parked) {
        match parked {
            // Told with the piece that it has joined.
            Parked::Joined { .. } => {}
            Parked::Refused { request, index, refusal } => {
                self.settle_counted(request, index, Outcome::Refused(refusal));
            }
            Parked::Whole { request, outcomes } => self.settle_all(request, outcomes),
            Parked::JudgeAgain { request } => {
                if let Some(entry) = self.requests.get_mut(&request) {
                    entry.next = 0;
                }
                self.enqueue(request, true);
            }
            Parked::Command { device } => self.run_commands(device, self.monotonic_ms),
        }
    }

    /// What refusals waited for has not come true.
    pub(super) fn judge_all_again(&mut self, parked: Vec<Parked>) {
        let mut again = BTreeSet::new();
        let fault = Fault::Token("what it waited for is gone".to_owned());
        self.release_parked(parked, &fault, &mut again);
        self.enqueue_again(again);
    }

    /// Puts requests at the head of their lines, those that came first before the others.
    fn enqueue_again(&mut self, again: BTreeSet<RequestId>) {
        for request in again.into_iter().rev() {
            self.enqueue(request, true);
        }
    }

    fn release_parked(&mut self, parked: Vec<Parked>, fault: &Fault, again: &mut BTreeSet<RequestId>) {
        for parked in parked {
            match parked {
                Parked::Joined { request, index, .. } => self.settle(request, index, Outcome::Fault(fault.clone())),
                Parked::Refused { request, index, .. } => {
                    let Some(entry) = self.requests.get_mut(&request) else { continue };
                    entry.again.push_back(index);
                    let tenant = entry.tenant;
                    self.account_waiting(tenant, 1);
                    again.insert(request);
                }
                Parked::Whole { request, .. } | Parked::JudgeAgain { request } => {
                    let Some(entry) = self.requests.get_mut(&request) else { continue };
                    // A parked whole is still counted as waiting.
                    entry.next = 0;
                    again.insert(request);
                }
                Parked::Command { device } => self.run_commands(device, self.monotonic_ms),
            }
        }
    }
}
