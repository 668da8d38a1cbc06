//! The core thread, and the handle that doors hold on it.

use super::checkpoint::{Newest, Pace};
use super::ledger_thread::{LedgerThread, ToLedger};
use super::look_up::{self, LookUp};
use super::metrics::Metrics;
use super::spot_check::{Asked, InToken, SpotCheck};
use super::{Fatal, die};
use crate::certify::Desk;
use crate::core::{
    Action, ChangeCommand, ChunkId, Engine, Event, InstructionCommand, KeyNews, Licences, RequestId, Sight, Submission,
    SubmitReply, TokenIndex, ValueCommand, ValueReply, View,
};
use crate::funds::Need;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use psd::clock::ClockReading;
use psd::digital_token::Party;
use psd::key::Role;
use psd::{PieceKey, PsdId, TenantName};
use psdd_hsm::link::{Link, RequestId as FrameId, SendError, SignFrame, Signatures};
use psdd_hsm::protocol::{FaultClass, Form, HsmFault, Messages};
use psdd_ledger::{DoneStep, Durable, Hash, Journal, Reader};
use psdd_policy::InstructedPolicy;
use psdd_wire::checkpoint::LogKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Look-ups of doors on their way.
const LOOK_UPS: usize = 32_768;
/// Requests on their way to the core; the core itself bounds what it admits.
const SUBMISSIONS: usize = 4_096;

/// Settings of the spine.
#[derive(Clone, Debug)]
pub struct SpineSettings {
    /// Shortest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Leaves without a signature for longer stop signing.
    pub checkpoint_bound: Duration,
    /// How long a stop waits for a last checkpoint.
    pub closing_patience: Duration,
}

/// What the spine is made of.
pub struct SpineParts {
    /// The core.
    pub engine: Engine,
    /// To write on.
    pub journal: Journal,
    /// For look-ups.
    pub reader: Reader,
    /// Origin of the log.
    pub origin: String,
    /// Key of the log: its public half, its CKA_ID and its token.
    pub log_key: LogKey,
    /// CKA_ID of the log key.
    pub log_key_id: Arc<[u8]>,
    /// Token of the log key.
    pub log_token: TokenIndex,
    /// The newest checkpoint.
    pub newest: Arc<Newest>,
    /// CKA_ID and public half, SPKI DER, of every key that signs pieces.
    pub piece_keys: HashMap<Arc<[u8]>, Arc<[u8]>>,
    /// Where to tell of PSDs that need value.
    pub needs: mpsc::Sender<Need>,
    /// Who is told of PSDs and keys that come and go.
    pub listeners: Listeners,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Start of the monotonic clock.
    pub started: Instant,
}

/// Who is told of PSDs and keys that come and go, of the authority's policy, and of rate tables and scales, on the core's thread.
pub struct Listeners {
    /// There are more PSDs.
    pub fleet: Box<dyn Fn(Arc<Licences>) + Send>,
    /// A key came or went.
    pub keys: Box<dyn Fn(&KeyNews) + Send>,
    /// The authority's own policy of this version is in force.
    pub policy: Box<dyn Fn(u64, Arc<InstructedPolicy>) + Send>,
    /// Rate tables and scales of this generation are in force.
    pub desk: Box<dyn Fn(u64, Arc<Desk>) + Send>,
}

/// The running spine.
pub struct Spine {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    drained: Receiver<Option<ClockReading>>,
    to_ledger: Sender<ToLedger>,
}

/// The way into the core for doors; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    submissions: Sender<Inbound>,
    look_ups: Sender<LookUp>,
    events: Sender<Event>,
    next_request: Arc<AtomicU64>,
}

/// The core takes nothing more at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Its queue is full.
    #[error("the queue to the core is full")]
    Full,
    /// It is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

enum Inbound {
    Submit(Submission, oneshot::Sender<SubmitReply>),
    Value(ValueCommand, oneshot::Sender<ValueReply>),
    Instruct(InstructionCommand, oneshot::Sender<ValueReply>),
    Change(ChangeCommand, oneshot::Sender<ValueReply>),
    View(RequestId, Sight, oneshot::Sender<View>),
}

impl Handle {
    /// A name for the next request.
    pub fn next_request(&self) -> RequestId {
        RequestId(self.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands a sign request to the core; the answer comes when every item has its outcome.
    pub fn submit(&self, submission: Submission) -> Result<oneshot::Receiver<SubmitReply>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Inbound::Submit(submission, reply)).map(|()| answer)
    }

    /// Hands a value command to the core.
    pub fn value(&self, command: ValueCommand) -> Result<oneshot::Receiver<ValueReply>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Inbound::Value(command, reply)).map(|()| answer)
    }

    /// Hands an instruction of the authority to the core.
    pub fn instruct(&self, command: InstructionCommand) -> Result<oneshot::Receiver<ValueReply>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Inbound::Instruct(command, reply)).map(|()| answer)
    }

    /// Hands a change of a ceremony or of the custodian to the core.
    pub fn change(&self, command: ChangeCommand) -> Result<oneshot::Receiver<ValueReply>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Inbound::Change(command, reply)).map(|()| answer)
    }

    /// Asks for committed state.
    pub fn view(&self, sight: Sight) -> Result<oneshot::Receiver<View>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Inbound::View(self.next_request(), sight, reply)).map(|()| answer)
    }

    /// Reads a stored result.
    pub fn piece(&self, tenant: TenantName, key: PieceKey) -> Result<oneshot::Receiver<Option<Durable>>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.look_up(LookUp::Piece(tenant, key, reply)).map(|()| answer)
    }

    /// Reads the newest record in a slot of a PSD, or of the appliance under the empty name.
    pub fn live(&self, psd: String, slot: String) -> Result<oneshot::Receiver<Option<Durable>>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.look_up(LookUp::Live(psd, slot, reply)).map(|()| answer)
    }

    /// Reads the steps of a ceremony that are done, and at least so many of the keys made in them, where there are so many.
    pub fn ceremony_steps(
        &self,
        number: u64,
        most_keys: usize,
    ) -> Result<oneshot::Receiver<Vec<DoneStep>>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.look_up(LookUp::CeremonySteps(number, most_keys, reply)).map(|()| answer)
    }

    /// Tells the core of an audit report of a PSD, by its SHA-256, so that the authority can accept it.
    pub fn reported(&self, psd: PsdId, digest: [u8; 32]) -> Result<(), Unavailable> {
        self.tell(Event::Reported(psd, digest))
    }

    /// Tells the core of something that happened outside: clock samples, tokens, policy files.
    pub fn tell(&self, event: Event) -> Result<(), Unavailable> {
        self.events.send(event).ok().ok_or(Unavailable::Stopping)
    }

    fn send(&self, inbound: Inbound) -> Result<(), Unavailable> {
        self.submissions.try_send(inbound).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::Full,
            TrySendError::Disconnected(_) => Unavailable::Stopping,
        })
    }

    fn look_up(&self, look_up: LookUp) -> Result<(), Unavailable> {
        if self.look_ups.len() >= LOOK_UPS {
            return Err(Unavailable::Full);
        }
        self.look_ups.send(look_up).ok().ok_or(Unavailable::Stopping)
    }
}

/// What a link reports, on its way to where it belongs.
pub enum FrameEvent {
    /// A frame is signed.
    Signed(TokenIndex, FrameId, Signatures),
    /// A frame failed.
    Failed(TokenIndex, FrameId, HsmFault),
}

impl Spine {
    /// Starts the threads. `links` is filled in by the caller once, before anything is submitted: links report into the channel
    /// whose sender this gives, and the core signs over them.
    pub fn start(
        parts: SpineParts,
        settings: &SpineSettings,
        links: Arc<OnceLock<Vec<Link>>>,
    ) -> std::io::Result<(Self, Sender<FrameEvent>)> {
        let (events, event_queue) = owed();
        let (submissions, submission_queue) = bounded(SUBMISSIONS);
        let (look_ups, look_up_queue) = owed();
        let (to_ledger, ledger_queue) = owed();
        let (frames, frame_queue) = owed();
        let (drain, drained) = bounded(1);
        let (ask_log, log_asked) = bounded::<(u64, Hash, String)>(1);

        let ledger = LedgerThread {
            journal: parts.journal,
            requests: ledger_queue,
            core: events.clone(),
            sign: Box::new(move |size, root, body| ask_log.try_send((size, root, body.to_owned())).is_ok()),
            origin: parts.origin,
            log_key: parts.log_key,
            pace: Pace::new(settings.checkpoint_every, settings.checkpoint_bound, parts.newest.size()),
            newest: parts.newest,
            unpublished: None,
            metrics: Arc::clone(&parts.metrics),
            closing_patience: settings.closing_patience,
        };
        let core = CoreThread {
            engine: parts.engine,
            links: Arc::clone(&links),
            frames: HashMap::new(),
            spot_check: SpotCheck::new(parts.piece_keys),
            submit_replies: BTreeMap::new(),
            value_replies: BTreeMap::new(),
            view_replies: BTreeMap::new(),
            look_ups: look_ups.clone(),
            to_ledger: to_ledger.clone(),
            drain,
            needs: parts.needs,
            listeners: parts.listeners,
            metrics: parts.metrics,
            started: parts.started,
        };
        let log_signer = LogSigner {
            links,
            asked: log_asked,
            to_ledger: to_ledger.clone(),
            key_id: parts.log_key_id,
            token: parts.log_token,
        };
        let (look_up_events, reader) = (events.clone(), parts.reader);
        let spawn =
            |name: &str, run: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let threads = vec![
            spawn("spine-ledger", Box::new(move || ledger.run()))?,
            spawn("spine-look-up", Box::new(move || look_up::run(reader, &look_up_queue, &look_up_events)))?,
            spawn("spine-log-key", Box::new(move || log_signer.run()))?,
            spawn("spine-core", Box::new(move || core.run(&event_queue, &submission_queue, &frame_queue)))?,
        ];
        let handle = Handle { submissions, look_ups, events, next_request: Arc::new(AtomicU64::new(1)) };
        Ok((Self { handle, threads, drained, to_ledger }, frames))
    }

    /// The way in.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// A clean stop: what was admitted is finished, then the ledger is closed with a state digest and a checkpoint over it.
    pub fn stop(self, patience: Duration) {
        if self.handle.tell(Event::Stop).is_err() {
            return;
        }
        let at = match self.drained.recv_timeout(patience) {
            Ok(at) => at,
            Err(error) => {
                tracing::warn!(%error, "not everything in flight was finished in time; its clients will ask again");
                None
            }
        };
        if self.to_ledger.send(ToLedger::Close(at)).is_err() {
            return;
        }
        // The ledger thread is the first; the others end when their channels do.
        if let Some(ledger) = self.threads.into_iter().next()
            && ledger.join().is_err()
        {
            die(&Fatal::Broken("the ledger thread panicked while closing".to_owned()));
        }
    }
}

/// A queue of what one thread owes another. It is bounded by what the core admits: with a smaller bound of its own it could only
/// block threads on each other in a circle, and with that bound it would hold its memory from the start.
#[expect(clippy::disallowed_methods, reason = "every message in it belongs to an item that the core admitted")]
fn owed<T>() -> (Sender<T>, Receiver<T>) {
    unbounded()
}

struct CoreThread {
    engine: Engine,
    links: Arc<OnceLock<Vec<Link>>>,
    frames: HashMap<(TokenIndex, FrameId), InToken>,
    spot_check: SpotCheck,
    submit_replies: BTreeMap<RequestId, oneshot::Sender<SubmitReply>>,
    value_replies: BTreeMap<RequestId, oneshot::Sender<ValueReply>>,
    view_replies: BTreeMap<RequestId, oneshot::Sender<View>>,
    look_ups: Sender<LookUp>,
    to_ledger: Sender<ToLedger>,
    drain: Sender<Option<ClockReading>>,
    needs: mpsc::Sender<Need>,
    listeners: Listeners,
    metrics: Arc<Metrics>,
    started: Instant,
}

/// The core looks around at least so often.
const IDLE: Duration = Duration::from_secs(60);
/// Most messages taken in before the core acts on them.
const GULP: usize = 256;

impl CoreThread {
    fn run(mut self, events: &Receiver<Event>, submissions: &Receiver<Inbound>, frames: &Receiver<FrameEvent>) {
        loop {
            let now = |thread: &Self| u64::try_from(thread.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Those who wait for funds lose patience, whether anything else happens or not.
            let idle = self.engine.next_deadline().map_or(IDLE, |deadline| {
                Duration::from_millis(deadline.saturating_sub(now(&self)).saturating_add(1)).min(IDLE)
            });
            select! {
                recv(frames) -> frame => match frame { Ok(frame) => { let at = now(&self); self.frame(frame, at) }, Err(_) => return },
                recv(events) -> event => match event { Ok(event) => { let at = now(&self); self.engine.handle(event, at) }, Err(_) => return },
                recv(submissions) -> inbound => match inbound { Ok(inbound) => { let at = now(&self); self.inbound(inbound, at) }, Err(_) => return },
                default(idle) => {}
            }
            let at = now(&self);
            for frame in frames.try_iter().take(GULP) {
                self.frame(frame, at);
            }
            for event in events.try_iter().take(GULP) {
                self.engine.handle(event, at);
            }
            for inbound in submissions.try_iter().take(GULP) {
                self.inbound(inbound, at);
            }
            self.act(at);
        }
    }

    fn inbound(&mut self, inbound: Inbound, at: u64) {
        match inbound {
            Inbound::Submit(submission, reply) => {
                self.submit_replies.insert(submission.request, reply);
                self.engine.handle(Event::Submit(submission), at);
            }
            Inbound::Value(command, reply) => {
                self.value_replies.insert(command.request, reply);
                self.engine.handle(Event::Value(command), at);
            }
            Inbound::Instruct(command, reply) => {
                self.value_replies.insert(command.request, reply);
                self.engine.handle(Event::Instruct(command), at);
            }
            Inbound::Change(command, reply) => {
                self.value_replies.insert(command.request, reply);
                self.engine.handle(Event::Change(command), at);
            }
            Inbound::View(request, sight, reply) => {
                self.view_replies.insert(request, reply);
                self.engine.handle(Event::View(request, sight), at);
            }
        }
    }

    fn frame(&mut self, frame: FrameEvent, at: u64) {
        match frame {
            FrameEvent::Signed(token, id, signatures) => {
                let Some(InToken { chunk, asked }) = self.frames.remove(&(token, id)) else { return };
                match asked {
                    Asked::Halves(party) => return self.engine.handle(Event::Maced(chunk, party, signatures), at),
                    Asked::Signatures(sample) if sample.as_ref().is_none_or(|sample| sample.holds(&signatures)) => {
                        return self.engine.handle(Event::Signed(chunk, signatures), at);
                    }
                    Asked::Signatures(_) => {}
                }
                tracing::error!(
                    token = token.0,
                    chunk = chunk.0,
                    "the token's signature does not verify; nothing is debited"
                );
                let (code, step) = ("signature-invalid".to_owned(), "verifying a signature".to_owned());
                let fault = HsmFault { class: FaultClass::Module, code, step, retryable: true };
                Metrics::add(&self.metrics.frames_failed, 1);
                self.engine.handle(Event::SignFailed(chunk, fault), at);
            }
            FrameEvent::Failed(token, id, fault) => {
                if let Some(InToken { chunk, .. }) = self.frames.remove(&(token, id)) {
                    Metrics::add(&self.metrics.frames_failed, 1);
                    self.engine.handle(Event::SignFailed(chunk, fault), at);
                }
            }
        }
    }

    /// Performs the engine's actions; a frame that cannot be sent is an event of its own, so the engine is asked again.
    fn act(&mut self, at: u64) {
        loop {
            let actions = self.engine.pump(at);
            if actions.is_empty() {
                break;
            }
            let mut writes = Vec::new();
            for action in actions {
                self.perform(action, at, &mut writes);
            }
            if !writes.is_empty() && self.to_ledger.send(ToLedger::Write(writes)).is_err() {
                return;
            }
        }
        let (in_flight, waiting) = self.engine.load();
        self.metrics.in_flight.store(u64::try_from(in_flight).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.metrics.waiting.store(u64::try_from(waiting).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn perform(&mut self, action: Action, at: u64, writes: &mut Vec<(Option<ChunkId>, Vec<psdd_ledger::NewRecord>)>) {
        match action {
            Action::Sign(chunk, token, frame) => self.sign((chunk, None), token, &frame, at),
            Action::Mac(chunk, party, token, frame) => self.sign((chunk, Some(party)), token, &frame, at),
            Action::Commit(chunk, records) => writes.push((chunk, records)),
            Action::LookUp(request, tenant, keys) => {
                if self.look_ups.send(LookUp::Keys(request, tenant, keys)).is_err() {
                    die(&Fatal::Broken("the look-up thread has gone".to_owned()));
                }
            }
            Action::LookUpPaid(chunk, mark) => {
                if self.look_ups.send(LookUp::Paid(chunk, mark)).is_err() {
                    die(&Fatal::Broken("the look-up thread has gone".to_owned()));
                }
            }
            Action::Reply(request, reply) => answer(self.submit_replies.remove(&request), reply),
            Action::ValueReply(request, reply) => answer(self.value_replies.remove(&request), reply),
            Action::TopUp { psd, tenant, amount } => {
                // The queue has room for every PSD, and each has one need at a time.
                if let Err(error) = self.needs.try_send(Need { psd, tenant, amount }) {
                    tracing::error!(%psd, %error, "nobody asks for the value it needs");
                }
            }
            Action::ViewReply(request, view) => answer(self.view_replies.remove(&request), view),
            Action::Fleet(fleet) => (self.listeners.fleet)(fleet),
            Action::Policy(version, policy) => (self.listeners.policy)(version, policy),
            Action::Desk(generation, desk) => (self.listeners.desk)(generation, desk),
            Action::Keys(news) => {
                self.spot_check.note(&news);
                (self.listeners.keys)(&news);
            }
            Action::Drained(reading) => {
                if self.drain.send(reading).is_err() {
                    tracing::debug!("nobody waits for the core to drain");
                }
            }
        }
    }

    /// Sends a frame of a chunk: its signatures, or this party's halves of its digital tokens.
    fn sign(&mut self, (chunk, half): (ChunkId, Option<Party>), token: TokenIndex, frame: &SignFrame, at: u64) {
        let link = self.links.get().and_then(|links| links.get(token.0));
        Metrics::add(&self.metrics.frames, 1);
        match link.map_or(Err(SendError::Down), |link| link.sign(frame)) {
            Ok(id) => {
                let asked = match half {
                    Some(party) => Asked::Halves(party),
                    None => Asked::Signatures(self.spot_check.sample(frame)),
                };
                self.frames.insert((token, id), InToken { chunk, asked });
            }
            Err(error) => {
                let code = match error {
                    SendError::Down => "token-down",
                    SendError::Full => "token-queue-full",
                    SendError::TooLong => "frame-too-long",
                };
                let retryable = error != SendError::TooLong;
                let step = "sending a frame to the worker".to_owned();
                let fault = HsmFault { class: FaultClass::Module, code: code.to_owned(), step, retryable };
                self.engine.handle(Event::SignFailed(chunk, fault), at);
            }
        }
    }
}

/// A client that hung up misses its answer, not its piece: it asks again with the same key.
fn answer<T>(reply: Option<oneshot::Sender<T>>, answer: T) {
    if reply.is_some_and(|reply| reply.send(answer).is_err()) {
        tracing::debug!("a client went away before its answer");
    }
}

/// Has the log key sign checkpoints, outside of the core and of the ledger thread.
struct LogSigner {
    links: Arc<OnceLock<Vec<Link>>>,
    asked: Receiver<(u64, Hash, String)>,
    to_ledger: Sender<ToLedger>,
    key_id: Arc<[u8]>,
    token: TokenIndex,
}

impl LogSigner {
    fn run(self) {
        while let Ok((size, root, body)) = self.asked.recv() {
            let signed = self.sign(&body);
            let message = match signed {
                Some(signature) => ToLedger::CheckpointSigned(size, root, signature),
                None => ToLedger::CheckpointFailed,
            };
            if self.to_ledger.send(message).is_err() {
                return;
            }
        }
    }

    fn sign(&self, body: &str) -> Option<Vec<u8>> {
        let link = self.links.get()?.get(self.token.0)?;
        let mut messages = Messages::with_capacity(1, body.len());
        messages.push(body.as_bytes());
        let key_id = Arc::clone(&self.key_id);
        let frame = SignFrame { key_id, role: Role::Log, form: Form::Checkpoint, floor: 0, messages };
        match link.blocking().sign(&frame, Duration::from_secs(1)) {
            Ok(signatures) => signatures.iter().next().map(|signature| signature.to_vec()),
            Err(error) => {
                tracing::warn!(%error, "the log key did not sign");
                // The worker comes back on its own schedule; asking faster helps nobody.
                std::thread::sleep(Duration::from_millis(50));
                None
            }
        }
    }
}
