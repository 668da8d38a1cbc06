//! Audits of a thousand PSDs: how long one takes beyond the signatures in it, and what signing loses while one follows another.

use crate::appliance::Appliance;
use crate::load::{Shape, flood};
use crate::report::Audits;
use crate::rows::runtime;
use crate::wrapped::act;
use anyhow::Context;
use psd::PostageAmount;
use psdctl::dev::DevOptions;
use psdd_client::AuthorityClient;
use psdd_wire::operator::{CeremonyState, InstallResult};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// PSDs that answer, those that never sign among them.
const PSDS: u32 = 1_000;
/// On the first PSD.
const SHAPE: Shape = (256, 8);
const CHALLENGE: [u8; 32] = [7; 32];

/// So many rounds of an idle audit, and of a span of signing without and a span with audits all the time.
pub fn measure(rounds: usize, span: Duration, raw_sign_us: f64) -> anyhow::Result<Audits> {
    eprintln!("audits of {PSDS} PSDs …");
    let purse = PostageAmount::from_mills(3_900_000_000).context("an amount")?;
    let appliance = Appliance::up(DevOptions { value: purse, ..DevOptions::default() })?;
    let runtime = runtime()?;
    let made = runtime.block_on(appliance.hold_ceremony(&act(&(2..PSDS + 1))?))?;
    anyhow::ensure!(made.state == CeremonyState::Done, "the ceremony: {}", made.lines.join("\n"));
    let certified = runtime.block_on(appliance.certify())?;
    let refused = certified.iter().find(|result| matches!(result, InstallResult::Refused(_)));
    anyhow::ensure!(refused.is_none(), "a certificate: {refused:?}");
    let (client, door) = runtime.block_on(async { anyhow::Ok((appliance.client().await?, appliance.authority()?)) })?;
    let mut told = Audits { psds: PSDS, beyond_ms: Vec::new(), busy_ms: Vec::new(), ratio: Vec::new() };
    // The first has every device key unwrapped.
    runtime.block_on(audit(&door))?;
    let raw_ms = raw_sign_us * f64::from(PSDS) / 1e3;
    for _ in 0..rounds {
        let took = runtime.block_on(audit(&door))?;
        told.beyond_ms.push(took.as_secs_f64() * 1e3 - raw_ms);
    }
    let alone = || runtime.block_on(flood(&appliance, &client, 1..2, SHAPE, span)).map(|rate| rate.per_second);
    alone()?;
    let mut before = alone()?;
    for _ in 0..rounds {
        let (ended, audits) = (AtomicBool::new(false), AtomicU64::new(0));
        let (with, audited) = runtime.block_on(async {
            tokio::join!(
                async {
                    let rate = flood(&appliance, &client, 1..2, SHAPE, span).await;
                    ended.store(true, Ordering::Release);
                    rate
                },
                async {
                    let begun = Instant::now();
                    while !ended.load(Ordering::Acquire) {
                        audit(&door).await?;
                        audits.fetch_add(1, Ordering::Relaxed);
                    }
                    anyhow::Ok(begun.elapsed())
                }
            )
        });
        let audits = f64::from(u32::try_from(audits.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
        told.busy_ms.push(audited?.as_secs_f64() * 1e3 / audits);
        let after = alone()?;
        told.ratio.push(with?.per_second / ((before + after) / 2.0));
        before = after;
    }
    Ok(told)
}

/// One audit of all; how long it took.
async fn audit(door: &AuthorityClient) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let told = door.audit(None, &CHALLENGE).await?;
    anyhow::ensure!(told.failures.is_empty(), "no report: {:?}", told.failures);
    let reports = u32::try_from(told.reports.len()).unwrap_or(u32::MAX);
    anyhow::ensure!(reports == PSDS, "{reports} reports");
    Ok(begun.elapsed())
}
