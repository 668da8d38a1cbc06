//! Loads that a client puts on an appliance.

use crate::appliance::Appliance;
use crate::report::Latency;
use anyhow::Context;
use psd::{PostageAmount, PsdId};
use psdd_client::{Client, Item, Outcome, new_key};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Items a request, and requests in flight.
pub type Shape = (usize, u32);

/// From the first request to the steady state.
const WARMING: Duration = Duration::from_millis(250);

/// A new piece of so much postage.
pub fn item(mills: u64) -> Option<Item> {
    Some(Item {
        key: new_key(),
        postage: PostageAmount::from_mills(mills)?,
        date: today()?,
        destination: "20500-0003".parse().ok()?,
        rate: "FCL".parse().ok()?,
        recipient: None,
        reference: None,
        weight_g: None,
        token: false,
    })
}

fn items(count: usize) -> Vec<Item> {
    (0..count).filter_map(|_| item(10)).collect()
}

/// The day by this machine's clock.
pub fn today() -> Option<psd::MailingDate> {
    #[expect(clippy::disallowed_methods, reason = "a mailing is dated by the client's clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    psd::MailingDate::of(psd::UnixMillis(u64::try_from(now.as_millis()).ok()?))
}

/// The nth PSD of a development appliance, from 1.
pub fn psd(serial: u32) -> anyhow::Result<PsdId> {
    PsdId::new(*b"PS", *b"01", serial).context("device id")
}

fn nth(serials: &Range<u32>, turn: u32) -> anyhow::Result<PsdId> {
    let serials = serials.end.checked_sub(serials.start).filter(|count| *count > 0).zip(Some(serials.start));
    let (count, first) = serials.context("no PSD")?;
    psd(first + turn % count)
}

/// One piece on each of these PSDs.
pub async fn once_each(client: &Arc<Client>, serials: Range<u32>) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU32::new(serials.start));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (client, next, end) = (Arc::clone(client), Arc::clone(&next), serials.end);
        tasks.spawn(async move {
            loop {
                let serial = next.fetch_add(1, Ordering::Relaxed);
                if serial >= end {
                    return anyhow::Ok(());
                }
                let outcomes = client.sign(psd(serial)?, items(1), false).await?;
                anyhow::ensure!(matches!(outcomes[..], [Outcome::Signed(_)]), "refused: {outcomes:?}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// What a load made of an appliance.
pub struct Rate {
    /// Signatures a second.
    pub per_second: f64,
    /// CPU a signature, all processes, client included, in microseconds.
    pub cpu_us: f64,
}

/// A load of many requests in flight.
pub struct Flow<'a> {
    pub appliance: &'a Appliance,
    pub client: &'a Arc<Client>,
    pub shape: Shape,
    pub span: Duration,
}

impl Flow<'_> {
    /// Makes requests, each with its turn and so many items, as long as it takes; a request gives how many items were done. Measured for a span of
    /// the steady state: neither the start nor the end, when fewer requests are in flight, counts.
    pub async fn run<F: Future<Output = anyhow::Result<usize>> + Send + 'static>(
        self,
        request: impl Fn(Arc<Client>, u32, usize) -> F + Clone + Send + 'static,
    ) -> anyhow::Result<Rate> {
        let Self { appliance, client, shape: (batch, in_flight), span } = self;
        let done = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..in_flight {
            let (client, done, stop) = (Arc::clone(client), Arc::clone(&done), Arc::clone(&stop));
            let request = request.clone();
            tasks.spawn(async move {
                let mut turn = task;
                while !stop.load(Ordering::Relaxed) {
                    let finished = request(Arc::clone(&client), turn, batch).await?;
                    turn = turn.wrapping_add(in_flight);
                    done.fetch_add(u64::try_from(finished)?, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        let look =
            || anyhow::Ok((f64::from(u32::try_from(done.load(Ordering::Relaxed))?), appliance.cpu()?, Instant::now()));
        tokio::time::sleep(WARMING).await;
        let (done_before, cpu_before, begun) = look()?;
        tokio::time::sleep(span).await;
        let (done_after, cpu_after, ended) = look()?;
        stop.store(true, Ordering::Relaxed);
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        let finished = done_after - done_before;
        let per_second = finished / (ended - begun).as_secs_f64();
        Ok(Rate { per_second, cpu_us: (cpu_after - cpu_before) / finished * 1e6 })
    }
}

/// So many requests of so many items in flight, each to the next of the PSDs with these serial numbers.
pub async fn flood(
    appliance: &Appliance,
    client: &Arc<Client>,
    serials: Range<u32>,
    shape: Shape,
    span: Duration,
) -> anyhow::Result<Rate> {
    let sign = move |client: Arc<Client>, turn: u32, batch: usize| {
        let signer = nth(&serials, turn);
        async move {
            let outcomes = client.sign(signer?, items(batch), false).await?;
            let refused = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused(_)));
            anyhow::ensure!(refused.is_none(), "refused: {refused:?}");
            Ok(outcomes.len())
        }
    };
    Flow { appliance, client, shape, span }.run(sign).await
}

/// Latencies of lone items sent at a steady pace, whatever became of the ones before.
pub async fn paced(client: &Arc<Client>, per_second: f64, span: Duration) -> anyhow::Result<Latency> {
    let gap = Duration::from_secs_f64(1.0 / per_second);
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let mut due = begun;
    while begun.elapsed() < span {
        tokio::time::sleep_until(due.into()).await;
        while due <= Instant::now() {
            let (client, asked) = (Arc::clone(client), due);
            tasks.spawn(async move {
                client.sign(psd(1)?, items(1), false).await?;
                Ok::<f64, anyhow::Error>(asked.elapsed().as_secs_f64() * 1e6)
            });
            due += gap;
        }
    }
    let mut samples = Vec::new();
    while let Some(task) = tasks.join_next().await {
        samples.push(task??);
    }
    Ok(Latency::of(samples))
}

/// Latencies of lone requests, one after the other.
pub async fn idle(client: &Arc<Client>, count: usize) -> anyhow::Result<Latency> {
    let mut samples = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        client.sign(psd(1)?, items(1), false).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Latency::of(samples))
}
