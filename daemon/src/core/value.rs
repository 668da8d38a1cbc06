//! Value commands: they wait until nothing else is in flight on their PSD, and hold the rest back until they are durable.

use super::engine::Engine;
use super::keys::TenantIndex;
use super::pipeline::{Chunk, Stage, Work};
use super::{Action, ChunkId, Fault, RequestId, ValueCommand, ValueReply, ValueStep};
use psd::clock::ClockReading;
use psd::device::{Authorisation, ValueTerms};
use psd::key::Role;
use psd::record::{Event, Record};
use psd::{PostageAmount, TenantName};
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_ledger::{Durable, NewRecord};
use psdd_wire::cose::{Sign1, VALUE_REQUEST, VALUE_VOID};
use psdd_wire::message::ValueRequestClaims;
use std::sync::Arc;

/// Most commands on one PSD, the one in flight included.
const MOST_COMMANDS: usize = 16;

/// A command that waits for its turn on a PSD.
pub(super) struct Waiting {
    request: RequestId,
    tenant: TenantIndex,
    step: Option<ValueStep>,
}

/// A command that is being signed or committed.
pub(super) struct ValueWork {
    request: RequestId,
    /// What its signature will complete; nothing of the PSD signs when value is loaded.
    statement: Option<Statement>,
}

/// What the device key is to sign.
struct Statement {
    kind: Kind,
    terms: ValueTerms,
    message: Sign1,
    at: ClockReading,
    tenant: TenantName,
    signed: Option<Arc<[u8]>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Void,
}

impl Kind {
    const fn content_type(self) -> &'static str {
        match self {
            Kind::Request => VALUE_REQUEST,
            Kind::Void => VALUE_VOID,
        }
    }
}

impl Engine {
    pub(super) fn value_command(&mut self, command: ValueCommand, monotonic_ms: u64) {
        let ValueCommand { request, tenant, psd, step } = command;
        if self.stopping {
            return self.reply_value(request, ValueReply::Stopping);
        }
        let Some(device) = self.by_id.get(&psd).copied() else {
            return self.reply_value(request, ValueReply::UnknownPsd);
        };
        let tenant = self.keys.tenant(&tenant);
        if self.devices[device].commands.len() >= MOST_COMMANDS {
            return self.reply_value(request, ValueReply::Overloaded);
        }
        self.devices[device].commands.push_back(Waiting { request, tenant, step: Some(step) });
        self.hold_back(device);
        self.run_commands(device, monotonic_ms);
    }

    /// Runs the commands of a PSD as far as they go without waiting for token or disk.
    pub(super) fn run_commands(&mut self, device_index: usize, monotonic_ms: u64) {
        loop {
            let device = &mut self.devices[device_index];
            if !device.pipeline.is_empty() {
                return;
            }
            let Some(waiting) = device.commands.front_mut() else { return };
            let (request, tenant) = (waiting.request, waiting.tenant);
            // A step that was taken is in flight; its end removes the command.
            let Some(step) = waiting.step.take() else { return };
            let reply = match self.clock.read(monotonic_ms) {
                Err(stop) => Some(ValueReply::NoClock(stop)),
                Ok(at) => match step {
                    ValueStep::Request { amount, nonce } => {
                        self.ask_value(device_index, request, tenant, amount, nonce, at)
                    }
                    ValueStep::Apply { authorisation, bytes } => {
                        self.apply_value(device_index, request, tenant, &authorisation, bytes, at)
                    }
                    ValueStep::Void { sequence, nonce } => {
                        self.void_value(device_index, request, tenant, sequence, nonce, at)
                    }
                },
            };
            let Some(reply) = reply else { return };
            if let ValueReply::Refused(refusal) = &reply {
                self.count_refusal(tenant, refusal.code());
            }
            self.finish_command(device_index);
            self.reply_value(request, reply);
        }
    }

    fn ask_value(
        &mut self,
        device_index: usize,
        request: RequestId,
        tenant: TenantIndex,
        amount: PostageAmount,
        nonce: [u8; 16],
        at: ClockReading,
    ) -> Option<ValueReply> {
        let psd = &self.devices[device_index].psd;
        if let Some(pending) = psd.state().pending.as_ref().filter(|pending| pending.amount == amount) {
            let (sequence, request) = (pending.sequence, Arc::clone(&pending.request));
            return Some(ValueReply::Requested { sequence, amount, request });
        }
        let terms = match psd.value_terms(amount) {
            Ok(terms) => terms,
            Err(refusal) => return Some(ValueReply::Refused(refusal)),
        };
        self.sign_statement(device_index, request, tenant, (Kind::Request, terms), nonce, at)
    }

    fn void_value(
        &mut self,
        device_index: usize,
        request: RequestId,
        tenant: TenantIndex,
        sequence: u64,
        nonce: [u8; 16],
        at: ClockReading,
    ) -> Option<ValueReply> {
        let psd = &self.devices[device_index].psd;
        if sequence <= psd.state().value_sequence {
            return Some(ValueReply::EndedBefore);
        }
        match psd.void_terms(sequence) {
            Ok(terms) => self.sign_statement(device_index, request, tenant, (Kind::Void, terms), nonce, at),
            Err(refusal) => Some(ValueReply::Refused(refusal)),
        }
    }

    /// Has the device key sign a statement over these terms.
    fn sign_statement(
        &mut self,
        device_index: usize,
        request: RequestId,
        tenant: TenantIndex,
        (kind, terms): (Kind, ValueTerms),
        nonce: [u8; 16],
        at: ClockReading,
    ) -> Option<ValueReply> {
        let psd = &self.devices[device_index].psd;
        let key = psd.certified_key(Role::Device).map(|(key, _)| (Arc::clone(&key.key_id), Arc::clone(&key.token)));
        let token = key.and_then(|(key_id, token)| Some((key_id, self.token_named(&token)?)));
        let Some((key_id, token)) = token.filter(|(_, token)| self.is_up(*token)) else {
            return Some(ValueReply::Fault(Fault::Token("the device key's token does not answer".to_owned())));
        };
        let claims = ValueRequestClaims {
            psd: terms.psd,
            time: at.time.0,
            nonce,
            amount: terms.amount,
            refund: None,
            sequence: terms.sequence,
            appliance: self.settings.appliance.to_string(),
            registers: terms.registers.into(),
        };
        let message = Sign1::unsigned(kind.content_type(), None, psdd_wire::encode(&claims));
        let mut messages = Messages::with_capacity(1, 256);
        messages.push(&message.to_be_signed());
        let frame = SignFrame { key_id, role: Role::Device, form: Form::CoseSign1, floor: 0, messages };
        let tenant = self.keys.name(tenant).clone();
        let statement = Statement { kind, terms, message, at, tenant, signed: None };
        let work = ValueWork { request, statement: Some(statement) };
        let id = self.start_value(device_index, work, Stage::Signing);
        self.actions.push(Action::Sign(id, token, frame));
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
        if let Err(refusal) = psd.apply_value(authorisation, &self.settings.appliance, at.time) {
            return Some(ValueReply::Refused(refusal));
        }
        let stamp = psd.next_stamp();
        let event = Event::ValueApplied {
            stamp,
            tenant: self.keys.name(tenant).clone(),
            value_sequence: authorisation.sequence,
            amount: authorisation.amount,
            authorisation: bytes,
        };
        let records = vec![Record { at, event }.into()];
        self.start_value(device_index, ValueWork { request, statement: None }, Stage::Signed(records));
        self.commit_ready(device_index);
        None
    }

    fn start_value(&mut self, device_index: usize, work: ValueWork, stage: Stage) -> ChunkId {
        let id = self.next_chunk_id();
        let device = &mut self.devices[device_index];
        device.pipeline.push_back(id);
        // Nothing else is in flight, so what is committed is what was before.
        let (before, after) = (device.committed.clone(), device.psd.state().clone());
        let work = Work::Value(work);
        self.chunks.insert(id, Chunk { device: device_index, work, before, after, stage, parked: Vec::new() });
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
        let (value_sequence, amount) = (terms.sequence, terms.amount);
        let event = match statement.kind {
            Kind::Request => {
                psd.value_requested(terms, Arc::clone(&bytes));
                Event::ValueRequested { stamp: psd.next_stamp(), tenant, value_sequence, amount, request: bytes }
            }
            Kind::Void => {
                psd.value_voided(terms);
                Event::ValueVoided { stamp: psd.next_stamp(), tenant, value_sequence, amount, statement: bytes }
            }
        };
        chunk.after = psd.state().clone();
        vec![Record { at: statement.at, event }.into()]
    }

    pub(super) fn value_committed(&mut self, device: usize, work: ValueWork, durable: Vec<Durable>) {
        self.finish_command(device);
        let reply = match (work.statement, durable.into_iter().next()) {
            (Some(Statement { kind: Kind::Request, terms, signed: Some(request), .. }), Some(_)) => {
                ValueReply::Requested { sequence: terms.sequence, amount: terms.amount, request }
            }
            (Some(Statement { kind: Kind::Void, .. }), Some(durable)) => ValueReply::Voided(durable),
            (_, Some(durable)) => ValueReply::Applied(durable),
            (_, None) => ValueReply::Fault(Fault::TokenRefused("no record was written".to_owned())),
        };
        self.reply_value(work.request, reply);
    }

    pub(super) fn value_dropped(&mut self, device: usize, work: ValueWork, fault: &Fault) {
        self.finish_command(device);
        self.reply_value(work.request, ValueReply::Fault(fault.clone()));
    }

    /// The command in flight is always the first in turn.
    fn finish_command(&mut self, device: usize) {
        self.devices[device].commands.pop_front();
        self.let_go(device);
    }
}
