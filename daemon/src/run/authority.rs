//! The authority door of a started daemon.

use super::error::{RunError, io};
use super::start::Started;
use crate::audit::Audits;
use crate::config::Config;
use crate::door::authority::{AuditDesk, AuthorityState, LogAnswers};
use crate::door::listener::{Door, Listening};
use crate::door::local::LocalState;
use crate::door::log_readers::LogReaders;
use crate::door::vendor::VendorState;
use std::sync::Arc;

/// Reads of the log at a time for inspectors, each with a connection to the ledger.
const READERS: usize = 2;

/// What the door is opened with, where the configuration has one: it shows what the vendor door shows, to others.
pub(super) fn authority_state(
    config: &Config,
    vendor: &VendorState,
    audits: Arc<Audits>,
) -> Result<Option<Arc<AuthorityState>>, RunError> {
    let Some(door) = &config.authority else { return Ok(None) };
    Ok(Some(Arc::new(AuthorityState {
        core: vendor.core.clone(),
        ceremonies: vendor.ceremonies.clone(),
        newest: Arc::clone(&vendor.newest),
        log_size: Arc::clone(&vendor.log_size),
        log: LogAnswers::new(LogReaders::open(&config.state_dir, READERS)?),
        audits: AuditDesk::new(audits),
        receipts: Arc::clone(&vendor.receipts),
        numbers: vendor.numbers.clone(),
        digital_tokens: Arc::clone(&vendor.digital_tokens),
        log_key: vendor.log_key.clone(),
        origin: vendor.origin.clone(),
        appliance: vendor.appliance.clone(),
        environment: vendor.environment.as_str(),
        authority_root: Arc::clone(&vendor.authority_root),
        authority: vendor.authority.clone(),
        rotations: config.rotations(),
        limits: door.usual_limits(),
    })))
}

pub(super) async fn open_authority_door(
    config: &Config,
    started: &Started,
    local: &LocalState,
) -> Result<Option<Listening>, RunError> {
    let (Some(door), Some(state), Some(tls)) = (&config.authority, &started.authority, &started.tls.authority) else {
        return Ok(None);
    };
    let opened = Door::bind(door.listen, Arc::clone(state), Arc::clone(tls), state.limits).await;
    let opened = opened.and_then(Door::open).map_err(io("opening the authority door"))?;
    tracing::info!(address = %opened.address, "authority door open");
    if local.authority.set(opened.address).is_err() {
        tracing::debug!("the door was opened before");
    }
    Ok(Some(opened))
}
