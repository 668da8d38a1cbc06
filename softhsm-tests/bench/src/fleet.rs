//! An appliance of many PSDs with a long log: its memory, its start, and what the length costs.

use crate::appliance::Appliance;
use crate::load::{Shape, flood};
use crate::report::{Fleet, median};
use crate::rows::runtime;
use psd::PostageAmount;
use psdctl::dev::DevOptions;
use psdd_client::Client;
use std::time::Duration;

/// PSDs of the appliance (issue figures: 1,000 PSDs and 1 million records within 64 MiB).
const PSDS: u32 = 1_000;
/// Over all PSDs in turn.
const SHAPE: Shape = (256, 8);

/// Signs until the log holds `records`, then measures.
pub fn measure(records: u64, span: Duration) -> anyhow::Result<Fleet> {
    eprintln!("{PSDS} PSDs …");
    let value = PostageAmount::from_mills(1_000_000).unwrap_or(PostageAmount::ZERO);
    let mut appliance = Appliance::up(DevOptions { psds: PSDS, value, ..DevOptions::default() })?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    let load =
        |span| runtime.block_on(flood(&appliance, &client, 1..PSDS + 1, SHAPE, span)).map(|rate| rate.per_second);
    let few = median(&[load(span)?, load(span)?, load(span)?]);
    eprintln!("filling the log to {records} records …");
    while log_size(&client) < records {
        load(Duration::from_secs(5))?;
    }
    let many = median(&[load(span)?, load(span)?, load(span)?]);
    let resident_mib = appliance.resident_mib()?;
    drop(client);
    let start_ms = appliance.restart()?.as_secs_f64() * 1e3;
    Ok(Fleet {
        psds: PSDS,
        records,
        resident_mib,
        start_ms,
        resident_after_start_mib: appliance.resident_mib()?,
        few,
        many,
    })
}

/// By the newest checkpoint, whose second line it is.
fn log_size(client: &Client) -> u64 {
    client.checkpoint().and_then(|note| note.lines().nth(1)?.parse().ok()).unwrap_or(0)
}
