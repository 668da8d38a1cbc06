//! A started daemon at work: doors, background work, signals, until it is told to stop.

use super::authority::open_authority_door;
use super::entrance::{Entrance, Signals};
use super::error::{RunError, io};
use super::notify::{notify, report, watchdog_interval};
use super::start::Started;
use super::{load_desk, load_policies};
use crate::certify::LoadError;
use crate::config::Config;
use crate::core::{Change, ChangeCommand, Event, NewDesk, ValueReply};
use crate::custodian::{self, CustodianParts, Running};
use crate::door::listener::{Door, Listening};
use crate::door::local::{LocalState, Serving, alive};
use crate::funds;
use psdd_client::{CertificationAuthority, FundsSystem};
use psdd_tls::UnixTime;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub(super) async fn serve(
    config: &Config,
    started: &Started,
    entrance: Entrance,
    signals: &mut Signals,
) -> Result<(), RunError> {
    let Entrance { local, operator } = entrance;
    start_top_ups(config, started)?;
    let custodian = start_custodian(config, started)?;
    // First what nobody waits for: with the vendor door the daemon is ready.
    let inside = started.operator.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some((door, _)), Some(inside)) = (&operator, inside) {
        let first = door.inside.set(inside).is_ok();
        debug_assert!(first);
    }
    let authority = open_authority_door(config, started, &local).await?;
    let (state, tls) = (Arc::clone(&started.state), Arc::clone(&started.tls.vendor));
    let door = Door::bind(config.vendor.listen, state, tls, started.state.limits).await;
    let door = door.and_then(Door::open).map_err(io("opening the vendor door"))?;
    tracing::info!(address = %door.address, "vendor door open");
    let (core, metrics) = (started.core.clone(), Arc::clone(&started.metrics));
    let first = local.serving.set(Serving { core, metrics, vendor: door.address }).is_ok();
    debug_assert!(first);
    notify(&[sd_notify::NotifyState::Ready]);
    report(started, &local, &door);
    let mut watchdog = tokio::time::interval(watchdog_interval());
    let mut calendar = tokio::time::interval(Duration::from_secs(3_600));
    // The first tick comes at once, and the start has told already.
    calendar.tick().await;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hang_up.recv() => reload(config, started, &local).await,
            _ = calendar.tick() => local.calendar.log(UnixTime::now()),
            _ = watchdog.tick() => {
                // A core that does not answer must not look alive.
                if alive(&started.core).await {
                    notify(&[sd_notify::NotifyState::Watchdog]);
                    report(started, &local, &door);
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
    let close = async |other: Option<Listening>| {
        if let Some(other) = other {
            other.close(patience).await;
        }
    };
    tokio::join!(door.close(patience), close(operator.map(|(_, operator)| operator)), close(authority));
    Ok(())
}

/// Starts to ask the authority for the value that PSDs need, where the configuration says how.
fn start_top_ups(config: &Config, started: &Started) -> Result<(), RunError> {
    let Some(funds) = &config.funds else { return Ok(()) };
    let system = FundsSystem::start(&funds.client()).map_err(|error| RunError::Unfit(format!("funds: {error}")))?;
    let needs = started.needs.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(needs) = needs {
        let (core, keys) = (started.core.clone(), started.state.authority.clone());
        funds::start(core, keys, system, funds.most_requests, Arc::clone(&started.metrics), needs);
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
        metrics: Arc::clone(&started.metrics),
    };
    custodian::start(parts).map(Some).map_err(|error| RunError::Unfit(error.to_string()))
}

/// SIGHUP: policies, rate tables, scales, certificates and CRLs anew; connections go on whose clients are still good, requests under way all.
async fn reload(config: &Config, started: &Started, local: &LocalState) {
    let monotonic = sd_notify::NotifyState::monotonic_usec_now();
    match monotonic {
        Ok(usec) => notify(&[sd_notify::NotifyState::Reloading, usec]),
        Err(error) => tracing::debug!(%error, "no monotonic clock to tell systemd"),
    }
    let mut kept = Vec::new();
    if !started.tls.reload(config) {
        kept.push("TLS");
    }
    local.calendar.log(UnixTime::now());
    match load_policies(config) {
        Ok(policies) => {
            let reading = started.state.policy.replace_files(&policies);
            if started.core.tell(Event::PolicyFiles(reading)).is_err() {
                tracing::debug!("the core is stopping");
            }
        }
        Err(error) => {
            kept.push("policies");
            tracing::error!(%error, "the policy is not reloaded; the old one stays in force");
        }
    }
    if let Err(error) = reload_desk(config, started).await {
        kept.push("rate tables and scales");
        tracing::error!(error, "rate tables and scales are not reloaded; the old ones stay in force");
    }
    notify(&[sd_notify::NotifyState::Ready]);
    if kept.is_empty() {
        tracing::info!("reloaded");
    } else {
        tracing::error!(
            kept = kept.join(", "),
            "reloaded, but for what is kept as it was; mend it and send SIGHUP again"
        );
    }
}

/// Reads rate tables and scales anew and has the core put them in force, which records what is new of them before anything is certified by it. What the core
/// took in is written, or the daemon stops.
///
/// # Errors
///
/// Why they do not come into force, in words.
async fn reload_desk(config: &Config, started: &Started) -> Result<(), String> {
    let told = |error: LoadError| error.to_string();
    let Some(desk) = load_desk(config, &started.state.authority_root).map_err(told)? else { return Ok(()) };
    let basis = desk.basis().map_err(told)?;
    let (request, change) = (started.core.next_request(), Change::Desk(NewDesk { desk, basis }));
    let reply = started.core.change(ChangeCommand { request, change }).map_err(|error| error.to_string())?;
    match reply.await {
        Ok(ValueReply::Changed(_)) => Ok(()),
        Ok(ValueReply::ChangeRefused(why)) => Err(why),
        Ok(ValueReply::NoClock(stop)) => Err(format!("there is no trusted time to record them at: {stop}")),
        Ok(ValueReply::Overloaded) => Err("too many changes wait before this one; send SIGHUP again".to_owned()),
        Ok(other) => Err(format!("the core answered {other:?}")),
        Err(_) => Err("the daemon is stopping".to_owned()),
    }
}
