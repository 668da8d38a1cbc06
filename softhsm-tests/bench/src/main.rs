//! `make bench`: raw C_Sign and the whole daemon, client included, in one run on one machine.
//!
//! Owns the arrangement and the figures. Refuses to compare figures of different runs: everything it prints is from this one,
//! and what counts are the ratios.

mod cpu;
mod daemon;
mod raw;
mod report;

use anyhow::Context;
use report::Report;
use std::path::Path;
use std::time::Duration;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn main() -> anyhow::Result<()> {
    // `raw` runs in a process of its own: SoftHSM's globals and its threads must not be shared with anything else measured.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((mode, rest)) = arguments.split_first().filter(|(mode, _)| *mode == "raw") {
        debug_assert_eq!(mode, "raw");
        return raw::child(rest);
    }
    let seconds = arguments.iter().find_map(|a| a.strip_prefix("--seconds=")).map_or(Ok(5), str::parse)?;
    let json = arguments.iter().find_map(|a| a.strip_prefix("--json=")).unwrap_or("target/bench.json");
    let span = Duration::from_secs(seconds);
    let mut report = Report::default();

    eprintln!("raw C_Sign, two threads, {seconds} s each …");
    let raw = [raw::measure(SOFTHSM, 2, false, span)?, raw::measure(SOFTHSM, 2, true, span)?];
    report.raw_token_key = raw[0].per_second;
    report.raw_session_copy = raw[1].per_second;
    let best = raw.iter().max_by(|a, b| a.per_second.total_cmp(&b.per_second)).context("no raw figure")?;
    report.raw_cpu_us = best.cpu_us;
    report.raw_sign_us = raw::measure(SOFTHSM, 1, true, Duration::from_secs(2))?.mean_us;
    report.fsync_us = cpu::fsync_us(Path::new("."))?;

    daemon::plain(&mut report, span)?;
    daemon::slow_token(&mut report, span)?;
    print!("{}", report.table());
    std::fs::write(json, serde_json::to_string_pretty(&report)?).with_context(|| json.to_owned())?;
    println!("{json}");
    Ok(())
}
