//! Measures `Journal::commit`: `cargo run --release -p psdd-ledger --example commit_rate -- DIR [RECORDS] [BATCH] [STARTS]`.
//!
//! Prints records a second, CPU a record, the longest commit, and what each start costs afterwards. Signatures are made up.

use psd::authority::Loaded;
use psd::clock::{ClockReading, ClockSource};
use psd::device::{DateWindow, Piece, PieceContext, Purpose};
use psd::indicium::{Details, Postal};
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Applied, Charter, Environment, Event, Genesis, Record, Stamp};
use psd::{Currency, PieceKey, PostageAmount, Psd, PsdId, Registers, UnixMillis};
use psdd_ledger::open::ProvenHead;
use psdd_ledger::{Journal, Ledger, NewRecord, Rules};
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const START: u64 = 1_795_176_000_000;
const PSDS: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir: PathBuf = arguments.next().ok_or("a directory to make a ledger in, please")?.into();
    let records: u32 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    let batch: u32 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let starts: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    std::fs::create_dir_all(&dir)?;
    let mut bench = Bench::new(&dir)?;
    let (mut cpu, mut longest, mut spent) = (0, Duration::ZERO, Duration::ZERO);
    let mut times = Vec::new();
    let mut made = 0;
    while made < records {
        let pieces = bench.pieces(batch);
        let (cpu_before, began) = (cpu_ns()?, Instant::now());
        let durable = bench.journal.commit(pieces)?;
        let took = began.elapsed();
        cpu += cpu_ns()? - cpu_before;
        times.push(took);
        spent += took;
        longest = longest.max(took);
        made += u32::try_from(durable.len())?;
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)];
    println!("{made} records in commits of {batch}: {:.0} records/s", f64::from(made) / spent.as_secs_f64());
    println!("CPU {:.2} µs a record", f64::from(u32::try_from(cpu / 1000)?) / f64::from(made));
    println!("commit p50 {:?}, p99 {:?}, p999 {:?}, longest {longest:?}", at(500), at(990), at(999));
    bench.journal.digest_now(reading(bench.now))?;
    let (size, root) = (bench.journal.size(), bench.journal.root());
    drop(bench);
    for signed in [false, true].into_iter().take(starts) {
        let began = Instant::now();
        let verifier = |_: &Genesis, _: &str| Some(ProvenHead { size, root });
        let mut recovered = Ledger::open(&dir)?.recover(Rules::default(), &verifier)?;
        println!(
            "start in {:?}: {} records replayed, all: {}",
            began.elapsed(),
            recovered.replayed,
            recovered.replayed_all
        );
        if !signed {
            recovered.journal.note_checkpoint(size, "note".to_owned());
        }
        recovered.journal.close()?;
    }
    Ok(())
}

struct Bench {
    journal: Journal,
    psds: Vec<Psd>,
    now: u64,
    made: u64,
}

impl Bench {
    fn new(dir: &std::path::Path) -> Result<Self, Box<dyn Error>> {
        let genesis = Event::Genesis(Genesis {
            appliance: "bench".parse()?,
            environment: Environment::Development,
            operators: Vec::new(),
            quorum: 0,
            authority_root: b"root"[..].into(),
            log_key_id: [1][..].into(),
            log_spki: b"spki"[..].into(),
            log_token: "token".into(),
            charter: Charter::default(),
        });
        let born =
            Ledger::create(dir)?.bear(&Record { at: reading(START), event: genesis }, Vec::new(), Rules::default())?;
        let (journal, _, _, _lock) = born.into_parts();
        let mut bench = Self { journal, psds: Vec::new(), now: START, made: 0 };
        for number in 0..PSDS {
            bench.make_psd(number)?;
        }
        Ok(bench)
    }

    fn make_psd(&mut self, number: u32) -> Result<(), Box<dyn Error>> {
        let psd = PsdId::new(*b"PS", *b"01", 1_000_000 + number).ok_or("id")?;
        let amount = |mills| PostageAmount::from_mills(mills).ok_or("amount");
        let created = Event::PsdCreated {
            stamp: Stamp { psd, sequence: 1, registers: Registers::default() },
            tenant: "acme".parse()?,
            licence: "L-1".parse()?,
            licensing_zip: 94_301,
            format: "ibi".into(),
            software_id: *b"psdd01",
            limits: Limits {
                smallest_postage: amount(1)?,
                largest_postage: amount(100_000)?,
                largest_descending: amount(4_200_000_000)?,
                smallest_refill: amount(1)?,
                largest_refill: amount(4_200_000_000)?,
            },
            currency: Currency::USD,
            zips: None,
        };
        // All PSDs load under one licence, one after the other.
        let sum = amount(4_200_000_000 * u64::from(number + 1))?;
        let loaded = Loaded { day: sum, month: sum, year: sum };
        let mut device = Psd::from_created(&created, UnixMillis(1)).ok_or("PSD")?;
        let (tenant, value) = (device.identity().tenant.clone(), amount(4_200_000_000)?);
        let key_id: std::sync::Arc<[u8]> = [1, u8::try_from(number)?][..].into();
        let mut records = vec![Record { at: reading(self.now), event: created }];
        let steps: [&dyn Fn(Stamp) -> Event; 6] = [
            &|stamp| Event::KeyCreated {
                stamp,
                key_id: key_id.clone(),
                role: Role::Indicium,
                algorithm: Algorithm::EcdsaP256,
                token: "token".into(),
                spki: b"spki"[..].into(),
                wrapped: None,
            },
            &|stamp| Event::CertificateInstalled { stamp, key_id: key_id.clone(), serial: 7, chain: Vec::new() },
            &|stamp| Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Authorised, locks: Locks::NONE },
            &|stamp| Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks: Locks::NONE },
            &|stamp| Event::ValueRequested {
                stamp,
                tenant: tenant.clone(),
                value_sequence: 1,
                amount: value,
                purpose: Purpose::Download,
                request: b"request"[..].into(),
            },
            &|stamp| Event::ValueApplied {
                stamp: Stamp { registers: stamp.registers.loaded(value).unwrap_or_default(), ..stamp },
                tenant: tenant.clone(),
                value_sequence: 1,
                amount: value,
                authorisation: b"authorisation"[..].into(),
                applied: Applied::Download { loaded },
            },
        ];
        for step in steps {
            let stamp = device.stamp();
            let event = step(Stamp { sequence: stamp.sequence + 1, ..stamp });
            device.replay(&event, psd::UnixMillis(1))?;
            records.push(Record { at: reading(self.now), event });
        }
        self.psds.push(device);
        self.journal.commit(records.into_iter().map(Into::into).collect())?;
        Ok(())
    }

    /// All of one PSD, as one request has them.
    fn pieces(&mut self, batch: u32) -> Vec<NewRecord> {
        self.now += 5;
        let turn = usize::try_from(self.made / u64::from(batch)).unwrap_or(0) % self.psds.len();
        let device = &mut self.psds[turn];
        let tenant = device.identity().tenant.clone();
        let context = PieceContext {
            tenant: &tenant,
            clock: Ok(reading(self.now)),
            window: DateWindow { back_days: 9, ahead_days: 9 },
            environment: Environment::Development,
        };
        let mut records = Vec::new();
        for _ in 0..batch {
            self.made += 1;
            let mut key = [0; 16];
            key[..6].copy_from_slice(&self.now.to_be_bytes()[2..]);
            // What comes after the time is random in a UUID of version 7.
            key[6..14].copy_from_slice(&self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            (key[6], key[8]) = (0x70 | key[6] & 15, 0x80 | key[8] & 63);
            let piece = |key| {
                Some(Piece {
                    key,
                    digest: [9; 32],
                    postage: PostageAmount::from_mills(730)?,
                    details: Details::Postal(Postal {
                        date: "2026-11-20".parse().ok()?,
                        destination: "20500-0003".parse().ok()?,
                        rate: "FCL".parse().ok()?,
                    }),
                    recipient: None,
                    reference: None,
                    weight_g: Some(28),
                    token: None,
                })
            };
            let prepared = PieceKey::from_bytes(key).and_then(piece).map(|piece| device.prepare(&piece, &context));
            if let Some(Ok(prepared)) = prepared {
                records.push(prepared.signed(&[0x5a; 64]).into());
            }
        }
        records
    }
}

fn reading(ms: u64) -> ClockReading {
    ClockReading { time: UnixMillis(ms), source: ClockSource::Development, error_ms: 5, epoch: 1 }
}

/// CPU of all threads so far, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().ok_or("schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}
