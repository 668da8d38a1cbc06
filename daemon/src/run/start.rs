//! The start, in its order: ledger, tokens, clock, anchors and fences, spine.

use super::authority::authority_state;
use super::error::{RunError, io};
use super::fit::{authority_keys, check_fit, engine_settings, expected_keys, log_key, resume_clock, verify_note};
use super::notify::status;
use super::tls::{DoorsTls, read_tls};
use super::{instructed_policy, load_desk, load_policies};
use crate::audit::{AuditParts, Audits};
use crate::birth::permits_software_token;
use crate::ceremony::{Ceremonies, CeremonyParts, LogKeyParts};
use crate::certify::Desk;
use crate::clock::Sampler;
use crate::config::Config;
use crate::core::{Engine, TokenIndex};
use crate::door::authority::AuthorityState;
use crate::door::digital_tokens::DigitalTokens;
use crate::door::log_readers::LogReaders;
use crate::door::numbers::Numbers;
use crate::door::operator::OperatorState;
use crate::door::receipts::Receipts;
use crate::door::vendor::{Policies, TenantPlaces, VendorState};
use crate::funds::Need;
use crate::scrub::{self, ScrubParts, Scrubs};
use crate::spine::{Handle, Listeners, Metrics, Newest, Spine, SpineParts, SpineSettings};
use crate::tokens::{Guard, Tokens};
use arc_swap::ArcSwap;
use psd::clock::{ClockGuard, ClockReading};
use psd::key::{Key, Role};
use psd::record::{Environment, Event as RecordEvent, Record};
use psdd_hsm::link::WrappedKey;
use psdd_hsm::protocol::Welcome;
use psdd_ledger::{Appliance, Ledger, Reader, Recovered};
use psdd_policy::{InstructedPolicy, PolicySet};
use psdd_wire::checkpoint::origin;
use rand::RngCore;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Most PSDs of an appliance.
const MOST_PSDS: usize = 1 << 17;
/// Batches of receipts made at a time, each with a connection to the ledger.
const RECEIPT_READERS: usize = 2;
/// Pieces with digital tokens looked up at a time.
const TOKEN_READERS: usize = 1;
/// Numbers opened at a time, apart from them: whoever tries numbers holds up no receipts.
const NUMBER_READERS: usize = 1;

/// What a start has put together.
pub(super) struct Started {
    pub(super) core: Handle,
    pub(super) metrics: Arc<Metrics>,
    pub(super) spine: Spine,
    pub(super) state: Arc<VendorState>,
    /// What the operator door has behind it; given to it once.
    pub(super) operator: std::sync::Mutex<Option<OperatorState>>,
    pub(super) authority: Option<Arc<AuthorityState>>,
    pub(super) tls: DoorsTls,
    /// What PSDs need, for whoever asks the authority for it.
    pub(super) needs: std::sync::Mutex<Option<mpsc::Receiver<Need>>>,
    pub(super) stop: Arc<AtomicBool>,
}

/// A ledger that holds, and links to the tokens, which need not be up.
pub(super) struct Opened {
    begun: Instant,
    policies: (PolicySet, Arc<InstructedPolicy>),
    recovered: Recovered,
    pub(super) tls: DoorsTls,
    pub(super) tokens: Tokens,
}

/// Opens the ledger and proves it, and begins to reach for the tokens.
pub(super) fn open(config: &Config) -> Result<Opened, RunError> {
    status("opening the ledger");
    let begun = Instant::now();
    let policies = load_policies(config)?;
    let tls = read_tls(config)?.into();
    let recovered = Ledger::open(&config.state_dir)?.recover(config.ledger.rules(), &verify_note)?;
    tracing::info!(
        records = recovered.journal.size(),
        replayed = recovered.replayed,
        replayed_all = recovered.replayed_all,
        elapsed_ms = begun.elapsed().as_millis(),
        "the ledger holds"
    );
    check_fit(config, &recovered.appliance)?;
    let policies = (policies, Arc::new(instructed_policy(recovered.appliance.authority.policy())?));
    let expected = config.tokens.iter().map(|token| expected_keys(&recovered.appliance, &token.name)).collect();
    let tokens = Tokens::start(config.tokens.iter().map(|token| token.link()).collect(), expected)?;
    Ok(Opened { begun, policies, recovered, tls, tokens })
}

/// The rest, once every token is up.
pub(super) fn start(config: &Config, opened: Opened, welcomes: &[Arc<Welcome>]) -> Result<Started, RunError> {
    let Opened { begun, policies, mut recovered, tls, tokens } = opened;
    if recovered.appliance.genesis.environment == Environment::Production
        && !permits_software_token(&recovered.appliance.genesis)
        && let Some(software) = welcomes.iter().find(|welcome| !welcome.profile.hardware)
    {
        let name = &software.profile.name;
        return Err(RunError::Unfit(format!(
            "{name} is a software token: a production appliance refuses it without the authority's permit"
        )));
    }
    let names: Vec<String> = config.tokens.iter().map(|token| token.name.clone()).collect();
    let sampler = Sampler::new(&config.clock, begun);
    let mut clock = resume_clock(config, &recovered.appliance);
    clock.observe(sampler.sample());
    let at = clock.read(elapsed_ms(begun))?;
    let guard = take_tokens(&names, &tokens, config, &mut recovered, at)?;
    let desk = take_desk(config, &mut recovered, at)?;
    finish_start(config, begun, recovered, tokens, welcomes, guard, clock, sampler, (policies, desk, tls))
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

/// Reads rate tables and scales, and records what the log does not have of them yet: certifications come behind it.
fn take_desk(config: &Config, recovered: &mut Recovered, at: ClockReading) -> Result<Option<Arc<Desk>>, RunError> {
    let appliance = &recovered.appliance;
    let Some(desk) = load_desk(config, &appliance.genesis.authority_root).map_err(RunError::Certification)? else {
        return Ok(None);
    };
    let events = desk.basis().and_then(|basis| Ok(appliance.certifying.changes_to(&basis)?));
    let records: Vec<Record> =
        events.map_err(RunError::Certification)?.into_iter().map(|event| Record { at, event }).collect();
    if !records.is_empty() {
        tracing::info!(records = records.len(), "rate tables and scales that are new are recorded");
        recovered.append(records)?;
    }
    Ok(Some(desk))
}

#[expect(clippy::too_many_arguments, reason = "everything a start has gathered meets here, once")]
fn finish_start(
    config: &Config,
    begun: Instant,
    recovered: Recovered,
    tokens: Tokens,
    welcomes: &[Arc<Welcome>],
    guard: Arc<Guard>,
    clock: ClockGuard,
    sampler: Sampler,
    ((policies, instructed), desk, tls): ((PolicySet, Arc<InstructedPolicy>), Option<Arc<Desk>>, DoorsTls),
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
    let settings = engine_settings(config, &genesis);
    let log_token = settings.tokens.iter().position(|name| *name == genesis.log_token).map(TokenIndex);
    let log_token = log_token.ok_or_else(|| {
        RunError::Unfit(format!(
            "the log key is in token {:?}, which the configuration does not name",
            genesis.log_token
        ))
    })?;
    let greatest = reader.greatest()?;
    let genesis_digest = genesis_digest(&reader)?;
    adopt_wrapped(config, &reader, &appliance, &tokens)?;
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.life.destroyed.is_none()).map(|certified| &certified.key);
    let piece_keys = keys.filter(|key| matches!(key.role, Role::Indicium | Role::Certification));
    let piece_keys = piece_keys.map(|key| (Arc::clone(&key.key_id), Arc::clone(&key.spki))).collect();
    let authority = authority_keys(&appliance)?;
    let (need, needs) = mpsc::channel(MOST_PSDS);
    let held = (appliance.authority, appliance.governance, appliance.certifying);
    let engine = Engine::new(settings, clock, appliance.psds.into_values(), held, greatest);
    let policy = Arc::new(Policies::new(&policies, instructed, desk, engine.policy()));
    let licences = Arc::new(ArcSwap::new(engine.licences()));
    let (grown, router) = (Arc::clone(&licences), Arc::clone(&tokens.router));
    let (in_force, certifying) = (Arc::clone(&policy), Arc::clone(&policy));
    let listeners = Listeners {
        fleet: Box::new(move |fleet| grown.store(fleet)),
        keys: Box::new(move |news| router.note(news)),
        policy: Box::new(move |version, instructed| in_force.replace_instructed(version, instructed)),
        desk: Box::new(move |generation, desk| certifying.replace_desk(generation, desk)),
    };
    let parts = SpineParts {
        engine,
        journal,
        reader,
        origin: origin.clone(),
        log_key: log_key.clone(),
        log_key_id: Arc::clone(&genesis.log_key_id),
        log_token,
        newest: Arc::clone(&newest),
        piece_keys,
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
            token: log_token,
        },
        state_dir: config.state_dir.clone(),
        rotations: config.rotations(),
    });
    let scrubs = Arc::new(Scrubs::default());
    scrub::start(ScrubParts {
        state_dir: config.state_dir.clone(),
        newest: Arc::clone(&newest),
        every: config.ledger.scrub_every(),
        scrubs: Arc::clone(&scrubs),
        metrics: Arc::clone(&metrics),
        stop: Arc::clone(&stop),
    })
    .map_err(io("starting threads"))?;
    let audits = Arc::new(Audits::new(AuditParts {
        core: core.clone(),
        ceremonies: ceremonies.clone(),
        links: Arc::clone(&tokens.links),
        tokens: config.tokens.iter().map(|token| token.name.clone()).collect(),
        appliance: genesis.appliance.to_string(),
        environment: genesis.environment.as_str(),
        newest: Arc::clone(&newest),
        scrubs,
        metrics: Arc::clone(&metrics),
    }));
    let log = LogReaders::open(&config.state_dir, RECEIPT_READERS)?;
    let bound = spine_settings.checkpoint_bound;
    let log_readers = Arc::clone(&log);
    let receipts = Receipts::new(ceremonies.clone(), Arc::clone(&newest), log, bound);
    let numbering_psd = config.certification.as_ref().and_then(|certification| certification.numbers);
    let numbers = numbering_psd.map(|psd| {
        let signers = (core.clone(), ceremonies.clone());
        let log = LogReaders::open(&config.state_dir, NUMBER_READERS)?;
        Ok::<_, RunError>(Arc::new(Numbers::new(
            psd,
            genesis.appliance.clone(),
            signers,
            Arc::clone(&metrics.log_size),
            log,
        )))
    });
    let numbers = numbers.transpose()?;
    let log = LogReaders::open(&config.state_dir, TOKEN_READERS)?;
    let into = (core.clone(), ceremonies.clone());
    let digital_tokens = DigitalTokens::new(into, log, Arc::clone(&newest), Arc::clone(&metrics));
    let state = Arc::new(VendorState {
        core: core.clone(),
        ceremonies: ceremonies.clone(),
        policy,
        places: Arc::new(TenantPlaces::new(config.vendor.per_tenant())),
        licences,
        newest,
        log_readers,
        receipts: Arc::new(receipts),
        numbers,
        digital_tokens: Arc::new(digital_tokens),
        log_size: Arc::clone(&metrics.log_size),
        log_key,
        origin,
        appliance: genesis.appliance.clone(),
        environment: genesis.environment,
        authority_root: Arc::clone(&genesis.authority_root),
        authority,
        metrics: Arc::clone(&metrics),
        limits: config.vendor.usual_limits(),
    });
    let authority = authority_state(config, &state, audits)?;
    let operator = OperatorState {
        core: core.clone(),
        ceremonies: ceremonies.clone(),
        router: Arc::clone(&tokens.router),
        tokens: config.tokens.iter().map(|token| token.name.clone()).collect(),
        authority_root: Arc::clone(&genesis.authority_root),
        appliance: genesis.appliance.clone(),
        environment: genesis.environment.as_str(),
        rotations: config.rotations(),
    };
    // Before a door shows it: whoever asks is told that it is under way.
    if let Err(error) = ceremonies.go_on() {
        tracing::error!(%error, "the ceremony that was interrupted does not go on");
    }
    let (operator, needs) = (std::sync::Mutex::new(Some(operator)), std::sync::Mutex::new(Some(needs)));
    Ok(Started { core, metrics, spine, state, operator, authority, tls, needs, stop })
}

/// SHA-256 of the bytes of record 0, by which ceremonies know the appliance.
fn genesis_digest(reader: &Reader) -> Result<[u8; 32], RunError> {
    let unreadable = |error: &dyn std::fmt::Display| RunError::Unfit(format!("leaf 0: {error}"));
    let record = reader.record(0).map_err(|error| unreadable(&error))?;
    let record = record.ok_or_else(|| unreadable(&"it is missing"))?;
    Ok(psdd_wire::sha256(&record.record().encode()))
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

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
