//! Instructions of the postal authority: taken one at a time, each in one commit with its effect.
//!
//! The number is used up when the core takes the instruction in, so that what comes later must be higher. A lock binds the very next item of
//! its PSD: while it waits for what is in flight there, nothing else is prepared. A revocation of a key does not even wait for what that key is to sign: it
//! drops it, as that of the operators does. What an instruction says of a key, and the time, are judged again at its turn: the key may have been
//! revoked meanwhile. A policy of the authority binds the very next item of all PSDs from its turn on.

use super::engine::{Device, Engine};
use super::pipeline::{Stage, Work};
use super::value::Waiting;
use super::{Action, ChunkId, InstructionCommand, RequestId, ValueReply};
use psd::PsdId;
use psd::authority::{Act, Instruction, InstructionRefusal, acknowledgeable};
use psd::clock::ClockReading;
use psd::key_order::{Unchangeable, changeable, revocable};
use psd::policy::AuthorityPolicy;
use psd::record::{Event, Record};
use psdd_ledger::{Durable, NewRecord};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most instructions that wait.
const MOST_INSTRUCTIONS: usize = 1_024;

/// Instructions in the order of their coming; the first is under way.
#[derive(Default)]
pub(super) struct Instructions {
    queue: VecDeque<Job>,
    /// The commit of the first, where it is about no PSD.
    committing: Option<ChunkId>,
}

impl Instructions {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

struct Job {
    command: InstructionCommand,
    at: ClockReading,
    /// The PSD that it changes.
    device: Option<usize>,
    /// The number that was the newest before.
    before: u64,
}

/// What became of an instruction whose PSD has nothing in flight.
pub(super) enum Turn {
    /// Another one is first.
    Later,
    /// It is on its way to the disk.
    Begun,
    /// What it rests on has changed since it was taken in. It is gone.
    Refused,
}

impl Engine {
    pub(super) fn instruct(&mut self, command: InstructionCommand, monotonic_ms: u64) {
        let request = command.request;
        match self.admit_instruction(&command, monotonic_ms) {
            Ok((at, device)) => {
                let Instruction { purpose, number, .. } = command.instruction;
                let before = self.authority.newest(purpose);
                self.authority.instructed(purpose, number);
                if let Some(device) = device {
                    self.distrust_revoked(device, &command.instruction.act, at);
                    self.before_all_that_waits(device, Waiting::instruction(request));
                }
                self.instructions.queue.push_back(Job { command, at, device, before });
                match device {
                    // What it waited for may just have been dropped, and what others wait for as well.
                    Some(device) => self.run_commands(device, monotonic_ms),
                    None => self.begin_instruction(monotonic_ms),
                }
            }
            Err(reply) => self.reply_value(request, reply),
        }
    }

    fn distrust_revoked(&mut self, device: usize, act: &Act, at: ClockReading) {
        let Act::RevokeKey { psd, role, serial, revocation } = act else { return };
        let state = self.devices[device].psd.state();
        if let Ok(key_id) = revocable(*psd, state, (*role, *serial), *revocation, at.time) {
            self.distrust(device, &key_id);
        }
    }

    /// Has something take its turn before all that waits on a PSD, behind what is under way and the instructions that came before it.
    pub(super) fn before_all_that_waits(&mut self, device: usize, waiting: Waiting) {
        let commands = &mut self.devices[device].commands;
        let ahead = |waiting: &&Waiting| waiting.is_under_way() || waiting.is_instruction();
        let at = commands.iter().take_while(ahead).count();
        commands.insert(at, waiting);
        self.hold_back(device);
    }

    fn admit_instruction(
        &mut self,
        command: &InstructionCommand,
        monotonic_ms: u64,
    ) -> Result<(ClockReading, Option<usize>), ValueReply> {
        if self.stopping {
            return Err(ValueReply::Stopping);
        }
        if self.instructions.queue.len() >= MOST_INSTRUCTIONS {
            return Err(ValueReply::Overloaded);
        }
        let at = self.clock.read(monotonic_ms).map_err(ValueReply::NoClock)?;
        let instruction = &command.instruction;
        let refused = ValueReply::InstructionRefused;
        match instruction.check(&self.settings.appliance, &self.authority, at.time) {
            // What is not yet durable cannot be told apart from what was taken long ago.
            Err(InstructionRefusal::Stale { .. }) if !self.instructions.is_empty() => {
                return Err(ValueReply::Overloaded);
            }
            Err(InstructionRefusal::Stale { given, newest }) if given == newest => return Err(ValueReply::EndedBefore),
            checked => checked.map_err(refused)?,
        }
        let device = match &instruction.act {
            Act::Lock(psd) | Act::Unlock(psd) => Some(self.device_of(*psd).map_err(refused)?),
            Act::Acknowledge { psd, role, serial } => {
                let device = self.device_of(*psd).map_err(refused)?;
                acknowledgeable(*psd, self.devices[device].psd.state(), *role, *serial).map_err(refused)?;
                Some(device)
            }
            Act::AcceptAudit { psd, digest } => {
                let device = self.device_of(*psd).map_err(refused)?;
                self.devices[device].reports.check(*psd, digest).map_err(refused)?;
                Some(device)
            }
            Act::RevokeKey { psd, role, serial, revocation } => {
                let device = self.device_of(*psd).map_err(refused)?;
                let state = self.devices[device].psd.state();
                revocable(*psd, state, (*role, *serial), *revocation, at.time).map_err(refused)?;
                Some(device)
            }
            Act::ChangeKey { psd, role } => {
                let device = self.device_of(*psd).map_err(refused)?;
                changeable(*psd, self.devices[device].psd.state(), *role).map_err(refused)?;
                Some(device)
            }
            Act::Ceiling { licence, .. } | Act::InspectionPeriods { licence, .. } => {
                let known = self.devices.iter().any(|device| device.psd.identity().licence == *licence);
                known.then_some(None).ok_or_else(|| refused(InstructionRefusal::UnknownLicence(licence.clone())))?
            }
            Act::Policy { .. } => None,
        };
        Ok((at, device))
    }

    fn device_of(&self, psd: PsdId) -> Result<usize, InstructionRefusal> {
        self.by_id.get(&psd).copied().ok_or(InstructionRefusal::UnknownPsd(psd))
    }

    /// Has the first instruction take effect, unless it is under way: what is about no PSD at once, anything else when its PSD has nothing in flight.
    /// One that is refused at its turn makes way for the next.
    pub(super) fn begin_instruction(&mut self, monotonic_ms: u64) {
        while let Some(job) = self.instructions.queue.front() {
            let refused = match job.device {
                Some(device) => self.take_turns(device, monotonic_ms),
                None => self.set_at_once(),
            };
            if !refused {
                return;
            }
        }
    }

    /// Whether what is first, and is about no PSD, was refused.
    fn set_at_once(&mut self) -> bool {
        let Some(job) = self.instructions.queue.front().filter(|_| self.instructions.committing.is_none()) else {
            return false;
        };
        let at = self.time_of(job);
        if let Err(refusal) = job.command.instruction.check_expiry(at.time) {
            self.refuse_first(refusal);
            return true;
        }
        let records = match job.command.instruction.act.clone() {
            Act::Ceiling { licence, period, amount } => {
                self.authority.set_ceiling(&licence, period, amount);
                with_effect(job, at, Event::CeilingSet { licence, period, amount })
            }
            Act::InspectionPeriods { licence, periods } => {
                self.authority.set_inspection_periods(&licence, periods);
                with_effect(job, at, Event::InspectionPeriodsSet { licence, periods })
            }
            Act::Policy { version, text } => {
                let next = self.authority.policy().check_next(version).map_err(InstructionRefusal::PolicyVersion);
                let policy = match next.and_then(|()| job.command.policy()) {
                    Ok(policy) => policy,
                    Err(refusal) => {
                        self.refuse_first(refusal);
                        return true;
                    }
                };
                self.policy.instructed = version;
                self.actions.push(Action::Policy(version, policy));
                self.authority.set_policy(version, &text);
                with_effect(job, at, Event::AuthorityPolicySet { version, text })
            }
            Act::Lock(_)
            | Act::Unlock(_)
            | Act::Acknowledge { .. }
            | Act::AcceptAudit { .. }
            | Act::RevokeKey { .. }
            | Act::ChangeKey { .. } => return false,
        };
        // Whatever the periods are now.
        self.expect_inspections();
        let id = self.next_chunk_id();
        self.instructions.committing = Some(id);
        self.hand_over(Some(id), records);
        false
    }

    /// The time of an instruction's records: when it was taken in, or that of the record before them where that is later.
    fn time_of(&self, job: &Job) -> ClockReading {
        let later = self.latest.filter(|latest| (latest.epoch, latest.time) > (job.at.epoch, job.at.time));
        later.unwrap_or(job.at)
    }

    /// The turn of an instruction on its PSD has come, which has nothing in flight.
    pub(super) fn run_instruction(&mut self, device: usize, request: RequestId) -> Turn {
        let Some(job) = self.instructions.queue.front().filter(|job| job.command.request == request) else {
            return Turn::Later;
        };
        let at = self.time_of(job);
        let effect = job.command.instruction.check_expiry(at.time);
        let effect = effect.and_then(|()| effect_on(&mut self.devices[device], &job.command.instruction, at));
        match effect {
            Ok(effect) => {
                let records = with_effect(job, at, effect);
                self.start_command(device, Work::Instruction, Stage::Signed(records));
                self.commit_ready(device);
                Turn::Begun
            }
            Err(refusal) => {
                self.refuse_first(refusal);
                Turn::Refused
            }
        }
    }

    /// The first instruction is not taken after all. Where none came after it its number is free again, so that it can be carried once more.
    fn refuse_first(&mut self, refusal: InstructionRefusal) {
        let Some(job) = self.instructions.queue.pop_front() else { return };
        let Instruction { purpose, number, .. } = job.command.instruction;
        if self.authority.newest(purpose) == number {
            self.authority.instructed(purpose, job.before);
        }
        self.reply_value(job.command.request, ValueReply::InstructionRefused(refusal));
    }

    pub(super) fn instruction_committed(&mut self, device: usize, durable: Vec<Durable>, monotonic_ms: u64) {
        self.finish_command(device);
        self.end_instruction(durable, monotonic_ms);
    }

    pub(super) fn ceiling_committed(&mut self, id: ChunkId, durable: Vec<Durable>, monotonic_ms: u64) {
        if self.instructions.committing == Some(id) {
            self.instructions.committing = None;
            self.end_instruction(durable, monotonic_ms);
        }
    }

    /// An instruction is durable: those who look see the policy that it set.
    fn note_policy(&mut self, durable: &[Durable]) {
        for record in durable.iter().map(Durable::record) {
            if let Event::AuthorityPolicySet { version, text } = &record.event {
                self.committed_policy = Arc::new(AuthorityPolicy { version: *version, text: text.clone() });
            }
        }
    }

    fn end_instruction(&mut self, durable: Vec<Durable>, monotonic_ms: u64) {
        self.note_periods(&durable);
        self.note_keys(&durable);
        self.note_policy(&durable);
        if let (Some(job), Some(durable)) = (self.instructions.queue.pop_front(), durable.into_iter().next()) {
            self.reply_value(job.command.request, ValueReply::Instructed(durable));
        }
        self.begin_instruction(monotonic_ms);
    }
}

/// Changes the PSD as instructed, and gives the record of it.
fn effect_on(device: &mut Device, instruction: &Instruction, at: ClockReading) -> Result<Event, InstructionRefusal> {
    let psd = &mut device.psd;
    let (locks, reason) = (psd.state().locks, Instruction::lock_reason(instruction.purpose));
    let locks = match (&instruction.act, reason) {
        (Act::Lock(_), Some(reason)) => locks.with(reason),
        (Act::Unlock(_), Some(reason)) => locks.without(reason),
        (Act::Acknowledge { psd: name, role, serial }, _) => {
            let (psd_id, role, serial) = (*name, *role, *serial);
            let key_id = acknowledgeable(psd_id, psd.state(), role, serial)?;
            let why = "its next record does not follow";
            let event = psd.acknowledge(key_id, at.time).ok();
            return event.ok_or(InstructionRefusal::NotWaiting { psd: psd_id, role, serial, why });
        }
        (Act::AcceptAudit { psd: name, digest }, _) => {
            device.reports.check(*name, digest)?;
            let event = psd.accept_audit(*digest, at.time).ok();
            let event = event.ok_or(InstructionRefusal::UnknownReport(*name))?;
            device.reports.accepted(digest);
            return Ok(event);
        }
        (Act::RevokeKey { psd: name, role, serial, revocation }, _) => {
            let (psd_id, role, serial) = (*name, *role, *serial);
            let key_id = revocable(psd_id, psd.state(), (role, serial), *revocation, at.time)?;
            let event = psd.revoke_key(key_id, *revocation, at.time).ok();
            return event.ok_or(InstructionRefusal::UnknownCertificate { psd: psd_id, role, serial });
        }
        (Act::ChangeKey { psd: name, role }, _) => {
            let (psd_id, role) = (*name, *role);
            changeable(psd_id, psd.state(), role)?;
            let event = psd.order_key_change(role, at.time).ok();
            return event.ok_or(InstructionRefusal::Unchangeable { psd: psd_id, role, why: Unchangeable::NoKey });
        }
        (
            Act::Lock(_) | Act::Unlock(_) | Act::Ceiling { .. } | Act::InspectionPeriods { .. } | Act::Policy { .. },
            _,
        ) => {
            return Err(InstructionRefusal::WrongSigner(instruction.purpose));
        }
    };
    psd.relock(locks);
    let lifecycle = psd.state().lifecycle;
    Ok(Event::LifecycleChanged { stamp: psd.next_stamp(), lifecycle, locks })
}

/// The instruction and then its effect, for one commit.
fn with_effect(job: &Job, at: ClockReading, effect: Event) -> Vec<NewRecord> {
    let Instruction { purpose, number, .. } = job.command.instruction;
    let taken = Event::InstructionTaken { purpose, number, instruction: job.command.bytes.clone() };
    [taken, effect].map(|event| Record { at, event }.into()).into()
}
