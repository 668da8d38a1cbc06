//! Load as vendors make it, that checks every answer against the answers before it.
//!
//! What is asked is drawn from a seed; idempotency keys carry the time, so they are not. A batch without an answer stays open and is
//! sent again with the same keys before anything else, by whatever client there is then. What an answer must never be
//! goes into [`Load::violations`]; what the ledger must hold for it goes into the notes for the checker.

mod funds;

use self::funds::Funds;
use crate::appliance::{Appliance, chain};
use crate::notes::Notes;
use psd::indicium::Destination;
use psd::time::MailingDate;
use psd::{PieceKey, PostageAmount, PsdId};
use psdd_client::{Client, ClientError, Item, Outcome, SignedPiece, new_key};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The tenant of all PSDs of a development appliance.
pub const TENANT: &str = "acme";

/// Signed pieces each task remembers, to ask for them again.
const REMEMBERED: usize = 2_000;

/// What kind of load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Of all draws.
    pub seed: u64,
    /// Tasks that sign, each with one request under way, or two where it sends one twice.
    pub tasks: u32,
    /// PSDs of the appliance. The last one gets dear pieces, so that it runs out of funds.
    pub psds: u32,
    /// Most items of a batch.
    pub most_items: usize,
    /// Whether value is downloaded to the last PSD meanwhile.
    pub downloads: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { seed: 1, tasks: 4, psds: 1, most_items: 64, downloads: false }
    }
}

/// How much was done.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// Pieces signed for the first time as far as their client knows.
    pub signed: u64,
    /// Pieces asked for again whose bytes were the same.
    pub repeated: u64,
    /// Keys refused with other content.
    pub reused: u64,
    /// Pieces refused for lack of funds, or together with a wrong one.
    pub refused: u64,
    /// Pieces that met a fault and were tried again.
    pub faults: u64,
    /// Pieces sent again because there was no answer.
    pub unanswered: u64,
    /// Value downloads.
    pub downloads: u64,
}

/// Load on one appliance, over all its starts.
pub struct Load {
    vendors: Vec<Vendor>,
    funds: Option<Funds>,
}

impl Load {
    /// Load of which nothing was sent yet.
    pub fn new(appliance: &Appliance, options: LoadOptions) -> Self {
        let psds: Vec<PsdId> = (1..=options.psds).filter_map(psd_numbered).collect();
        let vendors = (0..options.tasks).map(|task| Vendor {
            rng: StdRng::seed_from_u64(options.seed.wrapping_mul(1_000).wrapping_add(u64::from(task))),
            psds: psds.clone(),
            most_items: options.most_items.max(1),
            open: VecDeque::new(),
            done: VecDeque::new(),
            known: HashMap::new(),
            record: Record::new(Arc::clone(&appliance.notes)),
        });
        let last = psds.last().copied().filter(|_| options.downloads);
        let funds = last.map(|psd| Funds::new(psd, appliance));
        Self { vendors: vendors.collect(), funds }
    }

    /// Works until `until` is done or the daemon is gone, and gives its value when every task has noticed. Open batches go first.
    pub async fn run<T>(&mut self, clients: &[Client], until: impl Future<Output = T>) -> T {
        let stop = Arc::new(AtomicBool::new(false));
        let mut at_work = Vec::new();
        for (index, mut vendor) in self.vendors.drain(..).enumerate() {
            let (client, stop) = (clients[index % clients.len()].clone(), Arc::clone(&stop));
            at_work.push(tokio::spawn(async move {
                vendor.work(&client, &stop).await;
                vendor
            }));
        }
        let funds = self.funds.take().map(|mut funds| {
            let (client, stop) = (clients[0].clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                funds.work(&client, &stop).await;
                funds
            })
        });
        let value = until.await;
        stop.store(true, Ordering::Release);
        for vendor in at_work {
            self.vendors.push(vendor.await.expect("a vendor's task"));
        }
        if let Some(funds) = funds {
            self.funds = Some(funds.await.expect("the funds task"));
        }
        for note in clients.iter().filter_map(Client::checkpoint) {
            self.vendors[0].record.notes.checkpoint(&note);
        }
        value
    }

    /// Sends what has no answer until everything has one. Panics if the daemon goes away meanwhile.
    pub async fn settle(&mut self, clients: &[Client]) {
        self.run(clients, async {}).await;
        assert_eq!(self.open_pieces(), 0, "pieces stay without an answer: {:?}", self.lost());
    }

    /// Works until so many pieces were signed in all, or panics when the daemon goes away or nothing moves.
    pub async fn run_pieces(&mut self, clients: &[Client], pieces: u64) {
        let goal = self.tally().signed + pieces;
        let mut idle = 0;
        while self.tally().signed < goal {
            let before = self.tally().signed;
            self.run(clients, tokio::time::sleep(Duration::from_millis(20))).await;
            idle = if self.tally().signed == before { idle + 1 } else { 0 };
            assert!(idle < 250, "nothing is signed any more: {:?}", self.lost());
        }
    }

    /// Pieces without an answer.
    pub fn open_pieces(&self) -> usize {
        self.vendors.iter().flat_map(|vendor| &vendor.open).map(|batch| batch.items.len()).sum()
    }

    /// Every signed piece that is still remembered, as it was answered.
    pub fn remembered(&self) -> impl Iterator<Item = &SignedPiece> {
        self.vendors.iter().flat_map(|vendor| vendor.known.values())
    }

    /// What answers were that they must never be.
    pub fn violations(&self) -> Vec<String> {
        let records = self.records();
        records.flat_map(|record| record.violations.iter().cloned()).collect()
    }

    /// Panics if there are violations.
    pub fn assert_no_violations(&self, when: &str) {
        let violations = self.violations();
        let shown: Vec<&str> = violations.iter().map(String::as_str).take(10).collect();
        assert!(violations.is_empty(), "{when}: {} violations:\n{}", violations.len(), shown.join("\n"));
    }

    /// Why the last calls failed that did.
    pub fn lost(&self) -> Vec<String> {
        self.records().filter_map(|record| record.lost.clone()).collect()
    }

    /// How much was done by all tasks.
    pub fn tally(&self) -> Tally {
        self.records().fold(Tally::default(), |sum, Record { tally, .. }| Tally {
            signed: sum.signed + tally.signed,
            repeated: sum.repeated + tally.repeated,
            reused: sum.reused + tally.reused,
            refused: sum.refused + tally.refused,
            faults: sum.faults + tally.faults,
            unanswered: sum.unanswered + tally.unanswered,
            downloads: sum.downloads + tally.downloads,
        })
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.vendors.iter().map(|vendor| &vendor.record).chain(self.funds.iter().map(|funds| &funds.record))
    }
}

/// The nth PSD of a development appliance, from 1.
pub fn psd_numbered(number: u32) -> Option<PsdId> {
    PsdId::new(*b"PS", *b"01", number)
}

/// An ordinary piece, dated today.
pub fn item(rng: &mut StdRng, mills: u64) -> Item {
    Item {
        key: new_key(),
        postage: PostageAmount::from_mills(mills).expect("a small amount"),
        date: today(),
        destination: Destination::from_number(rng.random_range(0..100_000_000_000)).expect("eleven digits"),
        rate: "FCL".parse().expect("a rate category"),
        recipient: rng.random_bool(0.5).then(|| format!("Recipient {}", rng.random_range(0..1_000_000))),
        reference: rng.random_bool(0.3).then(|| format!("order-{}", rng.random_range(0..1_000_000))),
        weight_g: rng.random_bool(0.3).then(|| rng.random_range(1..500)),
        token: false,
    }
}

fn today() -> MailingDate {
    let now = psd::UnixMillis(new_key().unix_millis());
    MailingDate::of(now).expect("a day after 1970")
}

/// What a task says of its answers.
struct Record {
    notes: Arc<Notes>,
    violations: Vec<String>,
    lost: Option<String>,
    tally: Tally,
}

impl Record {
    fn new(notes: Arc<Notes>) -> Self {
        Self { notes, violations: Vec::new(), lost: None, tally: Tally::default() }
    }

    /// A call failed as a whole: whether to go on.
    fn failed(&mut self, error: &ClientError) -> bool {
        let text = chain(error);
        let go_on = matches!(error, ClientError::Refused(problem) if problem.facts.retry);
        if !error.is_retryable() {
            self.violations.push(text.clone());
        }
        self.lost = Some(text);
        go_on
    }
}

/// Items that were sent together, or will be.
#[derive(Clone)]
struct Batch {
    psd: PsdId,
    items: Vec<Item>,
    all_or_none: bool,
    /// An item that cannot be accepted is among them.
    spoiled: bool,
    sent: bool,
}

/// Whether another request with the same keys was under way. Value may come between the two: then the first judged is refused, which
/// binds nothing, and the other one signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Once,
    Together,
}

/// One task that signs.
struct Vendor {
    rng: StdRng,
    psds: Vec<PsdId>,
    most_items: usize,
    open: VecDeque<Batch>,
    /// Signed pieces to ask for again.
    done: VecDeque<(PsdId, Item)>,
    known: HashMap<PieceKey, SignedPiece>,
    record: Record,
}

/// What is asked for next.
enum Next {
    New(Batch),
    /// The same request twice at the same time.
    Twice(Batch),
    /// Pieces that are signed already.
    Again(PsdId, Vec<Item>),
    /// Keys of signed pieces with other content.
    Changed(PsdId, Vec<Item>),
}

impl Vendor {
    async fn work(&mut self, client: &Client, stop: &AtomicBool) {
        loop {
            let go_on = if let Some(batch) = self.open.pop_front() {
                self.send(client, batch).await
            } else if stop.load(Ordering::Acquire) {
                return;
            } else {
                match self.next() {
                    Next::New(batch) => self.send(client, batch).await,
                    Next::Twice(batch) => self.send_twice(client, batch).await,
                    Next::Again(psd, items) => self.repeat(client, psd, items).await,
                    Next::Changed(psd, items) => self.change(client, psd, items).await,
                }
            };
            if !go_on {
                return;
            }
        }
    }

    fn next(&mut self) -> Next {
        match self.rng.random_range(0..100) {
            0..10 => Next::Twice(self.batch()),
            10..20 if !self.done.is_empty() => {
                let (psd, items) = self.signed_before();
                Next::Again(psd, items)
            }
            20..27 if !self.done.is_empty() => {
                let (psd, mut items) = self.signed_before();
                for item in &mut items {
                    item.postage = PostageAmount::from_mills(item.postage.mills() + 1).expect("a small amount");
                }
                Next::Changed(psd, items)
            }
            _ => Next::New(self.batch()),
        }
    }

    /// Small batches are the rule, so that a kill meets many of them.
    fn batch(&mut self) -> Batch {
        let most = if self.rng.random_bool(0.25) { self.most_items } else { self.most_items.min(8) };
        let count = self.rng.random_range(1..=most);
        let at = self.rng.random_range(0..self.psds.len());
        let dear = self.psds.len() > 1 && at + 1 == self.psds.len();
        let mills = if dear { 20_000..=100_000 } else { 10..=1_000 };
        let mut items: Vec<Item> = Vec::with_capacity(count);
        for _ in 0..count {
            let postage = self.rng.random_range(mills.clone());
            items.push(item(&mut self.rng, postage));
        }
        let all_or_none = self.rng.random_bool(0.2);
        let spoiled = all_or_none && self.rng.random_bool(0.15);
        if spoiled {
            let at = self.rng.random_range(0..count);
            // Below the smallest postage of the plan.
            items[at].postage = PostageAmount::from_mills(1).expect("a small amount");
        }
        Batch { psd: self.psds[at], items, all_or_none, spoiled, sent: false }
    }

    /// Up to 16 signed pieces of one PSD.
    fn signed_before(&mut self) -> (PsdId, Vec<Item>) {
        let from = self.rng.random_range(0..self.done.len());
        let psd = self.done[from].0;
        let of_psd = self.done.iter().skip(from).filter(|(of, _)| *of == psd);
        (psd, of_psd.take(16).map(|(_, item)| item.clone()).collect())
    }

    /// Whether the daemon is still there.
    async fn send(&mut self, client: &Client, mut batch: Batch) -> bool {
        if batch.sent {
            self.record.tally.unanswered += count(batch.items.len());
        }
        batch.sent = true;
        match client.sign(batch.psd, batch.items.clone(), batch.all_or_none).await {
            Ok(outcomes) => {
                self.take(batch, outcomes, Judged::Once).await;
                true
            }
            Err(error) => self.keep(batch, &error).await,
        }
    }

    async fn send_twice(&mut self, client: &Client, mut batch: Batch) -> bool {
        batch.sent = true;
        let ask = || client.sign(batch.psd, batch.items.clone(), batch.all_or_none);
        let (first, second) = tokio::join!(ask(), ask());
        match (first, second) {
            (Ok(first), Ok(second)) => {
                self.take(batch.clone(), first, Judged::Once).await;
                // What is open after the first answer must not be sent a third time at once.
                let open = self.open.len();
                self.take(batch, second, Judged::Together).await;
                self.open.truncate(open);
                true
            }
            (Ok(outcomes), Err(error)) | (Err(error), Ok(outcomes)) => {
                self.take_signed(batch, outcomes);
                self.record.failed(&error)
            }
            (Err(error), Err(_)) => self.keep(batch, &error).await,
        }
    }

    /// Of two requests one has no answer: what it was for may be signed, whatever the other was told, so all that the other did not get
    /// signed stays open.
    fn take_signed(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        let Batch { psd, items, all_or_none, spoiled, sent } = batch;
        let mut open = Vec::new();
        for (item, outcome) in items.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Signed(piece) => self.signed(psd, item, piece),
                Outcome::Refused(_) => open.push(item),
            }
        }
        if !open.is_empty() {
            self.open.push_front(Batch { psd, items: open, all_or_none, spoiled, sent });
        }
    }

    async fn keep(&mut self, batch: Batch, error: &ClientError) -> bool {
        let go_on = self.record.failed(error);
        if let ClientError::Refused(problem) = error {
            for item in &batch.items {
                self.record.notes.fault(TENANT, item.key, &problem.facts.code);
            }
            self.record.tally.faults += count(batch.items.len());
            pause().await;
        }
        if error.is_retryable() {
            self.open.push_front(batch);
        }
        go_on
    }

    async fn take(&mut self, batch: Batch, outcomes: Vec<Outcome>, judged: Judged) {
        let Batch { psd, items, all_or_none, spoiled, sent } = batch;
        let mut again = Vec::new();
        let signed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Signed(_))).count();
        if (all_or_none && signed != 0 && signed != items.len()) || (spoiled && signed != 0) {
            let text = format!("all or none of {}, spoiled: {spoiled}: {signed} were signed", items.len());
            self.record.violations.push(text);
        }
        for (item, outcome) in items.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Signed(piece) => self.signed(psd, item, piece),
                Outcome::Refused(problem) if problem.facts.retry => {
                    self.record.notes.fault(TENANT, item.key, &problem.facts.code);
                    self.record.tally.faults += 1;
                    again.push(item);
                }
                Outcome::Refused(problem) => self.refused(&item, &problem.facts.code, judged),
            }
        }
        if !again.is_empty() {
            self.open.push_back(Batch { psd, items: again, all_or_none, spoiled, sent });
            pause().await;
        }
    }

    fn signed(&mut self, psd: PsdId, item: Item, piece: SignedPiece) {
        self.record.notes.signed(TENANT, &piece);
        if let Some(before) = self.known.get(&item.key) {
            if *before == piece {
                self.record.tally.repeated += 1;
            } else {
                self.record.violations.push(format!("a retry changed: {before:?}, then {piece:?}"));
            }
            return;
        }
        self.record.tally.signed += 1;
        self.known.insert(item.key, piece);
        self.done.push_back((psd, item));
        if self.done.len() > REMEMBERED
            && let Some((_, oldest)) = self.done.pop_front()
        {
            self.known.remove(&oldest.key);
        }
    }

    fn refused(&mut self, item: &Item, code: &str, judged: Judged) {
        self.record.notes.refused(TENANT, item.key, code);
        self.record.tally.refused += 1;
        let expected = matches!(code, "insufficient-funds" | "all-or-none" | "postage-too-small");
        let signed_before = self.known.contains_key(&item.key) && judged == Judged::Once;
        if !expected || signed_before {
            self.record.violations.push(format!("piece {} was refused: {code}", item.key));
        }
    }

    /// Asks for signed pieces again: the same bytes.
    async fn repeat(&mut self, client: &Client, psd: PsdId, items: Vec<Item>) -> bool {
        match client.sign(psd, items.clone(), false).await {
            Ok(outcomes) => {
                for (item, outcome) in items.into_iter().zip(outcomes) {
                    match outcome {
                        Outcome::Signed(piece) => self.signed(psd, item, piece),
                        Outcome::Refused(problem) if problem.facts.retry => self.record.tally.faults += 1,
                        Outcome::Refused(problem) => {
                            let text = format!("signed piece {} was refused later: {problem}", item.key);
                            self.record.violations.push(text);
                        }
                    }
                }
                true
            }
            Err(error) => self.record.failed(&error),
        }
    }

    /// Asks for other content under used keys: refused.
    async fn change(&mut self, client: &Client, psd: PsdId, items: Vec<Item>) -> bool {
        match client.sign(psd, items, false).await {
            Ok(outcomes) => {
                for outcome in outcomes {
                    match outcome {
                        Outcome::Refused(problem) if problem.facts.code == "key-reused" => {
                            self.record.tally.reused += 1;
                        }
                        Outcome::Refused(problem) if problem.facts.retry => self.record.tally.faults += 1,
                        other => self.record.violations.push(format!("a used key with other content: {other:?}")),
                    }
                }
                true
            }
            Err(error) => self.record.failed(&error),
        }
    }
}

/// Between attempts that met a fault, and between downloads.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
