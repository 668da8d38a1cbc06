//! Automatic top-up of many PSDs at once, and what signing elsewhere loses by it. The authority shares the cores with all else here.

use crate::appliance::Appliance;
use crate::load::{Shape, flood, item, psd};
use crate::report::TopUps;
use crate::rows::runtime;
use anyhow::Context;
use psd::PostageAmount;
use psdctl::dev::{DevOptions, TopUp};
use psdd_client::{Client, Outcome, PsdView};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// PSDs that are topped up (issue figure: 100 at once cost at most 5 %).
const PSDS: u32 = 100;
/// On the first PSD, which is not among them.
const SHAPE: Shape = (256, 8);
/// Their threshold, and how much they ask for.
const LEVEL_MILLS: u64 = 50_000;
/// A wave begins in the steady state of the load.
const HEAD_START: Duration = Duration::from_millis(350);
/// Asking for all registers costs something itself.
const GLANCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// So many rounds of a span without and a span with a wave of top-ups.
pub fn measure(rounds: usize, span: Duration) -> anyhow::Result<TopUps> {
    eprintln!("top-ups of {PSDS} PSDs at once …");
    let mills = |mills| PostageAmount::from_mills(mills).context("an amount");
    let level = mills(LEVEL_MILLS)?;
    let top_up = Some(TopUp { below: level, amount: level, wait_ms: 0 });
    let options = DevOptions { psds: PSDS + 1, value: mills(10_000_000)?, top_up, ..DevOptions::default() };
    let appliance = Appliance::up(options)?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    runtime.block_on(settled(&client))?;
    appliance.load_value(psd(1)?, mills(3_900_000_000)?)?;
    let mut told = TopUps { psds: PSDS, ratio: Vec::new(), wave_ms: Vec::new() };
    let quiet = || runtime.block_on(flood(&appliance, &client, 1, SHAPE, span)).map(|rate| rate.per_second);
    quiet()?;
    let mut before = quiet()?;
    for _ in 0..rounds {
        let (with, took) = runtime.block_on(async {
            tokio::join!(flood(&appliance, &client, 1, SHAPE, span), async {
                tokio::time::sleep(HEAD_START).await;
                wave(&client).await
            })
        });
        let after = quiet()?;
        told.ratio.push(with?.per_second / ((before + after) / 2.0));
        told.wave_ms.push(took?.as_secs_f64() * 1e3);
        before = after;
    }
    Ok(told)
}

/// One piece each brings all below the threshold; how long until all are above it.
async fn wave(client: &Arc<Client>) -> anyhow::Result<Duration> {
    let views = client.psds().await?;
    let begun = Instant::now();
    let mut pieces = tokio::task::JoinSet::new();
    for view in views.into_iter().filter(|view| view.psd.serial() > 1) {
        let postage = view.registers.descending.mills() + 10 - LEVEL_MILLS;
        let (client, psd) = (Arc::clone(client), view.psd);
        pieces.spawn(async move {
            let piece = item(postage).context("a piece")?;
            let outcomes = client.sign(psd, vec![piece], false).await?;
            anyhow::ensure!(matches!(outcomes[..], [Outcome::Signed(_)]), "refused: {outcomes:?}");
            Ok(())
        });
    }
    while let Some(piece) = pieces.join_next().await {
        piece??;
    }
    settled(client).await?;
    Ok(begun.elapsed())
}

/// Waits until no PSD wants value.
async fn settled(client: &Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    let wants = |view: &PsdView| view.value.pending.is_some() || view.registers.descending.mills() < LEVEL_MILLS;
    while client.psds().await?.iter().any(wants) {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "value does not come");
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}
