//! A started daemon at work: doors, background work, signals, until it is told to stop.

use super::error::{RunError, io};
use super::load_policies;
use super::notify::{notify, report, watchdog_interval};
use super::start::Started;
use super::tls::read_tls;
use crate::config::Config;
use crate::core::{Event, PolicyGeneration};
use crate::custodian::{self, CustodianParts, Running};
use crate::door::listener::{Door, Listening};
use crate::door::local;
use crate::door::vendor::PolicyInForce;
use crate::funds;
use psdd_client::{CertificationAuthority, FundsSystem};
use psdd_tls::UnixTime;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn serve(config: &Config, started: &Started) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(io("watching signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("watching signals"))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(io("watching signals"))?;
    start_top_ups(config, started)?;
    let custodian = start_custodian(config, started)?;
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
    if let Some(custodian) = custodian {
        custodian.stop().await;
    }
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
fn start_custodian(config: &Config, started: &Started) -> Result<Option<Running>, RunError> {
    let Some(custodian) = &config.custodian else { return Ok(None) };
    let ca = custodian.ca.as_ref().map(|ca| CertificationAuthority::start(&ca.client())).transpose();
    let ca = ca.map_err(|error| RunError::Unfit(format!("custodian.ca: {error}")))?;
    let parts = CustodianParts {
        ceremonies: started.state.ceremonies.clone(),
        rotations: config.rotations(),
        ca: ca.map(|ca| (ca, tokio::runtime::Handle::current())),
        authority_root: Arc::clone(&started.state.authority_root),
        every: Duration::from_secs(custodian.every_s),
        metrics: Arc::clone(&started.local.metrics),
    };
    custodian::start(parts).map(Some).map_err(|error| RunError::Unfit(error.to_string()))
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
