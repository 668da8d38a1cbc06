//! Mail runs: steps of them are commands on their PSD, so that nothing else of it is in flight when a run is sealed or closed.

use super::engine::Engine;
use super::keys::TenantIndex;
use super::pipeline::{Stage, Work};
use super::value::ValueWork;
use super::{RequestId, RunStep, ValueReply, ValueStep};
use psd::clock::ClockReading;
use psd::device::RunRefusal;
use psd::record::{Event, Record};
use psd::run::Run;
use psd::{Refusal, RunId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs that are being counted, by device, each with who sealed it last.
#[derive(Default)]
pub(super) struct Sealed(BTreeMap<(usize, RunId), RequestId>);

impl Sealed {
    /// Whether a run takes no piece because it is being counted.
    pub(super) fn refusal(&self, device: usize, run: Option<&RunId>) -> Option<Refusal> {
        // Nearly always there is no run being counted, or the piece is of none.
        let run = run.filter(|_| !self.0.is_empty())?;
        self.0.contains_key(&(device, run.clone())).then(|| RunRefusal::Closing(run.clone()).into())
    }
}

impl Engine {
    /// Whether a seal is theirs who took it: it ends then.
    fn unsealed(&mut self, device: usize, run: &RunId, by: RequestId) -> bool {
        let place = (device, run.clone());
        let theirs = self.sealed.0.get(&place) == Some(&by);
        if theirs {
            self.sealed.0.remove(&place);
        }
        theirs
    }

    /// What a step comes to that needs no time.
    pub(super) fn without_time(&mut self, device: usize, step: &ValueStep) -> Option<ValueReply> {
        let ValueStep::Run(RunStep::Unseal { run, by }) = step else { return None };
        self.unsealed(device, run, *by);
        Some(ValueReply::RunUnsealed)
    }

    /// Takes a step whose turn it is: says at once what becomes of it, or begins to write it.
    pub(super) fn run_step(
        &mut self,
        device: usize,
        request: RequestId,
        tenant: TenantIndex,
        step: RunStep,
        at: ClockReading,
    ) -> Option<ValueReply> {
        let tenant = self.keys.name(tenant).clone();
        let event = match step {
            RunStep::Open(run) => {
                if self.is_open(device, &run) {
                    return Some(ValueReply::RunKnown);
                }
                if self.named_elsewhere(device, &run.id) {
                    return Some(ValueReply::RunRefused(RunRefusal::Reused(run.id.clone())));
                }
                // Rated by tables whose records still wait, or by others than are in force by now: to be rated anew.
                if !self.desks.has(&run) {
                    return Some(ValueReply::Overloaded);
                }
                let psd = &mut self.devices[device].psd;
                match psd.open_run(Arc::clone(&run), at.time) {
                    Ok(()) => Event::RunOpened { stamp: psd.next_stamp(), tenant, run },
                    Err(refusal) => return Some(ValueReply::RunRefused(refusal)),
                }
            }
            RunStep::Seal { run, by } => {
                let Some(open) = self.devices[device].psd.state().runs.open_named(&run).cloned() else {
                    return Some(ValueReply::RunRefused(RunRefusal::NotOpen(run)));
                };
                // Whoever sealed it before and is gone keeps nobody from closing it.
                self.sealed.0.insert((device, run), by);
                return Some(ValueReply::RunSealed(open));
            }
            RunStep::Unseal { run, by } => {
                self.unsealed(device, &run, by);
                return Some(ValueReply::RunUnsealed);
            }
            RunStep::Close { closed, by } => {
                // Whatever becomes of the closing, the seal is over.
                if !self.unsealed(device, &closed.id, by) {
                    let open = self.devices[device].psd.state().runs.open_named(&closed.id).is_some();
                    let id = closed.id.clone();
                    let refusal = if open { RunRefusal::Closing(id) } else { RunRefusal::NotOpen(id) };
                    return Some(ValueReply::RunRefused(refusal));
                }
                let psd = &mut self.devices[device].psd;
                match psd.close_run(&closed) {
                    Ok(()) => Event::RunClosed { stamp: psd.next_stamp(), tenant, closed },
                    Err(refusal) => return Some(ValueReply::RunRefused(refusal)),
                }
            }
        };
        let records = vec![Record { at, event }.into()];
        self.start_command(device, Work::Value(ValueWork::of_run(request)), Stage::Signed(records));
        self.commit_ready(device);
        None
    }

    /// Whether the same run is open on this PSD already.
    fn is_open(&self, device: usize, run: &Run) -> bool {
        let runs = &self.devices[device].psd.state().runs;
        runs.open_named(&run.id).is_some_and(|open| open.digest == run.digest)
    }

    /// Whether another PSD of the same tenant has or had a run of this name.
    fn named_elsewhere(&self, device: usize, id: &RunId) -> bool {
        let tenant = &self.devices[device].psd.identity().tenant;
        let others = self.devices.iter().enumerate().filter(|(other, _)| *other != device);
        let mut others = others.filter(|(_, other)| other.psd.identity().tenant == *tenant);
        others.any(|(_, other)| other.psd.state().runs.knows(id))
    }
}
