//! A campaign: load, kill, perhaps a power loss, start, retry; again and again, on one appliance.

use psd::PostageAmount;
use psdctl::dev::{ClientIdentity, DevOptions};
use psdd_client::{Client, ClientError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use softhsm_tests::load::item;
use softhsm_tests::{Appliance, Load, LoadOptions, Verdict, options};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// PSDs of a campaign's appliance.
const PSDS: u32 = 3;

/// Another tenant, that owns no PSD.
const STRANGER: &str = "stranger";

pub struct Campaign {
    pub appliance: Appliance,
    pub load: Load,
    pub rng: StdRng,
    /// Under load.
    pub kills: u32,
    /// Of a daemon that was starting, or had answered everything.
    pub further_kills: u32,
    colleague: ClientIdentity,
    stranger: ClientIdentity,
    begun: Instant,
    name: &'static str,
    /// The newest checkpoint that any client has seen; no later answer may be behind it.
    checkpoint: Option<String>,
}

impl Campaign {
    /// On a new appliance whose value the load downloads; `shim` are further variables of the powerloss shim, `None` to do without it.
    pub fn new(name: &'static str, seed: u64, shim: Option<&[(&str, &str)]>) -> Self {
        let value = PostageAmount::from_mills(20_000_000).expect("an amount");
        Self::on(DevOptions { value, ..options() }, (name, seed), shim)
    }

    /// On a new appliance of this kind.
    pub fn on(options: DevOptions, (name, seed): (&'static str, u64), shim: Option<&[(&str, &str)]>) -> Self {
        let seed = std::env::var("PSDD_SEED").ok().map_or(seed, |text| text.parse().expect("PSDD_SEED is a number"));
        let downloads = options.top_up.is_none();
        let appliance = Appliance::unborn(DevOptions { psds: PSDS, ..options });
        let mut campaign = Self {
            load: Load::new(
                &appliance,
                LoadOptions { seed, tasks: 4, psds: PSDS, downloads, ..LoadOptions::default() },
            ),
            rng: StdRng::seed_from_u64(seed),
            kills: 0,
            further_kills: 0,
            // Issued once there is a CA.
            colleague: ClientIdentity { certificate: PathBuf::new(), key: PathBuf::new() },
            stranger: ClientIdentity { certificate: PathBuf::new(), key: PathBuf::new() },
            begun: Instant::now(),
            name,
            checkpoint: None,
            appliance,
        };
        if let Some(shim) = shim {
            campaign.preload(shim);
        }
        campaign.appliance.bear();
        campaign.colleague = campaign.appliance.issue("colleague", "acme", 200);
        campaign.stranger = campaign.appliance.issue("stranger", STRANGER, 201);
        campaign
    }

    /// What the next start of psdd is preloaded with.
    pub fn preload(&mut self, shim: &[(&str, &str)]) {
        let library = powerloss::built_shim().expect("cargo builds the shim before its tests");
        let fixed = [
            ("LD_PRELOAD", library.display().to_string()),
            ("POWERLOSS_DIR", self.appliance.layout.state().display().to_string()),
            ("POWERLOSS_JOURNAL", self.journal().display().to_string()),
        ];
        let further = shim.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all = fixed.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value));
        self.appliance.options.psdd_environment = all.collect();
    }

    fn journal(&self) -> PathBuf {
        self.appliance.around().join("powerloss.journal")
    }

    /// Two certificates of one tenant: a key is good with both.
    pub async fn connect(&self) -> Result<Vec<Client>, ClientError> {
        let mut clients = Vec::new();
        for mut config in [self.appliance.client_config(), self.appliance.client_config_of(&self.colleague)] {
            config.most_retries = 0;
            config.deadline = Duration::from_secs(10);
            config.checkpoint.clone_from(&self.checkpoint);
            clients.push(Client::connect(config).await?);
        }
        Ok(clients)
    }

    /// Two clients of a daemon that is known to run.
    pub async fn clients(&self) -> Vec<Client> {
        match self.connect().await {
            Ok(clients) => clients,
            Err(error) => panic!("no connection: {error:?}\n{}", self.appliance.log_tail()),
        }
    }

    /// Load until psdd is killed at a random moment.
    pub async fn load_and_kill(&mut self) {
        let clients = self.clients().await;
        let delay = self.delay();
        let appliance = &mut self.appliance;
        self.load
            .run(&clients, async {
                tokio::time::sleep(delay).await;
                appliance.kill9();
            })
            .await;
        self.kills += 1;
        self.see(&clients);
    }

    /// Load with a kill of the authority's funds system at a random moment, and perhaps of psdd at another. Both run afterwards.
    pub async fn load_and_kill_authority(&mut self, psdd_too: bool) {
        let clients = self.clients().await;
        let delays = [self.delay(), self.delay()];
        let appliance = &mut self.appliance;
        self.load
            .run(&clients, async {
                tokio::time::sleep(delays[0]).await;
                appliance.kill_authority();
                tokio::time::sleep(delays[1]).await;
                if psdd_too {
                    appliance.kill9();
                }
                appliance.start_authority().expect("the funds system starts again");
            })
            .await;
        self.kills += 1 + u32::from(psdd_too);
        self.see(&clients);
        if psdd_too {
            self.appliance.restart();
        }
    }

    /// Load with a kill of the keeper or of its worker in between; psdd goes on, and everything is answered in the end.
    pub async fn load_and_kill_hsm(&mut self, keeper: bool) {
        let clients = self.clients().await;
        let delay = self.delay();
        let appliance = &mut self.appliance;
        self.load
            .run(&clients, async {
                tokio::time::sleep(delay).await;
                if keeper {
                    appliance.kill_hsm();
                    appliance.start_hsm().expect("psdd-hsm starts again");
                } else {
                    assert_eq!(appliance.kill_workers(), 1, "one token, one worker");
                }
            })
            .await;
        self.load.settle(&clients).await;
        self.see(&clients);
        assert!(self.appliance.runs(), "psdd outlives psdd-hsm:\n{}", self.appliance.log_tail());
    }

    /// Everything open gets its answer.
    pub async fn settle(&mut self) {
        let clients = self.clients().await;
        self.load.settle(&clients).await;
        self.see(&clients);
    }

    /// A tenant without PSDs is refused, whatever its keys.
    pub async fn intrude(&mut self) {
        let config = self.appliance.client_config_of(&self.stranger);
        let client = self.appliance.client(config).await;
        let items = vec![item(&mut self.rng, 100), item(&mut self.rng, 100)];
        let psd = softhsm_tests::load::psd_numbered(1).expect("the first PSD");
        match client.sign(psd, items.clone(), false).await {
            Err(ClientError::Refused(problem)) if !problem.facts.retry => {
                items.iter().for_each(|item| self.appliance.notes.refused(STRANGER, item.key, &problem.facts.code));
            }
            other => panic!("a PSD signed for a tenant that it is not of: {other:?}"),
        }
    }

    /// The power fails: what psdd did not sync is gone. psdd must be dead.
    pub fn power_loss(&self) {
        let lost = powerloss::journal::restore(&self.journal(), &self.appliance.layout.state());
        lost.unwrap_or_else(|error| panic!("the power loss: {error:?}"));
    }

    /// The checker on the ledger as it lies there.
    pub fn judge(&self, sample_signatures: Option<u32>) -> Verdict {
        self.load.assert_no_violations(self.name);
        let verdict = self.appliance.check(sample_signatures);
        eprintln!(
            "{}: {}+{} kills, {} records, {} indicia, {} signatures verified, {} notes: {} findings; checker {:.1} s, all {:.1} s",
            self.name,
            self.kills,
            self.further_kills,
            verdict.records,
            verdict.indicia,
            verdict.signatures,
            verdict.notes,
            verdict.findings.len(),
            verdict.seconds,
            self.begun.elapsed().as_secs_f64()
        );
        verdict
    }

    /// The load did what a campaign is for, or it proves nothing.
    pub fn assert_loaded(&self) {
        let tally = self.load.tally();
        eprintln!("{}: {tally:?}", self.name);
        let all = [tally.signed, tally.repeated, tally.reused, tally.refused, tally.unanswered];
        let by_the_load = self.appliance.options.top_up.is_none();
        let downloads = !by_the_load || tally.downloads > 0;
        assert!(all.iter().all(|count| *count > 0) && downloads, "a part of the load is missing: {tally:?}");
    }

    /// Short ones meet retries, long ones the commits of new pieces.
    pub fn delay(&mut self) -> Duration {
        let longest_ms = if self.rng.random_bool(0.3) { 30 } else { 200 };
        Duration::from_micros(self.rng.random_range(1_000..longest_ms * 1_000))
    }

    fn see(&mut self, clients: &[Client]) {
        let size = |note: &str| note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        for note in clients.iter().filter_map(Client::checkpoint) {
            if size(&note) > self.checkpoint.as_deref().and_then(size) {
                self.checkpoint = Some(note);
            }
        }
    }
}
