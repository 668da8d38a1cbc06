//! Measures proofs over a large log: `cargo run --release -p psdd-ledger --example proof_time -- DIR SIZE [PROOFS]`, over a ledger that
//! `commit_rate` made, with at least SIZE records.
//!
//! Prints what the first proof of a reader costs, which hashes the right edge, and what those after it cost, in milliseconds.

use psdd_ledger::LogReader;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir: PathBuf = arguments.next().ok_or("the directory of a ledger, please")?.into();
    let size: u64 = arguments.next().ok_or("how many records it has, please")?.parse()?;
    let proofs: u64 = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let log = LogReader::open(&dir)?;
    let began = Instant::now();
    log.inclusion_path(0, size)?;
    println!("first inclusion proof: {:.2} ms", ms(began.elapsed()));
    // Leaves all over the log, in no order (a full-period step over 2^64).
    let leaf = |nth: u64| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
    let inclusion = timed(proofs, |nth| log.inclusion_path(leaf(nth), size).map(drop))?;
    println!("inclusion: {}", told(inclusion));
    let growing = timed(proofs, |nth| log.inclusion_path(leaf(nth), size - proofs + nth).map(drop))?;
    println!("inclusion, at another size each time: {}", told(growing));
    let consistency = timed(proofs, |nth| log.consistency_path(leaf(nth).max(1), size).map(drop))?;
    println!("consistency: {}", told(consistency));
    let bundles = timed(proofs, |nth| log.bundle(leaf(nth) / 256, 1).map(drop))?;
    println!("one record: {}", told(bundles));
    let tiles = timed(proofs.min(100), |nth| log.bundle(leaf(nth) / 256 % (size / 256), 256).map(drop))?;
    println!("a bundle of 256: {}", told(tiles));
    Ok(())
}

fn timed<E>(times: u64, mut work: impl FnMut(u64) -> Result<(), E>) -> Result<Vec<Duration>, E> {
    let mut took = Vec::new();
    for nth in 0..times {
        let began = Instant::now();
        work(nth)?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

fn told(sorted: Vec<Duration>) -> String {
    let at = |share: usize| sorted.get(sorted.len() * share / 1_000).or(sorted.last()).copied().map_or(0.0, ms);
    format!("p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms", at(500), at(990), at(1_000))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
