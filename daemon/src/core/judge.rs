//! Judging items: duplicates first, then faults of ours, then which PSD, then the PSD's own order of refusals.

use super::engine::{Engine, Target};
use super::keys::{KeyState, Use};
use super::pipeline::{Parked, Work};
use super::pool::{Need, Search};
use super::turn::Turn;
use super::{ChunkId, Fault, Outcome, RequestId};
use psd::Refusal;
use psd::device::{Piece, PieceContext, PreparedPiece};
use psdd_ledger::Durable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What becomes of an item, before any of it has effect outside of the PSD's registers.
#[expect(clippy::large_enum_variant, reason = "nearly every plan is the large one, and each lives for a moment")]
pub(super) enum Plan {
    Settle(Outcome),
    /// The same content is in flight: take part in what becomes of it.
    Join(ChunkId, usize),
    /// Refused because of a chunk that is not yet durable.
    Provisional(ChunkId, Refusal),
    /// No PSD of this licence takes it.
    Unserved(usize, Refusal),
    /// Committed since the look-up: the disk must be asked again.
    LookUpAgain,
    /// Short of funds, which are being asked for.
    WaitForFunds,
    /// For this draft of the turn.
    Prepare(usize, PreparedPiece),
}

/// Where a piece stands that another request had prepared.
enum Elsewhere {
    /// In a chunk that is not durable.
    InFlight(ChunkId),
    /// On the disk, since the look-up.
    Committed,
}

/// What a refusal of a whole request waits for.
enum Rest {
    Nothing,
    Chunk(ChunkId),
    Pool(usize),
}

impl Engine {
    /// Judges a whole request; one refusal undoes and refuses all.
    pub(super) fn judge_all_or_none(&mut self, id: RequestId, mut turn: Turn) -> Option<Turn> {
        let count = self.requests.get_mut(&id).map(|request| {
            request.next = request.items.len();
            request.items.len()
        })?;
        for index in 0..count {
            let plan = self.judge(id, index, &mut turn);
            match plan {
                Plan::LookUpAgain => {
                    self.undo(turn);
                    self.look_up_again(id, None);
                    return None;
                }
                Plan::WaitForFunds => {
                    self.undo(turn);
                    self.wait_for_funds(id, None);
                    return None;
                }
                Plan::Settle(ref outcome @ (Outcome::Refused(_) | Outcome::Fault(_) | Outcome::Stale)) => {
                    let outcomes = self.whole(id, count, index, outcome);
                    self.undo(turn);
                    self.refuse_whole(id, outcomes, Rest::Nothing);
                    return None;
                }
                Plan::Provisional(on, ref refusal) => {
                    let outcomes = self.whole(id, count, index, &Outcome::Refused(refusal.clone()));
                    let own = turn.drafts.iter().find(|draft| draft.id == on).map(|draft| draft.device);
                    self.undo(turn);
                    // What it rested on in its own chunk is undone, so it rests on what is in flight before it.
                    let rest = match own {
                        Some(device) => {
                            self.devices[device].pipeline.back().map_or(Rest::Nothing, |on| Rest::Chunk(*on))
                        }
                        None => Rest::Chunk(on),
                    };
                    self.refuse_whole(id, outcomes, rest);
                    return None;
                }
                Plan::Unserved(licence, ref refusal) => {
                    let outcomes = self.whole(id, count, index, &Outcome::Refused(refusal.clone()));
                    self.undo(turn);
                    self.refuse_whole(id, outcomes, Rest::Pool(licence));
                    return None;
                }
                Plan::Settle(_) | Plan::Join(..) | Plan::Prepare(..) => self.take_plan(id, index, plan, &mut turn),
            }
        }
        if let Some(on) = self.joined_on_another(&turn) {
            // Both chunks stand or fall by themselves: only when the one has ended is it known whether all can be signed.
            self.undo(turn);
            self.park(on, Parked::JudgeAgain { request: id });
            return None;
        }
        Some(turn)
    }

    /// A chunk in flight of which an item would take part while others of the turn are debited on another PSD. (On the same PSD
    /// the chunk comes first, and what drops it drops what is behind it.)
    fn joined_on_another(&self, turn: &Turn) -> Option<ChunkId> {
        let own = turn.drafts.iter().find(|draft| !draft.slots.is_empty())?.device;
        let mut joined = turn.plans.iter().filter_map(|(_, _, plan)| match plan {
            Plan::Join(on, _) => Some(*on),
            _ => None,
        });
        joined.find(|on| self.chunks.get(on).is_some_and(|chunk| chunk.device != own))
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
    fn refuse_whole(&mut self, id: RequestId, outcomes: Vec<Outcome>, rest: Rest) {
        match self.elsewhere(id) {
            Some(Elsewhere::InFlight(on)) => return self.park(on, Parked::JudgeAgain { request: id }),
            Some(Elsewhere::Committed) => return self.look_up_again(id, None),
            None => {}
        }
        let refused = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused(refusal @ (Refusal::NoneHasFunds { .. } | Refusal::NoPsdAvailable(_))) => {
                Some(refusal.clone())
            }
            Outcome::Refused(_) | Outcome::Signed(_) | Outcome::Fault(_) | Outcome::Stale => None,
        });
        let parked = Parked::Whole { request: id, outcomes };
        let told = match (rest, refused) {
            (Rest::Pool(licence), Some(refusal)) => self.park_in_pool(licence, &refusal, parked),
            (Rest::Chunk(on), _) if self.chunks.contains_key(&on) => {
                self.park(on, parked);
                None
            }
            (Rest::Nothing | Rest::Chunk(_) | Rest::Pool(_), _) => Some(parked),
        };
        told.into_iter().for_each(|parked| self.tell(parked));
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

    pub(super) fn judge(&mut self, id: RequestId, index: usize, turn: &mut Turn) -> Plan {
        if let Some(plan) = self.screen(id, index) {
            return plan;
        }
        let Some(request) = self.requests.get(&id) else { return Plan::Settle(Outcome::Stale) };
        let device = match &request.target {
            Target::Psd(device) => *device,
            Target::Licence { .. } => match self.member_for(id, index, turn) {
                Some(Ok(device)) => device,
                Some(Err((_, Refusal::NoneHasFunds { .. }))) if self.may_wait(id) => return Plan::WaitForFunds,
                Some(Err((licence, refusal))) => return Plan::Unserved(licence, refusal),
                None => return Plan::Settle(Outcome::Stale),
            },
        };
        let draft = self.draft_of(turn, device);
        self.judge_on(id, index, turn, draft)
    }

    /// What can be told of an item before it is known which PSD would sign it.
    fn screen(&self, id: RequestId, index: usize) -> Option<Plan> {
        let Some(request) = self.requests.get(&id) else { return Some(Plan::Settle(Outcome::Stale)) };
        let item = &request.items[index];
        if let Some(revocation) = self.governance.client_revocation(self.keys.name(request.tenant), &request.client) {
            return Some(Plan::Settle(Outcome::Refused(Refusal::ClientRevoked(revocation))));
        }
        if let Err(refusal) = self.check_age(&item.piece) {
            return Some(Plan::Settle(Outcome::Refused(refusal)));
        }
        if let Some(found) = &item.found {
            return Some(Plan::Settle(from_ledger(found, &item.piece)));
        }
        match self.keys.state(request.tenant, &item.piece.key) {
            KeyState::InFlight(found) if found.digest == item.piece.digest => {
                return Some(Plan::Join(found.chunk, found.slot));
            }
            KeyState::InFlight(found) => return Some(Plan::Provisional(found.chunk, Refusal::KeyReused)),
            KeyState::Recent => return Some(Plan::LookUpAgain),
            KeyState::Unseen => {}
        }
        if let Some(mark) = item.piece.details.paying_mark() {
            if item.mark_used {
                return Some(Plan::Settle(Outcome::Refused(Refusal::MarkCertified(mark))));
            }
            match self.keys.mark_state(mark) {
                Use::InFlight(on) => {
                    let value = self.chunks.get(&on).is_some_and(|chunk| matches!(chunk.work, Work::Value(_)));
                    let refusal = if value { Refusal::MarkRefunded(mark) } else { Refusal::MarkCertified(mark) };
                    return Some(Plan::Provisional(on, refusal));
                }
                Use::Recent => return Some(Plan::LookUpAgain),
                Use::Unseen => {}
            }
            // What it says of a mark that is not in flight is durable.
            let payer = self.by_id.get(&mark.psd).map(|payer| self.devices[*payer].psd.state());
            if payer.is_some_and(|state| state.gives_back(mark.ascending)) {
                return Some(Plan::Settle(Outcome::Refused(Refusal::MarkRefunded(mark))));
            }
        }
        let moved = match &request.target {
            Target::Licence { licences, .. } => !Arc::ptr_eq(licences, &self.licences),
            Target::Psd(_) => false,
        };
        if request.policy != self.policy || moved {
            return Some(Plan::Settle(Outcome::Stale));
        }
        self.log_overdue.then_some(Plan::Settle(Outcome::Fault(Fault::LogUnsigned)))
    }

    /// The device of the licence that takes an item, or why none does. Where it is all or none, one takes the whole request.
    fn member_for(&mut self, id: RequestId, index: usize, turn: &Turn) -> Option<Result<usize, (usize, Refusal)>> {
        let whole = self.requests.get(&id).is_some_and(|request| request.all_or_none);
        if let Some(draft) = turn.drafts.first().filter(|_| whole) {
            return Some(Ok(draft.device));
        }
        let all = if whole { self.need_of_all(id) } else { None };
        let Self { requests, pools, licences, .. } = self;
        let request = requests.get(&id)?;
        let Target::Licence { licence, selection, within, .. } = &request.target else { return None };
        let members = licences.members(*licence)?;
        let need = all.unwrap_or_else(|| Need::of(&request.items[index].piece));
        let search = Search { members, within, selection: *selection, need };
        let pool = &mut pools[*licence];
        Some(pool.take(turn.number, &search).ok_or_else(|| (*licence, pool.refusal(&search))))
    }

    /// What the items of a request need together, leaving out those that are no debit of its own.
    fn need_of_all(&self, id: RequestId) -> Option<Need> {
        let items = &self.requests.get(&id)?.items;
        // A key that stands there twice is one debit: that of the item that comes first.
        let open = (0..items.len()).rev().filter(|index| self.screen(id, *index).is_none());
        let needs: BTreeMap<_, _> = open.map(|index| (items[index].piece.key, Need::of(&items[index].piece))).collect();
        needs.into_values().reduce(Need::and)
    }

    /// Judges an item on the device of a draft.
    fn judge_on(&mut self, id: RequestId, index: usize, turn: &Turn, at: usize) -> Plan {
        let draft = &turn.drafts[at];
        let Some(request) = self.requests.get(&id) else { return Plan::Settle(Outcome::Stale) };
        let item = &request.items[index];
        let chosen = matches!(request.target, Target::Licence { .. });
        // Without a signing key the PSD itself refuses; a key in a token that is not configured never gets an answer.
        let key = turn.role.map(|role| self.devices[draft.device].psd.signing_key(role));
        let keyless = key.flatten().is_none();
        if !keyless && !draft.token.is_some_and(|token| self.is_up(token)) {
            return Plan::Settle(Outcome::Fault(Fault::Token("it does not answer".to_owned())));
        }
        if let Some(fault) = self.lacks_mac_token(&self.devices[draft.device], &item.piece) {
            return Plan::Settle(Outcome::Fault(fault));
        }
        let context = PieceContext {
            tenant: self.keys.name(request.tenant),
            clock: self.now,
            window: self.settings.window,
            environment: self.settings.environment,
        };
        if let Some(refusal) = self.sealed.refusal(draft.device, item.piece.details.run()) {
            return Plan::Settle(Outcome::Refused(refusal));
        }
        match self.devices[draft.device].psd.prepare(&item.piece, &context) {
            Ok(prepared) => {
                if chosen {
                    self.refresh(draft.device);
                }
                Plan::Prepare(at, prepared)
            }
            // Both look at registers that debits in flight have moved.
            Err(refusal @ (Refusal::InsufficientFunds { .. } | Refusal::Unencodable { .. })) => {
                if matches!(refusal, Refusal::InsufficientFunds { .. }) && self.may_wait(id) {
                    return Plan::WaitForFunds;
                }
                let own = (!draft.slots.is_empty()).then_some(draft.id);
                match own.or(self.devices[draft.device].pipeline.back().copied()) {
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

    /// Asks the disk again about an item, or about all of a request.
    pub(super) fn look_up_again(&mut self, id: RequestId, index: Option<usize>) {
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

    pub(super) fn settle_counted(&mut self, id: RequestId, index: usize, outcome: Outcome) {
        if let (Outcome::Refused(refusal), Some(request)) = (&outcome, self.requests.get(&id)) {
            self.count_refusal(request.tenant, refusal.code());
        }
        self.settle(id, index, outcome);
    }
}

/// A stored result is the answer to the same content, and a refusal of any other.
fn from_ledger(found: &Durable, piece: &Piece) -> Outcome {
    match found.record().event.debit() {
        Some(stored) if *stored.digest == piece.digest => Outcome::Signed(found.clone()),
        Some(_) | None => Outcome::Refused(Refusal::KeyReused),
    }
}
