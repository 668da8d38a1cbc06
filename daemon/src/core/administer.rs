//! Changes that ceremonies and the custodian of keys make: to a PSD, to the fleet, to who may do what.
//!
//! A change of a PSD takes its turn like a value command: nothing is in flight on the PSD when it is made, and nothing is prepared until it is
//! durable. One that ends trust goes before all that waits and drops what is not committed yet. Facts about the appliance bind at once.

use super::engine::{Device, Engine};
use super::inspection::Reports;
use super::licence::Licences;
use super::pipeline::{Stage, Work};
use super::pool::Pool;
use super::top_up::TopUp;
use super::value::Waiting;
use super::{Action, Change, ChangeCommand, ChunkId, Fault, KeyNews, NewPsd, RequestId, StepDone, ValueReply};
use psd::Psd;
use psd::clock::ClockReading;
use psd::custody::KeyStep;
use psd::device::Change as PsdChange;
use psd::key::Role;
use psd::record::{Event, LONGEST_RECORD, Record};
use psdd_ledger::{Body, Durable, NewRecord};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Most changes under way or waiting.
const MOST_CHANGES: usize = 4_096;

/// Changes of PSDs that wait for their turn, and commits about no PSD.
#[derive(Default)]
pub(super) struct Changes {
    waiting: BTreeMap<RequestId, Ordered>,
    committing: BTreeMap<ChunkId, Committing>,
}

/// Changes of one PSD that wait for their turn.
struct Ordered {
    changes: Vec<(PsdChange, Option<Body>)>,
    step: Option<StepDone>,
}

struct Committing {
    request: RequestId,
    born: Vec<Psd>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.committing.is_empty()
    }
}

impl Engine {
    pub(super) fn administer(&mut self, command: ChangeCommand, monotonic_ms: u64) {
        let ChangeCommand { request, change } = command;
        if self.stopping {
            return self.reply_value(request, ValueReply::Stopping);
        }
        if self.changes.waiting.len() + self.changes.committing.len() >= MOST_CHANGES {
            return self.reply_value(request, ValueReply::Overloaded);
        }
        match change {
            Change::Psd { psd, changes, step } => {
                let Some(device) = self.by_id.get(&psd).copied() else {
                    return self.reply_value(request, ValueReply::UnknownPsd);
                };
                let urgent = changes.iter().any(|(change, _)| ends_trust(change));
                for (change, _) in &changes {
                    if let PsdChange::Key { key_id, step: KeyStep::Revoked, .. } = change {
                        self.distrust(device, key_id);
                    }
                }
                self.changes.waiting.insert(request, Ordered { changes, step });
                let commands = &mut self.devices[device].commands;
                // An urgent one comes before all that waits, behind what is under way.
                let at = usize::from(commands.front().is_some_and(Waiting::is_under_way));
                let at = if urgent { at } else { commands.len() };
                commands.insert(at, Waiting::change(request));
                self.hold_back(device);
                self.run_commands(device, monotonic_ms);
            }
            Change::Desk(new) => self.take_desk(request, new, monotonic_ms),
            Change::Create { psds, step } => self.create(request, psds, step, monotonic_ms),
            Change::Appliance { events } => self.change_appliance(request, events, monotonic_ms),
        }
    }

    /// A key is about to be revoked, by operators or by the authority: what it is to sign, or has signed, and is not on its way to the disk yet is dropped.
    pub(super) fn distrust(&mut self, device: usize, key_id: &[u8]) {
        let psd = &self.devices[device].psd;
        let mut signing = [Role::Indicium, Role::Certification, Role::TokenMac, Role::PostalMac]
            .into_iter()
            .filter_map(|role| psd.signing_key(role));
        if signing.any(|key| *key.key_id == *key_id) {
            let fault = Fault::KeyRevoked("its key is being revoked".to_owned());
            self.drop_uncommitted(device, &fault);
        }
    }

    /// A time for records that is not behind that of the log.
    pub(super) fn reading(&mut self, monotonic_ms: u64) -> Result<ClockReading, ValueReply> {
        let at = self.clock.read(monotonic_ms).map_err(ValueReply::NoClock)?;
        Ok(self.latest.filter(|latest| (latest.epoch, latest.time) > (at.epoch, at.time)).unwrap_or(at))
    }

    /// The turn of a change has come on its PSD, which has nothing in flight. Gives the answer where it is not begun.
    pub(super) fn run_change(&mut self, device: usize, request: RequestId, monotonic_ms: u64) -> Option<ValueReply> {
        let Some(Ordered { changes, step }) = self.changes.waiting.remove(&request) else {
            return Some(ValueReply::Stopping);
        };
        let at = match self.reading(monotonic_ms) {
            Ok(at) => at,
            Err(reply) => return Some(reply),
        };
        let before = self.devices[device].psd.state().clone();
        let mut records: Vec<NewRecord> = Vec::with_capacity(changes.len() + 1);
        for (change, body) in changes {
            match self.devices[device].psd.change(&change, at.time) {
                Ok(event) => records.push(NewRecord { record: Record { at, event }, body }),
                Err(error) => {
                    self.devices[device].psd.restore(before);
                    return Some(ValueReply::ChangeRefused(error.to_string()));
                }
            }
        }
        let taken = all_fit(&records).and_then(|()| self.take_step_done(step, at, &mut records));
        if let Err(reply) = taken {
            self.devices[device].psd.restore(before);
            return Some(reply);
        }
        if records.is_empty() {
            return Some(ValueReply::Changed(Vec::new()));
        }
        self.start_command(device, Work::Change(request), Stage::Signed(records));
        self.commit_ready(device);
        None
    }

    fn take_step_done(
        &mut self,
        step: Option<StepDone>,
        at: ClockReading,
        records: &mut Vec<NewRecord>,
    ) -> Result<(), ValueReply> {
        let Some(StepDone { number, step, text }) = step else { return Ok(()) };
        let event = Event::CeremonyStep { number, step, text };
        self.governance.check(&event).map_err(|what| ValueReply::ChangeRefused(what.to_owned()))?;
        self.governance.fold(&event);
        records.push(Record { at, event }.into());
        Ok(())
    }

    pub(super) fn change_committed(&mut self, device: usize, request: RequestId, durable: Vec<Durable>) {
        self.finish_command(device);
        self.note_keys(&durable);
        self.reply_value(request, ValueReply::Changed(durable));
    }

    fn create(&mut self, request: RequestId, psds: Vec<NewPsd>, step: Option<StepDone>, monotonic_ms: u64) {
        match self.created(psds, step, monotonic_ms) {
            Ok((born, records)) => self.commit_apart(request, born, records),
            Err(reply) => self.reply_value(request, reply),
        }
    }

    fn created(
        &mut self,
        psds: Vec<NewPsd>,
        step: Option<StepDone>,
        monotonic_ms: u64,
    ) -> Result<(Vec<Psd>, Vec<NewRecord>), ValueReply> {
        let at = self.reading(monotonic_ms)?;
        let refused = |what: String| ValueReply::ChangeRefused(what);
        let under_way = self.changes.committing.values().flat_map(|committing| &committing.born);
        let mut names: Vec<_> = under_way.map(|psd| psd.identity().psd).collect();
        let mut born = Vec::with_capacity(psds.len());
        let mut records: Vec<NewRecord> = Vec::new();
        for NewPsd { created, keys } in psds {
            let mut psd =
                Psd::from_created(&created, at.time).ok_or_else(|| refused("that is no new PSD".to_owned()))?;
            let name = psd.identity().psd;
            if self.by_id.contains_key(&name) || names.contains(&name) {
                return Err(refused(format!("there is a PSD {name} already")));
            }
            names.push(name);
            records.push(Record { at, event: created }.into());
            for (change, body) in keys {
                let event = psd.change(&change, at.time).map_err(|error| refused(error.to_string()))?;
                records.push(NewRecord { record: Record { at, event }, body });
            }
            born.push(psd);
        }
        all_fit(&records)?;
        self.take_step_done(step, at, &mut records)?;
        Ok((born, records))
    }

    fn change_appliance(&mut self, request: RequestId, events: Vec<Event>, monotonic_ms: u64) {
        let at = match self.reading(monotonic_ms) {
            Ok(at) => at,
            Err(reply) => return self.reply_value(request, reply),
        };
        // All or none: judged on a copy.
        let mut governance = self.governance.clone();
        for event in &events {
            let judged = if event.stamp().is_some() { Err("that is about a PSD") } else { governance.check(event) };
            if let Err(what) = judged {
                return self.reply_value(request, ValueReply::ChangeRefused(what.to_owned()));
            }
            governance.fold(event);
        }
        let records: Vec<NewRecord> = events.into_iter().map(|event| Record { at, event }.into()).collect();
        if let Err(reply) = all_fit(&records) {
            return self.reply_value(request, reply);
        }
        self.governance = governance;
        self.commit_apart(request, Vec::new(), records);
    }

    fn commit_apart(&mut self, request: RequestId, born: Vec<Psd>, records: Vec<NewRecord>) {
        let id = self.next_chunk_id();
        self.changes.committing.insert(id, Committing { request, born });
        self.hand_over(Some(id), records);
    }

    /// Whether the chunk was one of these.
    pub(super) fn apart_committed(&mut self, id: ChunkId, durable: &[Durable]) -> bool {
        let Some(Committing { request, born }) = self.changes.committing.remove(&id) else { return false };
        if !born.is_empty() {
            self.grow(born);
        }
        self.note_keys(durable);
        self.reply_value(request, ValueReply::Changed(durable.to_vec()));
        true
    }

    /// Says which keys there are and are not any more.
    pub(super) fn note_keys(&mut self, durable: &[Durable]) {
        for record in durable.iter().map(Durable::record) {
            // Whoever looks at it meanwhile keeps what was.
            if record.event.stamp().is_none() {
                Arc::make_mut(&mut self.committed_governance).fold(&record.event);
            }
            match &record.event {
                Event::KeyCreated { key_id, role, token, spki, wrapped, .. } => {
                    let token = self.token_named(token);
                    let (key_id, spki, resident) = (Arc::clone(key_id), Arc::clone(spki), wrapped.is_none());
                    self.actions.push(Action::Keys(KeyNews::Made { key_id, role: *role, token, spki, resident }));
                }
                Event::KeyStateChanged { key_id, step, .. } => {
                    let key_id = Arc::clone(key_id);
                    match step {
                        KeyStep::Retired | KeyStep::Revoked => {
                            self.actions.push(Action::Keys(KeyNews::Ended { key_id }));
                        }
                        KeyStep::Destroyed => self.actions.push(Action::Keys(KeyNews::Destroyed { key_id })),
                        KeyStep::Activated | KeyStep::Acknowledged => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// New PSDs are durable: they take their places.
    fn grow(&mut self, born: Vec<Psd>) {
        let identities = self.devices.iter().map(|device| Arc::clone(device.psd.identity()));
        let identities: Vec<_> = identities.chain(born.iter().map(|psd| Arc::clone(psd.identity()))).collect();
        let licences = Licences::of(&identities);
        for psd in born {
            let Some(place) = licences.place(psd.identity().psd) else { continue };
            self.by_id.insert(psd.identity().psd, self.devices.len());
            let (committed, top_up) = (psd.state().clone(), TopUp::new(&self.settings.top_ups, psd.identity()));
            let (pipeline, commands) = (VecDeque::new(), VecDeque::new());
            let reports = Reports::default();
            self.devices.push(Device { psd, committed, pipeline, commands, top_up, reports, hold: None, place });
            self.expect_inspection(self.devices.len() - 1);
        }
        for device in &mut self.devices {
            device.place = licences.place(device.psd.identity().psd).unwrap_or(device.place);
        }
        self.licences = Arc::new(licences);
        self.rebuild_pools();
        self.actions.push(Action::Fleet(Arc::clone(&self.licences)));
    }

    /// Members have other places than before: what waits on the pools is judged again, and what is in flight is entered anew.
    fn rebuild_pools(&mut self) {
        let parked: Vec<_> = self.pools.iter_mut().flat_map(Pool::take_waiting).collect();
        self.pools = Pool::of_licences(&self.licences, &self.by_id);
        let pieces = self.chunks.iter().filter(|(_, chunk)| matches!(chunk.work, Work::Pieces { .. }));
        let in_flight: Vec<_> = pieces.map(|(id, chunk)| (*id, chunk.device)).collect();
        for (id, device) in in_flight {
            self.pool_chunk_begun(device, id);
        }
        for device in 0..self.devices.len() {
            if let Some(hold) = self.devices[device].hold {
                self.pools[self.devices[device].place.licence].hold(hold);
            }
        }
        self.refresh_all();
        self.judge_all_again(parked);
        self.judge_all_thirsty();
    }
}

/// A record that is too long would end the daemon, and end it again at each start.
fn all_fit(records: &[NewRecord]) -> Result<(), ValueReply> {
    let longest = records.iter().map(|new| new.record.encode().len()).max().unwrap_or(0);
    if longest <= LONGEST_RECORD {
        return Ok(());
    }
    Err(ValueReply::ChangeRefused(format!("a record of {longest} bytes; {LONGEST_RECORD} at most")))
}

/// Whether nothing may come between the order and its effect.
const fn ends_trust(change: &PsdChange) -> bool {
    match change {
        PsdChange::Key { step: KeyStep::Revoked, .. } | PsdChange::Lock => true,
        PsdChange::Key {
            step: KeyStep::Activated | KeyStep::Retired | KeyStep::Destroyed | KeyStep::Acknowledged,
            ..
        }
        | PsdChange::AddKey { .. }
        | PsdChange::InstallCertificate { .. }
        | PsdChange::Unlock
        | PsdChange::Become(_) => false,
    }
}
