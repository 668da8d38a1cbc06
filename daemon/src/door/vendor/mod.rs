//! The vendor door (8443): mutual TLS, HTTP/2 or 1.1, CBOR after `daemon/wire/psdd.cddl`.

mod connection;
mod instruction;
mod listener;
mod opening;
mod problems;
mod reads;
mod refund;
mod request;
mod sign;
mod value;
mod withdrawal;

pub use listener::{Listening, VendorDoor};

use crate::authority::AuthorityKeys;
use crate::core::{Licences, PolicyGeneration};
use crate::spine::{Handle, Metrics, Newest};
use arc_swap::ArcSwap;
use psd::{ApplianceId, PsdId};
use psdd_policy::{PolicySet, Resource};
use psdd_wire::checkpoint::LogKey;
use rustls::ServerConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A policy in force, with the generation that the core knows it by.
pub struct PolicyInForce {
    /// Counts replacements.
    pub generation: PolicyGeneration,
    /// The policy.
    pub policies: PolicySet,
}

/// What every connection of the door shares.
pub struct VendorState {
    /// Into the core.
    pub core: Handle,
    /// The policy in force.
    pub policy: ArcSwap<PolicyInForce>,
    /// TLS for connections to come.
    pub tls: ArcSwap<ServerConfig>,
    /// Every PSD, for policy decisions.
    pub psds: HashMap<PsdId, Resource>,
    /// Every licence with its PSDs, as the core knows them.
    pub licences: Arc<Licences>,
    /// The newest checkpoint.
    pub newest: Arc<Newest>,
    /// Leaves in the log, at least: a validly signed larger checkpoint means that this ledger was rolled back.
    pub log_size: Arc<AtomicU64>,
    /// Public half of the log key.
    pub log_key: LogKey,
    /// Origin of the log.
    pub origin: String,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// `development` or `production`.
    pub environment: &'static str,
    /// The authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// The authority's keys.
    pub authority: AuthorityKeys,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Bounds of requests and connections.
    pub limits: Limits,
}

/// Bounds of requests and connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections.
    pub max_connections: usize,
    /// Most streams on a connection.
    pub max_streams: u32,
    /// Longest body.
    pub max_body_bytes: usize,
    /// For handshake and headers.
    pub header_timeout: std::time::Duration,
    /// For the body.
    pub body_timeout: std::time::Duration,
    /// Between pings.
    pub keep_alive: std::time::Duration,
}
