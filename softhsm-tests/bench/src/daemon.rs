//! The real daemons over a real token, with the SDK as client on the same cores.

use crate::report::{Latency, Report};
use crate::{SOFTHSM, cpu, raw};
use anyhow::Context;
use psd::{PostageAmount, PsdId};
use psdctl::dev::{DevOptions, Layout, Running, Tools, up};
use psdd_client::{Client, ClientConfig, Files, Item, Outcome, Verification, new_key};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An appliance of this run; its processes end with it.
struct Appliance {
    running: Running,
    layout: Layout,
    _dir: tempfile::TempDir,
}

impl Drop for Appliance {
    fn drop(&mut self) {
        for child in [&mut self.running.psdd, &mut self.running.hsm].into_iter().flatten() {
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                eprintln!("bench: {error}");
            }
        }
    }
}

impl Appliance {
    fn up(options: DevOptions) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let layout = Layout::at(dir.path());
        let options = DevOptions { tools: Tools::beside_this_program(), ..options };
        let running = up(&layout, &options)?;
        Ok(Self { running, layout, _dir: dir })
    }

    /// CPU seconds of psdd, keeper, worker and this process, which is the client.
    fn cpu(&self) -> anyhow::Result<f64> {
        let psdd = self.running.psdd.as_ref().context("psdd")?.id();
        let keeper = self.running.hsm.as_ref().context("psdd-hsm")?.id();
        let daemons = [psdd, keeper].into_iter().chain(cpu::children(keeper));
        daemons.chain([std::process::id()]).map(cpu::seconds).sum()
    }

    fn client_config(&self) -> ClientConfig {
        let layout = &self.layout;
        let files = Files {
            server_ca: layout.server_ca(),
            client_cert: layout.client(),
            client_key: layout.client_key(),
            authority_root: Some(layout.authority_root()),
        };
        let mut config = ClientConfig::new(&self.running.vendor, "localhost", files);
        // Verifying a signature costs more than making one here; a vendor's verifier does not share the HSM's cores.
        config.verification = Verification::Registers;
        config.connections = NonZeroUsize::MIN;
        config.requests_per_connection = NonZeroUsize::new(128).unwrap_or(NonZeroUsize::MIN);
        config
    }
}

fn items(count: usize) -> Vec<Item> {
    let parsed = || -> Option<Item> {
        Some(Item {
            key: new_key(),
            postage: PostageAmount::from_mills(10)?,
            date: today()?,
            destination: "20500-0003".parse().ok()?,
            rate: "FCL".parse().ok()?,
            recipient: None,
            reference: None,
            weight_g: None,
        })
    };
    (0..count).filter_map(|_| parsed()).collect()
}

fn today() -> Option<psd::MailingDate> {
    #[expect(clippy::disallowed_methods, reason = "a mailing is dated by the client's clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    psd::MailingDate::of(psd::UnixMillis(u64::try_from(now.as_millis()).ok()?))
}

fn psd(serial: u32) -> anyhow::Result<PsdId> {
    PsdId::new(*b"PS", *b"01", serial).context("device id")
}

/// Signatures a second with so many requests of so many items in flight.
async fn flood(client: &Arc<Client>, batch: usize, in_flight: usize, span: Duration) -> anyhow::Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (client, done) = (Arc::clone(client), Arc::clone(&done));
        tasks.spawn(async move {
            let psd = psd(1)?;
            while begun.elapsed() < span {
                let outcomes = client.sign(psd, items(batch), false).await?;
                let signed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Signed(_))).count();
                anyhow::ensure!(
                    signed == batch,
                    "refused: {:?}",
                    outcomes.iter().find(|o| matches!(o, Outcome::Refused(_)))
                );
                done.fetch_add(u64::try_from(signed)?, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(f64::from(u32::try_from(done.load(Ordering::Relaxed))?) / begun.elapsed().as_secs_f64())
}

/// Latencies of lone items sent at a steady pace, whatever became of the ones before.
async fn paced(client: &Arc<Client>, per_second: f64, span: Duration) -> anyhow::Result<Latency> {
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

async fn idle(client: &Arc<Client>, count: usize) -> anyhow::Result<Latency> {
    let mut samples = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        client.sign(psd(1)?, items(1), false).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Latency::of(samples))
}

/// SoftHSM itself.
pub fn plain(report: &mut Report, span: Duration) -> anyhow::Result<()> {
    eprintln!("daemon over SoftHSM …");
    let appliance = Appliance::up(big_purse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let client = Arc::new(Client::connect(appliance.client_config()).await?);
        flood(&client, 256, 6, Duration::from_secs(1)).await?;
        let (cpu, begun) = (appliance.cpu()?, Instant::now());
        report.batched = flood(&client, 256, 6, span).await?;
        let signed = report.batched * begun.elapsed().as_secs_f64();
        report.batched_cpu_us = (appliance.cpu()? - cpu) / signed * 1e6;
        report.batched_1024 = flood(&client, 1024, 4, span).await?;
        report.single = flood(&client, 1, 64, span).await?;
        report.idle = idle(&client, 2_000).await?;
        report.half_load = paced(&client, report.single / 2.0, span).await?;
        let psdd = appliance.running.psdd.as_ref().context("psdd")?.id();
        report.resident_mib = cpu::resident_mib(psdd)?;
        Ok(())
    })
}

/// A token that takes 1 ms a signature, with 32 sessions: the row that counts most.
pub fn slow_token(report: &mut Report, span: Duration) -> anyhow::Result<()> {
    eprintln!("daemon over a token of 1 ms and 32 sessions …");
    let module = faulty_pkcs11::built_module().context("the fault module is not built; run `make bench`")?;
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("script");
    std::fs::write(&script, "C_Sign latency 1000\n")?;
    let environment = BTreeMap::from([
        ("FAULTY_PKCS11_REAL".to_owned(), SOFTHSM.to_owned()),
        ("FAULTY_PKCS11_SCRIPT".to_owned(), script.display().to_string()),
    ]);
    report.slow_raw = raw::measure_with(&module.display().to_string(), 32, true, span, &environment)?.per_second;
    let options =
        DevOptions { module: Some(module), sessions: Some(32), worker_environment: environment, ..big_purse() };
    let appliance = Appliance::up(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    report.slow_daemon = runtime.block_on(async {
        let client = Arc::new(Client::connect(appliance.client_config()).await?);
        flood(&client, 256, 6, Duration::from_secs(1)).await?;
        flood(&client, 256, 6, span).await
    })?;
    Ok(())
}

fn big_purse() -> DevOptions {
    let value = PostageAmount::from_mills(3_900_000_000).unwrap_or(PostageAmount::ZERO);
    DevOptions { value, ..DevOptions::default() }
}
