//! The shell of the simulation. Nothing happens between the core and its surroundings unless the test lets it happen.

use crate::config::TopUpRule;
use crate::core::pool::Standing;
use crate::core::{
    Action, ChunkId, Engine, EngineSettings, Event, InstructionCommand, KeyNews, Licences, Outcome, PolicyGeneration,
    RequestId, Selection, SignTarget, Submission, SubmitReply, TokenIndex, ValueCommand, ValueReply, ValueStep, View,
};
use psd::authority::{Act, Instruction, Loaded};
use psd::clock::{ClockGuard, ClockReading, ClockRules, ClockSample, ClockSource};
use psd::device::{Authorisation, DateWindow, Piece, Purpose};
use psd::indicium::{Details, Postal, Validity, Voucher, ZipRange};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Applied, AuthorityPurpose, Charter, Environment, Event as RecordEvent, Genesis, Record, Stamp};
use psd::{Currency, PieceKey, PostageAmount, PsdId, Registers, TenantName, UnixMillis};
use psdd_hsm::link::{SignFrame, Signatures};
use psdd_hsm::protocol::{FaultClass, HsmFault};
use psdd_ledger::open::LedgerLock;
use psdd_ledger::{Appliance, Durable, Journal, Ledger, NewRecord, Reader, Recovered, Rules};
use psdd_wire::message::RefundClaims;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tempfile::TempDir;

pub const START: u64 = 1_795_176_000_000;
pub const TENANTS: [&str; 2] = ["acme", "globex"];

pub fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

pub fn tenant(number: usize) -> TenantName {
    TENANTS[number % 2].parse().unwrap()
}

pub fn psd_id(number: usize) -> PsdId {
    PsdId::new(*b"PS", *b"01", 1_000_000 + u32::try_from(number).unwrap()).unwrap()
}

/// In place of the number of a PSD: any PSD of the licence, chosen like this, for the tenant with this number.
pub fn any_psd(selection: Selection, tenant: usize) -> usize {
    let selection = SELECTIONS.iter().position(|other| *other == selection).unwrap();
    ANY_PSD + 2 * selection + tenant % 2
}

const ANY_PSD: usize = 100;
/// CN of every client here.
pub const CLIENT: &str = "mail";
const SELECTIONS: [Selection; 3] = [Selection::RoundRobin, Selection::MostFunds, Selection::Zip];

/// The number of a PSD's record.
pub fn psd_number(psd: PsdId) -> usize {
    usize::try_from(psd.serial()).unwrap() - 1_000_000
}

/// A key that is the greater the later.
pub fn key(ms_after_start: u64) -> PieceKey {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(START + ms_after_start).to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    PieceKey::from_bytes(bytes).unwrap()
}

/// A piece whose content is its postage and the PSD it is meant for, as the digest of the wire would have it.
pub fn piece(psd: usize, key: PieceKey, postage: u64) -> Piece {
    let mut digest = [u8::try_from(psd).unwrap(); 32];
    digest[..8].copy_from_slice(&postage.to_be_bytes());
    Piece {
        key,
        digest,
        postage: mills(postage),
        details: Details::Postal(Postal {
            date: "2026-11-20".parse().unwrap(),
            destination: "20500-0003".parse().unwrap(),
            rate: "FCL".parse().unwrap(),
        }),
        recipient: None,
        reference: None,
        weight_g: None,
    }
}

/// The same for a voucher.
pub fn voucher(psd: usize, key: PieceKey, value: u64) -> Piece {
    let validity = Validity::new("2026-11-20".parse().unwrap(), "2027-11-20".parse().unwrap()).unwrap();
    let (kind, holder) = ("ticket".parse().unwrap(), Some("seat 12 B".parse().unwrap()));
    Piece { details: Details::Voucher(Arc::new(Voucher { kind, holder, validity })), ..piece(psd, key, value) }
}

pub fn hsm_fault(retryable: bool) -> HsmFault {
    let class = if retryable { FaultClass::Deadline } else { FaultClass::Refused };
    HsmFault { class, code: "told-to".to_owned(), step: "the test".to_owned(), retryable }
}

/// How the appliance is made.
#[derive(Clone)]
pub struct Setup {
    /// Value of each PSD at birth, in mills. All are of one licence; those with even numbers are the first tenant's, have their keys in
    /// the first token and stand before the others.
    pub funds: Vec<u64>,
    /// The layout of all of them.
    pub format: &'static str,
    /// Destinations of the PSDs with these numbers.
    pub zips: BTreeMap<usize, (u32, u32)>,
    /// Largest postage of the PSDs with these numbers, where it is another than that of the rest.
    pub largest: BTreeMap<usize, u64>,
    pub chunk_items: usize,
    pub in_flight_items: usize,
    pub queued_items_per_tenant: usize,
    pub queued_items: usize,
    pub top_ups: Vec<TopUpRule>,
}

impl Default for Setup {
    fn default() -> Self {
        let funds = vec![1_000_000; 3];
        let (zips, largest) = (BTreeMap::new(), BTreeMap::new());
        Self {
            funds,
            format: "ibi",
            zips,
            largest,
            chunk_items: 4,
            in_flight_items: 16,
            queued_items_per_tenant: 64,
            queued_items: 96,
            top_ups: Vec::new(),
        }
    }
}

impl Setup {
    fn engine(&self) -> EngineSettings {
        EngineSettings {
            appliance: "test-1".parse().unwrap(),
            environment: Environment::Development,
            window: DateWindow { back_days: 1, ahead_days: 30 },
            key_retention_ms: 3_600_000,
            key_skew_ms: 120_000,
            chunk_items: self.chunk_items,
            in_flight_items: self.in_flight_items,
            queued_items_per_tenant: self.queued_items_per_tenant,
            queued_items: self.queued_items,
            top_ups: self.top_ups.clone(),
            tokens: vec!["token-0".into(), "token-1".into()],
        }
    }
}

/// An answer of the disk on its way to the core.
pub type Found = (RequestId, Vec<Option<Durable>>);

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
    /// Handed over and not yet written.
    pub writes: VecDeque<(Option<ChunkId>, Vec<NewRecord>)>,
    /// On stable storage, but the core does not know yet.
    pub written: VecDeque<(ChunkId, Vec<Durable>)>,
    /// Not yet read.
    pub look_ups: VecDeque<(RequestId, TenantName, Vec<PieceKey>)>,
    /// Read, but the core does not know yet.
    pub found: VecDeque<Found>,
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
        let mut shell = Self {
            engine,
            setup,
            journal,
            reader,
            lock,
            dir,
            now_ms,
            frames: BTreeMap::new(),
            writes: VecDeque::new(),
            written: VecDeque::new(),
            look_ups: VecDeque::new(),
            found: VecDeque::new(),
            replies: BTreeMap::new(),
            value_replies: BTreeMap::new(),
            views: BTreeMap::new(),
            drained: Vec::new(),
            fleets: Vec::new(),
            key_news: Vec::new(),
            needs: Vec::new(),
            handed_over: Vec::new(),
            policy: PolicyGeneration(1),
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
                Action::LookUp(request, tenant, keys) => {
                    // An answer says whose it is and nothing more, so two under way could be taken for each other.
                    let others =
                        self.look_ups.iter().map(|(other, ..)| other).chain(self.found.iter().map(|(other, _)| other));
                    assert!(
                        others.into_iter().all(|other| *other != request),
                        "{request:?} is looked up twice at a time"
                    );
                    self.look_ups.push_back((request, tenant, keys));
                }
                Action::Sign(chunk, token, frame) => {
                    assert!(self.frames.insert(chunk, (token, frame)).is_none(), "{chunk:?} is signed twice");
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

    pub fn value(&mut self, psd: usize, step: ValueStep) -> RequestId {
        let request = self.request_id();
        self.event(Event::Value(ValueCommand { request, tenant: tenant(psd), client: None, psd: psd_id(psd), step }));
        request
    }

    pub fn ask_value(&mut self, psd: usize, amount: u64) -> RequestId {
        self.value(psd, ValueStep::Request { amount: mills(amount), nonce: [3; 16] })
    }

    pub fn void_value(&mut self, psd: usize, sequence: u64) -> RequestId {
        self.value(psd, ValueStep::Void { sequence, nonce: [4; 16] })
    }

    pub fn apply_value(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64) -> RequestId {
        let authorisation = answer(psd, sequence, amount, control_total);
        self.value(psd, ValueStep::Apply { authorisation, bytes: b"authorised"[..].into() })
    }

    pub fn apply_refund(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64, leaf: u64) -> RequestId {
        let authorisation = Authorisation { refund: Some(leaf), ..answer(psd, sequence, amount, control_total) };
        self.value(psd, ValueStep::Apply { authorisation, bytes: b"authorised"[..].into() })
    }

    pub fn ask_refund(&mut self, psd: usize, leaf: u64, postage: u64) -> RequestId {
        let piece = RefundClaims { key: [1; 16], leaf, indicium: vec![1] };
        self.value(psd, ValueStep::Refund { piece, postage: mills(postage), nonce: [5; 16] })
    }

    pub fn withdraw(&mut self, psd: usize) -> RequestId {
        self.value(psd, ValueStep::Withdraw { nonce: [6; 16] })
    }

    pub fn acknowledge(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64) -> RequestId {
        let acknowledgement = answer(psd, sequence, amount, control_total);
        let bytes = b"acknowledged"[..].into();
        self.value(psd, ValueStep::Acknowledge { acknowledgement, bytes, nonce: [7; 16] })
    }

    pub fn instruct(&mut self, purpose: AuthorityPurpose, number: u64, act: Act) -> RequestId {
        let request = self.request_id();
        let (appliance, expires) = ("test-1".parse().unwrap(), UnixMillis(START + 86_400_000));
        let instruction = Instruction { purpose, appliance, number, expires, act };
        let bytes = b"instructed"[..].into();
        self.event(Event::Instruct(InstructionCommand { request, instruction, bytes }));
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
        if let Some((request, tenant, keys)) = self.look_ups.pop_front() {
            let found = self.reader.look_up(keys.iter().map(|key| (&tenant, key))).unwrap();
            self.found.push_back((request, found));
        }
    }

    /// Tells the core of the oldest look-up read.
    pub fn looked_up(&mut self) {
        if let Some((request, found)) = self.found.pop_front() {
            self.event(Event::LookedUp(request, found));
        }
    }

    pub fn look_up_all(&mut self) {
        while !self.look_ups.is_empty() || !self.found.is_empty() {
            self.read();
            self.looked_up();
        }
    }

    /// Lets everything happen until nothing is left to happen.
    pub fn settle(&mut self) {
        loop {
            self.look_up_all();
            self.commit_all();
            match self.signing().first() {
                Some(chunk) => self.sign(*chunk),
                None if self.look_ups.is_empty() && self.writes.is_empty() => return,
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

/// What the authority answers to PSD `psd`.
fn answer(psd: usize, sequence: u64, amount: u64, control_total: u64) -> Authorisation {
    Authorisation {
        appliance: "test-1".parse().unwrap(),
        psd: psd_id(psd),
        amount: mills(amount),
        refund: None,
        control_total: mills(control_total),
        sequence,
        expires: UnixMillis(START + 86_400_000),
    }
}

/// 64 bytes for each message, made of it.
pub fn signatures(frame: &SignFrame) -> Signatures {
    let sign = |message: &[u8]| (0..64).map(|n| message[n % message.len()].rotate_left(3)).collect::<Vec<u8>>();
    Signatures::from_bytes(frame.messages.iter().flat_map(sign).collect())
}

fn engine(setup: &Setup, appliance: &Appliance, reader: &Reader) -> Engine {
    let rules = ClockRules {
        source: ClockSource::Development,
        tolerance_ms: 1_000,
        largest_error_ms: 1_000,
        largest_silence_ms: 1_000_000,
    };
    let clock = ClockGuard::resume(rules, appliance.latest.epoch, appliance.latest.time);
    let greatest = reader.greatest_keys().unwrap();
    let psds = appliance.psds.values().cloned();
    let held = (appliance.authority.clone(), appliance.governance.clone());
    Engine::new(setup.engine(), clock, psds, held, greatest, PolicyGeneration(1))
}

fn reading() -> ClockReading {
    ClockReading { time: UnixMillis(START), source: ClockSource::Development, error_ms: 1, epoch: 1 }
}

fn genesis() -> Record {
    let genesis = Genesis {
        appliance: "test-1".parse().unwrap(),
        environment: Environment::Development,
        operators: Vec::new(),
        quorum: 0,
        authority_root: b"root"[..].into(),
        log_key_id: [5, 0][..].into(),
        log_spki: b"log key"[..].into(),
        log_token: "token-0".into(),
        charter: Charter::default(),
    };
    Record { at: reading(), event: RecordEvent::Genesis(genesis) }
}

/// The records by which a PSD comes to life and to funds; `loaded` is what its licence has with them. Odd ones have their keys in token 1.
fn birth(setup: &Setup, number: usize, funds: u64, loaded: u64) -> Vec<Record> {
    let psd = psd_id(number);
    let token: Arc<str> = format!("token-{}", number % 2).into();
    let mut stamps = (1..).map(|sequence| Stamp { psd, sequence, registers: Registers::default() });
    let mut stamp = || stamps.next().unwrap();
    let mut events = vec![RecordEvent::PsdCreated {
        stamp: stamp(),
        tenant: tenant(number),
        licence: "L-1".parse().unwrap(),
        licensing_zip: 94_301,
        format: setup.format.into(),
        software_id: *b"psdd01",
        limits: Limits {
            smallest_postage: mills(1),
            largest_postage: mills(setup.largest.get(&number).copied().unwrap_or(100_000)),
            largest_descending: mills(4_000_000),
            smallest_refill: mills(1),
            largest_refill: mills(4_000_000),
        },
        currency: Currency::USD,
        zips: setup.zips.get(&number).map(|(low, high)| ZipRange::new(*low, *high).unwrap()),
    }];
    for role in [Role::Indicium, Role::Device] {
        let key_id: Arc<[u8]> = [role.number(), u8::try_from(number).unwrap()][..].into();
        let (algorithm, token, spki) = (Algorithm::EcdsaP256, Arc::clone(&token), b"a key"[..].into());
        events.push(RecordEvent::KeyCreated {
            stamp: stamp(),
            key_id: Arc::clone(&key_id),
            role,
            algorithm,
            token,
            spki,
            wrapped: None,
        });
        let chain = vec![b"a certificate"[..].into()];
        events.push(RecordEvent::CertificateInstalled { stamp: stamp(), key_id, serial: 7, chain });
    }
    for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
        events.push(RecordEvent::LifecycleChanged { stamp: stamp(), lifecycle, locks: Locks::NONE });
    }
    if funds > 0 {
        let (tenant, amount, signed) = (tenant(number), mills(funds), Arc::from(&b"signed"[..]));
        let request = Arc::clone(&signed);
        events.push(RecordEvent::ValueRequested {
            stamp: stamp(),
            tenant: tenant.clone(),
            value_sequence: 1,
            amount,
            purpose: Purpose::Download,
            request,
        });
        let registers = Registers::default().loaded(amount).unwrap();
        let stamp = Stamp { registers, ..stamp() };
        let sum = mills(loaded);
        let applied = Applied::Download { loaded: Loaded { day: sum, month: sum, year: sum } };
        let authorisation = signed;
        events.push(RecordEvent::ValueApplied { stamp, tenant, value_sequence: 1, amount, authorisation, applied });
    }
    events.into_iter().map(|event| Record { at: reading(), event }).collect()
}
