//! A tenant's turn: the chunks it makes, from the first item judged to the frames sent.

use super::engine::{Engine, Request};
use super::judge::Plan;
use super::keys::{InFlight, TenantIndex};
use super::pipeline::{Chunk, Parked, Slot, Stage, Work};
use super::{Action, ChunkId, RequestId, TokenIndex};
use psd::State;
use psd::device::PreparedPiece;
use psd::key::Role;
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Items that are worth a frame of their own while others wait.
const SMALL_CHUNK: usize = 32;

/// What one turn makes: a chunk of the PSD asked for, or chunks of PSDs of the licence asked for.
pub(super) struct Turn {
    pub(super) number: u64,
    /// Of the keys that sign what it makes; none where receipts are to prove it.
    pub(super) role: Option<Role>,
    pub(super) drafts: Vec<Draft>,
    /// Where the draft of a device is.
    of_device: BTreeMap<usize, usize>,
    /// Items settled or attached elsewhere once the drafts stand.
    pub(super) plans: Vec<(RequestId, usize, Plan)>,
    /// Items judged, prepared or not.
    judged: usize,
}

/// A chunk in the making.
pub(super) struct Draft {
    pub(super) id: ChunkId,
    pub(super) device: usize,
    pub(super) token: Option<TokenIndex>,
    before: State,
    pub(super) slots: Vec<Slot>,
    pub(super) prepared: Vec<PreparedPiece>,
}

impl Engine {
    /// Builds chunks from this request and, while there is room, from the requests of the same tenant for the same PSD or licence
    /// behind it.
    pub(super) fn take_turn(&mut self, tenant: TenantIndex, first: RequestId) {
        let Some(request) = self.requests.get(&first) else { return self.unqueue(first) };
        let (target, role, all_or_none) = (request.target.clone(), request.role, request.all_or_none);
        let mut turn = self.begin_turn(role);
        if all_or_none {
            self.unqueue(first);
            if let Some(turn) = self.judge_all_or_none(first, turn) {
                self.launch(tenant, turn);
            }
            return;
        }
        let window = self.settings.in_flight_items.saturating_sub(self.in_flight_items);
        let room = self.settings.chunk_items.min(window).max(1);
        // Of small requests, half of what waits: so the one half is signed while the other is written.
        let enough = room.min(self.queued_items.div_ceil(2).max(SMALL_CHUNK));
        let mut next = Some(first);
        while let Some(id) = next.take() {
            let finished = self.judge_some(id, &mut turn, room);
            if finished {
                self.unqueue(id);
                next = self.queues.get(&tenant).and_then(|queue| queue.requests.front().copied());
                next = next.filter(|id| {
                    let alike = |request: &Request| {
                        request.target.is_of(&target) && request.role == role && !request.all_or_none
                    };
                    turn.judged < enough && self.requests.get(id).is_some_and(alike)
                });
            }
        }
        self.launch(tenant, turn);
    }

    fn begin_turn(&mut self, role: Option<Role>) -> Turn {
        self.turns += 1;
        Turn { number: self.turns, role, drafts: Vec::new(), of_device: BTreeMap::new(), plans: Vec::new(), judged: 0 }
    }

    /// Where the turn's draft of a device is.
    pub(super) fn draft_of(&mut self, turn: &mut Turn, device: usize) -> usize {
        if let Some(at) = turn.of_device.get(&device) {
            return *at;
        }
        let id = self.next_chunk_id();
        let psd = &self.devices[device].psd;
        let key = turn.role.and_then(|role| psd.signing_key(role));
        let token = key.and_then(|key| self.token_named(&key.token));
        let before = psd.state().clone();
        turn.drafts.push(Draft { id, device, token, before, slots: Vec::new(), prepared: Vec::new() });
        turn.of_device.insert(device, turn.drafts.len() - 1);
        turn.drafts.len() - 1
    }

    /// Judges items of a request until the turn is full. Whether the request needs no further judging for now.
    fn judge_some(&mut self, id: RequestId, turn: &mut Turn, room: usize) -> bool {
        while turn.judged < room {
            let Some(request) = self.requests.get_mut(&id) else { return true };
            let index = match request.again.pop_front() {
                Some(index) => index,
                None if request.next < request.items.len() => {
                    request.next += 1;
                    request.next - 1
                }
                None => return true,
            };
            let plan = self.judge(id, index, turn);
            if let Plan::LookUpAgain = plan {
                self.look_up_again(id, Some(index));
                return true;
            }
            if let Plan::WaitForFunds = plan {
                self.wait_for_funds(id, Some(index));
                return true;
            }
            self.take_plan(id, index, plan, turn);
        }
        self.requests.get(&id).is_none_or(|request| request.again.is_empty() && request.next == request.items.len())
    }

    pub(super) fn take_plan(&mut self, id: RequestId, index: usize, plan: Plan, turn: &mut Turn) {
        turn.judged += 1;
        let Plan::Prepare(draft, prepared) = plan else { return turn.plans.push((id, index, plan)) };
        if let Some(request) = self.requests.get(&id) {
            let piece = &request.items[index].piece;
            let draft = &mut turn.drafts[draft];
            let slot = draft.slots.len();
            let mark = piece.details.paying_mark();
            self.keys.prepared(
                request.tenant,
                piece.key,
                mark,
                InFlight { digest: piece.digest, chunk: draft.id, slot },
            );
            draft.slots.push(Slot { request: id, index, tenant: request.tenant, key: piece.key, mark });
            draft.prepared.push(prepared);
        }
    }

    /// Takes back what a turn prepared.
    pub(super) fn undo(&mut self, turn: Turn) {
        for draft in turn.drafts {
            self.devices[draft.device].psd.restore(draft.before);
            for slot in &draft.slots {
                self.keys.dropped(slot.tenant, &slot.key, slot.mark);
            }
            self.refresh(draft.device);
        }
    }

    /// Sends the drafts to be signed and gives the other items their outcomes.
    fn launch(&mut self, tenant: TenantIndex, turn: Turn) {
        self.account_judged(tenant, turn.judged);
        for draft in turn.drafts {
            if !draft.slots.is_empty() {
                match turn.role {
                    Some(role) => self.send(draft, role),
                    None => self.record(draft),
                }
            }
        }
        for (request, index, plan) in turn.plans {
            match plan {
                Plan::Settle(outcome) => self.settle_counted(request, index, outcome),
                Plan::Join(on, slot) => self.park(on, Parked::Joined { slot, request, index }),
                Plan::Provisional(on, refusal) => self.park(on, Parked::Refused { request, index, refusal }),
                Plan::Unserved(licence, refusal) => {
                    let parked = Parked::Refused { request, index, refusal: refusal.clone() };
                    if let Some(parked) = self.park_in_pool(licence, &refusal, parked) {
                        self.tell(parked);
                    }
                }
                // None reaches the end of a turn: two leave it, the other became a slot.
                Plan::LookUpAgain | Plan::WaitForFunds | Plan::Prepare(..) => {}
            }
        }
    }

    pub(super) fn park(&mut self, on: ChunkId, parked: Parked) {
        if let Some(chunk) = self.chunks.get_mut(&on) {
            chunk.parked.push(parked);
        }
    }

    /// What a receipt is to prove needs no token: it is complete, and written behind what is in flight before it.
    fn record(&mut self, draft: Draft) {
        let Draft { id, device, before, slots, prepared, .. } = draft;
        let records = prepared.into_iter().map(|piece| piece.recorded().into()).collect();
        let (prepared, bodies, gathering) = (Vec::new(), Vec::new(), None);
        let (work, desk) = (Work::Pieces { slots, prepared, bodies, gathering }, Some(self.policy.desk));
        self.begin_chunk((id, device), before, work, (Stage::Signed(records), desk));
        self.commit_ready(device);
    }

    fn begin_chunk(
        &mut self,
        (id, device): (ChunkId, usize),
        before: State,
        work: Work,
        (stage, desk): (Stage, Option<u64>),
    ) {
        let after = self.devices[device].psd.state().clone();
        self.devices[device].pipeline.push_back(id);
        if let Work::Pieces { slots, .. } = &work {
            self.in_flight_items += slots.len();
        }
        self.chunks.insert(id, Chunk { device, work, before, after, stage, desk, parked: Vec::new() });
        self.pool_chunk_begun(device, id);
    }

    fn send(&mut self, draft: Draft, role: Role) {
        // Before the indicia, so that a token that takes no MACs has no indicium signed in vain.
        let gathering = self.ask_for_tokens(&draft);
        let Draft { id, device: device_index, token, before, slots, prepared } = draft;
        let bodies = slots
            .iter()
            .map(|slot| self.requests.get_mut(&slot.request).and_then(|request| request.items[slot.index].body.take()))
            .collect();
        let device = &self.devices[device_index];
        let mut messages = Messages::with_capacity(prepared.len(), 64);
        prepared.iter().for_each(|piece| messages.push(piece.message()));
        // A piece was prepared, so there is a signing key.
        let key_id = device.psd.signing_key(role).map_or_else(|| Arc::from([]), |key| Arc::clone(&key.key_id));
        let floor = device.committed.registers.ascending().mills();
        // Only what moves the registers by itself has a floor for the worker to keep.
        let form = if role == Role::Indicium { Form::Indicium } else { Form::CoseSign1 };
        let frame = SignFrame { key_id, role, form, floor, messages };
        let desk = (role == Role::Certification).then_some(self.policy.desk);
        let work = Work::Pieces { slots, prepared, bodies, gathering };
        self.begin_chunk((id, device_index), before, work, (Stage::Signing, desk));
        self.actions.push(Action::Sign(id, token.unwrap_or(TokenIndex(usize::MAX)), frame));
    }
}
