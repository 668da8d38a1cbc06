//! The real daemons over a real token, for the time of one measurement.

use crate::cpu;
use anyhow::Context;
use psd::{PostageAmount, PsdId};
use psdctl::config::CtlConfig;
use psdctl::dev::{self, DevOptions, Layout, Running, Tools};
use psdctl::operator::OperatorConfig;
use psdd_client::{AuthorityClient, Client, ClientConfig, Files, OperatorClient, Verification};
use psdd_wire::operator::{CeremonyResponse, InstallResult};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An appliance of this run; its processes end with it.
pub struct Appliance {
    running: Running,
    layout: Layout,
    options: DevOptions,
    _dir: tempfile::TempDir,
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let running = &mut self.running;
        for child in [&mut running.psdd, &mut running.hsm, &mut running.authority].into_iter().flatten() {
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                eprintln!("bench: {error}");
            }
        }
    }
}

impl Appliance {
    /// Gives birth to one and starts it.
    pub fn up(options: DevOptions) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let layout = Layout::at(dir.path());
        let options = DevOptions { tools: Tools::beside_this_program(), ..options };
        let running = dev::up(&layout, &options)?;
        Ok(Self { running, layout, options, _dir: dir })
    }

    /// CPU seconds of psdd, keeper, worker and this process, which is the client.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let keeper = self.running.hsm.as_ref().context("psdd-hsm")?.id();
        let daemons = [self.psdd()?, keeper].into_iter().chain(cpu::children(keeper));
        daemons.chain([std::process::id()]).map(cpu::seconds).sum()
    }

    /// Resident memory of psdd in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        cpu::resident_mib(self.psdd()?)
    }

    /// Kills psdd and starts it again over the same ledger. How long it takes to be ready.
    pub fn restart(&mut self) -> anyhow::Result<Duration> {
        if let Some(psdd) = &mut self.running.psdd {
            psdd.kill()?;
            psdd.wait()?;
        }
        let begun = Instant::now();
        let started = dev::start_psdd(&self.layout, &self.options)?;
        let took = begun.elapsed();
        self.running.vendor = started.vendor;
        self.running.psdd = started.psdd;
        Ok(took)
    }

    /// The same with a new psdd-hsm, whose worker has unwrapped nothing yet.
    pub fn restart_all(&mut self) -> anyhow::Result<()> {
        for child in [&mut self.running.psdd, &mut self.running.hsm].into_iter().flatten() {
            child.kill()?;
            child.wait()?;
        }
        self.running.hsm = Some(dev::start_hsm(&self.layout, &self.options)?);
        self.restart().map(drop)
    }

    /// Resident memory of the token's worker in MiB.
    pub fn worker_mib(&self) -> anyhow::Result<f64> {
        let keeper = self.running.hsm.as_ref().context("psdd-hsm")?.id();
        cpu::children(keeper).into_iter().map(cpu::resident_mib).sum()
    }

    /// Has two operators approve an act, and carries it out.
    pub async fn hold_ceremony(&self, act: &str) -> anyhow::Result<CeremonyResponse> {
        let door = self.operator()?;
        let file = dev::ceremony_file(&door, act).await?;
        Ok(dev::hold_ceremony(&self.layout, &door, &file).await?)
    }

    /// Has the authority certify every key that waits for it.
    pub async fn certify(&self) -> anyhow::Result<Vec<InstallResult>> {
        Ok(dev::certify(&self.layout, &self.operator()?).await?)
    }

    /// Pays in value that PSDs will ask for by themselves.
    pub fn pay_in(&self, amount: PostageAmount, payment: &str) -> anyhow::Result<()> {
        Ok(dev::pay_in(&self.layout, amount, payment)?)
    }

    fn operator(&self) -> anyhow::Result<OperatorClient> {
        Ok(OperatorConfig::read(Some(&self.layout.psdctl_config()))?.client()?)
    }

    /// A client of the authority door. Must be called inside a runtime.
    pub fn authority(&self) -> anyhow::Result<AuthorityClient> {
        let config = CtlConfig::read(Some(&self.layout.psdctl_config()))?;
        let mut door = config.authority.context("an authority door")?.door();
        for file in door.paths_mut() {
            *file = self.layout.dir().join(&*file);
        }
        Ok(AuthorityClient::start(&door.client())?)
    }

    /// Loads value into a PSD.
    pub fn load_value(&self, psd: PsdId, amount: PostageAmount) -> anyhow::Result<()> {
        dev::load_value(&self.layout, psd, amount)?;
        Ok(())
    }

    /// A client of the vendor door.
    pub async fn client(&self) -> anyhow::Result<Arc<Client>> {
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
        Ok(Arc::new(Client::connect(config).await?))
    }

    fn psdd(&self) -> anyhow::Result<u32> {
        Ok(self.running.psdd.as_ref().context("psdd")?.id())
    }
}
