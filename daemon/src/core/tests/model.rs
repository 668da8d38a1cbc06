//! The whole core against an independent model, which keeps books of its own from what was asked and what is on the disk.
//!
//! Sequences of what can happen are drawn at random, so the model does not predict: it checks after every step that what the core
//! holds, what it answers and what the ledger has agree. `PROPTEST_CASES` sets the number of sequences.

use super::shell::{Setup, Shell, TENANTS, any_psd, key, mills, piece, psd_id, psd_number, tenant, word};
use crate::core::{
    Event, Outcome, PolicyGeneration, RequestId, Selection, SubmitReply, TokenIndex, ValueReply, ValueStep,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use psd::device::Piece;
use psd::digital_token::{AddressCode, Party};
use psd::record::{Event as RecordEvent, Indicium};
use psd::refusal::OutOfUse;
use psd::{Refusal, Registers};
use psdd_ledger::{Appliance, Durable};
use std::collections::{BTreeMap, BTreeSet};

const PSDS: usize = 3;
const FUNDS: u64 = 3_000;
/// The PSD that is meant for destinations nobody asks for.
const ELSEWHERE: usize = 2;
/// Above the largest postage of a PSD.
const TOO_LARGE: u64 = 100_001;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Submit(Vec<Ask>),
    Read,
    LookedUp,
    Sign(prop::sample::Index),
    SignOldest,
    Fail(prop::sample::Index, bool),
    Mac(prop::sample::Index),
    MacOldest,
    FailHalves(prop::sample::Index, bool),
    Write(usize),
    Committed,
    Token(usize, bool),
    LogOverdue(bool),
    Policy,
    AskValue(usize, u64),
    ApplyValue(usize, bool),
    VoidValue(usize, bool),
    Tick(u64),
    NoteRefusals,
    Crash,
}

/// A sign request: a PSD or any of the licence, keys in milliseconds, postage in mills.
#[derive(Clone, Debug)]
struct Ask {
    psd: usize,
    items: Vec<(u64, u64)>,
    all_or_none: bool,
}

/// Whether the piece under the key of so many milliseconds is to have a digital token.
fn has_token(ms: u64) -> bool {
    ms.is_multiple_of(3)
}

fn ask() -> impl Strategy<Value = Ask> {
    let postage = prop_oneof![6 => Just(130u64), 4 => Just(700), 2 => Just(900), 1 => Just(TOO_LARGE)];
    let items = prop::collection::vec((1u64..40, postage), 1..6);
    let all_or_none = prop::bool::weighted(0.25);
    let selection = prop::sample::select(vec![Selection::RoundRobin, Selection::MostFunds, Selection::Zip]);
    let by_licence = (selection, 0usize..2).prop_map(|(selection, tenant)| any_psd(selection, tenant));
    (prop_oneof![3 => 0..PSDS, 2 => by_licence], items, all_or_none).prop_map(|(psd, items, all_or_none)| Ask {
        psd,
        items,
        all_or_none,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(ask(), 1..4).prop_map(Step::Submit),
        6 => Just(Step::Read),
        6 => Just(Step::LookedUp),
        9 => any::<prop::sample::Index>().prop_map(Step::Sign),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, retryable)| Step::Fail(at, retryable)),
        12 => any::<prop::sample::Index>().prop_map(Step::Mac),
        1 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, retryable)| Step::FailHalves(at, retryable)),
        6 => (1usize..4).prop_map(Step::Write),
        6 => Just(Step::Committed),
        2 => (0usize..2, prop::bool::weighted(0.7)).prop_map(|(token, up)| Step::Token(token, up)),
        1 => prop::bool::weighted(0.3).prop_map(Step::LogOverdue),
        1 => Just(Step::Policy),
        3 => (0..PSDS, prop_oneof![Just(1_000u64), Just(2_000)]).prop_map(|(psd, amount)| Step::AskValue(psd, amount)),
        4 => (0..PSDS, prop::bool::weighted(0.8)).prop_map(|(psd, right)| Step::ApplyValue(psd, right)),
        4 => (0..PSDS, prop::bool::weighted(0.8)).prop_map(|(psd, right)| Step::VoidValue(psd, right)),
        2 => (1u64..50).prop_map(Step::Tick),
        1 => Just(Step::NoteRefusals),
        1 => Just(Step::Crash),
    ]
}

/// What a PSD took in and spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Account {
    loaded: u64,
    used: u64,
    pieces: u64,
}

impl Account {
    fn registers(self) -> Registers {
        let (used, loaded) = (mills(self.used), mills(self.loaded));
        Registers::from_parts(used, mills(self.loaded - self.used), loaded, self.pieces).unwrap()
    }
}

/// A key and its scope.
type ScopedKey = (usize, u64);

/// What a key is bound to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Content {
    psd: usize,
    postage: u64,
}

/// What was debited for a key, where and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bound {
    content: Content,
    leaf: u64,
    signer: usize,
}

/// A request that is not answered yet.
struct Open {
    ask: Ask,
    policy: PolicyGeneration,
    /// What was bound to each key when it came.
    bound: Vec<Option<Content>>,
    /// How many balances of each PSD the core knew to be committed.
    balances: Vec<usize>,
}

struct Model {
    /// Of what is on the disk.
    written: Vec<Account>,
    /// Of what the core knows to be on the disk.
    told: Vec<Account>,
    /// Descending register after every record of a PSD, and how many of them the core was told.
    balances: Vec<(Vec<u64>, usize)>,
    bound: BTreeMap<ScopedKey, Bound>,
    /// How many requests asked for this content under this key.
    asked: BTreeMap<(ScopedKey, Content), usize>,
    open: BTreeMap<RequestId, Open>,
    open_value: BTreeSet<RequestId>,
    /// Downloads asked for on the disk, the last of each PSD: number and amount.
    requested: Vec<Option<(u64, u64)>>,
    /// Number of the last download of each PSD that ended.
    ended: Vec<u64>,
    /// Those of them that were given up.
    void: BTreeSet<(usize, u64)>,
    /// How often each word was answered.
    words: BTreeMap<&'static str, usize>,
}

impl Model {
    fn new() -> Self {
        let born = Account { loaded: FUNDS, used: 0, pieces: 0 };
        Self {
            written: vec![born; PSDS],
            told: vec![born; PSDS],
            balances: vec![(vec![FUNDS], 1); PSDS],
            bound: BTreeMap::new(),
            asked: BTreeMap::new(),
            open: BTreeMap::new(),
            open_value: BTreeSet::new(),
            requested: vec![None; PSDS],
            ended: vec![1; PSDS],
            void: BTreeSet::new(),
            words: BTreeMap::new(),
        }
    }

    fn submit(&mut self, shell: &mut Shell, asks: &[Ask]) {
        let mut events = Vec::new();
        for ask in asks {
            let pieces = ask.items.iter().map(|(ms, postage)| {
                let code = AddressCode::of_address("1 Main St").unwrap();
                Piece { token: has_token(*ms).then_some(code), ..piece(ask.psd, key(*ms), *postage) }
            });
            let pieces = pieces.collect();
            let (request, event) = shell.submission(ask.psd, pieces, ask.all_or_none);
            events.push(event);
            let scoped = |ms: u64| (ask.psd % 2, ms);
            for (ms, postage) in ask.items.iter().collect::<BTreeSet<_>>() {
                *self.asked.entry((scoped(*ms), Content { psd: ask.psd, postage: *postage })).or_default() += 1;
            }
            let bound = ask.items.iter().map(|(ms, _)| self.bound.get(&scoped(*ms)).map(|bound| bound.content));
            let open = Open {
                ask: ask.clone(),
                policy: shell.policy,
                bound: bound.collect(),
                balances: self.balances.iter().map(|(_, told)| told - 1).collect(),
            };
            self.open.insert(request, open);
        }
        shell.events(events);
    }

    /// A record reached the disk.
    fn note_written(&mut self, durable: &Durable) {
        let Some(stamp) = durable.record().event.stamp() else { return };
        let psd = psd_number(stamp.psd);
        match &durable.record().event {
            RecordEvent::Indicium(Indicium { key, digest, tenant, token, .. }) => {
                let of_tenant = TENANTS.iter().position(|name| *name == tenant.as_str()).unwrap();
                let scoped = (of_tenant, key.unix_millis() - super::shell::START);
                assert_eq!(token.is_some(), has_token(scoped.1), "the digital token of {scoped:?}");
                // The content is what was asked for, not what the record says of itself.
                let postage = u64::from_be_bytes(digest[..8].try_into().unwrap());
                let content = Content { psd: usize::from(digest[31]), postage };
                assert!(content.psd == psd || content.psd >= PSDS, "PSD {psd} signed for another: {content:?}");
                assert!(self.asked.contains_key(&(scoped, content)), "nobody asked for {content:?} under {scoped:?}");
                let bound = Bound { content, leaf: durable.leaf(), signer: psd };
                let before = self.bound.insert(scoped, bound);
                assert_eq!(before, None, "{scoped:?} was debited twice");
            }
            RecordEvent::ValueRequested { value_sequence, amount, .. } => {
                assert_eq!(*value_sequence, self.ended[psd] + 1);
                assert_eq!(self.requested[psd], None, "a download is under way already");
                self.requested[psd] = Some((*value_sequence, amount.mills()));
            }
            RecordEvent::ValueApplied { value_sequence, amount, .. } => {
                assert_eq!(self.requested[psd].take(), Some((*value_sequence, amount.mills())));
                self.ended[psd] = *value_sequence;
            }
            RecordEvent::ValueVoided { value_sequence, amount, .. } => {
                assert_eq!(self.requested[psd].take(), Some((*value_sequence, amount.mills())));
                self.ended[psd] = *value_sequence;
                self.void.insert((psd, *value_sequence));
            }
            other => panic!("{other:?}"),
        }
        move_account(&mut self.written[psd], &durable.record().event);
        assert_eq!(stamp.registers, self.written[psd].registers(), "PSD {psd}, leaf {}", durable.leaf());
        self.balances[psd].0.push(self.written[psd].loaded - self.written[psd].used);
    }

    fn note_told(&mut self, durable: &Durable) {
        let Some(stamp) = durable.record().event.stamp() else { return };
        let psd = psd_number(stamp.psd);
        move_account(&mut self.told[psd], &durable.record().event);
        self.balances[psd].1 += 1;
    }

    fn crashed(&mut self, appliance: &Appliance) {
        for psd in 0..PSDS {
            let recovered = &appliance.psds[&psd_id(psd)].state().registers;
            assert_eq!(*recovered, self.written[psd].registers(), "PSD {psd} after the restart");
            self.balances[psd].1 = self.balances[psd].0.len();
        }
        self.told.clone_from(&self.written);
        self.open.clear();
        self.open_value.clear();
    }

    /// The books against what the core holds.
    fn check(&mut self, shell: &mut Shell) {
        let engine = &shell.engine;
        let mut slots = [0u64; PSDS];
        for chunk in engine.chunks.values() {
            if let crate::core::pipeline::Work::Pieces { slots: of_chunk, .. } = &chunk.work {
                slots[chunk.device] += u64::try_from(of_chunk.len()).unwrap();
                let whole = self.open.get(&of_chunk[0].request).is_some_and(|open| open.ask.all_or_none);
                assert!(whole || of_chunk.len() <= shell.setup.chunk_items, "a chunk of {}", of_chunk.len());
            }
        }
        for (psd, device) in engine.devices.iter().enumerate() {
            let (working, committed) = (device.psd.state().registers, device.committed.registers);
            assert_eq!(committed, self.told[psd].registers(), "PSD {psd}: committed");
            for registers in [working, committed] {
                let sum = registers.ascending().mills() + registers.descending().mills();
                assert_eq!(sum, registers.control_total().mills(), "PSD {psd}: AR + DR = CT");
            }
            assert_eq!(working.piece_count() - committed.piece_count(), slots[psd], "PSD {psd}: pieces in flight");
            if device.pipeline.is_empty() {
                assert_eq!(device.psd.state(), &device.committed, "PSD {psd} with nothing in flight");
            }
        }
        shell.assert_pools_know();
        let in_flight: u64 = slots.iter().sum();
        assert_eq!(u64::try_from(engine.load().0).unwrap(), in_flight);
        assert_eq!(engine.load().1, engine.queues.values().map(|queue| queue.items).sum::<usize>());
        for (request, reply) in std::mem::take(&mut shell.replies) {
            let open = self.open.remove(&request).expect("nobody waits for this answer");
            match reply {
                SubmitReply::Judged(outcomes) => self.judged(&open, &outcomes, shell.policy),
                SubmitReply::Overloaded => *self.words.entry("overloaded").or_default() += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(self.open.keys().eq(shell.engine.requests.keys().collect::<BTreeSet<_>>()), "requests in the core");
        for (request, reply) in std::mem::take(&mut shell.value_replies) {
            assert!(self.open_value.remove(&request));
            self.value_answered(&reply);
        }
    }

    fn judged(&mut self, open: &Open, outcomes: &[Outcome], policy: PolicyGeneration) {
        let ask = &open.ask;
        assert_eq!(outcomes.len(), ask.items.len());
        let words: Vec<&str> = outcomes.iter().map(word).collect();
        words.iter().for_each(|word| *self.words.entry(word).or_default() += 1);
        let all_signed = words.iter().all(|word| *word == "signed");
        for (index, (outcome, (ms, postage))) in outcomes.iter().zip(&ask.items).enumerate() {
            let scoped = (ask.psd % 2, *ms);
            let content = Content { psd: ask.psd, postage: *postage };
            let context = format!("item {index} of {ask:?}: {words:?}");
            match open.bound[index] {
                Some(bound) if bound == content => assert_eq!(words[index], "signed", "{context}"),
                Some(_) if !ask.all_or_none => assert_eq!(words[index], "key-reused", "{context}"),
                Some(_) | None => {}
            }
            match outcome {
                Outcome::Signed(durable) => {
                    let bound = self.bound.get(&scoped).map(|bound| (bound.content, bound.leaf));
                    assert_eq!(bound, Some((content, durable.leaf())), "{context}");
                    let signer = self.bound[&scoped].signer;
                    let by_zip = [0, 1].map(|tenant| any_psd(Selection::Zip, tenant)).contains(&ask.psd);
                    assert!(!by_zip || signer != ELSEWHERE, "a PSD for other destinations: {context}");
                    let shared = open.bound[index].is_some() || self.asked[&(scoped, content)] > 1;
                    assert!(!ask.all_or_none || all_signed || shared, "a part of all-or-none: {context}");
                }
                Outcome::Refused(Refusal::KeyReused) => {
                    let itself = ask.all_or_none && ask.items.iter().any(|(k, p)| k == ms && p != postage);
                    let bound = self.bound.get(&scoped).is_some_and(|bound| bound.content != content);
                    assert!(bound || itself, "the key is bound to nothing else: {context}");
                }
                Outcome::Refused(Refusal::InsufficientFunds { postage: wanted, descending }) => {
                    let (balances, told) = &self.balances[ask.psd];
                    let of_all: u64 = ask.items.iter().map(|(_, postage)| *postage).sum();
                    let mut committed = balances[open.balances[ask.psd]..*told].iter();
                    let holds = if ask.all_or_none {
                        committed.any(|balance| of_all > *balance)
                    } else {
                        wanted.mills() > descending.mills() && committed.any(|balance| *balance == descending.mills())
                    };
                    assert!(holds, "no committed balance was that small: {context}");
                }
                Outcome::Refused(Refusal::NoneHasFunds { postage: wanted, most }) => {
                    let of_all: u64 = ask.items.iter().map(|(_, postage)| *postage).sum();
                    let asked = if ask.all_or_none { wanted.mills() <= of_all } else { wanted.mills() == *postage };
                    let was_left = |psd: usize| {
                        let (balances, told) = &self.balances[psd];
                        balances[open.balances[psd]..*told].contains(&most.mills())
                    };
                    assert!(asked && most < wanted && (0..PSDS).any(was_left), "{most} was never left: {context}");
                }
                Outcome::Refused(Refusal::NoPsdAvailable(OutOfUse { without_token, unsuited, .. })) => {
                    let too_large = ask.items.iter().any(|(_, postage)| *postage == TOO_LARGE);
                    assert!(*without_token > 0 || *unsuited > 0, "{context}");
                    assert!(*without_token > 0 || too_large, "{context}");
                }
                Outcome::Refused(Refusal::PostageTooLarge { .. }) => assert_eq!(*postage, TOO_LARGE, "{context}"),
                Outcome::Refused(Refusal::AllOrNone { index: other }) => {
                    assert!(ask.all_or_none && *other != index, "{context}");
                }
                Outcome::Refused(other) => panic!("{other:?}: {context}"),
                Outcome::Fault(_) => {}
                Outcome::Stale => assert_ne!(open.policy, policy, "{context}"),
            }
        }
    }

    fn value_answered(&mut self, reply: &ValueReply) {
        match reply {
            ValueReply::Requested { sequence, amount, .. } => {
                let on_disk = |psd: &usize| {
                    // Another command behind it may have been applied since.
                    self.requested[*psd] == Some((*sequence, amount.mills())) || self.ended[*psd] >= *sequence
                };
                assert!((0..PSDS).any(|psd| on_disk(&psd)), "{reply:?}");
            }
            ValueReply::Applied(durable) => {
                let RecordEvent::ValueApplied { stamp, value_sequence, .. } = &durable.record().event else {
                    panic!("{durable:?}")
                };
                let psd = (0..PSDS).find(|psd| psd_id(*psd) == stamp.psd).unwrap();
                assert!(self.ended[psd] >= *value_sequence && !self.void.contains(&(psd, *value_sequence)));
                *self.words.entry("value-applied").or_default() += 1;
            }
            ValueReply::Voided(durable) => {
                let RecordEvent::ValueVoided { stamp, value_sequence, .. } = &durable.record().event else {
                    panic!("{durable:?}")
                };
                let psd = (0..PSDS).find(|psd| psd_id(*psd) == stamp.psd).unwrap();
                assert!(self.void.contains(&(psd, *value_sequence)));
                *self.words.entry("value-voided").or_default() += 1;
            }
            ValueReply::EndedBefore | ValueReply::Refused(_) | ValueReply::Fault(_) | ValueReply::Overloaded => {}
            ValueReply::NoClock(_)
            | ValueReply::UnknownPsd
            | ValueReply::Stopping
            | ValueReply::Withdrawn(_)
            | ValueReply::RunOpened(_)
            | ValueReply::RunKnown
            | ValueReply::RunSealed(_)
            | ValueReply::RunUnsealed
            | ValueReply::RunClosed(_)
            | ValueReply::RunRefused(_)
            | ValueReply::Instructed(_)
            | ValueReply::Changed(_)
            | ValueReply::ChangeRefused(_)
            | ValueReply::ClientRevoked
            | ValueReply::InstructionRefused(_) => panic!("{reply:?}"),
        }
    }

    /// The registers as the sum of what is bound to keys, which the running accounts are not.
    fn sums(&self) -> Vec<(u64, u64)> {
        let of = |psd: usize| {
            let signed = self.bound.values().filter(move |bound| bound.signer == psd);
            signed.fold((0, 0), |(used, pieces), bound| (used + bound.content.postage, pieces + 1))
        };
        (0..PSDS).map(of).collect()
    }
}

fn move_account(account: &mut Account, event: &RecordEvent) {
    match event {
        RecordEvent::Indicium(Indicium { digest, .. }) => {
            account.used += u64::from_be_bytes(digest[..8].try_into().unwrap());
            account.pieces += 1;
        }
        RecordEvent::ValueApplied { amount, .. } => account.loaded += amount.mills(),
        _ => {}
    }
}

struct World {
    shell: Shell,
    model: Model,
}

impl World {
    fn new() -> Self {
        let setup = Setup {
            funds: vec![FUNDS; PSDS],
            format: "ibi",
            zips: BTreeMap::from([(ELSEWHERE, (90_000, 99_999))]),
            largest: BTreeMap::new(),
            certifying: false,
            digital_tokens: true,
            chunk_items: 3,
            in_flight_items: 8,
            queued_items_per_tenant: 24,
            queued_items: 40,
            top_ups: Vec::new(),
        };
        Self { shell: Shell::new(setup), model: Model::new() }
    }

    fn take(mut self, step: &Step) -> Self {
        let Self { shell, model } = &mut self;
        match step {
            Step::Submit(asks) => model.submit(shell, asks),
            Step::Read => shell.read(),
            Step::LookedUp => shell.looked_up(),
            Step::Sign(at) => {
                if let Some(chunk) = pick(shell, *at) {
                    shell.sign(chunk);
                }
            }
            Step::SignOldest => {
                if let Some(chunk) = shell.signing().first() {
                    shell.sign(*chunk);
                }
            }
            Step::Fail(at, retryable) => {
                if let Some(chunk) = pick(shell, *at) {
                    shell.fail(chunk, *retryable);
                }
            }
            Step::Mac(at) => {
                if let Some((chunk, party)) = pick_halves(shell, *at) {
                    shell.mac(chunk, party);
                }
            }
            Step::MacOldest => {
                if let Some((chunk, party)) = shell.halves.keys().next().copied() {
                    shell.mac(chunk, party);
                }
            }
            Step::FailHalves(at, retryable) => {
                if let Some((chunk, party)) = pick_halves(shell, *at) {
                    shell.fail_halves(chunk, party, *retryable);
                }
            }
            Step::Write(batches) => shell.write(*batches).iter().for_each(|durable| model.note_written(durable)),
            Step::Committed => {
                shell.written.front().into_iter().flat_map(|(_, durable)| durable).for_each(|d| model.note_told(d));
                shell.committed();
            }
            Step::Token(token, true) => shell.event(Event::TokenUp(TokenIndex(*token))),
            Step::Token(token, false) => shell.event(Event::TokenDown(TokenIndex(*token))),
            Step::LogOverdue(overdue) => shell.event(Event::LogOverdue(*overdue)),
            Step::Policy => {
                shell.policy.files += 1;
                shell.event(Event::PolicyFiles(shell.policy.files));
            }
            Step::AskValue(psd, amount) => {
                let request = shell.request_id();
                model.open_value.insert(request);
                let step = ValueStep::Request { amount: mills(*amount), nonce: [1; 16] };
                let (tenant, psd) = (tenant(*psd), psd_id(*psd));
                shell.event(Event::Value(crate::core::ValueCommand { request, tenant, client: None, psd, step }));
            }
            Step::ApplyValue(psd, right) => {
                let (sequence, amount) = model.requested[*psd].unwrap_or((model.ended[*psd], 1_000));
                let control_total = model.written[*psd].loaded + amount + u64::from(!right);
                let request = shell.apply_value(*psd, sequence, amount, control_total);
                model.open_value.insert(request);
            }
            Step::VoidValue(psd, right) => {
                let sequence = model.requested[*psd].map_or(model.ended[*psd], |(sequence, _)| sequence);
                let request = shell.void_value(*psd, sequence + u64::from(!right));
                model.open_value.insert(request);
            }
            Step::Tick(ms) => shell.tick(*ms),
            Step::NoteRefusals => shell.event(Event::NoteRefusals),
            Step::Crash => return self.crashed(),
        }
        self.model.check(&mut self.shell);
        self
    }

    fn crashed(self) -> Self {
        let Self { shell, mut model } = self;
        let (mut shell, appliance) = shell.crash();
        model.crashed(&appliance);
        model.check(&mut shell);
        Self { shell, model }
    }

    /// Lets everything come to its end, with the books checked after each step of it.
    fn quiet(mut self) -> Self {
        for event in [Event::LogOverdue(false), Event::TokenUp(TokenIndex(0)), Event::TokenUp(TokenIndex(1))] {
            self.shell.event(event);
        }
        loop {
            let shell = &self.shell;
            let step = match () {
                () if !shell.written.is_empty() => Step::Committed,
                () if !shell.writes.is_empty() => Step::Write(usize::MAX),
                () if !shell.look_ups.is_empty() || !shell.paid_look_ups.is_empty() => Step::Read,
                () if !shell.found.is_empty() || !shell.paid_found.is_empty() => Step::LookedUp,
                () if !shell.halves.is_empty() => Step::MacOldest,
                () if !shell.frames.is_empty() => Step::SignOldest,
                () => break,
            };
            self = self.take(&step);
        }
        assert!(self.model.open.is_empty(), "requests {:?} are never answered", self.model.open.keys());
        assert!(self.model.open_value.is_empty(), "commands {:?} are never answered", self.model.open_value);
        self.shell.assert_idle();
        for (psd, (used, pieces)) in self.model.sums().into_iter().enumerate() {
            let registers = self.shell.committed_registers(psd);
            assert_eq!((registers.ascending().mills(), registers.piece_count()), (used, pieces), "PSD {psd}");
        }
        self
    }

    /// Asks for everything again: every key gives what it gave, and nothing is debited.
    fn retried(mut self) -> Self {
        let bound: Vec<_> = self.model.bound.iter().map(|((_, ms), bound)| (*ms, bound.content)).collect();
        let before = self.model.written.clone();
        for (ms, Content { psd, postage }) in bound {
            let ask = Ask { psd, items: vec![(ms, postage)], all_or_none: false };
            self = self.take(&Step::Submit(vec![ask])).quiet();
        }
        assert_eq!(self.model.written, before, "a retry was debited");
        self
    }
}

fn pick(shell: &Shell, at: prop::sample::Index) -> Option<crate::core::ChunkId> {
    let signing = shell.signing();
    (!signing.is_empty()).then(|| *at.get(&signing))
}

fn pick_halves(shell: &Shell, at: prop::sample::Index) -> Option<(crate::core::ChunkId, Party)> {
    let asked: Vec<_> = shell.halves.keys().copied().collect();
    (!asked.is_empty()).then(|| *at.get(&asked))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_agree(steps in prop::collection::vec(step(), 80..120)) {
        let world = steps.iter().fold(World::new(), World::take).quiet();
        world.crashed().retried();
    }
}

/// The model proves nothing about what never happens.
#[test]
fn the_sequences_reach_every_answer() {
    let config = ProptestConfig { failure_persistence: None, cases: 1, ..ProptestConfig::default() };
    let rng = prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let mut runner = prop::test_runner::TestRunner::new_with_rng(config, rng);
    let mut words: BTreeMap<&'static str, usize> = BTreeMap::new();
    for _ in 0..60 {
        let steps = prop::collection::vec(step(), 100).new_tree(&mut runner).unwrap().current();
        let world = steps.iter().fold(World::new(), World::take).quiet();
        for (word, count) in world.model.words {
            *words.entry(word).or_default() += count;
        }
    }
    let wanted = [
        "signed",
        "key-reused",
        "insufficient-funds",
        "no-psd-available",
        "postage-too-large",
        "all-or-none",
        "token-unavailable",
        "token-refused",
        "log-unsigned",
        "stale",
        "overloaded",
        "value-applied",
        "value-voided",
    ];
    for word in wanted {
        assert!(words.get(word).is_some_and(|count| *count >= 5), "{word}: {words:?}");
    }
}
