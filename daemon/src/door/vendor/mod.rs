//! The vendor door (8443): mutual TLS, HTTP/2 or 1.1, CBOR after `daemon/wire/psdd.cddl`.

mod certify;
mod connection;
mod places;
mod policies;
mod problems;
mod reads;
mod refund;
mod request;
mod runs;
mod sign;
mod submit;
mod value;
mod withdrawal;

pub use places::TenantPlaces;
pub use policies::Policies;
pub(super) use problems::of_value;

use crate::authority::AuthorityKeys;
use crate::ceremony::Ceremonies;
use crate::core::Licences;
use crate::door::digital_tokens::DigitalTokens;
use crate::door::listener::Limits;
use crate::door::log_readers::LogReaders;
use crate::door::numbers::Numbers;
use crate::door::receipts::Receipts;
use crate::spine::{Handle, Metrics, Newest};
use arc_swap::ArcSwap;
use psd::ApplianceId;
use psd::record::Environment;
use psdd_wire::checkpoint::LogKey;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What every connection of the door shares.
pub struct VendorState {
    /// Into the core.
    pub core: Handle,
    /// What signs the status list.
    pub ceremonies: Ceremonies,
    /// The policy in force.
    pub policy: Arc<Policies>,
    /// Connections of each tenant.
    pub places: Arc<TenantPlaces>,
    /// Every licence with its PSDs, as the core knows them.
    pub licences: Arc<ArcSwap<Licences>>,
    /// The newest checkpoint.
    pub newest: Arc<Newest>,
    /// What reads the log.
    pub log_readers: Arc<LogReaders>,
    /// What makes receipts.
    pub receipts: Arc<Receipts>,
    /// What gives certification numbers, where that is configured.
    pub numbers: Option<Arc<Numbers>>,
    /// What judges digital tokens.
    pub digital_tokens: Arc<DigitalTokens>,
    /// Leaves in the log, at least: a validly signed larger checkpoint means that this ledger was rolled back.
    pub log_size: Arc<AtomicU64>,
    /// Public half of the log key.
    pub log_key: LogKey,
    /// Origin of the log.
    pub origin: String,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// Whether what it signs is worth money.
    pub environment: Environment,
    /// The authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// The authority's keys.
    pub authority: AuthorityKeys,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Bounds of requests and connections.
    pub limits: Limits,
}
