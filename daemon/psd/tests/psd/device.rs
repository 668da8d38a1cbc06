//! A PSD brought to life by its own records.

use psd::clock::{ClockReading, ClockSource};
use psd::device::{DateWindow, Piece, PieceContext};
use psd::indicium::{Details, Postal, Validity, Voucher};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Environment, Event, Stamp};
use psd::{Currency, PieceKey, PostageAmount, Psd, PsdId, Registers, TenantName, UnixMillis};
use std::sync::Arc;

pub const NOW: u64 = 1_795_176_000_000;

/// A spoiled mark whose ascending register is as many mills as its leaf.
pub fn spoiled(leaf: u64) -> psd::device::Spoiled {
    psd::device::Spoiled { leaf, ascending: mills(leaf) }
}

pub fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

pub fn id() -> PsdId {
    "PS010001000001".parse().unwrap()
}

pub fn tenant() -> TenantName {
    "acme".parse().unwrap()
}

pub fn reading() -> ClockReading {
    ClockReading { time: UnixMillis(NOW), source: ClockSource::Host, error_ms: 5, epoch: 1 }
}

pub fn limits() -> Limits {
    Limits {
        smallest_postage: mills(100),
        largest_postage: mills(1 << 30),
        largest_descending: mills(1 << 40),
        smallest_refill: mills(1),
        largest_refill: PostageAmount::MAX,
    }
}

pub fn created() -> Event {
    Event::PsdCreated {
        stamp: Stamp { psd: id(), sequence: 1, registers: Registers::default() },
        tenant: tenant(),
        licence: "L-1".parse().unwrap(),
        licensing_zip: 94_301,
        format: "ibi".into(),
        software_id: *b"psdd01",
        limits: limits(),
        currency: Currency::USD,
        zips: None,
    }
}

/// The stamp of the next record that moves no register.
pub fn next(psd: &Psd) -> Stamp {
    let stamp = psd.stamp();
    Stamp { sequence: stamp.sequence + 1, ..stamp }
}

pub fn key_created(psd: &Psd, id: u8, role: Role) -> Event {
    Event::KeyCreated {
        stamp: next(psd),
        key_id: [id][..].into(),
        role,
        algorithm: Algorithm::EcdsaP256,
        token: "token".into(),
        spki: [id; 91][..].into(),
        wrapped: None,
    }
}

/// The same PSD with one MAC key more.
pub fn with_mac_key(psd: &Psd, id: u8, role: Role) -> Psd {
    let mut event = key_created(psd, id, role);
    let Event::KeyCreated { algorithm, .. } = &mut event else { panic!() };
    *algorithm = Algorithm::HmacSha256;
    let mut psd = psd.clone();
    psd.fold(&event, UnixMillis(1));
    psd
}

pub fn certified(psd: &Psd, id: u8, serial: u32) -> Event {
    Event::CertificateInstalled { stamp: next(psd), key_id: [id][..].into(), serial, chain: vec![[id][..].into()] }
}

pub fn lifecycle(psd: &Psd, lifecycle: Lifecycle, locks: Locks) -> Event {
    Event::LifecycleChanged { stamp: next(psd), lifecycle, locks }
}

/// A PSD that was created and nothing else.
pub fn newborn() -> Psd {
    Psd::from_created(&created(), UnixMillis(1)).unwrap()
}

/// The same, for vouchers in euros.
pub fn newborn_for_vouchers() -> Psd {
    let mut event = created();
    let Event::PsdCreated { format, currency, .. } = &mut event else { panic!() };
    (*format, *currency) = ("voucher".into(), "EUR".parse().unwrap());
    Psd::from_created(&event, UnixMillis(1)).unwrap()
}

/// An active PSD with a certified indicium key and so much value.
pub fn active(value: u64) -> Psd {
    activated(newborn(), value)
}

pub fn activated(mut psd: Psd, value: u64) -> Psd {
    let event = key_created(&psd, 1, Role::Indicium);
    psd.replay(&event, UnixMillis(1)).unwrap();
    let event = certified(&psd, 1, 77);
    psd.replay(&event, UnixMillis(1)).unwrap();
    for state in [Lifecycle::Authorised, Lifecycle::Active] {
        let event = lifecycle(&psd, state, Locks::NONE);
        psd.replay(&event, UnixMillis(1)).unwrap();
    }
    let mut state = psd.state().clone();
    state.registers = Registers::default().loaded(mills(value)).unwrap();
    psd.restore(state);
    psd
}

pub fn key(number: u64) -> PieceKey {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(NOW + number).to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    PieceKey::from_bytes(bytes).unwrap()
}

pub fn mailed_on(date: &str) -> Details {
    let (date, destination) = (date.parse().unwrap(), "20500".parse().unwrap());
    Details::Postal(Postal { date, destination, rate: "FCL".parse().unwrap() })
}

pub fn ticket(from: &str, until: &str) -> Details {
    let validity = Validity::new(from.parse().unwrap(), until.parse().unwrap()).unwrap();
    let (kind, holder) = ("ticket".parse().unwrap(), Some("seat 12 B".parse().unwrap()));
    Details::Voucher(Arc::new(Voucher { kind, holder, validity }))
}

pub fn piece(postage: u64) -> Piece {
    Piece {
        key: key(0),
        digest: [3; 32],
        postage: mills(postage),
        details: mailed_on("2026-11-20"),
        recipient: None,
        reference: Some("r-1".into()),
        weight_g: Some(28),
        token: None,
    }
}

pub fn context(tenant: &TenantName) -> PieceContext<'_> {
    PieceContext {
        tenant,
        clock: Ok(reading()),
        window: DateWindow { back_days: 1, ahead_days: 2 },
        environment: Environment::Production,
    }
}
