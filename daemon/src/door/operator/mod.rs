//! The operator door (8444): mutual TLS under the operators' own CA, CBOR, routes of its own.
//!
//! Owns who an operator's client is and the routes. A client certificate says who asks and nothing more: what binds is what operators
//! have signed. A vendor's certificate does not open this door, and an operator's not the vendor door.

mod appliance;
mod ceremonies;
mod certificates;
mod identity;
mod keys;
mod router;
mod unseal;

pub use ceremonies::status;
pub use identity::OperatorClient;

use crate::ceremony::Ceremonies;
use crate::config::Rotation;
use crate::spine::Handle;
use crate::tokens::Router;
use psd::ApplianceId;
use std::path::PathBuf;
use std::sync::Arc;

/// What every connection of the door shares.
pub struct OperatorState {
    /// Into the core.
    pub core: Handle,
    /// Where ceremonies are carried out.
    pub ceremonies: Ceremonies,
    /// What is known of the tokens.
    pub router: Arc<Router>,
    /// Their names.
    pub tokens: Vec<String>,
    /// Where the keeper takes shares.
    pub unseal_socket: Option<PathBuf>,
    /// The authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// `development` or `production`.
    pub environment: &'static str,
    /// When keys are rotated without an order.
    pub rotations: Vec<Rotation>,
    /// Bounds of requests and connections.
    pub limits: super::listener::Limits,
}
