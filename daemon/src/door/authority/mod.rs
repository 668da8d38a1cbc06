//! The authority door (8445): mutual TLS under the postal authority's own CA. The log as evidence, every PSD, instructions.
//!
//! Owns who an inspector's client is and the routes. Nobody here asks the vendor's policies: the authority sees the whole appliance, and
//! what it wants done is signed by its keys. A certificate of another door does not open this one, and none of this one another.

mod audits;
mod log;
mod proofs;
mod reads;
mod router;
mod scales;

pub use audits::AuditDesk;
pub use log::LogAnswers;
pub use router::InspectorConnection;

use crate::authority::AuthorityKeys;
use crate::ceremony::Ceremonies;
use crate::config::Rotation;
use crate::door::digital_tokens::DigitalTokens;
use crate::door::numbers::Numbers;
use crate::door::receipts::Receipts;
use crate::spine::{Handle, Newest};
use psd::ApplianceId;
use psdd_wire::checkpoint::LogKey;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What every connection of the door shares.
pub struct AuthorityState {
    /// Into the core.
    pub core: Handle,
    /// What signs as the log, and the status list.
    pub ceremonies: Ceremonies,
    /// The newest checkpoint: what it does not cover is not told.
    pub newest: Arc<Newest>,
    /// Leaves in the log, at least.
    pub log_size: Arc<AtomicU64>,
    /// Who reads the log.
    pub log: LogAnswers,
    /// What PSDs say to a challenge.
    pub audits: AuditDesk,
    /// What makes receipts.
    pub receipts: Arc<Receipts>,
    /// What opens certification numbers, where they are given.
    pub numbers: Option<Arc<Numbers>>,
    /// What judges digital tokens.
    pub digital_tokens: Arc<DigitalTokens>,
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
    /// When keys are rotated without an order.
    pub rotations: Vec<Rotation>,
    /// Bounds of requests and connections.
    pub limits: super::listener::Limits,
}
