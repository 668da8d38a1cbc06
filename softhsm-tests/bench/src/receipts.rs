//! Certifications that receipts prove, against the raw loop of the same token: on SoftHSM, and on a token slowed to 1 ms with one session, whose
//! signatures none of them waits for.

use crate::appliance::Appliance;
use crate::load::{Flow, Shape, psd, today};
use crate::report::Row;
use crate::rows::{big_purse, runtime, slow};
use crate::{SOFTHSM, raw};
use anyhow::Context;
use psd::{RateName, UnixMillis};
use psdctl::dev::DevOptions;
use psdd_client::{CertifyItem, CertifyTerms, Client, Outcome, Payment, ProvenBy, new_key};
use std::sync::Arc;
use std::time::Duration;

/// Large requests: what a root of the log costs is shared by all that it proves.
const SHAPE: Shape = (2048, 6);
const RATES: &str = "us-domestic";

/// The two rows: SoftHSM itself, and the slow token.
#[derive(serde::Serialize, Default, Debug)]
pub struct Receipts {
    /// Over SoftHSM, against its raw loop on two threads.
    pub plain: Row,
    /// Over a token of 1 ms and one session, against its raw loop.
    pub slow: Row,
}

/// So many rounds of a span each.
pub fn measure(rounds: usize, span: Duration, copy: bool) -> anyhow::Result<Receipts> {
    eprintln!("certifications by receipt …");
    let plain = row(big_purse(), rounds, span, &|| raw::measure(SOFTHSM, 2, copy, span))?;
    let dir = tempfile::tempdir()?;
    let (options, module) = slow(dir.path())?;
    let environment = options.worker_environment.clone();
    let options = DevOptions { sessions: Some(1), ..options };
    let slow = row(options, rounds, span, &|| raw::measure_with(&module, 1, copy, span, &environment))?;
    Ok(Receipts { plain, slow })
}

/// One load alone, for a profiler to look at. Certifications a second.
pub fn only(span: Duration) -> anyhow::Result<f64> {
    let appliance = Appliance::up(DevOptions { certifying: true, ..big_purse() })?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    Ok(runtime.block_on(flood(&appliance, &client, span))?.per_second)
}

fn row(
    options: DevOptions,
    rounds: usize,
    span: Duration,
    raw: &dyn Fn() -> anyhow::Result<raw::Raw>,
) -> anyhow::Result<Row> {
    let appliance = Appliance::up(DevOptions { certifying: true, ..options })?;
    let runtime = runtime()?;
    let client = runtime.block_on(appliance.client())?;
    let load = || runtime.block_on(flood(&appliance, &client, span));
    let mut told = Row::default();
    load()?;
    let mut before = raw()?;
    for _ in 0..rounds {
        let rate = load()?;
        let after = raw()?;
        told.add(&rate, [before, after]);
        before = after;
    }
    Ok(told)
}

async fn flood(appliance: &Appliance, client: &Arc<Client>, span: Duration) -> anyhow::Result<crate::load::Rate> {
    let rates: RateName = RATES.parse().context("a rate table")?;
    let certify = move |client: Arc<Client>, _turn: u32, count: usize| {
        let rates = rates.clone();
        async move {
            let items: Vec<CertifyItem> = (0..count).map(|_| item()).collect::<anyhow::Result<_>>()?;
            let outcomes = client.certify(psd(1)?, CertifyTerms::of(&rates, ProvenBy::Receipt), &items, false).await?;
            let refused = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused(_)));
            anyhow::ensure!(refused.is_none(), "refused: {refused:?}");
            Ok(outcomes.len())
        }
    };
    Flow { appliance, client, shape: SHAPE, span }.run(certify).await
}

/// A letter on which nothing was paid.
fn item() -> anyhow::Result<CertifyItem> {
    #[expect(clippy::disallowed_methods, reason = "a scale reads by its own clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(CertifyItem {
        key: new_key(),
        date: today().context("a day")?,
        destination: "20260".parse()?,
        class: "letter-metered".parse()?,
        surcharges: Vec::new(),
        size: None,
        scale: "dev-1".parse()?,
        weight_mg: 20_000,
        weighed: UnixMillis(u64::try_from(now.as_millis())?),
        reading: None,
        payment: Payment::Nothing,
        reference: None,
    })
}
