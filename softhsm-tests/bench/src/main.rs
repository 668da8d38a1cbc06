//! `make bench`: raw C_Sign and the whole daemon, client included, in one run on one machine.
//!
//! Owns the arrangement and the figures. Refuses to compare figures of different runs: everything it prints is from this one,
//! and what counts are the ratios.
//!
//! `--rounds=N` comparisons of `--milliseconds=N` each; `--records=N` in the long log, `--psds=N` with wrapped keys, 0 for none;
//! `--json=FILE`;
//! `--only=ROW` puts one load on an appliance and compares nothing, for a profiler to look at.

mod appliance;
mod audits;
mod cpu;
mod fleet;
mod load;
mod raw;
mod receipts;
mod report;
mod rows;
mod top_ups;
mod wrapped;

use anyhow::Context;
use report::Report;
use std::path::Path;
use std::time::Duration;

/// A vendor's backend chooses its own allocator as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn main() -> anyhow::Result<()> {
    // `raw` runs in a process of its own: SoftHSM's globals and its threads must not be shared with anything else measured.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((mode, rest)) = arguments.split_first().filter(|(mode, _)| *mode == "raw") {
        debug_assert_eq!(mode, "raw");
        return raw::child(rest);
    }
    let option =
        |name: &str| arguments.iter().find_map(|a| a.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='));
    let span = Duration::from_millis(option("milliseconds").map_or(Ok(1_000), str::parse)?);
    let rounds = option("rounds").map_or(Ok(5), str::parse)?;
    let records = option("records").map_or(Ok(1_000_000), str::parse)?;
    let psds = option("psds").map_or(Ok(10_000), str::parse)?;
    let json = option("json").unwrap_or("target/bench.json");
    if let Some(row) = option("only") {
        if row == "receipts" {
            println!("{row}: {:#?}", receipts::measure(rounds, span, true)?);
            return Ok(());
        }
        if row == "by-receipt" {
            println!("{row}: {:.0} /s", receipts::only(span)?);
            return Ok(());
        }
        if row == "top-ups" {
            println!("{row}: {:?}", top_ups::measure(rounds, span)?);
            return Ok(());
        }
        if row == "audits" {
            let raw_sign_us = raw::measure(SOFTHSM, 1, true, span)?.mean_us;
            println!("{row}: {:#?}", audits::measure(rounds, span, raw_sign_us)?);
            return Ok(());
        }
        if row == "wrapped" {
            println!("{row}: {:#?}", wrapped::measure(psds, rounds, span)?);
            return Ok(());
        }
        println!("{row}: {:.0} /s", rows::only(row, span)?);
        return Ok(());
    }
    let mut report = Report::default();

    eprintln!("raw C_Sign …");
    let raw = [raw::measure(SOFTHSM, 2, false, 3 * span)?, raw::measure(SOFTHSM, 2, true, 3 * span)?];
    report.raw_token_key = raw[0].per_second;
    report.raw_session_copy = raw[1].per_second;
    report.raw_sign_us = raw::measure(SOFTHSM, 1, true, span)?.mean_us;
    report.fsync_us = cpu::fsync_us(Path::new("."))?;

    rows::plain(&mut report, rounds, span)?;
    rows::slow_token(&mut report, rounds, span)?;
    let copy = report.raw_session_copy > report.raw_token_key;
    report.receipts = Some(receipts::measure(rounds, span, copy)?);
    report.top_ups = Some(top_ups::measure(rounds, span)?);
    report.audits = Some(audits::measure(rounds, span, report.raw_sign_us)?);
    if records > 0 {
        report.fleet = Some(fleet::measure(records, span)?);
    }
    if psds > 0 {
        report.wrapped = Some(wrapped::measure(psds, rounds, span)?);
    }
    print!("{}", report.table());
    std::fs::write(json, serde_json::to_string_pretty(&report)?).with_context(|| json.to_owned())?;
    println!("{json}");
    Ok(())
}
