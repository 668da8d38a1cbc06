//! Ten thousand PSDs whose keys live wrapped: how long they take to make, what they cost a start and memory, and whether signing with all
//! of them is as fast as with one.

use crate::appliance::Appliance;
use crate::load::{Shape, flood, once_each, psd};
use crate::report::WrappedFleet;
use crate::rows::runtime;
use anyhow::Context;
use psd::PostageAmount;
use psdctl::dev::{DevOptions, TopUp};
use psdd_client::{Client, PsdView};
use psdd_wire::operator::{CeremonyState, InstallResult};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Each request goes to the next PSD.
const SHAPE: Shape = (256, 8);
/// Below this a PSD asks the authority for value, and how much it asks for.
const BELOW_MILLS: u64 = 1_000;
const VALUE_MILLS: u64 = 50_000;
/// For the one that signs alone.
const PURSE_MILLS: u64 = 3_900_000_000;
/// Asking for all registers costs something itself.
const GLANCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes so many PSDs by a ceremony, has them certified and given value, kills the daemon, and compares one of them with all.
pub fn measure(psds: u32, rounds: usize, span: Duration) -> anyhow::Result<WrappedFleet> {
    eprintln!("{psds} PSDs with wrapped keys …");
    let mills = |mills| PostageAmount::from_mills(mills).context("an amount");
    let top_up = Some(TopUp { below: mills(BELOW_MILLS)?, amount: mills(VALUE_MILLS)?, wait_ms: 0 });
    let mut appliance = Appliance::up(DevOptions { value: mills(VALUE_MILLS)?, top_up, ..DevOptions::default() })?;
    let runtime = runtime()?;
    // The first PSD is that of every development appliance.
    let fleet = 2..psds + 2;
    appliance.pay_in(mills(VALUE_MILLS * u64::from(psds))?, "the fleet")?;

    let begun = Instant::now();
    let made = runtime.block_on(appliance.hold_ceremony(&act(&fleet)?))?;
    anyhow::ensure!(made.state == CeremonyState::Done, "the ceremony: {}", made.lines.join("\n"));
    let made_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let certified = runtime.block_on(appliance.certify())?;
    let refused = certified.iter().find(|result| matches!(result, InstallResult::Refused(_)));
    anyhow::ensure!(refused.is_none(), "a certificate: {refused:?}");
    let certified_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    runtime.block_on(async { settled(&*appliance.client().await?).await })?;
    let funded_s = begun.elapsed().as_secs_f64();
    appliance.load_value(psd(fleet.start)?, mills(PURSE_MILLS)?)?;

    let start_ms = appliance.restart()?.as_secs_f64() * 1e3;
    appliance.restart_all()?;
    let resident_after_start_mib = appliance.resident_mib()?;
    let client = runtime.block_on(appliance.client())?;
    let rate = |serials: Range<u32>| {
        let measured = runtime.block_on(flood(&appliance, &client, serials, SHAPE, span));
        measured.map(|rate| rate.per_second)
    };
    let (one, others) = (fleet.start..fleet.start + 1, fleet.start + 1..fleet.end);
    rate(one.clone())?;
    let alone = rate(one.clone())?;
    let first = rate(others.clone())? / alone;
    runtime.block_on(once_each(&client, fleet))?;
    let mut told = WrappedFleet {
        psds,
        made_s,
        certified_s,
        funded_s,
        start_ms,
        resident_after_start_mib,
        resident_mib: 0.0,
        worker_mib: 0.0,
        first,
        per_second: Vec::new(),
        ratio: Vec::new(),
    };
    let mut before = rate(one.clone())?;
    for _ in 0..rounds {
        let all = rate(others.clone())?;
        let after = rate(one.clone())?;
        told.per_second.push(all);
        told.ratio.push(all / before.max(after));
        before = after;
    }
    (told.resident_mib, told.worker_mib) = (appliance.resident_mib()?, appliance.worker_mib()?);
    Ok(told)
}

/// The ceremony that makes them.
pub fn act(fleet: &Range<u32>) -> anyhow::Result<String> {
    Ok(format!(
        "[create-psds]\nresidence = \"wrapped\"\n[[create-psds.psds]]\nfirst = \"{}\"\ncount = {}\ntenant = \"acme\"\n\
         licence = \"L-1000\"\nlicensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n\
         [create-psds.psds.limits]\nsmallest_postage = \"0.01\"\nlargest_postage = \"100.00\"\n\
         largest_descending = \"4000000.00\"\n",
        psd(fleet.start)?,
        fleet.len()
    ))
}

/// Waits until every PSD has its value.
async fn settled(client: &Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    let wants = |view: &PsdView| view.value.pending.is_some() || view.registers.descending.mills() < BELOW_MILLS;
    while client.psds().await?.iter().any(wants) {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "value does not come");
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}
