//! Prints what the choice among the PSDs of a licence costs an item: `cargo run --release -p psdd --example selection_time`.
//!
//! The core alone, without token and disk. Items are judged once over 10,000 PSDs of one licence and once over a licence of one PSD; the
//! difference is the choice. *Each item* gives every item a turn of its own, so that each is sought a PSD, and another one than the
//! last; *in turns* leaves 256 items to a turn, as the daemon does.

use psd::clock::{ClockGuard, ClockRules, ClockSample, ClockSource};
use psd::device::{DateWindow, Piece};
use psd::indicium::{Details, Postal};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Environment, Event as Happened, Stamp};
use psd::{Currency, PieceKey, PostageAmount, Psd, PsdId, Registers, UnixMillis};
use psdd::core::{
    Action, ChunkId, Engine, EngineSettings, Event, RequestId, Selection, SignTarget, Submission, TokenIndex,
};
use psdd_hsm::protocol::{FaultClass, HsmFault};
use std::error::Error;
use std::time::Instant;

const PSDS: u32 = 10_000;
const ITEMS: u32 = 256;
const ROUNDS: u32 = 200;
const NOW: u64 = 1_795_176_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!("choice among {PSDS} PSDs of a licence, an item");
    let mut most = 0.0f64;
    for (name, selection) in
        [("round robin", Selection::RoundRobin), ("most funds", Selection::MostFunds), ("by ZIP", Selection::Zip)]
    {
        let mut costs = [0.0; 2];
        for (cost, chunk_items) in costs.iter_mut().zip([1, 256]) {
            let [many, one] = [PSDS, 1].map(|psds| judging_ns(psds, chunk_items, selection));
            *cost = many? - one?;
        }
        most = most.max(costs[0]);
        println!("  {name:<12} each item {:>5.0} ns   in turns {:>4.0} ns", costs[0], costs[1]);
    }
    println!("  most         {most:.0} ns   reach ≤ 1,000 ns");
    Ok(())
}

/// Nanoseconds in which the core judges an item, in the quickest of many rounds, so that other work on the machine counts least.
fn judging_ns(psds: u32, chunk_items: usize, selection: Selection) -> Result<f64, Box<dyn Error>> {
    let mut engine = engine(psds, chunk_items)?;
    let members = usize::try_from(psds)?;
    let mut least = f64::INFINITY;
    for round in 0..ROUNDS {
        let pieces = (0..ITEMS).map(|n| Ok((piece(u64::from(round * ITEMS + n))?, None)));
        let submission = Submission {
            request: RequestId(u64::from(round)),
            tenant: "acme".parse()?,
            client: "mail".into(),
            target: SignTarget::Licence {
                licence: "L-1".parse()?,
                selection,
                licences: engine.licences(),
                within: std::iter::once(0..members).collect(),
            },
            pieces: pieces.collect::<Result<_, Box<dyn Error>>>()?,
            all_or_none: false,
            policy: engine.policy(),
        };
        let begun = Instant::now();
        engine.handle(Event::Submit(submission), 0);
        let actions = engine.pump(0);
        least = least.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(ITEMS));
        let chunks: Vec<ChunkId> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Sign(chunk, ..) => Some(*chunk),
                Action::LookUp(..)
                | Action::LookUpPaid(..)
                | Action::Mac(..)
                | Action::Fleet(_)
                | Action::Keys(_)
                | Action::Policy(..)
                | Action::Desk(..)
                | Action::Commit(..)
                | Action::Reply(..)
                | Action::ValueReply(..)
                | Action::ViewReply(..)
                | Action::TopUp { .. }
                | Action::Drained(_) => None,
            })
            .collect();
        assert!(chunks.len() >= usize::try_from(ITEMS)?.div_ceil(chunk_items), "every item is prepared");
        // Nothing is signed: what was debited comes back for the next round.
        for chunk in chunks {
            let (code, step) = ("bench".to_owned(), "the bench".to_owned());
            engine.handle(
                Event::SignFailed(chunk, HsmFault { class: FaultClass::Deadline, code, step, retryable: true }),
                0,
            );
        }
        engine.pump(0);
    }
    Ok(least)
}

fn piece(number: u64) -> Result<Piece, Box<dyn Error>> {
    let mut key = [0; 16];
    key[..6].copy_from_slice(&NOW.to_be_bytes()[2..]);
    key[8..].copy_from_slice(&number.to_be_bytes());
    (key[6], key[8]) = (0x70, 0x80);
    Ok(Piece {
        key: PieceKey::from_bytes(key).ok_or("a key")?,
        digest: [0; 32],
        postage: mills(730)?,
        details: Details::Postal(Postal {
            date: "2026-11-20".parse()?,
            destination: "20500-0003".parse()?,
            rate: "FCM".parse()?,
        }),
        recipient: None,
        reference: None,
        weight_g: None,
        token: None,
    })
}

fn mills(mills: u64) -> Result<PostageAmount, Box<dyn Error>> {
    PostageAmount::from_mills(mills).ok_or_else(|| "beyond any amount".into())
}

fn engine(psds: u32, chunk_items: usize) -> Result<Engine, Box<dyn Error>> {
    let settings = EngineSettings {
        appliance: "bench".parse()?,
        environment: Environment::Development,
        window: DateWindow { back_days: 1, ahead_days: 30 },
        key_retention_ms: 3_600_000,
        key_skew_ms: 120_000,
        chunk_items,
        in_flight_items: 16_384,
        queued_items_per_tenant: 8_192,
        queued_items: 32_768,
        tokens: vec!["main".into()],
        top_ups: Vec::new(),
    };
    let rules = ClockRules {
        source: ClockSource::Development,
        tolerance_ms: 1_000,
        largest_error_ms: 1_000,
        largest_silence_ms: 1_000_000,
    };
    let clock = ClockGuard::resume(rules, 1, UnixMillis(NOW));
    let psds = (0..psds).map(active).collect::<Result<Vec<_>, _>>()?;
    let mut engine = Engine::new(settings, clock, psds, Default::default(), Default::default());
    let sample = ClockSample { monotonic_ms: 0, wall: UnixMillis(NOW), error_ms: 1, synchronised: true };
    engine.handle(Event::Clock(sample), 0);
    engine.handle(Event::TokenUp(TokenIndex(0)), 0);
    Ok(engine)
}

/// A PSD that signs. Funds differ, so that the richest is not always the first.
fn active(number: u32) -> Result<Psd, Box<dyn Error>> {
    let psd = PsdId::new(*b"PS", *b"01", number).ok_or("a device ID")?;
    let stamp = Stamp { psd, sequence: 1, registers: Registers::default() };
    let created = Happened::PsdCreated {
        stamp,
        tenant: "acme".parse()?,
        licence: "L-1".parse()?,
        licensing_zip: 94_301,
        format: "ibi".into(),
        software_id: *b"psdd01",
        limits: Limits {
            smallest_postage: mills(1)?,
            largest_postage: mills(100_000)?,
            largest_descending: mills(4_000_000_000)?,
            smallest_refill: mills(1)?,
            largest_refill: mills(4_000_000_000)?,
        },
        currency: Currency::USD,
        zips: None,
    };
    let mut device = Psd::from_created(&created, UnixMillis(NOW)).ok_or("a PSD")?;
    let (role, algorithm) = (Role::Indicium, Algorithm::EcdsaP256);
    let key_id: std::sync::Arc<[u8]> = number.to_be_bytes()[..].into();
    let (token, spki) = ("main".into(), b"a key"[..].into());
    let made = Happened::KeyCreated { stamp, key_id: key_id.clone(), role, algorithm, token, spki, wrapped: None };
    device.fold(&made, UnixMillis(NOW));
    device.fold(
        &Happened::CertificateInstalled { stamp, key_id, serial: 7, chain: vec![b"c"[..].into()] },
        UnixMillis(NOW),
    );
    device
        .fold(&Happened::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks: Locks::NONE }, UnixMillis(NOW));
    let registers = Registers::default().loaded(mills(1_000_000 + u64::from(number * 7_919 % 10_007))?)?;
    device.restore(psd::State { registers, ..device.state().clone() });
    Ok(device)
}
