//! The engine's state and its entry: one event in, actions out.

use super::administer::Changes;
use super::desks::Desks;
use super::inspection::{Inspections, Reports};
use super::instruct::Instructions;
use super::keys::{KeyBook, TenantIndex};
use super::licence::{Licences, Place, Span};
use super::pipeline::Chunk;
use super::pool::Pool;
use super::runs::Sealed;
use super::schedule::TenantQueue;
use super::top_up::{Patience, Thirsty, TopUp};
use super::value::{Loading, Waiting};
use super::{
    Action, ChunkId, Event, FIRST_FILES, Found, Outcome, PolicyGeneration, RequestId, Selection, Sight, SignTarget,
    Sought, Submission, SubmitReply, TokenIndex, ValueReply, View,
};
use crate::config::TopUpRule;
use psd::authority::AuthorityState;
use psd::certifying::Certifying;
use psd::clock::{ClockGuard, ClockReading, ClockSample, ClockStop};
use psd::device::{DateWindow, Piece};
use psd::governance::Governance;
use psd::key::Role;
use psd::policy::AuthorityPolicy;
use psd::record::{Environment, Event as RecordEvent, Record};
use psd::{ApplianceId, Psd, PsdId, State, TenantName};
use psdd_ledger::{Body, Durable, Greatest};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// Of leaf 0.
    pub environment: Environment,
    /// Days of mailing accepted.
    pub window: DateWindow,
    /// Keys older than this are refused, in milliseconds.
    pub key_retention_ms: u64,
    /// Keys further ahead than this are refused, in milliseconds.
    pub key_skew_ms: u64,
    /// Most items in one chunk, unless a request is all-or-none.
    pub chunk_items: usize,
    /// Most items prepared and not yet durable.
    pub in_flight_items: usize,
    /// Most items waiting, per tenant.
    pub queued_items_per_tenant: usize,
    /// Most items waiting, of all tenants.
    pub queued_items: usize,
    /// Names of the tokens, in the order of [`TokenIndex`].
    pub tokens: Vec<Arc<str>>,
    /// When PSDs are topped up.
    pub top_ups: Vec<TopUpRule>,
}

/// A PSD and what is in flight on it.
pub(super) struct Device {
    pub(super) psd: Psd,
    pub(super) committed: State,
    /// Chunks prepared and not yet durable, oldest first.
    pub(super) pipeline: VecDeque<ChunkId>,
    /// Value commands in turn; while there is one, nothing else is prepared.
    pub(super) commands: VecDeque<Waiting>,
    pub(super) top_up: TopUp,
    pub(super) reports: Reports,
    /// Under which its pool knows that commands hold it back.
    pub(super) hold: Option<ChunkId>,
    /// Among the PSDs of its licence.
    pub(super) place: Place,
}

/// Who shall sign.
#[derive(Clone)]
pub(super) enum Target {
    /// The PSD with this index.
    Psd(usize),
    /// One of these members of the licence with this number.
    Licence { licence: usize, selection: Selection, within: Arc<[Span]>, licences: Arc<Licences> },
}

impl Target {
    /// Whether both are for the same PSD or the same licence.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Target::Psd(one), Target::Psd(other)) => one == other,
            (
                Target::Licence { licence: one, licences: of_one, .. },
                Target::Licence { licence: other, licences: of_other, .. },
            ) => one == other && Arc::ptr_eq(of_one, of_other),
            (Target::Psd(_), Target::Licence { .. }) | (Target::Licence { .. }, Target::Psd(_)) => false,
        }
    }
}

/// A sign request in the core.
pub(super) struct Request {
    pub(super) tenant: TenantIndex,
    pub(super) client: Arc<str>,
    pub(super) target: Target,
    /// Of the keys that sign its items; none where receipts are to prove them.
    pub(super) role: Option<Role>,
    pub(super) items: Vec<Item>,
    pub(super) outcomes: Vec<Option<Outcome>>,
    pub(super) remaining: usize,
    /// Items to be judged again, before `next`.
    pub(super) again: VecDeque<usize>,
    pub(super) next: usize,
    pub(super) all_or_none: bool,
    pub(super) policy: PolicyGeneration,
    pub(super) tag: u64,
    pub(super) queued: bool,
    /// Items of the look-up under way.
    pub(super) looking: Vec<usize>,
    pub(super) patience: Patience,
}

pub(super) struct Item {
    pub(super) piece: Piece,
    pub(super) body: Option<Body>,
    pub(super) found: Option<Durable>,
    /// Whether the indicium that is to pay for it is known to have paid before.
    pub(super) mark_used: bool,
}

/// The core. See the module.
pub struct Engine {
    pub(super) settings: EngineSettings,
    pub(super) clock: ClockGuard,
    pub(super) devices: Vec<Device>,
    pub(super) by_id: HashMap<PsdId, usize>,
    pub(super) licences: Arc<Licences>,
    /// By the numbers of licences.
    pub(super) pools: Vec<Pool>,
    pub(super) keys: KeyBook,
    pub(super) queues: BTreeMap<TenantIndex, TenantQueue>,
    pub(super) turn: VecDeque<TenantIndex>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) chunks: BTreeMap<ChunkId, Chunk>,
    pub(super) next_chunk: u64,
    /// Turns taken so far.
    pub(super) turns: u64,
    pub(super) in_flight_items: usize,
    pub(super) queued_items: usize,
    pub(super) token_up: Vec<bool>,
    pub(super) log_overdue: bool,
    /// What the authority instructed, and the value of licences.
    pub(super) authority: AuthorityState,
    pub(super) instructions: Instructions,
    pub(super) inspections: Inspections,
    pub(super) changes: Changes,
    /// Rate tables and scales.
    pub(super) desks: Desks,
    /// With all that was taken in, durable or not.
    pub(super) governance: Governance,
    /// With what is durable.
    pub(super) committed_governance: Arc<Governance>,
    pub(super) loading: Loading,
    pub(super) sealed: Sealed,
    pub(super) thirsty: Thirsty,
    /// Time of the last event or pump.
    pub(super) monotonic_ms: u64,
    pub(super) policy: PolicyGeneration,
    /// What the authority instructed as its own policy, as far as it is durable.
    pub(super) committed_policy: Arc<AuthorityPolicy>,
    pub(super) refusals: BTreeMap<(TenantName, &'static str), u64>,
    /// Commits without a chunk (refusals noted) that are not yet durable do not hold up a stop.
    pub(super) stopping: bool,
    pub(super) drained: bool,
    pub(super) actions: Vec<Action>,
    pub(super) now: Result<ClockReading, ClockStop>,
    /// Of the last record handed over to be written.
    pub(super) latest: Option<ClockReading>,
}

impl Engine {
    /// An engine over recovered state.
    pub fn new(
        settings: EngineSettings,
        clock: ClockGuard,
        psds: impl IntoIterator<Item = Psd>,
        (authority, governance, certifying): (AuthorityState, Governance, Certifying),
        greatest: Greatest,
    ) -> Self {
        let psds: Vec<Psd> = psds.into_iter().collect();
        let licences = Licences::of(psds.iter().map(Psd::identity));
        // Each PSD has its place: the licences are made of them all.
        let device = |psd: Psd| {
            let place = licences.place(psd.identity().psd)?;
            let (committed, pipeline, commands) = (psd.state().clone(), VecDeque::new(), VecDeque::new());
            let top_up = TopUp::new(&settings.top_ups, psd.identity());
            let reports = Reports::default();
            Some(Device { committed, psd, pipeline, commands, top_up, reports, hold: None, place })
        };
        let mut devices: Vec<Device> = Vec::with_capacity(psds.len());
        devices.extend(psds.into_iter().filter_map(device));
        let by_id: HashMap<PsdId, usize> =
            devices.iter().enumerate().map(|(index, device)| (device.psd.identity().psd, index)).collect();
        let pools = Pool::of_licences(&licences, &by_id);
        let token_up = vec![false; settings.tokens.len()];
        let committed = Arc::new(authority.inspection_periods().clone());
        let committed_policy = Arc::new(authority.policy().clone());
        let mut engine = Self {
            settings,
            clock,
            devices,
            by_id,
            licences: Arc::new(licences),
            pools,
            keys: KeyBook::new(greatest.keys, greatest.marks),
            queues: BTreeMap::new(),
            turn: VecDeque::new(),
            requests: BTreeMap::new(),
            chunks: BTreeMap::new(),
            next_chunk: 1,
            turns: 0,
            in_flight_items: 0,
            queued_items: 0,
            token_up,
            log_overdue: false,
            authority,
            instructions: Instructions::default(),
            inspections: Inspections::new(committed),
            changes: Changes::default(),
            desks: Desks::recovered(certifying),
            committed_governance: Arc::new(governance.clone()),
            governance,
            loading: Loading::default(),
            sealed: Sealed::default(),
            thirsty: Thirsty::default(),
            monotonic_ms: 0,
            policy: PolicyGeneration { files: FIRST_FILES, instructed: committed_policy.version, desk: 0 },
            committed_policy,
            refusals: BTreeMap::new(),
            stopping: false,
            drained: false,
            actions: Vec::new(),
            now: Err(ClockStop::Silent),
            latest: None,
        };
        engine.refresh_all();
        engine.expect_inspections();
        engine
    }

    /// The licences with their PSDs, as [`SignTarget`] means them.
    pub fn licences(&self) -> Arc<Licences> {
        Arc::clone(&self.licences)
    }

    /// The policy that requests are to be authorised under.
    pub fn policy(&self) -> PolicyGeneration {
        self.policy
    }

    /// Takes one event in. Call [`Engine::pump`] after a batch of them.
    pub fn handle(&mut self, event: Event, monotonic_ms: u64) {
        self.monotonic_ms = monotonic_ms;
        match event {
            Event::Submit(submission) => self.submit(submission),
            Event::Value(command) => self.value_command(command, monotonic_ms),
            Event::Instruct(command) => self.instruct(command, monotonic_ms),
            Event::Change(command) => self.administer(command, monotonic_ms),
            Event::LookedUp(request, found) => self.looked_up(request, found),
            Event::PaidLookedUp(chunk, paid) => self.refund_looked_up(chunk, paid, monotonic_ms),
            Event::Signed(chunk, signatures) => self.signed(chunk, signatures, monotonic_ms),
            Event::Maced(chunk, party, macs) => self.maced(chunk, party, macs, monotonic_ms),
            Event::SignFailed(chunk, fault) => self.sign_failed(chunk, &fault, monotonic_ms),
            Event::Committed(chunk, durable) => self.committed(chunk, durable, monotonic_ms),
            Event::Clock(sample) => self.look_at_clock(sample, monotonic_ms),
            Event::TokenUp(token) => self.set_token(token, true),
            Event::TokenDown(token) => self.set_token(token, false),
            Event::LogOverdue(overdue) => self.log_overdue = overdue,
            Event::PolicyFiles(reading) => self.policy.files = reading,
            Event::View(request, sight) => self.view(request, sight, monotonic_ms),
            Event::Reported(psd, digest) => self.reported(psd, digest),
            Event::TopUpEnded(psd) => self.top_up_ended(psd),
            Event::TopUpAll => self.consider_all_top_ups(),
            Event::NoteRefusals => self.note_refusals(monotonic_ms),
            Event::Stop => self.stopping = true,
        }
    }

    /// Prepares what the window has room for, fairly, and gives the actions of all events since the last call.
    pub fn pump(&mut self, monotonic_ms: u64) -> Vec<Action> {
        self.monotonic_ms = monotonic_ms;
        self.lose_patience();
        if self.queued_items > 0 {
            self.now = self.clock.read(monotonic_ms);
            if let Ok(now) = self.now {
                self.lock_overdue(now, monotonic_ms);
            }
            self.schedule();
        }
        let idle = self.requests.is_empty() && self.chunks.is_empty() && self.instructions.is_empty();
        let idle = idle && self.changes.is_empty();
        if self.stopping && !self.drained && idle {
            self.drained = true;
            let reading = self.clock.read(monotonic_ms).ok();
            self.actions.push(Action::Drained(reading));
        }
        std::mem::take(&mut self.actions)
    }

    /// Items prepared and not yet durable, and items waiting: for metrics.
    pub fn load(&self) -> (usize, usize) {
        (self.in_flight_items, self.queued_items)
    }

    fn look_at_clock(&mut self, sample: ClockSample, monotonic_ms: u64) {
        self.clock.observe(sample);
        if let Ok(now) = self.clock.read(monotonic_ms) {
            self.lock_overdue(now, monotonic_ms);
        }
    }

    fn submit(&mut self, submission: Submission) {
        let Submission { request, tenant, client, target, pieces, all_or_none, policy } = submission;
        let refused = |reply| Action::Reply(request, reply);
        if self.stopping {
            return self.actions.push(refused(SubmitReply::Stopping));
        }
        let target = match self.resolve(target) {
            Ok(target) => target,
            Err(unknown) => return self.actions.push(refused(unknown)),
        };
        let tenant = self.keys.tenant(&tenant);
        let count = pieces.len();
        let waiting = self.queues.get(&tenant).map_or(0, |queue| queue.items);
        if waiting + count > self.settings.queued_items_per_tenant
            || self.queued_items + count > self.settings.queued_items
        {
            return self.actions.push(refused(SubmitReply::Overloaded));
        }
        if count == 0 {
            return self.actions.push(refused(SubmitReply::Judged(Vec::new())));
        }
        let role = pieces.first().and_then(|(piece, _)| piece.details.signed_by());
        debug_assert!(
            pieces.iter().all(|(piece, _)| piece.details.signed_by() == role),
            "each door signs with one role"
        );
        let item = |(piece, body)| Item { piece, body, found: None, mark_used: false };
        let items = pieces.into_iter().map(item).collect();
        let tag = self.keys.enter();
        let entry = Request {
            tenant,
            client,
            target,
            role,
            items,
            outcomes: (0..count).map(|_| None).collect(),
            remaining: count,
            again: VecDeque::new(),
            next: 0,
            all_or_none,
            policy,
            tag,
            queued: false,
            looking: Vec::new(),
            patience: Patience::default(),
        };
        self.requests.insert(request, entry);
        self.account_waiting(tenant, count);
        self.look_up_or_queue(request);
    }

    fn resolve(&self, target: SignTarget) -> Result<Target, SubmitReply> {
        match target {
            SignTarget::Psd(psd) => {
                self.by_id.get(&psd).map(|device| Target::Psd(*device)).ok_or(SubmitReply::UnknownPsd)
            }
            SignTarget::Licence { licence, selection, within, licences } => {
                let (licence, _) = self.licences.find(&licence).ok_or(SubmitReply::UnknownLicence)?;
                Ok(Target::Licence { licence, selection, within: within.into(), licences })
            }
        }
    }

    pub(super) fn next_chunk_id(&mut self) -> ChunkId {
        let id = ChunkId(self.next_chunk);
        self.next_chunk += 1;
        id
    }

    /// Asks the disk about the items not yet judged whose keys may have been used, or queues the request at once.
    pub(super) fn look_up_or_queue(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let unjudged = request.again.iter().copied().chain(request.next..request.items.len());
        request.looking = unjudged
            .filter(|index| {
                let piece = &request.items[*index].piece;
                self.keys.needs_look_up(request.tenant, &piece.key, piece.details.paying_mark())
            })
            .collect();
        if request.looking.is_empty() {
            return self.enqueue(id, false);
        }
        let sought = request.looking.iter().map(|index| Sought::of(&request.items[*index].piece)).collect();
        let tenant = self.keys.name(request.tenant).clone();
        self.actions.push(Action::LookUp(id, tenant, sought));
    }

    fn looked_up(&mut self, id: RequestId, found: Vec<Found>) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        for (index, found) in std::mem::take(&mut request.looking).into_iter().zip(found) {
            request.items[index].found = found.piece;
            request.items[index].mark_used = found.mark_used;
        }
        self.enqueue(id, false);
    }

    /// Sets an item's outcome; the last one answers the request.
    pub(super) fn settle(&mut self, id: RequestId, index: usize, outcome: Outcome) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.outcomes[index].is_none() {
            request.outcomes[index] = Some(outcome);
            request.remaining -= 1;
        }
        if request.remaining == 0
            && let Some(request) = self.requests.remove(&id)
        {
            self.keys.leave(request.tag);
            let outcomes = request.outcomes.into_iter().flatten().collect();
            self.actions.push(Action::Reply(id, SubmitReply::Judged(outcomes)));
        }
    }

    pub(super) fn count_refusal(&mut self, tenant: TenantIndex, code: &'static str) {
        // Those a client cannot cause by mere lack of funds or a busy day: they point at misuse.
        if matches!(
            code,
            "key-reused"
                | "indicium-certified"
                | "run-reused"
                | "value-wrong-amount"
                | "value-wrong-psd"
                | "value-wrong-control-total"
                | "value-wrong-piece"
        ) {
            *self.refusals.entry((self.keys.name(tenant).clone(), code)).or_default() += 1;
        }
    }

    fn note_refusals(&mut self, monotonic_ms: u64) {
        if self.refusals.is_empty() {
            return;
        }
        let Ok(at) = self.clock.read(monotonic_ms) else { return };
        let noted = std::mem::take(&mut self.refusals).into_iter();
        let records = noted.map(|((tenant, code), count)| {
            Record { at, event: RecordEvent::RefusalsNoted { tenant, code: code.into(), count } }.into()
        });
        let records = records.collect();
        self.hand_over(None, records);
    }

    fn view(&mut self, request: RequestId, sight: Sight, monotonic_ms: u64) {
        let clock = self.clock.read(monotonic_ms);
        let shown = |device: &Device| (Arc::clone(device.psd.identity()), device.committed.clone());
        let psds = match sight {
            Sight::Appliance => Vec::new(),
            Sight::Psd(psd) => self.by_id.get(&psd).map(|device| shown(&self.devices[*device])).into_iter().collect(),
            Sight::All => self.devices.iter().map(shown).collect(),
        };
        let governance = Arc::clone(&self.committed_governance);
        let periods = Arc::clone(&self.inspections.committed);
        let inspections = clock.as_ref().map(|clock| self.inspections.counts(clock.time)).unwrap_or_default();
        let policy = Arc::clone(&self.committed_policy);
        self.actions.push(Action::ViewReply(request, View { clock, psds, governance, periods, inspections, policy }));
    }

    fn set_token(&mut self, token: TokenIndex, up: bool) {
        if let Some(state) = self.token_up.get_mut(token.0)
            && std::mem::replace(state, up) != up
        {
            self.refresh_all();
        }
    }

    pub(super) fn token_named(&self, name: &str) -> Option<TokenIndex> {
        self.settings.tokens.iter().position(|token| &**token == name).map(TokenIndex)
    }

    pub(super) fn is_up(&self, token: TokenIndex) -> bool {
        self.token_up.get(token.0).copied().unwrap_or(false)
    }

    pub(super) fn reply_value(&mut self, request: RequestId, reply: ValueReply) {
        self.actions.push(Action::ValueReply(request, reply));
    }
}
