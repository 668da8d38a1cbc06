//! Judging items and preparing chunks: duplicates first, then faults of ours, then the PSD's own order of refusals.

use super::engine::Engine;
use super::keys::{InFlight, KeyState, TenantIndex};
use super::pipeline::{Chunk, Parked, Slot, Stage, Work};
use super::{Action, ChunkId, Fault, Outcome, RequestId, TokenIndex};
use psd::device::{Piece, PieceContext, PreparedPiece};
use psd::key::Role;
use psd::record::{Event, Record};
use psd::{Refusal, State};
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_ledger::Durable;
use std::sync::Arc;

/// Items that are worth a frame of their own while others wait.
const SMALL_CHUNK: usize = 32;

/// What becomes of an item, before any of it has effect outside of the PSD's registers.
#[expect(clippy::large_enum_variant, reason = "nearly every plan is the large one, and each lives for a moment")]
enum Plan {
    Settle(Outcome),
    /// The same content is in flight: take part in what becomes of it.
    Join(ChunkId, usize),
    /// Refused because of a chunk that is not yet durable.
    Provisional(ChunkId, Refusal),
    /// Committed since the look-up: the disk must be asked again.
    LookUpAgain,
    Prepare(PreparedPiece),
}

/// Where a piece stands that another request had prepared.
enum Elsewhere {
    /// In a chunk that is not durable.
    InFlight(ChunkId),
    /// On the disk, since the look-up.
    Committed,
}

/// A chunk in the making.
struct Draft {
    id: ChunkId,
    device: usize,
    token: Option<TokenIndex>,
    before: State,
    slots: Vec<Slot>,
    prepared: Vec<PreparedPiece>,
    /// Items settled or attached elsewhere once the draft stands.
    plans: Vec<(RequestId, usize, Plan)>,
}

impl Draft {
    /// Items judged, prepared or not.
    fn items(&self) -> usize {
        self.slots.len() + self.plans.len()
    }
}

impl Engine {
    /// Builds one chunk from this request and, while there is room, from the requests of the same tenant for the same PSD behind it.
    pub(super) fn build_chunk(&mut self, tenant: TenantIndex, first: RequestId) {
        let Some(request) = self.requests.get(&first) else { return self.unqueue(first) };
        let (device, all_or_none) = (request.device, request.all_or_none);
        let mut draft = self.draft(device);
        if all_or_none {
            self.unqueue(first);
            if let Some(draft) = self.judge_all_or_none(first, draft) {
                self.launch(tenant, draft);
            }
            return;
        }
        let window = self.settings.in_flight_items.saturating_sub(self.in_flight_items);
        let room = self.settings.chunk_items.min(window).max(1);
        // Of small requests, half of what waits: so the one half is signed while the other is written.
        let enough = room.min(self.queued_items.div_ceil(2).max(SMALL_CHUNK));
        let mut next = Some(first);
        while let Some(id) = next.take() {
            let finished = self.judge_some(id, &mut draft, room);
            if finished {
                self.unqueue(id);
                next = self.queues.get(&tenant).and_then(|queue| queue.requests.front().copied());
                next = next.filter(|id| {
                    draft.items() < enough
                        && self.requests.get(id).is_some_and(|request| request.device == device && !request.all_or_none)
                });
            }
        }
        self.launch(tenant, draft);
    }

    fn draft(&mut self, device: usize) -> Draft {
        let id = ChunkId(self.next_chunk);
        self.next_chunk += 1;
        let psd = &self.devices[device].psd;
        let token = psd.signing_key().and_then(|key| self.token_named(&key.token));
        let before = psd.state().clone();
        Draft { id, device, token, before, slots: Vec::new(), prepared: Vec::new(), plans: Vec::new() }
    }

    /// Judges items of a request until the chunk is full. Whether the request needs no further judging for now.
    fn judge_some(&mut self, id: RequestId, draft: &mut Draft, room: usize) -> bool {
        while draft.items() < room {
            let Some(request) = self.requests.get_mut(&id) else { return true };
            let index = match request.again.pop_front() {
                Some(index) => index,
                None if request.next < request.items.len() => {
                    request.next += 1;
                    request.next - 1
                }
                None => return true,
            };
            let plan = self.judge(id, index, draft);
            if let Plan::LookUpAgain = plan {
                self.look_up_again(id, Some(index));
                return true;
            }
            self.take_plan(id, index, plan, draft);
        }
        self.requests.get(&id).is_none_or(|request| request.again.is_empty() && request.next == request.items.len())
    }

    /// Judges a whole request; one refusal undoes and refuses all.
    fn judge_all_or_none(&mut self, id: RequestId, mut draft: Draft) -> Option<Draft> {
        let count = self.requests.get_mut(&id).map(|request| {
            request.next = request.items.len();
            request.items.len()
        })?;
        for index in 0..count {
            let plan = self.judge(id, index, &draft);
            match plan {
                Plan::LookUpAgain => {
                    self.undo(draft);
                    self.look_up_again(id, None);
                    return None;
                }
                Plan::Settle(ref outcome @ (Outcome::Refused(_) | Outcome::Fault(_) | Outcome::Stale)) => {
                    let outcomes = self.whole(id, count, index, outcome);
                    self.undo(draft);
                    self.refuse_whole(id, outcomes, None);
                    return None;
                }
                Plan::Provisional(on, ref refusal) => {
                    let outcomes = self.whole(id, count, index, &Outcome::Refused(refusal.clone()));
                    let on_itself = on == draft.id;
                    let device = draft.device;
                    self.undo(draft);
                    // What it rested on in its own chunk is undone, so it rests on what is in flight before it.
                    let on = if on_itself { self.devices[device].pipeline.back().copied() } else { Some(on) };
                    self.refuse_whole(id, outcomes, on);
                    return None;
                }
                Plan::Settle(_) | Plan::Join(..) | Plan::Prepare(_) => self.take_plan(id, index, plan, &mut draft),
            }
        }
        Some(draft)
    }

    /// Outcomes of an all-or-none request of which one item was refused. A piece that was signed before stays signed, and its
    /// client must not be told otherwise.
    fn whole(&self, id: RequestId, count: usize, refused: usize, outcome: &Outcome) -> Vec<Outcome> {
        let others = match outcome {
            // A fault or a stale policy is everybody's: all can be tried again together.
            Outcome::Fault(_) | Outcome::Stale => outcome.clone(),
            Outcome::Refused(_) | Outcome::Signed(_) => Outcome::Refused(Refusal::AllOrNone { index: refused }),
        };
        let of_item = |index: usize| {
            let item = self.requests.get(&id).map(|request| &request.items[index]);
            let stored = item.and_then(|item| Some(from_ledger(item.found.as_ref()?, &item.piece)));
            stored.unwrap_or_else(|| others.clone())
        };
        (0..count).map(|index| if index == refused { outcome.clone() } else { of_item(index) }).collect()
    }

    /// Refuses an all-or-none request, at once or when what the refusal rests on is durable; but first it must be known what
    /// becomes of those of its pieces that another request had signed.
    fn refuse_whole(&mut self, id: RequestId, outcomes: Vec<Outcome>, rests_on: Option<ChunkId>) {
        match self.elsewhere(id) {
            Some(Elsewhere::InFlight(on)) => self.park(on, Parked::JudgeAgain { request: id }),
            Some(Elsewhere::Committed) => self.look_up_again(id, None),
            None => match rests_on.and_then(|on| self.chunks.get_mut(&on)) {
                Some(chunk) => chunk.parked.push(Parked::Whole { request: id, outcomes }),
                None => self.settle_all(id, outcomes),
            },
        }
    }

    /// A piece of the request, without a stored result yet, that another request had prepared.
    fn elsewhere(&self, id: RequestId) -> Option<Elsewhere> {
        let request = self.requests.get(&id)?;
        let mut open = request.items.iter().filter(|item| item.found.is_none());
        open.find_map(|item| match self.keys.state(request.tenant, &item.piece.key) {
            KeyState::InFlight(found) if found.digest == item.piece.digest => Some(Elsewhere::InFlight(found.chunk)),
            KeyState::Recent => Some(Elsewhere::Committed),
            KeyState::InFlight(_) | KeyState::Unseen => None,
        })
    }

    fn judge(&mut self, id: RequestId, index: usize, draft: &Draft) -> Plan {
        let Some(request) = self.requests.get(&id) else { return Plan::Settle(Outcome::Stale) };
        let item = &request.items[index];
        if let Err(refusal) = self.check_age(&item.piece) {
            return Plan::Settle(Outcome::Refused(refusal));
        }
        if let Some(found) = &item.found {
            return Plan::Settle(from_ledger(found, &item.piece));
        }
        match self.keys.state(request.tenant, &item.piece.key) {
            KeyState::InFlight(found) if found.digest == item.piece.digest => {
                return Plan::Join(found.chunk, found.slot);
            }
            KeyState::InFlight(found) => return Plan::Provisional(found.chunk, Refusal::KeyReused),
            KeyState::Recent => return Plan::LookUpAgain,
            KeyState::Unseen => {}
        }
        if request.policy != self.policy {
            return Plan::Settle(Outcome::Stale);
        }
        if self.log_overdue {
            return Plan::Settle(Outcome::Fault(Fault::LogUnsigned));
        }
        // Without a signing key the PSD itself refuses; a key in a token that is not configured never gets an answer.
        let keyless = self.devices[draft.device].psd.signing_key().is_none();
        if !keyless && !draft.token.is_some_and(|token| self.is_up(token)) {
            return Plan::Settle(Outcome::Fault(Fault::Token("it does not answer".to_owned())));
        }
        let context = PieceContext {
            tenant: self.keys.name(request.tenant),
            clock: self.now,
            window: self.settings.window,
            environment: self.settings.environment,
        };
        let device = &mut self.devices[draft.device];
        match device.psd.prepare(&item.piece, &context) {
            Ok(prepared) => Plan::Prepare(prepared),
            // Both look at registers that debits in flight have moved.
            Err(refusal @ (Refusal::InsufficientFunds { .. } | Refusal::Unencodable { .. })) => {
                let own = (!draft.slots.is_empty()).then_some(draft.id);
                match own.or(device.pipeline.back().copied()) {
                    Some(on) => Plan::Provisional(on, refusal),
                    None => Plan::Settle(Outcome::Refused(refusal)),
                }
            }
            Err(refusal) => Plan::Settle(Outcome::Refused(refusal)),
        }
    }

    /// The age of a key can only be told with a trusted time; without one, stored results are still found.
    fn check_age(&self, piece: &Piece) -> Result<(), Refusal> {
        let Ok(now) = self.now else { return Ok(()) };
        let key_ms = piece.key.unix_millis();
        let horizon_ms = now.time.0.saturating_sub(self.settings.key_retention_ms);
        let limit_ms = now.time.0.saturating_add(self.settings.key_skew_ms);
        if key_ms < horizon_ms {
            return Err(Refusal::KeyTooOld { key_ms, horizon_ms });
        }
        if key_ms > limit_ms {
            return Err(Refusal::KeyFromFuture { key_ms, limit_ms });
        }
        Ok(())
    }

    fn take_plan(&mut self, id: RequestId, index: usize, plan: Plan, draft: &mut Draft) {
        let Plan::Prepare(prepared) = plan else { return draft.plans.push((id, index, plan)) };
        if let Some(request) = self.requests.get(&id) {
            let piece = &request.items[index].piece;
            let slot = draft.slots.len();
            self.keys.prepared(request.tenant, piece.key, InFlight { digest: piece.digest, chunk: draft.id, slot });
            draft.slots.push(Slot { request: id, index, tenant: request.tenant, key: piece.key });
            draft.prepared.push(prepared);
        }
    }

    /// Takes back what a draft prepared.
    fn undo(&mut self, draft: Draft) {
        self.devices[draft.device].psd.restore(draft.before);
        for slot in &draft.slots {
            self.keys.dropped(slot.tenant, &slot.key);
        }
    }

    /// Asks the disk again about an item, or about all of a request.
    fn look_up_again(&mut self, id: RequestId, index: Option<usize>) {
        self.unqueue(id);
        let Some(request) = self.requests.get_mut(&id) else { return };
        match index {
            Some(index) => request.again.push_front(index),
            None => request.next = 0,
        }
        // What it held back so far stays held back: a newer tag would forget keys its other items rest on.
        self.look_up_or_queue(id);
    }

    pub(super) fn settle_all(&mut self, id: RequestId, outcomes: Vec<Outcome>) {
        if let Some(request) = self.requests.get(&id) {
            self.account_judged(request.tenant, outcomes.len());
        }
        for (index, outcome) in outcomes.into_iter().enumerate() {
            self.settle_counted(id, index, outcome);
        }
    }

    fn settle_counted(&mut self, id: RequestId, index: usize, outcome: Outcome) {
        if let (Outcome::Refused(refusal), Some(request)) = (&outcome, self.requests.get(&id)) {
            self.count_refusal(request.tenant, refusal.code());
        }
        self.settle(id, index, outcome);
    }

    /// Sends a draft to be signed and gives its other items their outcomes.
    fn launch(&mut self, tenant: TenantIndex, draft: Draft) {
        let Draft { id, device, token, before, slots, prepared, plans } = draft;
        self.account_judged(tenant, slots.len() + plans.len());
        if !slots.is_empty() {
            self.send(id, device, token, before, slots, prepared);
        }
        for (request, index, plan) in plans {
            match plan {
                Plan::Settle(outcome) => self.settle_counted(request, index, outcome),
                Plan::Join(on, slot) => self.park(on, Parked::Joined { slot, request, index }),
                Plan::Provisional(on, refusal) => self.park(on, Parked::Refused { request, index, refusal }),
                // Neither reaches a draft: the one leaves it, the other became a slot.
                Plan::LookUpAgain | Plan::Prepare(_) => {}
            }
        }
    }

    fn park(&mut self, on: ChunkId, parked: Parked) {
        if let Some(chunk) = self.chunks.get_mut(&on) {
            chunk.parked.push(parked);
        }
    }

    fn send(
        &mut self,
        id: ChunkId,
        device_index: usize,
        token: Option<TokenIndex>,
        before: State,
        slots: Vec<Slot>,
        prepared: Vec<PreparedPiece>,
    ) {
        let bodies = slots
            .iter()
            .map(|slot| self.requests.get_mut(&slot.request).and_then(|request| request.items[slot.index].body.take()))
            .collect();
        let device = &mut self.devices[device_index];
        let mut messages = Messages::with_capacity(prepared.len(), 64);
        prepared.iter().for_each(|piece| messages.push(piece.message()));
        // A piece was prepared, so there is a signing key.
        let key_id = device.psd.signing_key().map_or_else(|| Arc::from([]), |key| Arc::clone(&key.key_id));
        let floor = device.committed.registers.ascending().mills();
        let frame = SignFrame { key_id, role: Role::Indicium, form: Form::Indicium, floor, messages };
        let after = device.psd.state().clone();
        device.pipeline.push_back(id);
        self.in_flight_items += slots.len();
        let work = Work::Pieces { slots, prepared, bodies };
        self.chunks
            .insert(id, Chunk { device: device_index, work, before, after, stage: Stage::Signing, parked: Vec::new() });
        self.actions.push(Action::Sign(id, token.unwrap_or(TokenIndex(usize::MAX)), frame));
    }
}

/// A stored result is the answer to the same content, and a refusal of any other.
fn from_ledger(found: &Durable, piece: &Piece) -> Outcome {
    match found.record() {
        Record { event: Event::Indicium(stored), .. } if stored.digest == piece.digest => {
            Outcome::Signed(found.clone())
        }
        Record { .. } => Outcome::Refused(Refusal::KeyReused),
    }
}
