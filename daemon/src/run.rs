//! From a configuration to a serving daemon, and to a clean stop.
//!
//! The order matters: nothing is served until what was read from the ledger is durable and proven, every token holds every key,
//! no anchor is ahead of the ledger, and this daemon has raised its fence.

use crate::authority::{AuthorityKey, AuthorityKeys};
use crate::birth::permits_software_token;
use crate::ceremony::{Ceremonies, CeremonyParts, LogKeyParts};
use crate::clock::Sampler;
use crate::config::{Config, DoorConfig};
use crate::core::{Engine, EngineSettings, Event, PolicyGeneration, TokenIndex};
use crate::custodian::{self, CustodianParts};
use crate::door::calendar::Calendar;
use crate::door::listener::{Door, Listening};
use crate::door::local::{self, LocalState};
use crate::door::operator::OperatorState;
use crate::door::tls::DoorTls;
use crate::door::vendor::{PolicyInForce, TenantPlaces, VendorState};
use crate::funds::{self, Need};
use crate::spine::{Listeners, Metrics, Newest, Spine, SpineParts, SpineSettings};
use crate::tokens::{ExpectedKey, Guard, GuardError, Tokens, TokensError};
use arc_swap::ArcSwap;
use psd::clock::{ClockGuard, ClockReading, ClockStop};
use psd::key::{Algorithm, Key, Role};
use psd::record::{AuthorityPurpose, Environment, Event as RecordEvent, Genesis, Record};
use psdd_client::{CertificationAuthority, FundsSystem};
use psdd_hsm::link::WrappedKey;
use psdd_ledger::open::ProvenHead;
use psdd_ledger::{Appliance, Ledger, OpenError, Reader, Recovered, StoreFault};
use psdd_policy::PolicySet;
use psdd_tls::{ServerTls, TlsError, UnixTime};
use psdd_wire::checkpoint::{Checkpoint, LogKey, origin};
use psdd_wire::spki::PublicKey;
use rand::RngCore;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// Writing to it, or reading it.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The policies.
    #[error("policy: {0}")]
    Policy(String),
    /// TLS.
    #[error("{door} door: {source}")]
    Tls {
        /// Of which door.
        door: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// One client certificate would open both doors.
    #[error(
        "operator.client_ca: {} has a key that {} of the vendor door has too; operators need a CA of their own",
        .operator.display(), .vendor.display()
    )]
    SharedCa {
        /// The operator door's client CA.
        operator: std::path::PathBuf,
        /// The vendor door's.
        vendor: std::path::PathBuf,
    },
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Fence or anchor.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The configuration does not fit the appliance.
    #[error("{0}")]
    Unfit(String),
    /// There is no time.
    #[error("clock: {0}")]
    Clock(#[from] ClockStop),
    /// Sockets, threads, signals.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RunError {
    /// The exit code (sysexits.h; docs/operations.md): 74 and 75 as for a running daemon, 78 for what only a person can
    /// change, 69 for what may be there a moment later.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Ledger(OpenError::RolledBack { .. })
            | RunError::Guard(GuardError::RolledBack { .. } | GuardError::Forked { .. }) => 75,
            RunError::Ledger(_) | RunError::Store(_) => 74,
            RunError::Policy(_)
            | RunError::Tls { .. }
            | RunError::SharedCa { .. }
            | RunError::Unfit(_)
            | RunError::Guard(GuardError::Damaged { .. }) => 78,
            RunError::Guard(GuardError::Call { .. } | GuardError::Tree(_))
            | RunError::Tokens(_)
            | RunError::Clock(_)
            | RunError::Io { .. } => 69,
        }
    }
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

/// Most PSDs of an appliance.
const MOST_PSDS: usize = 1 << 17;

/// What a start has put together.
struct Started {
    spine: Spine,
    state: Arc<VendorState>,
    operator: Option<Arc<OperatorState>>,
    tls: DoorsTls,
    local: Arc<LocalState>,
    /// What PSDs need, for whoever asks the authority for it.
    needs: std::sync::Mutex<Option<mpsc::Receiver<Need>>>,
    stop: Arc<AtomicBool>,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(config: &Config) -> Result<(), RunError> {
    // With pages of 2 MiB, a few scattered allocations hold more memory than the whole daemon needs.
    rustix::thread::disable_transparent_huge_pages(true).map_err(|error| io("keeping pages small")(error.into()))?;
    let started = start(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().div_ceil(2).max(2)))
        .enable_all()
        .build()
        .map_err(io("starting the runtime"))?;
    let served = runtime.block_on(serve(config, &started));
    started.stop.store(true, Ordering::Release);
    started.spine.stop(Duration::from_secs(10));
    served
}

fn start(config: &Config) -> Result<Started, RunError> {
    status("opening the ledger");
    let begun = Instant::now();
    let policies = load_policies(config)?;
    let tls = read_tls(config)?.into();
    let mut recovered = Ledger::open(&config.state_dir)?.recover(config.ledger.rules(), &verify_note)?;
    tracing::info!(
        records = recovered.journal.size(),
        replayed = recovered.replayed,
        replayed_all = recovered.replayed_all,
        elapsed_ms = begun.elapsed().as_millis(),
        "the ledger holds"
    );
    check_fit(config, &recovered.appliance)?;
    let names: Vec<String> = config.tokens.iter().map(|token| token.name.clone()).collect();
    status("waiting for the tokens");
    let expected = names.iter().map(|name| expected_keys(&recovered.appliance, name)).collect();
    let tokens = Tokens::start(config.tokens.iter().map(|token| token.link()).collect(), expected)?;
    let welcomes = tokens.wait_ready(&names, Duration::from_secs(60))?;
    if recovered.appliance.genesis.environment == Environment::Production
        && !permits_software_token(&recovered.appliance.genesis)
        && let Some(software) = welcomes.iter().find(|welcome| !welcome.profile.hardware)
    {
        let name = &software.profile.name;
        return Err(RunError::Unfit(format!(
            "{name} is a software token: a production appliance refuses it without the authority's permit"
        )));
    }
    let sampler = Sampler::new(&config.clock, begun);
    let mut clock = resume_clock(config, &recovered.appliance);
    clock.observe(sampler.sample());
    let at = clock.read(elapsed_ms(begun))?;
    let guard = take_tokens(&names, &tokens, config, &mut recovered, at)?;
    finish_start(config, begun, recovered, tokens, &welcomes, guard, clock, sampler, (policies, tls))
}

/// Checks every anchor, raises the fence in every token and records it.
fn take_tokens(
    names: &[String],
    tokens: &Tokens,
    config: &Config,
    recovered: &mut Recovered,
    at: ClockReading,
) -> Result<Arc<Guard>, RunError> {
    let mut owner_epoch = [0; 16];
    rand::rng().fill_bytes(&mut owner_epoch);
    let appliance = recovered.appliance.genesis.appliance.to_string();
    let guard = Arc::new(Guard::new(appliance, owner_epoch, names.to_vec()));
    let reader = Reader::open(&config.state_dir)?;
    for index in 0..names.len() {
        let Some(link) = tokens.link(TokenIndex(index)) else { continue };
        guard.check_anchor(index, link, &reader, recovered.journal.size())?;
        guard.raise_fence(index, link)?;
    }
    let version = env!("CARGO_PKG_VERSION").into();
    recovered.append(vec![Record { at, event: RecordEvent::Started { version, owner_epoch } }])?;
    Ok(guard)
}

#[expect(clippy::too_many_arguments, reason = "everything a start has gathered meets here, once")]
fn finish_start(
    config: &Config,
    begun: Instant,
    recovered: Recovered,
    tokens: Tokens,
    welcomes: &[Arc<psdd_hsm::protocol::Welcome>],
    guard: Arc<Guard>,
    clock: ClockGuard,
    sampler: Sampler,
    (policies, tls): (PolicySet, DoorsTls),
) -> Result<Started, RunError> {
    let (journal, appliance, checkpoint, lock) = recovered.into_parts();
    // Held until the process ends: no second daemon may open the ledger while any thread of this one lives.
    std::mem::forget(lock);
    let reader = Reader::open(&config.state_dir)?;
    let genesis = appliance.genesis.clone();
    let log_key = log_key(&genesis);
    let origin = origin(&genesis.appliance);
    let proven = checkpoint.as_deref().and_then(|note| Some((verify_note(&genesis, note)?.size, note)));
    let newest = Arc::new(Newest::starting_with(proven));
    let metrics = Arc::new(Metrics::default());
    metrics.log_size.store(journal.size(), Ordering::Release);
    metrics.checkpoint_size.store(newest.size(), Ordering::Relaxed);
    let generation = PolicyGeneration(1);
    let settings = engine_settings(config, &genesis);
    let log_token = settings.tokens.iter().position(|name| *name == genesis.log_token).map(TokenIndex);
    let log_token = log_token.ok_or_else(|| {
        RunError::Unfit(format!(
            "the log key is in token {:?}, which the configuration does not name",
            genesis.log_token
        ))
    })?;
    let greatest = reader.greatest_keys()?;
    let genesis_digest = genesis_digest(&reader)?;
    let log_kind = PublicKey::of_spki(&genesis.log_spki).map(|key| key.kind());
    let log_kind = log_kind.ok_or_else(|| RunError::Unfit("the log key of leaf 0 cannot be read".to_owned()))?;
    adopt_wrapped(config, &reader, &appliance, &tokens)?;
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.life.destroyed.is_none()).map(|certified| &certified.key);
    let indicium_keys = keys.filter(|key| key.role == Role::Indicium);
    let indicium_keys = indicium_keys.map(|key| (Arc::clone(&key.key_id), Arc::clone(&key.spki))).collect();
    let authority = authority_keys(&appliance)?;
    let (need, needs) = mpsc::channel(MOST_PSDS);
    let held = (appliance.authority, appliance.governance);
    let engine = Engine::new(settings, clock, appliance.psds.into_values(), held, greatest, generation);
    let licences = Arc::new(ArcSwap::new(engine.licences()));
    let (grown, router) = (Arc::clone(&licences), Arc::clone(&tokens.router));
    let listeners =
        Listeners { fleet: Box::new(move |fleet| grown.store(fleet)), keys: Box::new(move |news| router.note(news)) };
    let parts = SpineParts {
        engine,
        journal,
        reader,
        origin: origin.clone(),
        log_key: log_key.clone(),
        log_key_id: Arc::clone(&genesis.log_key_id),
        log_token,
        newest: Arc::clone(&newest),
        indicium_keys,
        needs: need,
        listeners,
        metrics: Arc::clone(&metrics),
        started: begun,
    };
    let spine_settings = SpineSettings {
        checkpoint_every: Duration::from_millis(config.ledger.checkpoint_every_ms),
        checkpoint_bound: Duration::from_millis(config.ledger.checkpoint_bound_ms),
        closing_patience: Duration::from_secs(5),
    };
    let (spine, frames) =
        Spine::start(parts, &spine_settings, Arc::clone(&tokens.links)).map_err(io("starting threads"))?;
    let core = spine.handle().clone();
    tokens.router.connect(frames, core.clone());
    let stop = Arc::new(AtomicBool::new(false));
    sampler.feed(core.clone(), Arc::clone(&stop)).map_err(io("starting threads"))?;
    guard.watch(&tokens.links, &newest, welcomes, &stop).map_err(io("starting threads"))?;
    let ceremonies = Ceremonies::new(CeremonyParts {
        core: core.clone(),
        links: Arc::clone(&tokens.links),
        tokens: config.tokens.clone(),
        appliance: genesis.appliance.clone(),
        genesis: genesis_digest,
        log_key: LogKeyParts {
            key_id: Arc::clone(&genesis.log_key_id),
            spki: Arc::clone(&genesis.log_spki),
            kind: log_kind,
            token: log_token,
        },
        state_dir: config.state_dir.clone(),
    });
    let state = Arc::new(VendorState {
        core: core.clone(),
        ceremonies: ceremonies.clone(),
        policy: ArcSwap::from_pointee(PolicyInForce { generation, policies }),
        places: Arc::new(TenantPlaces::new(config.vendor.per_tenant())),
        licences,
        newest,
        log_size: Arc::clone(&metrics.log_size),
        log_key,
        origin,
        appliance: genesis.appliance.clone(),
        environment: genesis.environment.as_str(),
        authority_root: Arc::clone(&genesis.authority_root),
        authority,
        metrics: Arc::clone(&metrics),
        limits: config.vendor.vendor_limits(),
    });
    let names = config.tokens.iter().map(|token| token.name.clone()).collect();
    let operator = config.operator.as_ref().map(|door| {
        Arc::new(OperatorState {
            core: core.clone(),
            ceremonies: ceremonies.clone(),
            router: Arc::clone(&tokens.router),
            tokens: config.tokens.iter().map(|token| token.name.clone()).collect(),
            unseal_socket: config.unseal_socket.clone(),
            authority_root: Arc::clone(&genesis.authority_root),
            appliance: genesis.appliance.clone(),
            environment: genesis.environment.as_str(),
            limits: door.operator_limits(),
            rotations: config.rotations(),
        })
    });
    // Before a door opens: whoever asks is told that it is under way.
    if let Err(error) = ceremonies.go_on() {
        tracing::error!(%error, "the ceremony that was interrupted does not go on");
    }
    let local = Arc::new(LocalState {
        core,
        router: tokens.router,
        tokens: names,
        metrics,
        calendar: Calendar::new(tls.named(), config.crl_alarm_days),
        vendor: OnceLock::new(),
        operator: OnceLock::new(),
    });
    Ok(Started { spine, state, operator, tls, local, needs: std::sync::Mutex::new(Some(needs)), stop })
}

/// SHA-256 of the bytes of record 0, by which ceremonies know the appliance.
fn genesis_digest(reader: &Reader) -> Result<[u8; 32], RunError> {
    let unreadable = |error: &dyn std::fmt::Display| RunError::Unfit(format!("leaf 0: {error}"));
    let record = reader.record(0).map_err(|error| unreadable(&error))?;
    let record = record.ok_or_else(|| unreadable(&"it is missing"))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &record.record().encode());
    digest.as_ref().try_into().map_err(|error: std::array::TryFromSliceError| unreadable(&error))
}

/// Gives every link the keys that live wrapped beside their records.
fn adopt_wrapped(config: &Config, reader: &Reader, appliance: &Appliance, tokens: &Tokens) -> Result<(), RunError> {
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter()).map(|certified| &certified.key);
    let by_id: HashMap<&[u8], &Key> = keys.map(|key| (&*key.key_id, key)).collect();
    let adopted = reader.each_wrapped_key(|key_id, wrapped| {
        let Some(key) = by_id.get(key_id) else { return };
        let index = config.tokens.iter().position(|token| token.name == *key.token);
        let Some(link) = index.and_then(|index| tokens.link(TokenIndex(index))) else { return };
        let (key_id, spki) = (Arc::clone(&key.key_id), Arc::clone(&key.spki));
        link.adopt(WrappedKey { key_id, role: key.role, algorithm: key.algorithm, spki, wrapped: wrapped.into() });
    });
    adopted.map_err(|error| RunError::Unfit(error.to_string()))
}

async fn serve(config: &Config, started: &Started) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(io("watching signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("watching signals"))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(io("watching signals"))?;
    start_top_ups(config, started)?;
    start_custodian(config, started)?;
    local::open(&config.local.socket, Arc::clone(&started.local)).map_err(io("opening the local door"))?;
    started.local.calendar.log(UnixTime::now());
    // First the one that nobody waits for: with the vendor door the daemon is ready.
    let operator = open_operator_door(config, started).await?;
    let (state, tls) = (Arc::clone(&started.state), Arc::clone(&started.tls.vendor));
    let door = Door::bind(config.vendor.listen, state, tls, started.state.limits).await;
    let door = door.and_then(Door::open).map_err(io("opening the vendor door"))?;
    tracing::info!(address = %door.address, "vendor door open");
    if started.local.vendor.set(door.address).is_err() {
        tracing::debug!("the door was opened before");
    }
    notify(&[sd_notify::NotifyState::Ready]);
    report(started, &door);
    let mut watchdog = tokio::time::interval(watchdog_interval());
    let mut calendar = tokio::time::interval(Duration::from_secs(3_600));
    // The first tick comes at once, and the start has told already.
    calendar.tick().await;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(config, started),
            _ = calendar.tick() => started.local.calendar.log(UnixTime::now()),
            _ = watchdog.tick() => {
                // A core that does not answer must not look alive.
                if local::alive(&started.local.core).await {
                    notify(&[sd_notify::NotifyState::Watchdog]);
                    report(started, &door);
                }
            }
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    let patience = Duration::from_secs(5);
    match operator {
        Some(operator) => drop(tokio::join!(door.close(patience), operator.close(patience))),
        None => door.close(patience).await,
    }
    Ok(())
}

async fn open_operator_door(config: &Config, started: &Started) -> Result<Option<Listening>, RunError> {
    let (Some(door), Some(state), Some(tls)) = (&config.operator, &started.operator, &started.tls.operator) else {
        return Ok(None);
    };
    let opened = Door::bind(door.listen, Arc::clone(state), Arc::clone(tls), state.limits).await;
    let opened = opened.and_then(Door::open).map_err(io("opening the operator door"))?;
    tracing::info!(address = %opened.address, "operator door open");
    if started.local.operator.set(opened.address).is_err() {
        tracing::debug!("the door was opened before");
    }
    Ok(Some(opened))
}

/// Starts to ask the authority for the value that PSDs need, where the configuration says how.
fn start_top_ups(config: &Config, started: &Started) -> Result<(), RunError> {
    let Some(funds) = &config.funds else { return Ok(()) };
    let system = FundsSystem::start(&funds.client()).map_err(|error| RunError::Unfit(format!("funds: {error}")))?;
    let needs = started.needs.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(needs) = needs {
        let (core, keys) = (started.local.core.clone(), started.state.authority.clone());
        funds::start(core, keys, system, funds.most_requests, Arc::clone(&started.local.metrics), needs);
    }
    Ok(())
}

/// Starts to look after keys, where the configuration says how.
fn start_custodian(config: &Config, started: &Started) -> Result<(), RunError> {
    let Some(custodian) = &config.custodian else { return Ok(()) };
    let ca = custodian.ca.as_ref().map(|ca| CertificationAuthority::start(&ca.client())).transpose();
    let ca = ca.map_err(|error| RunError::Unfit(format!("custodian.ca: {error}")))?;
    let parts = CustodianParts {
        ceremonies: started.state.ceremonies.clone(),
        rotations: config.rotations(),
        ca: ca.map(|ca| (ca, tokio::runtime::Handle::current())),
        authority_root: Arc::clone(&started.state.authority_root),
        every: Duration::from_secs(custodian.every_s),
        metrics: Arc::clone(&started.local.metrics),
        stop: Arc::clone(&started.stop),
    };
    custodian::start(parts).map_err(|error| RunError::Unfit(error.to_string()))
}

/// SIGHUP: policies, certificates and CRLs anew; connections go on whose clients are still good, requests under way all.
fn reload(config: &Config, started: &Started) {
    let monotonic = sd_notify::NotifyState::monotonic_usec_now();
    match monotonic {
        Ok(usec) => notify(&[sd_notify::NotifyState::Reloading, usec]),
        Err(error) => tracing::debug!(%error, "no monotonic clock to tell systemd"),
    }
    match read_tls(config) {
        Ok(read) => started.tls.replace(read),
        Err(error) => tracing::error!(%error, "TLS is not reloaded; the old configuration stays in force"),
    }
    started.local.calendar.log(UnixTime::now());
    match load_policies(config) {
        Ok(policies) => {
            let generation = PolicyGeneration(started.state.policy.load().generation.0 + 1);
            started.state.policy.store(Arc::new(PolicyInForce { generation, policies }));
            if started.local.core.tell(Event::Policy(generation)).is_err() {
                tracing::debug!("the core is stopping");
            }
        }
        Err(error) => tracing::error!(%error, "the policy is not reloaded; the old one stays in force"),
    }
    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!("reloaded");
}

fn report(started: &Started, door: &Listening) {
    let metrics = &started.local.metrics;
    let mut text = format!(
        "vendor door {}; {} PSDs; {} records; {} pieces since start",
        door.address,
        started.state.licences.load().psds(),
        metrics.log_size.load(Ordering::Relaxed),
        metrics.pieces.load(Ordering::Relaxed)
    );
    for trouble in started.local.router.troubles(&started.local.tokens) {
        text.push_str("; ");
        text.push_str(&trouble);
    }
    for ending in started.local.calendar.endings(UnixTime::now()) {
        text.push_str("; ");
        text.push_str(&ending.to_string());
    }
    status(&text);
}

fn status(text: &str) {
    notify(&[sd_notify::NotifyState::Status(text)]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

fn watchdog_interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |usec| usec / 3)
}

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Verifies a checkpoint of an appliance's own log.
pub(crate) fn verify_note(genesis: &Genesis, note: &str) -> Option<ProvenHead> {
    let checkpoint = Checkpoint::verified(note, &origin(&genesis.appliance), &log_key(genesis)).ok()?;
    Some(ProvenHead { size: checkpoint.size, root: checkpoint.root })
}

pub(crate) fn log_key(genesis: &Genesis) -> LogKey {
    // An Ed25519 SPKI has 44 bytes (RFC 8410 §4), a P-256 one 91.
    let algorithm = if genesis.log_spki.len() == 44 { Algorithm::Ed25519 } else { Algorithm::EcdsaP256 };
    LogKey { algorithm, spki: genesis.log_spki.to_vec() }
}

fn load_policies(config: &Config) -> Result<PolicySet, RunError> {
    let loaded = match &config.policy_dir {
        Some(dir) => PolicySet::load(dir).map_err(|error| error.to_string()),
        None => PolicySet::shipped().map_err(|error| error.to_string()),
    };
    loaded.map_err(RunError::Policy)
}

/// Everything `check-config` can check without a ledger and without tokens.
pub fn check(config: &Config) -> Result<(), RunError> {
    load_policies(config)?;
    read_tls(config)?;
    Ok(())
}

/// What the TLS files of the doors make, as they are on the disk.
struct ReadTls {
    vendor: ServerTls,
    operator: Option<ServerTls>,
}

/// TLS of the doors in force.
struct DoorsTls {
    vendor: Arc<DoorTls>,
    operator: Option<Arc<DoorTls>>,
}

impl From<ReadTls> for DoorsTls {
    fn from(read: ReadTls) -> Self {
        let in_force = |tls| Arc::new(DoorTls::new(tls));
        Self { vendor: in_force(read.vendor), operator: read.operator.map(in_force) }
    }
}

impl DoorsTls {
    fn replace(&self, read: ReadTls) {
        self.vendor.replace(read.vendor);
        if let (Some(door), Some(tls)) = (&self.operator, read.operator) {
            door.replace(tls);
        }
    }

    fn named(&self) -> Vec<(&'static str, Arc<DoorTls>)> {
        let operator = self.operator.iter().map(|tls| ("operator", Arc::clone(tls)));
        [("vendor", Arc::clone(&self.vendor))].into_iter().chain(operator).collect()
    }
}

/// All doors or none: half a reload would be neither the old nor the new.
fn read_tls(config: &Config) -> Result<ReadTls, RunError> {
    let read =
        |door, config: &DoorConfig| ServerTls::read(&config.tls()).map_err(|source| RunError::Tls { door, source });
    let vendor = read("vendor", &config.vendor)?;
    let Some(door) = &config.operator else { return Ok(ReadTls { vendor, operator: None }) };
    let operator = read("operator", door)?;
    if operator.shares_a_client_ca_with(&vendor) {
        let (operator, vendor) = (door.client_ca.clone(), config.vendor.client_ca.clone());
        return Err(RunError::SharedCa { operator, vendor });
    }
    Ok(ReadTls { vendor, operator: Some(operator) })
}

fn check_fit(config: &Config, appliance: &Appliance) -> Result<(), RunError> {
    let production = appliance.genesis.environment == Environment::Production;
    if production && config.clock.rules().source == psd::clock::ClockSource::Development {
        return Err(RunError::Unfit(
            "clock.source: a production appliance has no development clock; use \"host\"".to_owned(),
        ));
    }
    let named = |token: &str| config.tokens.iter().any(|config| config.name == token);
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.life.destroyed.is_none());
    let missing = keys.map(|certified| &certified.key.token).find(|token| !named(token));
    missing.map_or(Ok(()), |token| {
        Err(RunError::Unfit(format!("keys are in token {token:?}, which the configuration does not name")))
    })
}

fn expected_keys(appliance: &Appliance, token: &str) -> Vec<ExpectedKey> {
    let genesis = &appliance.genesis;
    let log = (&*genesis.log_token == token).then_some((&genesis.log_key_id, &genesis.log_spki, false));
    // What lives wrapped is no object of the token, and what was destroyed is gone from it.
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.wrapped.is_none() && certified.life.destroyed.is_none());
    let of_token = keys.filter(|certified| &*certified.key.token == token);
    let of_token = of_token.map(|certified| (&certified.key.key_id, &certified.key.spki, !certified.life.is_sound()));
    let expected = |(key_id, spki, ended): (&Arc<[u8]>, &Arc<[u8]>, bool)| ExpectedKey {
        key_id: Arc::clone(key_id),
        spki: Arc::clone(spki),
        ended,
    };
    log.into_iter().chain(of_token).map(expected).collect()
}

fn resume_clock(config: &Config, appliance: &Appliance) -> ClockGuard {
    ClockGuard::resume(config.clock.rules(), appliance.latest.epoch, appliance.latest.time)
}

/// The keys of the authority that are installed.
fn authority_keys(appliance: &Appliance) -> Result<AuthorityKeys, RunError> {
    let purposes = [AuthorityPurpose::Funds, AuthorityPurpose::Inspection, AuthorityPurpose::Policy];
    let installed = purposes.into_iter().filter_map(|purpose| Some((purpose, appliance.authority_key(purpose)?)));
    let keys = installed.map(|(purpose, certificate)| {
        let unreadable = || RunError::Unfit(format!("the authority's {} certificate cannot be read", purpose.as_str()));
        let spki = crate::birth::spki_of(certificate).ok_or_else(unreadable)?;
        Ok(AuthorityKey { purpose, certificate: Arc::clone(certificate), spki })
    });
    keys.collect::<Result<_, RunError>>().map(AuthorityKeys)
}

fn engine_settings(config: &Config, genesis: &Genesis) -> EngineSettings {
    let signing = &config.signing;
    EngineSettings {
        appliance: genesis.appliance.clone(),
        environment: genesis.environment,
        window: signing.window(),
        key_retention_ms: u64::from(signing.key_retention_days) * 86_400_000,
        key_skew_ms: u64::from(signing.key_skew_s) * 1_000,
        chunk_items: signing.chunk_items,
        in_flight_items: signing.in_flight_items,
        queued_items_per_tenant: signing.queued_items_per_tenant,
        queued_items: signing.queued_items,
        tokens: config.tokens.iter().map(|token| token.name.as_str().into()).collect(),
        top_ups: config.top_up_rules(),
    }
}
