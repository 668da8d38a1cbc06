//! An appliance with real keys, certificates and signatures, whose log can be made to say anything.

use crate::log::MemoryLog;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use psd::authority::Act;
use psd::certification::{Certification, MarkId, Paid, PayingMark, Proof, Rated, Weighed};
use psd::certifying::{ReadingsSigned, RegisteredScale, TakenTable};
use psd::clock::{ClockReading, ClockSource};
use psd::custody::KeyStep;
use psd::device::{DateWindow, Piece, PieceContext, Purpose, Spoiled};
use psd::digest::StateFacts;
use psd::indicium::{Details, Postal};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Applied, AuthorityPurpose, Charter, Environment, Event, Genesis, Indicium, Record, Stamp};
use psd::run::{ClosedRun, Counted, Destination, Run, RunTerms};
use psd::{Appliance, MailingDate, PieceKey, PostageAmount, PsdId, UnixMillis};
use psdd_inspector::{Finding, Fold, Mirror, Rules, Trust};
use psdd_wire::checkpoint::{LogKey, origin};
use psdd_wire::cose::{
    INSTRUCTION, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST, WITHDRAWAL_ACKNOWLEDGEMENT, WITHDRAWAL_REPORT,
    WITHDRAWAL_REQUEST,
};
use psdd_wire::instruction::claims_of;
use psdd_wire::message::{RefundClaims, ValueAuthorisationClaims, ValueRequestClaims};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};
use std::path::Path;
use std::sync::Arc;

/// 2026-11-20T12:00:00Z.
pub const START: u64 = 1_795_176_000_000;
pub const DAY: u64 = 86_400_000;

pub fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

pub fn psd_id(number: usize) -> PsdId {
    PsdId::new(*b"PS", *b"01", 1_000_000 + u32::try_from(number).unwrap()).unwrap()
}

pub type Ca = CertifiedIssuer<'static, KeyPair>;

pub fn ca() -> Ca {
    let mut params = params("Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ca::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

/// A key as rcgen certifies it and as aws-lc signs with it.
pub struct Key {
    pub signs: EcdsaKeyPair,
    certified: KeyPair,
}

impl Key {
    pub fn new() -> Self {
        Self::of(&KeyPair::generate().unwrap())
    }

    pub fn of(key: &KeyPair) -> Self {
        let certified =
            KeyPair::from_pkcs8_der_and_sign_algo(&key.serialize_der().into(), &rcgen::PKCS_ECDSA_P256_SHA256);
        let certified = certified.unwrap();
        let signs = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &certified.serialize_der()).unwrap();
        Self { signs, certified }
    }

    pub fn spki(&self) -> Vec<u8> {
        self.signs.public_key().as_der().unwrap().as_ref().to_vec()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signs.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    pub fn certificate(&self, name: &str, serial: u32, issuer: &Ca) -> Vec<u8> {
        let mut params = params(name);
        params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.signed_by(&self.certified, issuer).unwrap().der().to_vec()
    }

    pub fn message(&self, kind: &str, certificate: Option<&[u8]>, payload: Vec<u8>) -> Arc<[u8]> {
        let message = Sign1::unsigned(kind, certificate, payload);
        let signature = self.sign(&message.to_be_signed());
        message.with_signature(&signature).into()
    }
}

pub struct World {
    pub entries: Vec<Vec<u8>>,
    pub appliance: Appliance,
    pub facts: StateFacts,
    pub root: Ca,
    pub log_key: Key,
    pub indicium: Key,
    pub device: Key,
    pub funds: Key,
    funds_certificate: Vec<u8>,
    pub now: u64,
    pub error_ms: u32,
    pub keys: u64,
}

impl World {
    /// An appliance with so many PSDs, each with 1,000,000.00 loaded.
    pub fn born(psds: usize) -> Self {
        let (root, log_key, funds) = (ca(), Key::new(), Key::new());
        let genesis = Genesis {
            appliance: "test-1".parse().unwrap(),
            environment: Environment::Development,
            operators: Vec::new(),
            quorum: 0,
            authority_root: root.der().to_vec().into(),
            log_key_id: [5, 0][..].into(),
            log_spki: log_key.spki().into(),
            log_token: "token".into(),
            charter: Charter::default(),
        };
        let at = ClockReading { time: UnixMillis(START), source: ClockSource::Development, error_ms: 5, epoch: 1 };
        let leaf_0 = Record { at, event: Event::Genesis(genesis) };
        let funds_certificate = funds.certificate("Funds", 1, &root);
        let mut world = Self {
            entries: Vec::new(),
            appliance: Appliance::born(&leaf_0).unwrap(),
            facts: StateFacts::default(),
            root,
            log_key,
            indicium: Key::new(),
            device: Key::new(),
            funds,
            funds_certificate: funds_certificate.clone(),
            now: START,
            error_ms: 5,
            keys: 0,
        };
        world.append(&leaf_0);
        // One key for all purposes does here.
        for purpose in [AuthorityPurpose::Funds, AuthorityPurpose::Inspection, AuthorityPurpose::Policy] {
            let certificate = funds_certificate.as_slice().into();
            world.push(Event::AuthorityKeyInstalled { purpose, certificate });
        }
        for number in 0..psds {
            world.make_psd(number);
            world.download(number, 1_000_000_000);
        }
        world
    }

    pub fn at(&mut self) -> ClockReading {
        self.now += 3;
        let (time, error_ms) = (UnixMillis(self.now), self.error_ms);
        ClockReading { time, source: ClockSource::Development, error_ms, epoch: 1 }
    }

    pub fn size(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap()
    }

    pub fn append(&mut self, record: &Record) -> u64 {
        let leaf = self.size();
        self.facts.note(leaf, &record.event);
        self.entries.push(record.encode());
        leaf
    }

    /// Appends a record that follows, and gives its leaf.
    pub fn push(&mut self, event: Event) -> u64 {
        let record = Record { at: self.at(), event };
        self.appliance.follow(&record).unwrap();
        self.append(&record)
    }

    /// Appends a record that need not follow. The world goes on from it.
    pub fn push_wrong(&mut self, record: &Record) -> u64 {
        drop(self.appliance.fold(record));
        self.append(record)
    }

    pub fn next_stamp(&self, number: usize) -> Stamp {
        let stamp = self.appliance.psds[&psd_id(number)].stamp();
        Stamp { sequence: stamp.sequence + 1, ..stamp }
    }

    pub fn created(&self, number: usize) -> Event {
        let stamp = Stamp { psd: psd_id(number), sequence: 1, registers: psd::Registers::default() };
        Event::PsdCreated {
            stamp,
            tenant: "acme".parse().unwrap(),
            licence: "L-1".parse().unwrap(),
            licensing_zip: 94_301,
            format: "ibi".into(),
            software_id: *b"psdd01",
            limits: Limits {
                smallest_postage: mills(1),
                largest_postage: mills(100_000),
                largest_descending: mills(4_000_000_000),
                smallest_refill: mills(1),
                largest_refill: mills(4_000_000_000),
            },
            currency: "USD".parse().unwrap(),
            zips: None,
        }
    }

    pub fn serial(number: usize, role: Role, generation: u8) -> u32 {
        u32::try_from(number).unwrap() * 100 + u32::from(generation) * 10 + u32::from(role.number())
    }

    pub fn key_id(number: usize, role: Role, generation: u8) -> Arc<[u8]> {
        [&[role.number(), generation][..], &u16::try_from(number).unwrap().to_be_bytes()].concat().into()
    }

    /// A key of that generation, made and certified; the first of its role is in use.
    pub fn make_key(&mut self, number: usize, role: Role, generation: u8) -> u64 {
        let (key_id, serial) = (Self::key_id(number, role, generation), Self::serial(number, role, generation));
        let key = if role == Role::Device { &self.device } else { &self.indicium };
        let spki = key.spki().into();
        let certificate = key.certificate(&psd_id(number).to_string(), serial, &self.root);
        let (stamp, algorithm, token) = (self.next_stamp(number), Algorithm::EcdsaP256, Arc::from("token"));
        self.push(Event::KeyCreated { stamp, key_id: key_id.clone(), role, algorithm, token, spki, wrapped: None });
        let stamp = self.next_stamp(number);
        self.push(Event::CertificateInstalled { stamp, key_id, serial, chain: vec![certificate.into()] })
    }

    pub fn make_psd(&mut self, number: usize) {
        self.push(self.created(number));
        self.make_key(number, Role::Indicium, 1);
        self.make_key(number, Role::Device, 1);
        for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
            let stamp = self.next_stamp(number);
            self.push(Event::LifecycleChanged { stamp, lifecycle, locks: Locks::NONE });
        }
    }

    pub fn key_step(&mut self, number: usize, generation: u8, step: KeyStep, since: u64) -> u64 {
        let stamp = self.next_stamp(number);
        let key_id = Self::key_id(number, Role::Indicium, generation);
        let reason = (step == KeyStep::Revoked).then_some(psd::custody::RevocationReason::KeyCompromise);
        self.push(Event::KeyStateChanged { stamp, key_id, step, since: UnixMillis(since), reason })
    }

    /// Asks for value.
    pub fn request(&mut self, number: usize, amount: u64, refund: Option<u64>) -> u64 {
        let (stamp, amount) = (self.next_stamp(number), mills(amount));
        let value_sequence = self.appliance.psds[&stamp.psd].state().value_sequence + 1;
        let spoiled = refund.map(|leaf| match self.decoded(leaf).event {
            Event::Indicium(piece) => RefundClaims { key: *piece.key.as_bytes(), leaf, indicium: piece.indicium },
            _ => unreachable!(),
        });
        let claims = ValueRequestClaims {
            psd: stamp.psd,
            time: self.now,
            nonce: [1; 16],
            amount,
            refund: spoiled,
            sequence: value_sequence,
            appliance: "test-1".to_owned(),
            registers: stamp.registers.into(),
        };
        let request = self.device.message(VALUE_REQUEST, None, psdd_wire::encode(&claims));
        let purpose = refund.map_or(Purpose::Download, |leaf| Purpose::Refund(self.spoiled(leaf)));
        let tenant = "acme".parse().unwrap();
        self.push(Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request })
    }

    fn spoiled(&self, leaf: u64) -> Spoiled {
        let Event::Indicium(piece) = self.decoded(leaf).event else { unreachable!() };
        Spoiled { leaf, ascending: piece.stamp.registers.ascending() }
    }

    /// The record of value that comes in, signed by this key as the authority's.
    pub fn applied(&mut self, number: usize, amount: u64, refund: Option<u64>, key: &Key) -> Event {
        let (mut stamp, amount) = (self.next_stamp(number), mills(amount));
        stamp.registers = stamp.registers.loaded(amount).unwrap();
        let value_sequence = self.appliance.psds[&stamp.psd].state().value_sequence + 1;
        let claims = ValueAuthorisationClaims {
            psd: stamp.psd,
            amount,
            refund,
            expires: self.now + DAY,
            sequence: value_sequence,
            appliance: "test-1".to_owned(),
            control_total: stamp.registers.control_total(),
        };
        let authorisation = key.message(VALUE_AUTHORISATION, Some(&self.funds_certificate), psdd_wire::encode(&claims));
        let at = UnixMillis(self.now + 3);
        let applied = match refund {
            None => {
                let loaded = self.appliance.authority.admit(&"L-1".parse().unwrap(), amount, at).unwrap();
                Applied::Download { loaded }
            }
            Some(leaf) => Applied::Refund(self.spoiled(leaf)),
        };
        let tenant = "acme".parse().unwrap();
        Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied }
    }

    pub fn download(&mut self, number: usize, amount: u64) -> u64 {
        self.request(number, amount, None);
        let funds = std::mem::replace(&mut self.funds, Key::new());
        let applied = self.applied(number, amount, None, &funds);
        self.funds = funds;
        self.push(applied)
    }

    /// The postage of a mark comes back.
    pub fn refund(&mut self, number: usize, mark: u64) -> u64 {
        let Event::Indicium(piece) = self.decoded(mark).event else { unreachable!() };
        self.request(number, piece.postage.mills(), Some(mark));
        let funds = std::mem::replace(&mut self.funds, Key::new());
        let applied = self.applied(number, piece.postage.mills(), Some(mark), &funds);
        self.funds = funds;
        self.push(applied)
    }

    /// An instruction of the authority's inspection key; its effect is the caller's to push.
    pub fn instruct(&mut self, number: u64, act: &Act) -> u64 {
        self.instruct_as(AuthorityPurpose::Inspection, number, act)
    }

    pub fn instruct_as(&mut self, purpose: AuthorityPurpose, number: u64, act: &Act) -> u64 {
        let claims = claims_of(act, "test-1".to_owned(), number, self.now + DAY);
        let instruction = self.funds.message(INSTRUCTION, Some(&self.funds_certificate), psdd_wire::encode(&claims));
        self.push(Event::InstructionTaken { purpose, number, instruction })
    }

    /// All that is left goes back; the authority's acknowledgement is signed by this key.
    pub fn withdraw(&mut self, number: usize) -> u64 {
        let stamp = self.next_stamp(number);
        let (amount, tenant) = (stamp.registers.descending(), "acme".parse().unwrap());
        let value_sequence = self.appliance.psds[&stamp.psd].state().value_sequence + 1;
        let claims = |registers: psd::Registers, time| ValueRequestClaims {
            psd: stamp.psd,
            time,
            nonce: [1; 16],
            amount,
            refund: None,
            sequence: value_sequence,
            appliance: "test-1".to_owned(),
            registers: registers.into(),
        };
        let payload = psdd_wire::encode(&claims(stamp.registers, self.now));
        let request = self.device.message(WITHDRAWAL_REQUEST, None, payload);
        self.push(Event::ValueRequested {
            stamp,
            tenant,
            value_sequence,
            amount,
            purpose: Purpose::Withdrawal,
            request,
        });
        let mut stamp = self.next_stamp(number);
        stamp.registers = stamp.registers.withdrawn();
        let acknowledged = ValueAuthorisationClaims {
            psd: stamp.psd,
            amount,
            refund: None,
            expires: self.now + DAY,
            sequence: value_sequence,
            appliance: "test-1".to_owned(),
            control_total: stamp.registers.control_total(),
        };
        let payload = psdd_wire::encode(&acknowledged);
        let acknowledgement = self.funds.message(WITHDRAWAL_ACKNOWLEDGEMENT, Some(&self.funds_certificate), payload);
        let payload = psdd_wire::encode(&claims(stamp.registers, self.now));
        let report = self.device.message(WITHDRAWAL_REPORT, None, payload);
        let tenant = "acme".parse().unwrap();
        self.push(Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report })
    }

    /// The record of a piece, not yet in the log. The PSD goes on from it.
    pub fn piece(&mut self, number: usize) -> Record {
        let date = MailingDate::of(UnixMillis(self.now)).unwrap();
        let mail = Postal { date, destination: "20500-0003".parse().unwrap(), rate: "FCL".parse().unwrap() };
        self.record(number, 730, Details::Postal(mail))
    }

    /// The same of corrected mail that owes 0.73, by a PSD that has a certification key; paid by the mark at a leaf, where one is named.
    pub fn certified(&mut self, number: usize, mark: Option<u64>) -> Record {
        self.certified_by(number, mark, |_| {})
    }

    /// The same, with another payment than it was.
    pub fn certified_by(&mut self, number: usize, mark: Option<u64>, spoil: fn(&mut PayingMark)) -> Record {
        self.certified_as(number, mark, spoil, |_| {})
    }

    /// A table that certifications may be rated by.
    pub fn table(version: u64, from: &str) -> TakenTable {
        let digest = [u8::try_from(version).unwrap(); 32];
        TakenTable { name: "postland".parse().unwrap(), version, digest, from: from.parse().unwrap(), until: None }
    }

    /// A scale that they may be weighed on.
    pub fn scale(id: &str, from: &str, until: &str) -> RegisteredScale {
        RegisteredScale {
            scale: id.parse().unwrap(),
            certificate: "C-1".into(),
            issuer: "Laboratory".into(),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            capacity_mg: 60_000,
            minimum_mg: 2_000,
            resolution_mg: 500,
            maker: "Maker".into(),
            model: "Model".into(),
            site: "<Dock> 1".into(),
            signed: ReadingsSigned::Never,
        }
    }

    /// PSD gets a certification key, and the log the table and the scale that certifications name; gives the leaves of these two.
    pub fn certifying(&mut self, number: usize) -> [u64; 2] {
        self.make_key(number, Role::Certification, 1);
        let table = self.push(Event::RatesTaken(Self::table(1, "2026-01-01")));
        [table, self.push(Event::ScaleRegistered(Self::scale("dock-1", "2026-11-01", "2027-10-31")))]
    }

    /// The same, with another payment, scale or table than it was.
    pub fn certified_as(
        &mut self,
        number: usize,
        mark: Option<u64>,
        spoil: fn(&mut PayingMark),
        change: fn(&mut Certification),
    ) -> Record {
        let paid = mark.map_or(Paid::Nothing, |leaf| {
            let Event::Indicium(piece) = self.decoded(leaf).event else { unreachable!() };
            let id = MarkId { psd: piece.stamp.psd, ascending: piece.stamp.registers.ascending() };
            let mut paid = PayingMark { id, digest: psdd_wire::sha256(&piece.indicium), postage: piece.postage };
            spoil(&mut paid);
            Paid::Mark(paid)
        });
        let mut certification = Certification {
            date: MailingDate::of(UnixMillis(self.now)).unwrap(),
            destination: "20500-0003".parse().unwrap(),
            weighed: Weighed { weight_mg: 20_000, scale: "dock-1".parse().unwrap(), taken: UnixMillis(self.now) },
            rated: Rated {
                rates: "postland".parse().unwrap(),
                version: 1,
                digest: [1; 32],
                class: "letter".parse().unwrap(),
                tariff: "full".parse().unwrap(),
            },
            due: mills(730),
            paid,
            run: None,
            proof: Proof::Signature,
        };
        change(&mut certification);
        let owed = certification.shortfall().mills();
        self.record(number, owed, Details::Certification(Arc::new(certification), None))
    }

    /// A run of ten letters to one ZIP is announced for today: 0.73 each, 0.63 as one of ten.
    pub fn open_run(&mut self, number: usize, id: &str) -> u64 {
        let terms = RunTerms {
            id: id.parse().unwrap(),
            digest: [5; 32],
            date: MailingDate::of(UnixMillis(self.now)).unwrap(),
            rates: "postland".parse().unwrap(),
            version: 1,
            rates_digest: [1; 32],
            class: "letter".parse().unwrap(),
            tariffs: ["full", "town"].iter().map(|name| name.parse().unwrap()).collect(),
        };
        let run = Arc::new(Run::new(terms, vec![Destination { zip: 20_500, pieces: 10, tariff: 1 }]).unwrap());
        let now = UnixMillis(self.now);
        let psd = self.appliance.psds.get_mut(&psd_id(number)).unwrap();
        psd.open_run(Arc::clone(&run), now).unwrap();
        let event = Event::RunOpened { stamp: psd.next_stamp(), tenant: "acme".parse().unwrap(), run };
        let record = Record { at: self.at(), event };
        self.append(&record)
    }

    /// A letter of that run, in the log; gives its leaf.
    pub fn certify_in(&mut self, number: usize, id: &str) -> u64 {
        let record = self.certified_in(number, id);
        self.appliance.latest = record.at;
        self.append(&record)
    }

    /// The record of one.
    pub fn certified_in(&mut self, number: usize, id: &str) -> Record {
        let certification = Certification {
            date: MailingDate::of(UnixMillis(self.now)).unwrap(),
            destination: "20500-0003".parse().unwrap(),
            weighed: Weighed { weight_mg: 20_000, scale: "dock-1".parse().unwrap(), taken: UnixMillis(self.now) },
            rated: Rated {
                rates: "postland".parse().unwrap(),
                version: 1,
                digest: [1; 32],
                class: "letter".parse().unwrap(),
                tariff: "town".parse().unwrap(),
            },
            due: mills(630),
            paid: Paid::Nothing,
            run: Some(id.parse().unwrap()),
            proof: Proof::Receipt,
        };
        let dues = [mills(730), mills(630)];
        self.record(number, 630, Details::Certification(Arc::new(certification), Some(dues.into())))
    }

    /// The record by which the run of a leaf is closed with so many pieces at the full price.
    pub fn closed_run(&mut self, number: usize, opened: u64, pieces: u32) -> Record {
        let Event::RunOpened { run, .. } = self.decoded(opened).event else { unreachable!() };
        let (owed, debited) = (mills(730 * u64::from(pieces)), mills(630 * u64::from(pieces)));
        let counted = [Counted { pieces, tariff: 0 }];
        let closed = ClosedRun { id: run.id.clone(), opened, owed, debited, counted: counted.into() };
        let psd = self.appliance.psds.get_mut(&psd_id(number)).unwrap();
        psd.close_run(&closed).unwrap();
        let event =
            Event::RunClosed { stamp: psd.next_stamp(), tenant: "acme".parse().unwrap(), closed: Arc::new(closed) };
        Record { at: self.at(), event }
    }

    fn record(&mut self, number: usize, postage: u64, details: Details) -> Record {
        self.keys += 1;
        let piece = Piece {
            key: key_at(START + self.keys),
            digest: [9; 32],
            postage: mills(postage),
            details,
            recipient: None,
            reference: None,
            weight_g: None,
            token: None,
        };
        let context = PieceContext {
            tenant: &"acme".parse().unwrap(),
            clock: Ok(self.at()),
            window: DateWindow { back_days: 1, ahead_days: 30 },
            environment: Environment::Development,
        };
        let psd = self.appliance.psds.get_mut(&psd_id(number)).unwrap();
        let prepared = psd.prepare(&piece, &context).unwrap();
        let signature = self.indicium.sign(prepared.message());
        prepared.signed(&signature)
    }

    /// Corrected mail in the log; gives its leaf.
    pub fn certify(&mut self, number: usize, mark: Option<u64>) -> u64 {
        let record = self.certified(number, mark);
        self.appliance.latest = record.at;
        self.append(&record)
    }

    /// A piece in the log; gives its leaf.
    pub fn sign(&mut self, number: usize) -> u64 {
        let record = self.piece(number);
        self.appliance.latest = record.at;
        self.append(&record)
    }

    pub fn sign_many(&mut self, number: usize, pieces: usize) {
        for _ in 0..pieces {
            self.sign(number);
        }
    }

    pub fn decoded(&self, leaf: u64) -> Record {
        Record::decode(&self.entries[usize::try_from(leaf).unwrap()]).unwrap()
    }

    /// The symbol at a leaf.
    pub fn symbol(&self, leaf: u64) -> Vec<u8> {
        match self.decoded(leaf).event {
            Event::Indicium(Indicium { indicium, .. }) => indicium,
            _ => unreachable!(),
        }
    }

    /// The log as it stands, signed.
    pub fn log(&self) -> MemoryLog {
        self.log_of(&self.entries)
    }

    /// A log of other entries, signed by the same key.
    pub fn log_of(&self, entries: &[Vec<u8>]) -> MemoryLog {
        let key = LogKey::of_spki(&self.log_key.spki());
        MemoryLog::of(entries, &origin(&"test-1".parse().unwrap()), &key, |text| self.log_key.sign(text))
    }

    pub fn trust(&self) -> Trust {
        let (appliance, authority_root) = ("test-1".parse().unwrap(), self.root.der().to_vec());
        Trust::LogKey { appliance, spki: self.log_key.spki(), authority_root }
    }

    /// Mirror and fold of the log as it stands.
    pub fn inspected(&self, dir: &Path) -> (Mirror, Fold) {
        let mut log = self.log();
        let mut mirror = match Mirror::open(dir) {
            Ok(mirror) => mirror,
            Err(_) => Mirror::create(dir, &self.trust(), &mut log).unwrap(),
        };
        mirror.update(&mut log).unwrap();
        let mut fold = Fold::open(&mut mirror).unwrap();
        fold.advance(&mut mirror).unwrap();
        (mirror, fold)
    }

    /// What an inspection of the log as it stands finds.
    pub fn findings(&self, rules: &Rules) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        let (mirror, fold) = self.inspected(dir.path());
        fold.view(&mirror, rules, UnixMillis(self.now)).unwrap().findings
    }
}

pub fn key_at(ms: u64) -> PieceKey {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    PieceKey::from_bytes(bytes).unwrap()
}
