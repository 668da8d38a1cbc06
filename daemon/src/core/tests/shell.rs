//! The shell of the simulation. Nothing happens between the core and its surroundings unless the test lets it happen.

mod setup;
mod value;

pub use setup::*;

use crate::core::pool::Standing;
use crate::core::{
    Action, ChunkId, Engine, Event, Found, KeyNews, Licences, Outcome, PolicyGeneration, RequestId, SignTarget, Sought,
    Submission, SubmitReply, TokenIndex, ValueReply, View,
};
use crate::spine::look_up;
use psd::certification::MarkId;
use psd::clock::{ClockGuard, ClockReading, ClockRules, ClockSample, ClockSource};
use psd::device::Piece;
use psd::digital_token::Party;
use psd::{PsdId, Registers, TenantName, UnixMillis};
use psdd_hsm::link::{SignFrame, Signatures};
use psdd_ledger::open::LedgerLock;
use psdd_ledger::{Appliance, Durable, Journal, Ledger, NewRecord, Reader, Recovered, Rules};
use psdd_policy::InstructedPolicy;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tempfile::TempDir;

/// An answer of the disk on its way to the core.
pub type FoundFor = (RequestId, Vec<Found>);

pub struct Shell {
    pub engine: Engine,
    pub setup: Setup,
    pub journal: Journal,
    pub reader: Reader,
    lock: LedgerLock,
    dir: TempDir,
    /// Milliseconds since [`START`], which is the virtual monotonic clock as well.
    pub now_ms: u64,
    /// Frames at the token.
    pub frames: BTreeMap<ChunkId, (TokenIndex, SignFrame)>,
    /// Frames of halves of digital tokens at their tokens.
    pub halves: BTreeMap<(ChunkId, Party), (TokenIndex, SignFrame)>,
    /// Handed over and not yet written.
    pub writes: VecDeque<(Option<ChunkId>, Vec<NewRecord>)>,
    /// On stable storage, but the core does not know yet.
    pub written: VecDeque<(ChunkId, Vec<Durable>)>,
    /// Not yet read.
    pub look_ups: VecDeque<(RequestId, TenantName, Vec<Sought>)>,
    /// Read, but the core does not know yet.
    pub found: VecDeque<FoundFor>,
    /// Indicia of refunds, not yet read.
    pub paid_look_ups: VecDeque<(ChunkId, MarkId)>,
    /// The same, read: whether they have paid.
    pub paid_found: VecDeque<(ChunkId, bool)>,
    pub replies: BTreeMap<RequestId, SubmitReply>,
    pub value_replies: BTreeMap<RequestId, ValueReply>,
    pub views: BTreeMap<RequestId, View>,
    pub drained: Vec<Option<ClockReading>>,
    pub fleets: Vec<Arc<Licences>>,
    pub key_news: Vec<KeyNews>,
    /// PSDs that need value, and how much, in the order in which it was said.
    pub needs: Vec<(PsdId, u64)>,
    /// Every order in which chunks were handed over.
    pub handed_over: Vec<ChunkId>,
    /// What the authority instructed as its own policy, version by version.
    pub policies: Vec<(u64, Arc<InstructedPolicy>)>,
    /// Generations of rate tables and scales that came into force.
    pub desks: Vec<u64>,
    pub policy: PolicyGeneration,
    next_request: u64,
}

impl Shell {
    pub fn new(setup: Setup) -> Self {
        // No test is about what the disk does, so memory serves where there is such a directory.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut recovered = Ledger::create(dir.path()).unwrap().bear(&genesis(), Vec::new(), Rules::default()).unwrap();
        // All are under one licence, loaded one after the other.
        let loaded = setup.funds.iter().scan(0, |loaded, funds| {
            *loaded += funds;
            Some(*loaded)
        });
        let born = setup.funds.iter().zip(loaded).enumerate();
        let records = born.flat_map(|(number, (funds, loaded))| birth(&setup, number, *funds, loaded)).collect();
        recovered.append(records).unwrap();
        Self::over(recovered, dir, setup, 0)
    }

    fn over(recovered: Recovered, dir: TempDir, setup: Setup, now_ms: u64) -> Self {
        let (journal, appliance, _, lock) = recovered.into_parts();
        let reader = Reader::open(dir.path()).unwrap();
        let engine = engine(&setup, &appliance, &reader);
        let policy = engine.policy();
        let mut shell = Self {
            engine,
            setup,
            journal,
            reader,
            lock,
            dir,
            now_ms,
            frames: BTreeMap::new(),
            halves: BTreeMap::new(),
            writes: VecDeque::new(),
            written: VecDeque::new(),
            look_ups: VecDeque::new(),
            found: VecDeque::new(),
            paid_look_ups: VecDeque::new(),
            paid_found: VecDeque::new(),
            replies: BTreeMap::new(),
            value_replies: BTreeMap::new(),
            views: BTreeMap::new(),
            drained: Vec::new(),
            fleets: Vec::new(),
            key_news: Vec::new(),
            needs: Vec::new(),
            handed_over: Vec::new(),
            policies: Vec::new(),
            desks: Vec::new(),
            policy,
            next_request: 1,
        };
        shell.sample_clock();
        for token in 0..2 {
            shell.event(Event::TokenUp(TokenIndex(token)));
        }
        shell
    }

    /// Ends the core without ceremony and starts another over what is on the disk.
    pub fn crash(self) -> (Self, Appliance) {
        let Self { engine, journal, reader, lock, dir, setup, now_ms, next_request, .. } = self;
        drop((engine, journal, reader, lock));
        let recovered = Ledger::open(dir.path()).unwrap().recover(Rules::default(), &|_, _| None).unwrap();
        let appliance = recovered.appliance.clone();
        let shell = Self { next_request, ..Self::over(recovered, dir, setup, now_ms) };
        (shell, appliance)
    }

    pub fn sample_clock(&mut self) {
        let wall = UnixMillis(START + self.now_ms);
        let sample = ClockSample { monotonic_ms: self.now_ms, wall, error_ms: 1, synchronised: true };
        self.event(Event::Clock(sample));
    }

    pub fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.sample_clock();
    }

    pub fn event(&mut self, event: Event) {
        self.engine.handle(event, self.now_ms);
        self.act();
    }

    /// Takes in several events before the core acts, as the core thread does under load.
    pub fn events(&mut self, events: Vec<Event>) {
        for event in events {
            self.engine.handle(event, self.now_ms);
        }
        self.act();
    }

    fn act(&mut self) {
        for action in self.engine.pump(self.now_ms) {
            match action {
                Action::LookUp(request, tenant, sought) => {
                    // An answer says whose it is and nothing more, so two under way could be taken for each other.
                    let others =
                        self.look_ups.iter().map(|(other, ..)| other).chain(self.found.iter().map(|(other, _)| other));
                    assert!(
                        others.into_iter().all(|other| *other != request),
                        "{request:?} is looked up twice at a time"
                    );
                    self.look_ups.push_back((request, tenant, sought));
                }
                Action::LookUpPaid(chunk, mark) => self.paid_look_ups.push_back((chunk, mark)),
                Action::Sign(chunk, token, frame) => {
                    assert!(self.frames.insert(chunk, (token, frame)).is_none(), "{chunk:?} is signed twice");
                }
                Action::Mac(chunk, party, token, frame) => {
                    let before = self.halves.insert((chunk, party), (token, frame));
                    assert!(before.is_none(), "the {party}'s halves of {chunk:?} are asked for twice");
                }
                Action::Commit(chunk, records) => {
                    self.handed_over.extend(chunk);
                    self.writes.push_back((chunk, records));
                }
                Action::Reply(request, reply) => {
                    assert!(self.replies.insert(request, reply).is_none(), "{request:?} is answered twice");
                }
                Action::ValueReply(request, reply) => {
                    assert!(self.value_replies.insert(request, reply).is_none(), "{request:?} is answered twice");
                }
                Action::TopUp { psd, amount, .. } => self.needs.push((psd, amount.mills())),
                Action::ViewReply(request, view) => assert!(self.views.insert(request, view).is_none()),
                Action::Fleet(fleet) => self.fleets.push(fleet),
                Action::Keys(news) => self.key_news.push(news),
                Action::Policy(version, policy) => self.policies.push((version, policy)),
                Action::Desk(generation, _) => {
                    self.desks.push(generation);
                    self.policy.desk = generation;
                }
                Action::Drained(reading) => self.drained.push(reading),
            }
        }
        assert!(self.engine.pump(self.now_ms).is_empty(), "acting on nothing new is not idle");
    }

    pub fn request_id(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// A submission of PSD `psd`'s tenant.
    pub fn submission(&mut self, psd: usize, pieces: Vec<Piece>, all_or_none: bool) -> (RequestId, Event) {
        let request = self.request_id();
        let pieces = pieces.into_iter().map(|piece| (piece, None)).collect();
        let (tenant, policy) = (tenant(psd), self.policy);
        let target = match psd.checked_sub(ANY_PSD) {
            None => SignTarget::Psd(psd_id(psd)),
            Some(kind) => SignTarget::Licence {
                licence: "L-1".parse().unwrap(),
                selection: SELECTIONS[kind / 2],
                licences: self.engine.licences(),
                within: std::iter::once(0..self.setup.funds.len()).collect(),
            },
        };
        (
            request,
            Event::Submit(Submission { request, tenant, client: CLIENT.into(), target, pieces, all_or_none, policy }),
        )
    }

    /// Submits pieces of so many mills under keys of so many milliseconds.
    pub fn submit(&mut self, psd: usize, items: &[(u64, u64)]) -> RequestId {
        self.submit_as(psd, items, false)
    }

    pub fn submit_as(&mut self, psd: usize, items: &[(u64, u64)], all_or_none: bool) -> RequestId {
        let pieces = items.iter().map(|(ms, postage)| piece(psd, key(*ms), *postage)).collect();
        self.submit_pieces(psd, pieces, all_or_none)
    }

    pub fn submit_pieces(&mut self, psd: usize, pieces: Vec<Piece>, all_or_none: bool) -> RequestId {
        let (request, event) = self.submission(psd, pieces, all_or_none);
        self.event(event);
        request
    }

    /// The chunks at the token, oldest first.
    pub fn signing(&self) -> Vec<ChunkId> {
        self.frames.keys().copied().collect()
    }

    /// The token signs a frame; each signature is made of its message.
    pub fn sign(&mut self, chunk: ChunkId) {
        let (_, frame) = self.frames.remove(&chunk).unwrap();
        self.event(Event::Signed(chunk, signatures(&frame)));
    }

    /// The token makes this party's halves of the tokens of a chunk.
    pub fn mac(&mut self, chunk: ChunkId, party: Party) {
        let (_, frame) = self.halves.remove(&(chunk, party)).unwrap();
        self.event(Event::Maced(chunk, party, macs(&frame)));
    }

    /// The token does not make them.
    pub fn fail_halves(&mut self, chunk: ChunkId, party: Party, retryable: bool) {
        self.halves.remove(&(chunk, party)).unwrap();
        self.event(Event::SignFailed(chunk, hsm_fault(retryable)));
    }

    pub fn fail(&mut self, chunk: ChunkId, retryable: bool) {
        self.frames.remove(&chunk).unwrap();
        self.event(Event::SignFailed(chunk, hsm_fault(retryable)));
    }

    /// Writes so many of the batches handed over, in one transaction. What it gives is on stable storage.
    pub fn write(&mut self, batches: usize) -> Vec<Durable> {
        let batches: Vec<_> = self.writes.drain(..batches.min(self.writes.len())).collect();
        let records = batches.iter().flat_map(|(_, records)| records.iter().cloned()).collect();
        let all = self.journal.commit(records).unwrap();
        let mut durable = all.iter().cloned();
        for (chunk, records) in batches {
            let of_chunk = durable.by_ref().take(records.len()).collect();
            if let Some(chunk) = chunk {
                self.written.push_back((chunk, of_chunk));
            }
        }
        all
    }

    /// Tells the core of the oldest chunk written.
    pub fn committed(&mut self) {
        if let Some((chunk, durable)) = self.written.pop_front() {
            self.event(Event::Committed(chunk, durable));
        }
    }

    pub fn commit_all(&mut self) {
        while !self.writes.is_empty() || !self.written.is_empty() {
            self.write(usize::MAX);
            self.committed();
        }
    }

    /// Reads the oldest look-up from the disk as it is now.
    pub fn read(&mut self) {
        if let Some((request, tenant, sought)) = self.look_ups.pop_front() {
            let found = look_up::found(&mut self.reader, &tenant, &sought).unwrap();
            self.found.push_back((request, found));
        }
        if let Some((chunk, mark)) = self.paid_look_ups.pop_front() {
            let paid = self.reader.paid(std::iter::once(Some(&mark))).unwrap();
            self.paid_found.push_back((chunk, paid[0]));
        }
    }

    /// Tells the core of the oldest look-up read.
    pub fn looked_up(&mut self) {
        if let Some((request, found)) = self.found.pop_front() {
            self.event(Event::LookedUp(request, found));
        }
        if let Some((chunk, paid)) = self.paid_found.pop_front() {
            self.event(Event::PaidLookedUp(chunk, paid));
        }
    }

    /// Whether a look-up is under way.
    pub fn looks_up(&self) -> bool {
        let requests = self.look_ups.len() + self.found.len();
        requests + self.paid_look_ups.len() + self.paid_found.len() > 0
    }

    pub fn look_up_all(&mut self) {
        while self.looks_up() {
            self.read();
            self.looked_up();
        }
    }

    /// Lets everything happen until nothing is left to happen.
    pub fn settle(&mut self) {
        loop {
            self.look_up_all();
            self.commit_all();
            while let Some((chunk, party)) = self.halves.keys().next().copied() {
                self.mac(chunk, party);
            }
            match self.signing().first() {
                Some(chunk) => self.sign(*chunk),
                None if !self.looks_up() && self.writes.is_empty() => return,
                None => {}
            }
        }
    }

    /// The outcomes of a request that was judged.
    #[track_caller]
    pub fn outcomes(&self, request: RequestId) -> &[Outcome] {
        match self.replies.get(&request) {
            Some(SubmitReply::Judged(outcomes)) => outcomes,
            other => panic!("{request:?} was not judged but {other:?}"),
        }
    }

    /// A word for each outcome: `signed`, the code of a refusal or fault, `stale`.
    #[track_caller]
    pub fn words(&self, request: RequestId) -> Vec<&'static str> {
        self.outcomes(request).iter().map(word).collect()
    }

    pub fn is_answered(&self, request: RequestId) -> bool {
        self.replies.contains_key(&request)
    }

    /// Which PSD signed each item.
    #[track_caller]
    pub fn signers(&self, request: RequestId) -> Vec<usize> {
        let signer = |outcome: &Outcome| match outcome {
            Outcome::Signed(durable) => psd_number(durable.record().event.stamp().unwrap().psd),
            other => panic!("{other:?}"),
        };
        self.outcomes(request).iter().map(signer).collect()
    }

    /// Asserts that pools know what their members could take.
    #[track_caller]
    pub fn assert_pools_know(&self) {
        for (number, device) in self.engine.devices.iter().enumerate() {
            let standing = self.engine.standing(number);
            let spendable = if standing == Standing::InUse { device.psd.spendable().mills() + 1 } else { 0 };
            let known = self.engine.pools[device.place.licence].known(device.place.member);
            assert_eq!(known, (standing, spendable), "PSD {number}");
        }
    }

    /// The registers the core works with.
    pub fn working(&self, psd: usize) -> Registers {
        self.engine.devices[psd].psd.state().registers
    }

    /// The registers of the last commit the core knows of.
    pub fn committed_registers(&self, psd: usize) -> Registers {
        self.engine.devices[psd].committed.registers
    }

    /// Asserts that the core holds on to nothing.
    #[track_caller]
    pub fn assert_idle(&self) {
        let engine = &self.engine;
        assert_eq!(engine.load(), (0, 0), "items in flight, items waiting");
        assert_eq!(engine.keys.held(), (0, 0, 0), "keys in flight, recent keys, tags");
        assert!(engine.requests.is_empty() && engine.chunks.is_empty(), "requests or chunks are left");
        assert!(
            engine.queues.values().all(|queue| queue.items == 0 && queue.requests.is_empty()),
            "queues are not empty"
        );
        for pool in &engine.pools {
            assert_eq!(pool.held(), (0, 0, 0), "chunks, value commands and refusals in a pool");
        }
        self.assert_pools_know();
        for device in &engine.devices {
            assert!(device.pipeline.is_empty() && device.commands.is_empty(), "a PSD still has something in flight");
            assert_eq!(device.psd.state(), &device.committed, "the working state is not the committed one");
        }
    }
}

pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Signed(_) => "signed",
        Outcome::Refused(refusal) => refusal.code(),
        Outcome::Fault(fault) => fault.code(),
        Outcome::Stale => "stale",
    }
}

/// 64 bytes for each message, made of it.
pub fn signatures(frame: &SignFrame) -> Signatures {
    let sign = |message: &[u8]| (0..64).map(|n| message[n % message.len()].rotate_left(3)).collect::<Vec<u8>>();
    Signatures::from_bytes(frame.messages.iter().flat_map(sign).collect())
}

/// 32 bytes for each message, made of it.
pub fn macs(frame: &SignFrame) -> Signatures {
    let mac =
        |message: &[u8]| (0..32).map(|n| message[message.len() - 1 - n % message.len()] ^ 0x5a).collect::<Vec<u8>>();
    Signatures::with_length(frame.messages.iter().flat_map(mac).collect(), 32).unwrap()
}

fn engine(setup: &Setup, appliance: &Appliance, reader: &Reader) -> Engine {
    let rules = ClockRules {
        source: ClockSource::Development,
        tolerance_ms: 1_000,
        largest_error_ms: 1_000,
        largest_silence_ms: 1_000_000,
    };
    let clock = ClockGuard::resume(rules, appliance.latest.epoch, appliance.latest.time);
    let greatest = reader.greatest().unwrap();
    let psds = appliance.psds.values().cloned();
    let held = (appliance.authority.clone(), appliance.governance.clone(), appliance.certifying.clone());
    Engine::new(setup.engine(), clock, psds, held, greatest)
}
