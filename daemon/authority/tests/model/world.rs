//! Two PSDs, two licences, a network that loses, repeats and reorders, and books that are closed at any moment.

use crate::oracle::{Known, LIFE, Oracle, licence_of};
use crate::psd_model::{APPLIANCE, Mark, Message, PsdModel, details, mills, new_key, spki};
use crate::real_psd::RealPsd;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use proptest::sample::Index;
use psd::device::ValueRefusal;
use psd::key::Role;
use psd::{LicenceNumber, UnixMillis};
use psdd_authority::books::{Books, LicenceError, PsdKey, RegisterError, Registered};
use psdd_authority::decide::Terms;
use psdd_authority::funds::{FundsError, FundsSystem};
use psdd_authority::keys::SigningKey;
use psdd_wire::cose::{Sign1, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use psdd_wire::message::{RefundClaims, ValueAuthorisationClaims, ValueRequestClaims};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub enum Step {
    Deposit { licence: usize, mills: u64, reference: u8 },
    Ask { psd: usize, mills: u64 },
    AskRefund { psd: usize, mark: Index },
    Deliver { message: Index },
    DeliverNewest,
    Apply { answer: Index },
    ApplyNewest,
    Void { psd: usize },
    Spend { psd: usize, mills: u64 },
    Withdraw { psd: usize },
    Wait { hours: u64 },
    Lock { licence: usize },
    Reopen,
    RollBack { psd: usize },
    Crash { psd: usize },
}

pub struct World {
    dir: tempfile::TempDir,
    funds: Option<FundsSystem>,
    funds_key: Vec<u8>,
    psds: Vec<PsdModel>,
    /// The daemon's own PSDs, in a world where the models say nothing that these would not.
    real: Vec<RealPsd>,
    oracle: Oracle,
    said: Vec<Message>,
    answers: Vec<(usize, ValueAuthorisationClaims)>,
    paid: BTreeMap<u8, (usize, u64)>,
    now: UnixMillis,
    /// Every answer that was given.
    pub codes: BTreeSet<&'static str>,
}

const TERMS: Terms = Terms { authorisation_ms: LIFE, refund_days: 60, refund_specimens: false };

fn licence(index: usize) -> LicenceNumber {
    format!("L-{index}").parse().expect("a licence")
}

impl World {
    /// A world in which every PSD is the daemon's own as well, and says nothing else.
    pub fn honest() -> Self {
        let mut world = Self::new();
        world.real = world.psds.iter().map(RealPsd::of).collect();
        world
    }

    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let now = UnixMillis(1_795_176_000_000);
        let mut psds = vec![PsdModel::new(0), PsdModel::new(1)];
        let mut books = Books::create(&dir.path().join("books.db")).expect("books");
        for psd in &mut psds {
            let under = licence(licence_of(psd.index));
            books.add_licence(&under, "holder", now).expect("books").expect("a licence");
            for (role, key) in [(Role::Indicium, &psd.indicium), (Role::Device, &psd.device)] {
                let key = PsdKey { psd: psd.id, role, generation: 1, spki: spki(key) };
                let place = (&APPLIANCE.parse().expect("an appliance"), &under);
                let issue = |serial: u32| Ok::<_, RegisterError>(serial.to_be_bytes().to_vec());
                let certified = books.enter(|entry| entry.certify(&key, place, false, now, issue)).expect("books");
                let Ok(Registered::New(serial, _)) = certified else { panic!("{certified:?}") };
                if role == Role::Indicium {
                    psd.certificate = serial;
                }
            }
        }
        let funds_key = new_key().to_pkcs8v1().expect("a key").as_ref().to_vec();
        let oracle = Oracle { psds: vec![Known::default(), Known::default()], ..Oracle::default() };
        let (said, answers, paid) = (Vec::new(), Vec::new(), BTreeMap::new());
        drop(books);
        let codes = BTreeSet::new();
        let real = Vec::new();
        let mut world = Self { dir, funds: None, funds_key, psds, real, oracle, said, answers, paid, now, codes };
        world.reopen();
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("books.db")
    }

    fn reopen(&mut self) {
        self.funds = None;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.funds_key).expect("a key");
        let books = Books::open(&self.path()).expect("books");
        self.funds = Some(FundsSystem::new(books, SigningKey::new(pair, b"certificate".to_vec()), TERMS));
    }

    fn funds(&mut self) -> &mut FundsSystem {
        self.funds.as_mut().expect("open")
    }

    pub fn balance(&mut self, index: usize) -> u64 {
        let account = self.funds().account(None, &format!("L-{index}")).expect("an account");
        account.balance.mills()
    }

    pub fn open_findings(&mut self) -> u64 {
        let report = self.funds().books().report().expect("a report");
        assert_eq!(report.reconciles(), report.psds.iter().all(|line| line.findings == 0), "findings are told");
        report.psds.iter().map(|line| line.findings).sum()
    }

    pub fn take(&mut self, step: &Step) {
        self.now.0 += 1;
        let now = self.now;
        match step {
            Step::Deposit { licence: to, mills: paid, reference } => self.deposit(*to, *paid, *reference),
            Step::Ask { psd, mills } => self.ask(*psd, *mills, None),
            Step::AskRefund { psd, mark } => {
                if !self.psds[*psd].marks.is_empty() {
                    let mark = mark.get(&self.psds[*psd].marks).clone();
                    let mut indicium = mark.bytes;
                    // What follows the signature names no other piece.
                    indicium.extend(now.0.to_be_bytes());
                    let refund = RefundClaims { key: [7; 16], leaf: mark.leaf, indicium };
                    self.ask(*psd, mark.postage, Some(refund));
                }
            }
            Step::Deliver { message } if !self.said.is_empty() => {
                let message = message.get(&self.said).clone();
                self.deliver(&message);
            }
            Step::DeliverNewest if !self.said.is_empty() => {
                let message = self.said.last().expect("not empty").clone();
                self.deliver(&message);
            }
            Step::Deliver { .. } | Step::DeliverNewest => {}
            Step::Apply { answer } if !self.answers.is_empty() => {
                let answer = answer.get(&self.answers).clone();
                self.apply(&answer);
            }
            Step::ApplyNewest if !self.answers.is_empty() => {
                let answer = self.answers.last().expect("not empty").clone();
                self.apply(&answer);
            }
            Step::Apply { .. } | Step::ApplyNewest => {}
            Step::Void { psd } => {
                let said = self.psds[*psd].void(now);
                self.speak(*psd, said);
            }
            Step::Spend { psd, mills } => self.spend(*psd, *mills),
            Step::Withdraw { psd } => {
                let said = self.psds[*psd].withdraw(now);
                self.speak(*psd, said);
            }
            Step::Wait { hours } => self.now.0 += hours * 3_600_000,
            Step::Lock { licence: index } => {
                let locked = !self.oracle.locked[*index];
                self.oracle.locked[*index] = locked;
                let reason = locked.then_some("payment returned");
                self.funds().books().set_lock(&licence(*index), reason).expect("books").expect("a licence");
            }
            Step::Reopen => self.reopen(),
            // Its own ledger is never older than what it said.
            Step::RollBack { .. } if !self.real.is_empty() => {}
            Step::RollBack { psd } => self.psds[*psd].roll_back(),
            Step::Crash { psd } => self.real.get_mut(*psd).into_iter().for_each(RealPsd::crash),
        }
    }

    fn apply(&mut self, (psd, claims): &(usize, ValueAuthorisationClaims)) {
        let ended = self.psds[*psd].memory.ended;
        let said = self.psds[*psd].apply(claims, self.now);
        if let Some(real) = self.real.get_mut(*psd) {
            let applied = self.psds[*psd].memory.ended != ended;
            assert_eq!(real.applies(claims, self.now), applied, "{claims:?}");
        }
        self.speak(*psd, said);
    }

    fn ask(&mut self, psd: usize, amount: u64, refund: Option<RefundClaims>) {
        let again = self.psds[psd].memory.pending.is_some();
        if let Some(real) = self.real.get(psd)
            && !again
            && !self.psds[psd].memory.withdrawn
            && let Err(refusal) = real.would_ask(amount, refund.as_ref().map(|refund| refund.leaf))
        {
            let why = matches!(refusal, ValueRefusal::RefundedBefore { .. }) || amount == 0;
            assert!(why, "{refusal}");
            return;
        }
        let said = self.psds[psd].ask(amount, refund, self.now);
        if again {
            self.said.extend(said);
        } else {
            self.speak(psd, said);
        }
    }

    /// A PSD said something for the first time.
    fn speak(&mut self, psd: usize, said: Option<Message>) {
        if let (Some(real), Some(message)) = (self.real.get_mut(psd), &said) {
            real.says(message);
        }
        self.said.extend(said);
    }

    fn spend(&mut self, psd: usize, postage: u64) {
        let marks = self.psds[psd].marks.len();
        self.psds[psd].spend(postage, self.now);
        if let Some(real) = self.real.get_mut(psd) {
            let mark = self.psds[psd].marks.get(marks);
            let signed = real.debits(postage, &details(self.now), self.now);
            assert_eq!(signed.is_some(), mark.is_some(), "{postage}");
            let same = signed.zip(mark).is_none_or(|(message, mark)| mark.bytes.starts_with(&message));
            assert!(same, "the same mark");
        }
    }

    fn deposit(&mut self, to: usize, paid: u64, reference: u8) {
        let now = self.now;
        let text = format!("payment-{reference}");
        let outcome = self.funds().books().deposit(&licence(to), mills(paid), &text, now).expect("books");
        match self.paid.get(&reference) {
            None => {
                assert!(!outcome.expect("a deposit").repeated);
                self.paid.insert(reference, (to, paid));
                self.oracle.deposits[to] += paid;
            }
            Some(known) if *known == (to, paid) => assert!(outcome.expect("a repetition").repeated),
            Some(_) => assert!(matches!(outcome, Err(LicenceError::ReferenceTaken { .. })), "{outcome:?}"),
        }
    }

    /// Delivers what was said as the so manieth message; gives the answer.
    pub fn deliver_at(&mut self, index: usize) -> &'static str {
        self.now.0 += 1;
        let message = self.said[index].clone();
        self.deliver(&message)
    }

    fn deliver(&mut self, message: &Message) -> &'static str {
        let now = self.now;
        let expected = self.oracle.hear(message, now.0);
        let code = match self.hear(message) {
            Ok(answer) => {
                self.answers.extend(answer.map(|claims| (message.psd, claims)));
                None
            }
            Err(code) => Some(code),
        };
        let granted = match message.content_type {
            WITHDRAWAL_REQUEST => "withdrawal-granted",
            VALUE_REQUEST if message.claims.refund.is_some() => "refund-granted",
            _ => "granted",
        };
        let told = code.unwrap_or(granted);
        self.codes.insert(told);
        assert_eq!(code, expected, "{} {:?}", message.content_type, message.claims);
        told
    }

    /// What the funds system says to a message, whatever the oracle expects.
    fn hear(&mut self, message: &Message) -> Result<Option<ValueAuthorisationClaims>, &'static str> {
        let (now, bytes, caller) = (self.now, &message.bytes, Some(APPLIANCE));
        let funds = self.funds.as_mut().expect("open");
        let answer = match message.content_type {
            VALUE_REQUEST => funds.value_request(caller, bytes, now).map(|answer| Some(answer.authorisation)),
            VALUE_VOID => funds.void_statement(caller, bytes, now).map(|_| None),
            WITHDRAWAL_REQUEST => {
                funds.withdrawal_request(caller, bytes, now).map(|answer| Some(answer.acknowledgement))
            }
            WITHDRAWAL_REPORT => funds.withdrawal_report(caller, bytes, now).map(|_| None),
            other => panic!("{other}"),
        };
        let claims = |bytes: Vec<u8>| psdd_wire::read(&Sign1::parse(&bytes).expect("COSE").payload).expect("claims");
        match answer {
            Ok(answer) => Ok(answer.map(claims)),
            Err(FundsError::Refused(refusal)) => Err(refusal.code()),
            Err(FundsError::Fault(fault)) => panic!("{fault}"),
        }
    }

    /// What PSD 0 would never say: its next statement, spoiled. Gives the code, or nothing where it was taken.
    pub fn lie(
        &mut self,
        content_type: &'static str,
        spoil: impl FnOnce(&mut ValueRequestClaims),
    ) -> Option<&'static str> {
        self.now.0 += 1;
        let psd = &mut self.psds[0];
        let number = psd.memory.ended + 1;
        let mut claims = psd.say(content_type, number, mills(100), None, self.now).claims;
        spoil(&mut claims);
        let message = psd.signed(content_type, claims);
        self.hear(&message).err()
    }

    /// The first mark of a PSD.
    pub fn mark(&self, psd: usize) -> Mark {
        self.psds[psd].marks[0].clone()
    }

    /// What must hold after every step.
    pub fn check(&mut self) {
        let report = self.funds().books().report().expect("a report");
        assert!(report.totals.conserved(), "{:?}", report.totals);
        assert_eq!(report.totals.deposited.mills(), self.oracle.deposits.iter().sum::<u64>());
        assert_eq!(report.totals.refunded.mills(), self.oracle.refunded());
        let mut held = 0;
        for index in 0..2 {
            let (line, known) = (&report.psds[index], &self.oracle.psds[index]);
            assert_eq!(line.booked.mills(), known.booked(), "booked for PSD {index}");
            assert_eq!(line.by_downloads, Some(line.booked), "downloads of PSD {index}");
            assert_eq!(self.balance(licence_of(index)), self.oracle.balance(index), "account {index}");
            held += self.balance(licence_of(index));
        }
        for (real, model) in self.real.iter().zip(&self.psds) {
            real.assert_like(model);
        }
        // The PSDs' own registers, which the books never see: no more than was paid in is in accounts and PSDs together.
        let left = |psd: &PsdModel| {
            let credited = psd.memory.pending.as_ref().is_some_and(|pending| {
                pending.content_type == WITHDRAWAL_REQUEST
                    && self.oracle.psds[psd.index].granted.contains_key(&pending.claims.sequence)
            });
            let registers = &psd.memory.registers;
            if credited { registers.ascending().mills() } else { registers.control_total().mills() }
        };
        if self.psds.iter().all(|psd| !psd.rolled_back) {
            let in_psds: u64 = self.psds.iter().map(left).sum();
            let came_in = self.oracle.deposits.iter().sum::<u64>() + self.oracle.refunded();
            assert!(in_psds + held <= came_in, "{in_psds} in PSDs and {held} on accounts, {came_in} came in");
        }
    }
}
