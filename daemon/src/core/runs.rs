//! Mail runs: steps of them are commands on their PSD, so that nothing else of it is in flight when a run is sealed or closed.

use super::engine::Engine;
use super::keys::TenantIndex;
use super::pipeline::{Stage, Work};
use super::value::ValueWork;
use super::{RequestId, RunStep, ValueReply};
use psd::clock::ClockReading;
use psd::device::RunRefusal;
use psd::record::{Event, Record};
use psd::run::Run;
use psd::{Refusal, RunId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs that are being counted, by device.
#[derive(Default)]
pub(super) struct Sealed(BTreeSet<(usize, RunId)>);

impl Sealed {
    /// Whether a run takes no piece because it is being counted.
    pub(super) fn refusal(&self, device: usize, run: Option<&RunId>) -> Option<Refusal> {
        // Nearly always there is no run being counted, or the piece is of none.
        let run = run.filter(|_| !self.0.is_empty())?;
        self.0.contains(&(device, run.clone())).then(|| RunRefusal::Closing(run.clone()).into())
    }
}

impl Engine {
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
            RunStep::Seal(id) => {
                let open = self.devices[device].psd.state().runs.open_named(&id).cloned();
                let sealed = open.ok_or_else(|| RunRefusal::NotOpen(id.clone())).and_then(|run| {
                    if self.sealed.0.insert((device, id.clone())) { Ok(run) } else { Err(RunRefusal::Closing(id)) }
                });
                return Some(sealed.map_or_else(ValueReply::RunRefused, ValueReply::RunSealed));
            }
            RunStep::Unseal(id) => {
                self.sealed.0.remove(&(device, id));
                return Some(ValueReply::RunUnsealed);
            }
            RunStep::Close(closed) => {
                // Whoever closes it has sealed it; whatever becomes of the closing, that is over.
                if !self.sealed.0.remove(&(device, closed.id.clone())) {
                    return Some(ValueReply::RunRefused(RunRefusal::NotOpen(closed.id.clone())));
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
