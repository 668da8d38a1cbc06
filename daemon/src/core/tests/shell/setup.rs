//! What the shell is made of: names, pieces, settings, and the records of a birth.

use crate::config::TopUpRule;
use crate::core::{EngineSettings, Selection};
use psd::authority::Loaded;
use psd::certification::{Certification, MarkId, Paid, PayingMark, Proof, Rated, Weighed};
use psd::clock::{ClockReading, ClockSource};
use psd::device::{DateWindow, Piece, Purpose};
use psd::digital_token::{AddressCode, Party};
use psd::indicium::{Details, Postal, Validity, Voucher, ZipRange};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Applied, Charter, Environment, Event as RecordEvent, Genesis, Record, Stamp};
use psd::{Currency, PieceKey, PostageAmount, PsdId, Registers, TenantName, UnixMillis};
use psdd_hsm::protocol::{FaultClass, HsmFault};
use std::collections::BTreeMap;
use std::sync::Arc;

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

pub const ANY_PSD: usize = 100;
/// CN of every client here.
pub const CLIENT: &str = "mail";
pub const SELECTIONS: [Selection; 3] = [Selection::RoundRobin, Selection::MostFunds, Selection::Zip];

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
        token: None,
    }
}

/// The same with a digital token.
pub fn tokened(psd: usize, key_ms: u64, postage: u64) -> Piece {
    let piece = piece(psd, key(key_ms), postage);
    let mut digest = piece.digest;
    digest[31] ^= 1;
    Piece { digest, token: Some(AddressCode::of_address("1 Main St").unwrap()), ..piece }
}

/// The same for a voucher.
pub fn voucher(psd: usize, key: PieceKey, value: u64) -> Piece {
    let validity = Validity::new("2026-11-20".parse().unwrap(), "2027-11-20".parse().unwrap()).unwrap();
    let (kind, holder) = ("ticket".parse().unwrap(), Some("seat 12 B".parse().unwrap()));
    Piece { details: Details::Voucher(Arc::new(Voucher { kind, holder, validity })), ..piece(psd, key, value) }
}

/// A piece of corrected mail that still owes so much, under a key of so many milliseconds; paid by the indicium of PSD 1 with this
/// ascending register, where there is one.
pub fn corrected(psd: usize, key_ms: u64, owed: u64, mark: Option<u64>) -> Piece {
    let paid = mark.map_or(Paid::Nothing, |ascending| {
        let id = MarkId { psd: psd_id(1), ascending: mills(ascending) };
        Paid::Mark(PayingMark { id, digest: [4; 32], postage: mills(500) })
    });
    let certification = Certification {
        date: "2026-11-20".parse().unwrap(),
        destination: "20500-0003".parse().unwrap(),
        weighed: Weighed { weight_mg: 28_000, scale: "dock-3".parse().unwrap(), taken: UnixMillis(START) },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 1,
            digest: [1; 32],
            class: "letter".parse().unwrap(),
            tariff: "full".parse().unwrap(),
        },
        due: mills(owed + paid.amount().mills()),
        paid,
        run: None,
        proof: Proof::Signature,
    };
    Piece { details: Details::Certification(Arc::new(certification), None), ..piece(psd, key(key_ms), owed) }
}

/// The same, to be proven by a receipt.
pub fn receipted(psd: usize, key_ms: u64, owed: u64, mark: Option<u64>) -> Piece {
    let piece = corrected(psd, key_ms, owed, mark);
    let Details::Certification(certification, _) = &piece.details else { unreachable!() };
    let certification = Certification { proof: Proof::Receipt, ..(**certification).clone() };
    Piece { details: Details::Certification(Arc::new(certification), None), ..piece }
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
    /// Whether they have a certification key beside the others.
    pub certifying: bool,
    /// Whether they have the keys of digital tokens: those of the vendor's halves in their own token, those of the post's in the other one.
    pub digital_tokens: bool,
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
            certifying: false,
            digital_tokens: false,
            chunk_items: 4,
            in_flight_items: 16,
            queued_items_per_tenant: 64,
            queued_items: 96,
            top_ups: Vec::new(),
        }
    }
}

impl Setup {
    pub fn engine(&self) -> EngineSettings {
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

pub fn reading() -> ClockReading {
    ClockReading { time: UnixMillis(START), source: ClockSource::Development, error_ms: 1, epoch: 1 }
}

pub fn genesis() -> Record {
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
pub fn birth(setup: &Setup, number: usize, funds: u64, loaded: u64) -> Vec<Record> {
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
    let roles = [Role::Indicium, Role::Device, Role::Certification];
    for role in roles.into_iter().filter(|role| *role != Role::Certification || setup.certifying) {
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
    for party in Party::BOTH.into_iter().filter(|_| setup.digital_tokens) {
        let (role, algorithm) = (party.role(), Algorithm::HmacSha256);
        let token = match party {
            Party::Vendor => Arc::clone(&token),
            Party::Postal => format!("token-{}", (number + 1) % 2).into(),
        };
        let (key_id, spki) = ([role.number(), u8::try_from(number).unwrap()][..].into(), b"a check value"[..].into());
        events.push(RecordEvent::KeyCreated { stamp: stamp(), key_id, role, algorithm, token, spki, wrapped: None });
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
