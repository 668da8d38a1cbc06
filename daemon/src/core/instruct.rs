//! Instructions of the postal authority: taken one at a time, each in one commit with its effect.
//!
//! The number is used up when the core takes the instruction in, so that what comes later must be higher. A lock binds the very next item of
//! its PSD: while it waits for what is in flight there, nothing else is prepared.

use super::engine::Engine;
use super::pipeline::{Stage, Work};
use super::value::Waiting;
use super::{ChunkId, InstructionCommand, RequestId, ValueReply};
use psd::authority::{Act, Instruction, InstructionRefusal};
use psd::clock::ClockReading;
use psd::record::{Event, Record};
use psdd_ledger::{Durable, NewRecord};
use std::collections::VecDeque;

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
    /// The PSD to lock or unlock.
    device: Option<usize>,
}

impl Engine {
    pub(super) fn instruct(&mut self, command: InstructionCommand, monotonic_ms: u64) {
        let request = command.request;
        match self.admit_instruction(&command, monotonic_ms) {
            Ok(job) => {
                let Instruction { purpose, number, .. } = command.instruction;
                self.authority.instructed(purpose, number);
                if let Some(device) = job.1 {
                    // Before all that waits, behind what is under way.
                    let commands = &mut self.devices[device].commands;
                    let at = usize::from(commands.front().is_some_and(Waiting::is_under_way));
                    commands.insert(at, Waiting::instruction(request));
                    self.hold_back(device);
                }
                self.instructions.queue.push_back(Job { command, at: job.0, device: job.1 });
                if self.instructions.queue.len() == 1 {
                    self.begin_instruction(monotonic_ms);
                }
            }
            Err(reply) => self.reply_value(request, reply),
        }
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
            Act::Lock(psd) | Act::Unlock(psd) => {
                let device = self.by_id.get(psd).copied();
                Some(device.ok_or(refused(InstructionRefusal::UnknownPsd(*psd)))?)
            }
            Act::Ceiling { licence, .. } => {
                let known = self.devices.iter().any(|device| device.psd.identity().licence == *licence);
                known.then_some(None).ok_or_else(|| refused(InstructionRefusal::UnknownLicence(licence.clone())))?
            }
        };
        Ok((at, device))
    }

    /// Has the first instruction take effect: a ceiling at once, a lock when its PSD has nothing in flight.
    fn begin_instruction(&mut self, monotonic_ms: u64) {
        let Some(job) = self.instructions.queue.front() else { return };
        if let Some(device) = job.device {
            return self.run_commands(device, monotonic_ms);
        }
        let Act::Ceiling { licence, period, amount } = job.command.instruction.act.clone() else { return };
        self.authority.set_ceiling(&licence, period, amount);
        let records = with_effect(job, Event::CeilingSet { licence, period, amount });
        let id = self.next_chunk_id();
        self.instructions.committing = Some(id);
        self.hand_over(Some(id), records);
    }

    /// The turn of an instruction on its PSD has come, which has nothing in flight. Whether it is begun; else another one is first.
    pub(super) fn run_lock(&mut self, device: usize, request: RequestId) -> bool {
        let Some(job) = self.instructions.queue.front().filter(|job| job.command.request == request) else {
            return false;
        };
        let Some(reason) = Instruction::lock_reason(job.command.instruction.purpose) else { return false };
        let psd = &mut self.devices[device].psd;
        let locks = match job.command.instruction.act {
            Act::Lock(_) => psd.state().locks.with(reason),
            Act::Unlock(_) | Act::Ceiling { .. } => psd.state().locks.without(reason),
        };
        psd.relock(locks);
        let lifecycle = psd.state().lifecycle;
        let records = with_effect(job, Event::LifecycleChanged { stamp: psd.next_stamp(), lifecycle, locks });
        self.start_command(device, Work::Instruction, Stage::Signed(records));
        self.commit_ready(device);
        true
    }

    pub(super) fn lock_committed(&mut self, device: usize, durable: Vec<Durable>, monotonic_ms: u64) {
        self.finish_command(device);
        self.end_instruction(durable, monotonic_ms);
    }

    pub(super) fn ceiling_committed(&mut self, id: ChunkId, durable: Vec<Durable>, monotonic_ms: u64) {
        if self.instructions.committing == Some(id) {
            self.instructions.committing = None;
            self.end_instruction(durable, monotonic_ms);
        }
    }

    fn end_instruction(&mut self, durable: Vec<Durable>, monotonic_ms: u64) {
        if let (Some(job), Some(durable)) = (self.instructions.queue.pop_front(), durable.into_iter().next()) {
            self.reply_value(job.command.request, ValueReply::Instructed(durable));
        }
        self.begin_instruction(monotonic_ms);
    }
}

/// The instruction and then its effect, for one commit.
fn with_effect(job: &Job, effect: Event) -> Vec<NewRecord> {
    let Instruction { purpose, number, .. } = job.command.instruction;
    let taken = Event::InstructionTaken { purpose, number, instruction: job.command.bytes.clone() };
    [taken, effect].map(|event| Record { at: job.at, event }.into()).into()
}
