//! Value commands: they wait until nothing else is in flight on their PSD, and hold the rest back until they are durable.

use super::engine::Engine;
use super::instruct::Turn;
use super::keys::{TenantIndex, Use};
use super::pipeline::{Chunk, Parked, Stage, Work};
use super::{Action, ChunkId, Fault, RequestId, RunStep, TokenIndex, ValueCommand, ValueReply, ValueStep};
use psd::TenantName;
use psd::certification::MarkId;
use psd::clock::ClockReading;
use psd::device::{Authorisation, PendingValue, Purpose, Spoiled, ValueRefusal, ValueTerms};
use psd::key::Role;
use psd::record::{Applied, Event, Record};
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_ledger::{Durable, NewRecord};
use psdd_wire::cose::{Sign1, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use psdd_wire::message::{RefundClaims, ValueRequestClaims};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most commands on one PSD, the one in flight included.
const MOST_COMMANDS: usize = 16;

/// A command that waits for its turn on a PSD.
pub(super) struct Waiting {
    request: RequestId,
    tenant: TenantIndex,
    step: Step,
}

enum Step {
    Value(ValueStep),
    /// An instruction of the authority, in the hands of [`super::instruct`].
    Instruction,
    /// A lock because an inspection is overdue at this reading, in the hands of [`super::inspection`].
    Overdue(ClockReading),
    /// A change, in the hands of [`super::administer`].
    Change,
    /// Begun: being signed or committed.
    UnderWay,
}

impl Waiting {
    pub(super) fn instruction(request: RequestId) -> Self {
        Self { request, tenant: TenantIndex(usize::MAX), step: Step::Instruction }
    }

    pub(super) fn change(request: RequestId) -> Self {
        Self { request, tenant: TenantIndex(usize::MAX), step: Step::Change }
    }

    pub(super) fn overdue(at: ClockReading) -> Self {
        Self { request: RequestId(u64::MAX), tenant: TenantIndex(usize::MAX), step: Step::Overdue(at) }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.step, Step::UnderWay)
    }

    pub(super) fn is_instruction(&self) -> bool {
        matches!(self.step, Step::Instruction)
    }
}

/// Downloads under ceilings: what a refusal of one PSD's may rest on is another PSD's that is not yet durable.
#[derive(Default)]
pub(super) struct Loading {
    in_flight: BTreeSet<ChunkId>,
    /// PSDs whose next command waits until every chunk up to this one is durable.
    held: BTreeMap<usize, ChunkId>,
}

impl Loading {
    /// Whether a refusal of this PSD's must wait: something is in flight that was so when it was first judged.
    fn hold(&mut self, device: usize) -> bool {
        let newest = self.in_flight.last().copied();
        let upto = self.held.get(&device).copied().or(newest);
        let rests = upto.filter(|upto| self.in_flight.first().is_some_and(|oldest| oldest <= upto));
        match rests {
            Some(upto) => self.held.insert(device, upto),
            None => self.held.remove(&device),
        };
        rests.is_some()
    }
}

/// A command that is being signed or committed.
pub(super) struct ValueWork {
    request: RequestId,
    /// What its signature will complete; nothing of the PSD signs when value is loaded.
    statement: Option<Box<Statement>>,
    /// The spoiled mark whose postage is asked back: it pays for no certification meanwhile.
    reserved: Option<MarkId>,
    /// Why it is dropped, where that is no fault.
    refused: Option<ValueRefusal>,
}

impl ValueWork {
    /// A step of a run, which nothing of the PSD signs.
    pub(super) const fn of_run(request: RequestId) -> Self {
        Self { request, statement: None, reserved: None, refused: None }
    }
}

/// What the device key is to sign.
struct Statement {
    kind: Kind,
    terms: ValueTerms,
    message: Sign1,
    at: ClockReading,
    tenant: TenantName,
    /// What is to be signed, until it is sent.
    unsent: Option<(TokenIndex, SignFrame)>,
    signed: Option<Arc<[u8]>>,
}

#[derive(Clone)]
enum Kind {
    Request,
    Void,
    /// The final report, with the acknowledgement it follows.
    Report(Arc<[u8]>),
}

impl Kind {
    const fn content_type(&self, purpose: Purpose) -> &'static str {
        match (self, purpose) {
            (Kind::Request, Purpose::Withdrawal) => WITHDRAWAL_REQUEST,
            (Kind::Request, Purpose::Download | Purpose::Refund(_)) => VALUE_REQUEST,
            (Kind::Void, _) => VALUE_VOID,
            (Kind::Report(_), _) => WITHDRAWAL_REPORT,
        }
    }
}

impl Engine {
    pub(super) fn value_command(&mut self, command: ValueCommand, monotonic_ms: u64) {
        let ValueCommand { request, tenant, client, psd, step } = command;
        if self.stopping {
            return self.reply_value(request, ValueReply::Stopping);
        }
        if client.is_some_and(|client| self.governance.client_revocation(&tenant, &client).is_some()) {
            return self.reply_value(request, ValueReply::ClientRevoked);
        }
        let Some(device) = self.by_id.get(&psd).copied() else {
            return self.reply_value(request, ValueReply::UnknownPsd);
        };
        let tenant = self.keys.tenant(&tenant);
        // What a seal holds back is more than the command that ends it.
        let ends_seal = matches!(step, ValueStep::Run(RunStep::Unseal { .. }));
        if self.devices[device].commands.len() >= MOST_COMMANDS && !ends_seal {
            return self.reply_value(request, ValueReply::Overloaded);
        }
        self.devices[device].commands.push_back(Waiting { request, tenant, step: Step::Value(step) });
        self.hold_back(device);
        self.run_commands(device, monotonic_ms);
    }

    /// Runs the commands of a PSD as far as they go without waiting for token or disk.
    pub(super) fn run_commands(&mut self, device_index: usize, monotonic_ms: u64) {
        if self.take_turns(device_index, monotonic_ms) {
            self.begin_instruction(monotonic_ms);
        }
    }

    /// The same, but for instructions that wait for one that was refused at its turn: gives whether one was.
    pub(super) fn take_turns(&mut self, device_index: usize, monotonic_ms: u64) -> bool {
        let mut refused = false;
        loop {
            let device = &mut self.devices[device_index];
            if !device.pipeline.is_empty() {
                return refused;
            }
            let Some(waiting) = device.commands.front_mut() else { return refused };
            let (request, tenant) = (waiting.request, waiting.tenant);
            let step = match std::mem::replace(&mut waiting.step, Step::UnderWay) {
                Step::Value(step) => step,
                // Its end removes the command.
                Step::UnderWay => return refused,
                Step::Overdue(at) => {
                    if self.run_overdue(device_index, at) {
                        return refused;
                    }
                    self.finish_command(device_index);
                    continue;
                }
                Step::Change => {
                    let Some(reply) = self.run_change(device_index, request, monotonic_ms) else { return refused };
                    self.finish_command(device_index);
                    self.reply_value(request, reply);
                    continue;
                }
                Step::Instruction => match self.run_instruction(device_index, request) {
                    Turn::Begun => return refused,
                    Turn::Later => {
                        if let Some(waiting) = self.devices[device_index].commands.front_mut() {
                            waiting.step = Step::Instruction;
                        }
                        return refused;
                    }
                    Turn::Refused => {
                        refused = true;
                        self.finish_command(device_index);
                        continue;
                    }
                },
            };
            if let Some(on) = self.certifying(device_index, &step)
                && let Some(waiting) = self.devices[device_index].commands.front_mut()
            {
                waiting.step = Step::Value(step);
                self.park(on, Parked::Command { device: device_index });
                return refused;
            }
            let taken = match self.clock.read(monotonic_ms) {
                Err(stop) => Some(self.without_time(device_index, &step).unwrap_or(ValueReply::NoClock(stop))),
                Ok(at) => self.take_step(device_index, request, tenant, step.clone(), at),
            };
            let Some(reply) = taken else { return refused };
            if let ValueReply::Refused(refusal) = &reply {
                if matches!(refusal, ValueRefusal::AboveCeiling(_))
                    && self.loading.hold(device_index)
                    && let Some(waiting) = self.devices[device_index].commands.front_mut()
                {
                    waiting.step = Step::Value(step);
                    return refused;
                }
                self.count_refusal(tenant, refusal.code());
            }
            if let ValueReply::RunRefused(refusal) = &reply {
                self.count_refusal(tenant, refusal.code());
            }
            self.finish_command(device_index);
            self.reply_value(request, reply);
        }
    }

    /// The chunk in flight in which the mark whose postage is to come back pays for a certification.
    fn certifying(&self, device: usize, step: &ValueStep) -> Option<ChunkId> {
        let ValueStep::Refund { ascending, .. } = step else { return None };
        let mark = MarkId { psd: self.devices[device].psd.identity().psd, ascending: *ascending };
        match self.keys.mark_state(mark) {
            Use::InFlight(on) => Some(on).filter(|on| self.chunks.contains_key(on)),
            Use::Unseen | Use::Recent => None,
        }
    }

    /// The disk says whether the mark of a refund has paid for a certification: if not, the request is signed. Since it was asked, the mark is
    /// reserved and pays for none.
    pub(super) fn refund_looked_up(&mut self, id: ChunkId, paid: bool, monotonic_ms: u64) {
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        let Work::Value(work) = &mut chunk.work else { return };
        let Some((token, frame)) = work.statement.as_mut().and_then(|statement| statement.unsent.take()) else {
            return;
        };
        if !paid {
            return self.actions.push(Action::Sign(id, token, frame));
        }
        let leaf = work.statement.as_ref().and_then(|statement| statement.terms.purpose.refund());
        work.refused = Some(ValueRefusal::PaidBefore { leaf: leaf.unwrap_or_default() });
        let device = chunk.device;
        self.drop_uncommitted(device, &Fault::TokenRefused("nothing was signed".to_owned()));
        self.run_commands(device, monotonic_ms);
    }

    /// Begins a step, or says at once what becomes of it.
    fn take_step(
        &mut self,
        device: usize,
        request: RequestId,
        tenant: TenantIndex,
        step: ValueStep,
        at: ClockReading,
    ) -> Option<ValueReply> {
        let begun = match step {
            ValueStep::Request { amount, nonce } => {
                if let Some(reply) =
                    self.pending(device, |pending| pending.purpose == Purpose::Download && pending.amount == amount)
                {
                    return Some(reply);
                }
                let psd = &self.devices[device].psd;
                let admitted = self.authority.admit(&psd.identity().licence, amount, at.time);
                let terms = psd.value_terms(amount).and_then(|terms| Ok(admitted.map(|_| terms)?));
                terms.map(|terms| (Kind::Request, terms, None, nonce))
            }
            ValueStep::Refund { piece, ascending, postage, nonce } => {
                let spoiled = Spoiled { leaf: piece.leaf, ascending };
                let purpose = Purpose::Refund(spoiled);
                if let Some(reply) = self.pending(device, |pending| pending.purpose == purpose) {
                    return Some(reply);
                }
                let terms = self.devices[device].psd.refund_terms(spoiled, postage);
                terms.map(|terms| (Kind::Request, terms, Some(piece), nonce))
            }
            ValueStep::Withdraw { nonce } => {
                if let Some(reply) = self.pending(device, |pending| pending.purpose == Purpose::Withdrawal) {
                    return Some(reply);
                }
                self.devices[device].psd.withdrawal_terms().map(|terms| (Kind::Request, terms, None, nonce))
            }
            ValueStep::Void { sequence, nonce } => {
                let psd = &self.devices[device].psd;
                if sequence <= psd.state().value_sequence {
                    return Some(ValueReply::EndedBefore);
                }
                psd.void_terms(sequence).map(|terms| (Kind::Void, terms, None, nonce))
            }
            ValueStep::Acknowledge { acknowledgement, bytes, nonce } => {
                let psd = &self.devices[device].psd;
                if acknowledgement.sequence <= psd.state().value_sequence && acknowledgement.psd == psd.identity().psd {
                    return Some(ValueReply::EndedBefore);
                }
                let terms = psd.report_terms(&acknowledgement, &self.settings.appliance, at.time);
                terms.map(|terms| (Kind::Report(bytes), terms, None, nonce))
            }
            ValueStep::Run(step) => return self.run_step(device, request, tenant, step, at),
            ValueStep::Apply { authorisation, bytes } => {
                return self.apply_value(device, request, tenant, &authorisation, bytes, at);
            }
        };
        match begun {
            Ok((kind, terms, refund, nonce)) => {
                self.sign_statement(device, request, tenant, (kind, terms, refund), nonce, at)
            }
            Err(refusal) => Some(ValueReply::Refused(refusal)),
        }
    }

    /// The answer of before, where what is asked for is under way already.
    fn pending(&self, device: usize, same: impl Fn(&PendingValue) -> bool) -> Option<ValueReply> {
        let pending = self.devices[device].psd.state().pending.as_ref().filter(|pending| same(pending))?;
        let PendingValue { sequence, amount, purpose, request } = pending.clone();
        Some(ValueReply::Requested { sequence, amount, purpose, request })
    }

    /// Has the device key sign a statement over these terms.
    fn sign_statement(
        &mut self,
        device_index: usize,
        request: RequestId,
        tenant: TenantIndex,
        (kind, terms, refund): (Kind, ValueTerms, Option<RefundClaims>),
        nonce: [u8; 16],
        at: ClockReading,
    ) -> Option<ValueReply> {
        let psd = &self.devices[device_index].psd;
        let key = psd.key_in_use(Role::Device).map(|certified| &certified.key);
        let key = key.map(|key| (Arc::clone(&key.key_id), Arc::clone(&key.token)));
        let token = key.and_then(|(key_id, token)| Some((key_id, self.token_named(&token)?)));
        let Some((key_id, token)) = token.filter(|(_, token)| self.is_up(*token)) else {
            return Some(ValueReply::Fault(Fault::Token("the device key's token does not answer".to_owned())));
        };
        let claims = ValueRequestClaims {
            psd: terms.psd,
            time: at.time.0,
            nonce,
            amount: terms.amount,
            refund,
            sequence: terms.sequence,
            appliance: self.settings.appliance.to_string(),
            registers: terms.registers.into(),
        };
        let message = Sign1::unsigned(kind.content_type(terms.purpose), None, psdd_wire::encode(&claims));
        let mut messages = Messages::with_capacity(1, 256);
        messages.push(&message.to_be_signed());
        let frame = SignFrame { key_id, role: Role::Device, form: Form::CoseSign1, floor: 0, messages };
        let tenant = self.keys.name(tenant).clone();
        let reserved = match terms.purpose {
            Purpose::Refund(spoiled) if matches!(kind, Kind::Request) => {
                Some(MarkId { psd: terms.psd, ascending: spoiled.ascending })
            }
            Purpose::Download | Purpose::Refund(_) | Purpose::Withdrawal => None,
        };
        let (unsent, sent) = if reserved.is_some() { (Some((token, frame)), None) } else { (None, Some(frame)) };
        let statement = Some(Box::new(Statement { kind, terms, message, at, tenant, unsent, signed: None }));
        let work = ValueWork { request, statement, reserved, refused: None };
        let id = self.start_command(device_index, Work::Value(work), Stage::Signing);
        if let Some(mark) = reserved {
            self.keys.reserve(mark, id);
            self.actions.push(Action::LookUpPaid(id, mark));
        }
        self.actions.extend(sent.map(|frame| Action::Sign(id, token, frame)));
        None
    }

    fn apply_value(
        &mut self,
        device_index: usize,
        request: RequestId,
        tenant: TenantIndex,
        authorisation: &Authorisation,
        bytes: Arc<[u8]>,
        at: ClockReading,
    ) -> Option<ValueReply> {
        let psd = &mut self.devices[device_index].psd;
        if authorisation.sequence <= psd.state().value_sequence && authorisation.psd == psd.identity().psd {
            return Some(ValueReply::EndedBefore);
        }
        // The time of the log never runs backwards, and the sums of a licence are those at the time in the record.
        let at = self.latest.filter(|latest| (latest.epoch, latest.time) > (at.epoch, at.time)).unwrap_or(at);
        let licence = &psd.identity().clone().licence;
        let admitted = self.authority.admit(licence, authorisation.amount, at.time);
        let applied = match psd.apply_value(authorisation, &self.settings.appliance, at.time, admitted) {
            Ok((Purpose::Refund(spoiled), _)) => Applied::Refund(spoiled),
            Ok((Purpose::Download | Purpose::Withdrawal, loaded)) => {
                let loaded = loaded.unwrap_or_default();
                self.authority.loaded(licence, loaded, at.time);
                Applied::Download { loaded }
            }
            Err(refusal) => return Some(ValueReply::Refused(refusal)),
        };
        let stamp = psd.next_stamp();
        let event = Event::ValueApplied {
            stamp,
            tenant: self.keys.name(tenant).clone(),
            value_sequence: authorisation.sequence,
            amount: authorisation.amount,
            authorisation: bytes,
            applied,
        };
        let records = vec![Record { at, event }.into()];
        let work = Work::Value(ValueWork { request, statement: None, reserved: None, refused: None });
        let id = self.start_command(device_index, work, Stage::Signed(records));
        self.loading.in_flight.insert(id);
        self.commit_ready(device_index);
        None
    }

    pub(super) fn start_command(&mut self, device_index: usize, work: Work, stage: Stage) -> ChunkId {
        let id = self.next_chunk_id();
        let device = &mut self.devices[device_index];
        device.pipeline.push_back(id);
        // Nothing else is in flight, so what is committed is what was before.
        let (before, after) = (device.committed.clone(), device.psd.state().clone());
        self.chunks
            .insert(id, Chunk { device: device_index, work, before, after, stage, desk: None, parked: Vec::new() });
        id
    }

    /// The device key signed: the statement becomes state and record.
    pub(super) fn value_signed(&mut self, id: ChunkId, signature: &[u8]) -> Vec<NewRecord> {
        let Some(chunk) = self.chunks.get_mut(&id) else { return Vec::new() };
        let Work::Value(ValueWork { statement: Some(statement), .. }) = &mut chunk.work else { return Vec::new() };
        let bytes: Arc<[u8]> = statement.message.clone().with_signature(signature).into();
        statement.signed = Some(Arc::clone(&bytes));
        let psd = &mut self.devices[chunk.device].psd;
        let (terms, tenant) = (&statement.terms, statement.tenant.clone());
        let (value_sequence, amount, purpose) = (terms.sequence, terms.amount, terms.purpose);
        let event = match &statement.kind {
            Kind::Request => {
                psd.value_requested(terms, Arc::clone(&bytes));
                let (stamp, request) = (psd.next_stamp(), bytes);
                Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request }
            }
            Kind::Void => {
                psd.value_voided(terms);
                Event::ValueVoided { stamp: psd.next_stamp(), tenant, value_sequence, amount, statement: bytes }
            }
            Kind::Report(acknowledgement) => {
                psd.withdrawn(terms);
                let (stamp, acknowledgement) = (psd.next_stamp(), Arc::clone(acknowledgement));
                Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report: bytes }
            }
        };
        chunk.after = psd.state().clone();
        vec![Record { at: statement.at, event }.into()]
    }

    pub(super) fn value_committed(
        &mut self,
        id: ChunkId,
        device: usize,
        work: ValueWork,
        durable: Vec<Durable>,
        monotonic_ms: u64,
    ) {
        self.finish_command(device);
        self.keys.release(work.reserved);
        let durable = durable.into_iter().next();
        let reply = match (work.statement.map(|statement| *statement), durable) {
            (Some(Statement { kind: Kind::Request, terms, signed: Some(request), .. }), Some(_)) => {
                let ValueTerms { sequence, amount, purpose, .. } = terms;
                ValueReply::Requested { sequence, amount, purpose, request }
            }
            (Some(Statement { kind: Kind::Void, .. }), Some(durable)) => ValueReply::Voided(durable),
            (Some(Statement { kind: Kind::Report(_), .. }), Some(durable)) => ValueReply::Withdrawn(durable),
            (Some(_), _) => ValueReply::Fault(Fault::TokenRefused("no record was written".to_owned())),
            (None, Some(durable)) => match &durable.record().event {
                Event::RunOpened { .. } => ValueReply::RunOpened(durable),
                Event::RunClosed { .. } => ValueReply::RunClosed(durable),
                _ => {
                    self.funds_came(device);
                    ValueReply::Applied(durable)
                }
            },
            (None, None) => ValueReply::Fault(Fault::TokenRefused("no record was written".to_owned())),
        };
        self.reply_value(work.request, reply);
        if self.loading.in_flight.remove(&id) {
            let held: Vec<usize> = self.loading.held.keys().copied().collect();
            held.into_iter().for_each(|device| self.run_commands(device, monotonic_ms));
        }
    }

    pub(super) fn value_dropped(&mut self, device: usize, work: ValueWork, fault: &Fault) {
        self.finish_command(device);
        self.keys.release(work.reserved);
        if let (Some(refused), Some(statement)) = (&work.refused, &work.statement) {
            let tenant = self.keys.tenant(&statement.tenant);
            self.count_refusal(tenant, refused.code());
        }
        let reply = work.refused.map_or_else(|| ValueReply::Fault(fault.clone()), ValueReply::Refused);
        self.reply_value(work.request, reply);
    }

    /// The command in flight is always the first in turn.
    pub(super) fn finish_command(&mut self, device: usize) {
        self.loading.held.remove(&device);
        self.devices[device].commands.pop_front();
        self.expect_inspection(device);
        self.let_go(device);
    }
}
