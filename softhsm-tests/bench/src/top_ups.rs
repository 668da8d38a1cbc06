//! Automatic top-up of many PSDs at once, and what signing elsewhere loses by it: a flood on one PSD while all others sign a piece that brings
//! them below their threshold, against the same with pieces that do not. The authority shares the cores with all else here.

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
/// Less than a top-up leaves above the threshold.
const SMALL_MILLS: u64 = 10;
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
    let round = |pieces: Pieces| {
        runtime.block_on(async {
            let (flood, took) = tokio::join!(flood(&appliance, &client, 1..2, SHAPE, span), async {
                tokio::time::sleep(HEAD_START).await;
                wave(&client, pieces).await
            });
            anyhow::Ok((flood?.per_second, took?))
        })
    };
    round(Pieces::Small)?;
    let (mut before, _) = round(Pieces::Small)?;
    for _ in 0..rounds {
        let (with, took) = round(Pieces::DownToTopUp)?;
        let (after, _) = round(Pieces::Small)?;
        told.ratio.push(with / ((before + after) / 2.0));
        told.wave_ms.push(took.as_secs_f64() * 1e3);
        before = after;
    }
    Ok(told)
}

/// What each PSD of a wave signs.
#[derive(Clone, Copy)]
enum Pieces {
    /// A piece that leaves it above its threshold.
    Small,
    /// A piece that brings it below.
    DownToTopUp,
}

/// One piece each; how long until all have signed it and are above the threshold.
async fn wave(client: &Arc<Client>, pieces: Pieces) -> anyhow::Result<Duration> {
    let views = client.psds().await?;
    let begun = Instant::now();
    let mut signing = tokio::task::JoinSet::new();
    for view in views.into_iter().filter(|view| view.psd.serial() > 1) {
        let postage = match pieces {
            Pieces::Small => SMALL_MILLS,
            Pieces::DownToTopUp => view.registers.descending.mills() + SMALL_MILLS - LEVEL_MILLS,
        };
        let (client, psd) = (Arc::clone(client), view.psd);
        signing.spawn(async move {
            let piece = item(postage).context("a piece")?;
            let outcomes = client.sign(psd, vec![piece], false).await?;
            anyhow::ensure!(matches!(outcomes[..], [Outcome::Signed(_)]), "refused: {outcomes:?}");
            Ok(())
        });
    }
    while let Some(piece) = signing.join_next().await {
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
