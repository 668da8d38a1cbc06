//! An appliance with real P-256 signatures on its indicia, and stand-ins for the formats the ledger does not know.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use psd::authority::{Act, Period};
use psd::clock::{ClockReading, ClockSource};
use psd::custody::{Revocation, RevocationReason};
use psd::device::{DateWindow, Piece, PieceContext, Purpose};
use psd::digital_token::{AddressCode, DigitalToken};
use psd::indicium::{Details, Postal, Validity, Voucher};
use psd::inspection::InspectionPeriods;
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::policy::PolicyText;
use psd::record::{Applied, AuthorityPurpose, Charter, Environment, Event, Genesis, Record};
use psd::{ApplianceId, MailingDate, PieceKey, PostageAmount, PsdId, TenantName, UnixMillis};
use psdd_ledger::open::{LedgerLock, OpenError, ProvenHead};
use psdd_ledger::verify::{Answer, AuthorityKey, Certified, Judge, Outcome, Refuted, Settings, Statement, ValueFacts};
use psdd_ledger::{Appliance, Body, Durable, Hash, Journal, Ledger, NewRecord, Recovered, Rules};
use std::path::Path;
use std::sync::Arc;

pub const ROOT: &[u8] = b"authority root";
pub const FUNDS: &[u8] = b"funds certificate";
pub const START: u64 = 1_795_176_000_000;
pub const TENANTS: [&str; 2] = ["acme", "globex"];

pub fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

pub fn psd_id(number: usize) -> PsdId {
    PsdId::new(*b"PS", *b"01", 1_000_000 + u32::try_from(number).unwrap()).unwrap()
}

/// A note that the stand-in verifier accepts: size, root, and a digest over both as signature.
pub fn note(size: u64, root: Hash) -> String {
    let text = format!("{size} {}", hex(&root));
    let mac = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("log key {text}").as_bytes());
    format!("{text} {}", hex(mac.as_ref()))
}

pub fn verified_note(_: &Genesis, text: &str) -> Option<ProvenHead> {
    let mut words = text.split(' ');
    let (size, root) = (words.next()?.parse().ok()?, unhex(words.next()?)?);
    (note(size, root) == text).then_some(ProvenHead { size, root })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Hash> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// Certificates are `serial ‖ SPKI` here, messages are plain text.
pub struct TestJudge;

#[derive(Debug, thiserror::Error)]
#[error("stand-in format: {0}")]
struct Wrong(&'static str);

fn refuted(what: &'static str) -> Refuted {
    Refuted(Box::new(Wrong(what)))
}

fn message(kind: &str, facts: &ValueFacts<'_>) -> Vec<u8> {
    format!("{kind} {} {} {} {}", facts.appliance, facts.psd, facts.sequence, facts.amount).into_bytes()
}

impl Judge for TestJudge {
    fn checkpoint(&self, genesis: &Genesis, note: &str) -> Option<ProvenHead> {
        verified_note(genesis, note)
    }

    fn chain(&self, chain: &[&[u8]], root: &[u8], _: UnixMillis) -> Result<Certified, Refuted> {
        if root != ROOT {
            return Err(refuted("root"));
        }
        match chain {
            [FUNDS] => Ok(Certified { spki: b"funds key"[..].into(), serial: None }),
            [certificate] if certificate.len() > 4 => {
                let (serial, spki) = certificate.split_at(4);
                let serial = u32::from_be_bytes(serial.try_into().unwrap());
                Ok(Certified { spki: spki.into(), serial: Some(serial) })
            }
            _ => Err(refuted("chain")),
        }
    }

    fn device_statement(
        &self,
        statement: Statement,
        bytes: &[u8],
        spki: &[u8],
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted> {
        let kind = match statement {
            Statement::Request => "request",
            Statement::Void => "void",
            Statement::WithdrawalRequest => "withdrawal",
            Statement::WithdrawalReport => "report",
        };
        let right = spki == b"device key" && bytes == message(kind, facts);
        if right { Ok(()) } else { Err(refuted(kind)) }
    }

    fn funds_answer(
        &self,
        answer: Answer,
        bytes: &[u8],
        key: &AuthorityKey,
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted> {
        let kind = match answer {
            Answer::Authorisation => "authorisation",
            Answer::Acknowledgement => "acknowledgement",
        };
        let right = *key.certificate == *FUNDS && *key.spki == *b"funds key" && bytes == message(kind, facts);
        if right { Ok(()) } else { Err(refuted("answer of the funds system")) }
    }

    /// `NUMBER lock PSD`, `NUMBER unlock PSD`, `NUMBER ceiling MILLS`, `NUMBER acknowledge PSD ROLE SERIAL`,
    /// `NUMBER periods WARN BLOCK`, `NUMBER accept PSD BYTE`, `NUMBER revoke PSD ROLE SERIAL SINCE`, `NUMBER change PSD ROLE`,
    /// `NUMBER policy VERSION TEXT`.
    fn instruction(
        &self,
        bytes: &[u8],
        _: &AuthorityKey,
        _: &ApplianceId,
        _: UnixMillis,
    ) -> Result<(u64, Act), Refuted> {
        let words: Vec<&str> = std::str::from_utf8(bytes).unwrap().split(' ').collect();
        let act = match words[1] {
            "lock" => Act::Lock(words[2].parse().unwrap()),
            "unlock" => Act::Unlock(words[2].parse().unwrap()),
            "ceiling" => Act::Ceiling {
                licence: "L-1".parse().unwrap(),
                period: Period::Month,
                amount: Some(mills(words[2].parse().unwrap())),
            },
            "acknowledge" => Act::Acknowledge {
                psd: words[2].parse().unwrap(),
                role: Role::certified_named(words[3]).unwrap(),
                serial: words[4].parse().unwrap(),
            },
            "periods" => Act::InspectionPeriods {
                licence: "L-1".parse().unwrap(),
                periods: words[2]
                    .parse()
                    .ok()
                    .and_then(|warn| InspectionPeriods::new(warn, words[3].parse().unwrap()).ok()),
            },
            "accept" => Act::AcceptAudit { psd: words[2].parse().unwrap(), digest: [words[3].parse().unwrap(); 32] },
            "revoke" => Act::RevokeKey {
                psd: words[2].parse().unwrap(),
                role: Role::certified_named(words[3]).unwrap(),
                serial: words[4].parse().unwrap(),
                revocation: Revocation {
                    since: UnixMillis(words[5].parse().unwrap()),
                    reason: RevocationReason::KeyCompromise,
                },
            },
            "change" => {
                Act::ChangeKey { psd: words[2].parse().unwrap(), role: Role::certified_named(words[3]).unwrap() }
            }
            "policy" => {
                let text = PolicyText::new(&words[3..].join(" ")).unwrap();
                Act::Policy { version: words[2].parse().unwrap(), text }
            }
            _ => return Err(refuted("instruction")),
        };
        Ok((words[0].parse().unwrap(), act))
    }
}

pub fn verify(dir: &Path) -> Outcome {
    let settings = Settings { authority_root: Some(ROOT.to_vec()), threads: 2 };
    psdd_ledger::verify::verify(dir, &TestJudge, &settings, &mut |_| {}).unwrap()
}

/// Number of the PSD for vouchers.
pub const VOUCHERS: usize = 9;

pub struct World {
    pub journal: Journal,
    /// The core's state: ahead of the journal by what was not committed.
    pub appliance: Appliance,
    _lock: LedgerLock,
    key: Arc<EcdsaKeyPair>,
    pub now: u64,
    pieces: u64,
}

impl World {
    /// An appliance with so many PSDs, alternately of two tenants, each with 1,000,000.00 loaded.
    pub fn born(dir: &Path, psds: usize, rules: Rules) -> Self {
        let key = Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
        let recovered = Ledger::create(dir).unwrap().bear(&genesis(), vec![authority_key()], rules).unwrap();
        let mut world = Self::of(recovered, key, START);
        for number in 0..psds {
            world.make_psd(number);
            let download = world.download(number, 1_000_000_000);
            world.commit(download);
        }
        world
    }

    fn of(recovered: Recovered, key: Arc<EcdsaKeyPair>, now: u64) -> Self {
        let (journal, appliance, _, lock) = recovered.into_parts();
        Self { journal, appliance, _lock: lock, key, now, pieces: now }
    }

    /// Stops without ceremony, as a killed process does, and starts again.
    pub fn reopened(self, dir: &Path, rules: Rules) -> (Self, Start) {
        let (key, now) = (Arc::clone(&self.key), self.now);
        drop(self);
        let recovered = recover(dir, rules).unwrap();
        let start = Start { replayed_all: recovered.replayed_all, replayed: recovered.replayed };
        (Self::of(recovered, key, now), start)
    }

    pub fn at(&mut self) -> ClockReading {
        self.now += 3;
        ClockReading { time: UnixMillis(self.now), source: ClockSource::Development, error_ms: 5, epoch: 1 }
    }

    pub fn commit(&mut self, records: Vec<NewRecord>) -> Vec<Durable> {
        self.journal.commit(records).unwrap()
    }

    pub fn commit_events(&mut self, events: Vec<Event>) -> Vec<Durable> {
        let records = events.into_iter().map(|event| self.take_in(event)).collect();
        self.commit(records)
    }

    /// A record of this event, which the core's state takes in.
    pub fn take_in(&mut self, event: Event) -> NewRecord {
        let record = Record { at: self.at(), event };
        self.appliance.follow(&record).unwrap();
        record.into()
    }

    /// A PSD for vouchers in euros, with 1,000.00 loaded. Its number is [`VOUCHERS`].
    pub fn make_voucher_psd(&mut self) {
        self.make_psd(VOUCHERS);
        let download = self.download(VOUCHERS, 1_000_000);
        self.commit(download);
    }

    fn make_psd(&mut self, number: usize) {
        let (format, currency) = if number == VOUCHERS { ("voucher", "EUR") } else { ("ibi", "USD") };
        let psd = psd_id(number);
        let id = |role: u8| Arc::from([role, u8::try_from(number).unwrap()]);
        let stamp = psd::record::Stamp { psd, sequence: 1, registers: psd::Registers::default() };
        let created = Event::PsdCreated {
            stamp,
            tenant: tenant(number),
            licence: "L-1".parse().unwrap(),
            licensing_zip: 94_301,
            format: format.into(),
            software_id: *b"psdd01",
            limits: Limits {
                smallest_postage: mills(1),
                largest_postage: mills(100_000),
                largest_descending: mills(4_000_000_000),
                smallest_refill: mills(1),
                largest_refill: mills(4_000_000_000),
            },
            currency: currency.parse().unwrap(),
            zips: None,
        };
        let mut records = vec![self.take_in(created)];
        let spki = self.key.public_key().as_der().unwrap();
        let keys: [(Role, &[u8]); 2] = [(Role::Indicium, spki.as_ref()), (Role::Device, b"device key")];
        for (role, spki) in keys {
            let (key_id, serial): (Arc<[u8]>, u32) = (id(role.number()), 100 + u32::from(role.number()));
            let stamp = self.next_stamp(psd);
            let (algorithm, token) = (Algorithm::EcdsaP256, Arc::from("token"));
            let (key_made, spki_made) = (key_id.clone(), spki.into());
            let made =
                Event::KeyCreated { stamp, key_id: key_made, role, algorithm, token, spki: spki_made, wrapped: None };
            records.push(self.take_in(made));
            let stamp = self.next_stamp(psd);
            let chain = vec![Arc::from([&serial.to_be_bytes(), spki].concat())];
            records.push(self.take_in(Event::CertificateInstalled { stamp, key_id, serial, chain }));
        }
        for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
            let stamp = self.next_stamp(psd);
            records.push(self.take_in(Event::LifecycleChanged { stamp, lifecycle, locks: Locks::NONE }));
        }
        self.commit(records);
    }

    /// The stamp of the PSD's next record, if it moves no register.
    pub fn next_stamp(&self, psd: PsdId) -> psd::record::Stamp {
        let stamp = self.appliance.psds[&psd].stamp();
        psd::record::Stamp { sequence: stamp.sequence + 1, ..stamp }
    }

    /// A value request and its authorisation.
    pub fn download(&mut self, number: usize, amount: u64) -> Vec<NewRecord> {
        let request = self.value_request(number, amount);
        let (psd, amount) = (psd_id(number), mills(amount));
        let value_sequence = self.appliance.psds[&psd].state().pending.as_ref().unwrap().sequence;
        let mut stamp = self.next_stamp(psd);
        stamp.registers = stamp.registers.loaded(amount).unwrap();
        let authorisation = self.message("authorisation", psd, value_sequence, amount);
        let tenant = tenant(number);
        // The reading that the next record takes.
        let at = UnixMillis(self.now + 3);
        let loaded = self.appliance.authority.admit(&"L-1".parse().unwrap(), amount, at).unwrap();
        let applied = Applied::Download { loaded };
        let applied = Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied };
        vec![request, self.take_in(applied)]
    }

    pub fn value_request(&mut self, number: usize, amount: u64) -> NewRecord {
        let (psd, amount) = (psd_id(number), mills(amount));
        let value_sequence = self.appliance.psds[&psd].state().value_sequence + 1;
        let stamp = self.next_stamp(psd);
        let request = self.message("request", psd, value_sequence, amount);
        let (tenant, purpose) = (tenant(number), Purpose::Download);
        self.take_in(Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request })
    }

    /// The download under way is given up.
    pub fn value_void(&mut self, number: usize) -> NewRecord {
        let psd = psd_id(number);
        let pending = self.appliance.psds[&psd].state().pending.clone().unwrap();
        let (stamp, value_sequence, amount) = (self.next_stamp(psd), pending.sequence, pending.amount);
        let statement = self.message("void", psd, value_sequence, amount);
        self.take_in(Event::ValueVoided { stamp, tenant: tenant(number), value_sequence, amount, statement })
    }

    fn message(&self, kind: &str, psd: PsdId, sequence: u64, amount: PostageAmount) -> Arc<[u8]> {
        format!("{kind} {} {psd} {sequence} {amount}", self.appliance.genesis.appliance).into_bytes().into()
    }

    /// A key above all before it.
    pub fn next_key(&mut self) -> PieceKey {
        self.pieces += 1;
        key_at(self.pieces)
    }

    /// A debited and signed piece; every third one has a recipient.
    pub fn piece(&mut self, number: usize) -> NewRecord {
        let key = self.next_key();
        self.piece_with(number, key)
    }

    pub fn piece_with(&mut self, number: usize, key: PieceKey) -> NewRecord {
        let body = self
            .pieces
            .is_multiple_of(3)
            .then(|| Body { salt: [7; 16], body: format!("Recipient {}", self.pieces).into_bytes().into() });
        let day: MailingDate = "2026-11-20".parse().unwrap();
        let mail = Postal { date: day, destination: "20500-0003".parse().unwrap(), rate: "FCL".parse().unwrap() };
        let (kind, holder) = ("ticket".parse().unwrap(), Some("seat 12 B".parse().unwrap()));
        let voucher = Voucher { kind, holder, validity: Validity::new(day, day).unwrap() };
        // With a digital token where the PSD can make one.
        let tokened = self.appliance.psds[&psd_id(number)].key_in_use(Role::PostalMac).is_some();
        let piece = Piece {
            key,
            digest: [9; 32],
            postage: mills(730),
            details: if number == VOUCHERS { Details::Voucher(Arc::new(voucher)) } else { Details::Postal(mail) },
            recipient: body.as_ref().map(Body::commitment),
            reference: Some(format!("job-{}", self.pieces).into()),
            weight_g: Some(28),
            token: tokened.then(|| AddressCode::of_address("1 Main St").unwrap()),
        };
        let context = PieceContext {
            tenant: &tenant(number),
            clock: Ok(self.at()),
            window: DateWindow { back_days: 1, ahead_days: 30 },
            environment: Environment::Development,
        };
        let psd = self.appliance.psds.get_mut(&psd_id(number)).unwrap();
        let prepared = psd.prepare(&piece, &context).unwrap();
        let prepared = prepared.with_token(DigitalToken::stored("12345 67890 6").unwrap());
        let signature = self.key.sign(&SystemRandom::new(), prepared.message()).unwrap();
        let record = prepared.signed(signature.as_ref());
        self.appliance.latest = record.at;
        NewRecord { record, body }
    }

    /// So many pieces in one commit, over all PSDs in turn.
    pub fn commit_pieces(&mut self, pieces: usize) -> Vec<Durable> {
        let psds = self.appliance.psds.len();
        let records = (0..pieces).map(|n| self.piece(n % psds)).collect();
        self.commit(records)
    }

    /// Signs what is durable; stored with the next commit.
    pub fn checkpoint(&mut self) {
        let (size, root) = (self.journal.size(), self.journal.root());
        self.journal.note_checkpoint(size, note(size, root));
    }

    /// A clean stop but for the state digest.
    pub fn close(self) {
        self.journal.close().unwrap();
    }
}

/// How a start went.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    pub replayed_all: bool,
    pub replayed: u64,
}

pub fn recover(dir: &Path, rules: Rules) -> Result<Recovered, OpenError> {
    Ledger::open(dir)?.recover(rules, &verified_note)
}

pub fn tenant(number: usize) -> TenantName {
    TENANTS[number % 2].parse().unwrap()
}

pub fn key_at(ms: u64) -> PieceKey {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    PieceKey::from_bytes(bytes).unwrap()
}

pub fn genesis() -> Record {
    Record {
        at: ClockReading { time: UnixMillis(START), source: ClockSource::Development, error_ms: 5, epoch: 1 },
        event: Event::Genesis(Genesis {
            appliance: "test-1".parse().unwrap(),
            environment: Environment::Development,
            operators: Vec::new(),
            quorum: 0,
            authority_root: ROOT.into(),
            log_key_id: [5, 0][..].into(),
            log_spki: b"log key"[..].into(),
            log_token: "token".into(),
            charter: Charter::default(),
        }),
    }
}

/// A record that an appliance is born with, after leaf 0.
pub fn authority_key() -> Record {
    let event = Event::AuthorityKeyInstalled { purpose: AuthorityPurpose::Funds, certificate: FUNDS.into() };
    Record { at: genesis().at, event }
}

/// Opens the database as an attacker with a file system would.
pub fn database(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("ledger.db")).unwrap()
}

/// The one number that a query gives.
pub fn number(dir: &Path, query: &str) -> u64 {
    let number: i64 = database(dir).query_row(query, [], |row| row.get(0)).unwrap();
    u64::try_from(number).unwrap()
}
