//! What is measured of the daemon against the raw loop, turn and turn about.
//!
//! Other guests of the machine take from its cores what they like, and two threads in SoftHSM now and then fall into step at its locks
//! and stay so. So a rate is compared with the better of the raw rates measured directly before and after it, several times, and the
//! median of those ratios counts.

use crate::appliance::Appliance;
use crate::load::{Rate, Shape, flood, idle, paced};
use crate::report::Report;
use crate::{SOFTHSM, raw};
use anyhow::Context;
use psd::PostageAmount;
use psdctl::dev::DevOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// About 2,048 items on their way, which is the window of psdd.
const BATCHED: Shape = (256, 8);
const LARGE: Shape = (1024, 4);
const SINGLE: Shape = (1, 64);

pub fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// SoftHSM itself.
pub fn plain(report: &mut Report, rounds: usize, span: Duration) -> anyhow::Result<()> {
    eprintln!("daemon over SoftHSM, {rounds} rounds against the raw loop …");
    let appliance = Appliance::up(big_purse())?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    let copy = report.raw_session_copy > report.raw_token_key;
    let raw = || raw::measure(SOFTHSM, 2, copy, span);
    let load = |shape| runtime.block_on(flood(&appliance, &client, 1..2, shape, span));
    load(BATCHED)?;
    let mut before = raw()?;
    for _ in 0..rounds {
        let rows = [&mut report.batched, &mut report.batched_1024, &mut report.single];
        for (row, shape) in rows.into_iter().zip([BATCHED, LARGE, SINGLE]) {
            let rate = load(shape)?;
            let after = raw()?;
            row.add(&rate, [before, after]);
            before = after;
        }
    }
    report.idle = runtime.block_on(idle(&client, 2_000))?;
    report.half_load =
        runtime.block_on(paced(&client, report.single.per_second() / 2.0, span.max(Duration::from_secs(3))))?;
    Ok(())
}

/// A token that takes 1 ms a signature, with 32 sessions: the row that counts most.
pub fn slow_token(report: &mut Report, rounds: usize, span: Duration) -> anyhow::Result<()> {
    eprintln!("daemon over a token of 1 ms and 32 sessions …");
    let dir = tempfile::tempdir()?;
    let (options, module) = slow(dir.path())?;
    let environment = options.worker_environment.clone();
    let raw = || raw::measure_with(&module, 32, true, span, &environment);
    let appliance = Appliance::up(options)?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    let load = || runtime.block_on(flood(&appliance, &client, 1..2, BATCHED, span));
    load()?;
    let mut before = raw()?;
    for _ in 0..rounds {
        let rate = load()?;
        let after = raw()?;
        report.slow.add(&rate, [before, after]);
        before = after;
    }
    Ok(())
}

/// One load alone, for a profiler to look at: `256`, `1024`, `single`, `idle` or `slow`. Signatures a second.
pub fn only(row: &str, span: Duration) -> anyhow::Result<f64> {
    let shape = match row {
        "256" | "slow" => BATCHED,
        "1024" => LARGE,
        "single" => SINGLE,
        "idle" => (1, 1),
        _ => anyhow::bail!("--only=256, 1024, single, idle, slow, top-ups or wrapped"),
    };
    let dir = tempfile::tempdir()?;
    let options = if row == "slow" { slow(dir.path())?.0 } else { big_purse() };
    let appliance = Appliance::up(options)?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    let Rate { per_second, .. } = runtime.block_on(flood(&appliance, &client, 1..2, shape, span))?;
    Ok(per_second)
}

/// An appliance over the fault module, and the module's path.
pub fn slow(dir: &Path) -> anyhow::Result<(DevOptions, String)> {
    let module = faulty_pkcs11::built_module().context("the fault module is not built; run `make bench`")?;
    let script = dir.join("script");
    std::fs::write(&script, "C_Sign latency 1000\n")?;
    let worker_environment = BTreeMap::from([
        ("FAULTY_PKCS11_REAL".to_owned(), SOFTHSM.to_owned()),
        ("FAULTY_PKCS11_SCRIPT".to_owned(), script.display().to_string()),
    ]);
    let path = module.display().to_string();
    Ok((DevOptions { module: Some(module), sessions: Some(32), worker_environment, ..big_purse() }, path))
}

/// With more value than any load spends.
pub fn big_purse() -> DevOptions {
    let value = PostageAmount::from_mills(3_900_000_000).unwrap_or(PostageAmount::ZERO);
    DevOptions { value, ..DevOptions::default() }
}
