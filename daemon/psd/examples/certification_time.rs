//! How long a certification by receipt takes to be written and read: `cargo run --release -p psd --example certification_time`.

use psd::certification::{Certification, Certifier, MarkId, Paid, PayingMark, Proof, Rated, Weighed};
use psd::certification::{claims, decode, of_own_record};
use psd::clock::{ClockReading, ClockSource};
use psd::record::{CertifiedPiece, Event, Record, Stamp};
use psd::{Currency, PieceKey, PostageAmount, Registers, UnixMillis};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 500_000;

fn each<T>(what: &str, mut one: impl FnMut() -> T) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        black_box(one());
    }
    println!("{what}: {:?} each", begun.elapsed() / ROUNDS);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let amount = |text: &str| text.parse::<PostageAmount>();
    let certifier = Certifier {
        psd: "PS010000000001".parse()?,
        certificate_serial: None,
        registers: Registers::from_parts(amount("1234.56")?, amount("765.44")?, amount("2000")?, 4_321)?,
        currency: Currency::USD,
        specimen: true,
    };
    let id = MarkId { psd: "PS010000000002".parse()?, ascending: amount("99.5")? };
    let certification = Certification {
        date: "2026-11-27".parse()?,
        destination: "20500-0003".parse()?,
        weighed: Weighed { weight_mg: 28_000, scale: "dock-1".parse()?, taken: UnixMillis(1_795_000_000_000) },
        rated: Rated {
            rates: "us".parse()?,
            version: 2025,
            digest: [7; 32],
            class: "letter-metered".parse()?,
            tariff: "full".parse()?,
        },
        due: amount("0.78")?,
        paid: Paid::Mark(PayingMark { id, digest: [9; 32], postage: amount("0.5")? }),
        run: None,
        proof: Proof::Receipt,
    };
    let bytes = claims(&certifier, &certification);
    println!("{} bytes of claims", bytes.len());
    each("claims written", || claims(black_box(&certifier), black_box(&certification)));
    each("claims read, of whatever origin", || decode(black_box(&bytes)));

    let mut key = [7; 16];
    (key[6], key[8]) = (0x70, 0x80);
    let piece = CertifiedPiece {
        stamp: Stamp { psd: certifier.psd, sequence: 4_400, registers: certifier.registers },
        tenant: "acme".parse()?,
        key: PieceKey::from_bytes(key).ok_or("no UUIDv7")?,
        digest: [5; 32],
        debited: certification.shortfall(),
        certification: bytes,
        reference: None,
        mark: Some(id),
        run: None,
    };
    each("claims read, of an own record", || of_own_record(black_box(&piece)));
    let time = UnixMillis(1_795_000_000_500);
    let at = ClockReading { time, source: ClockSource::Host, error_ms: 2, epoch: 1 };
    let record = Record { at, event: Event::Certification(piece) };
    each("record encoded", || black_box(&record).encode());
    Ok(())
}
