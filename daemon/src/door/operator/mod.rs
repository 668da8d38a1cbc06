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
pub(super) use ceremonies::{beside, refused};
pub use identity::OperatorClient;
pub use keys::keys;

use crate::ceremony::Ceremonies;
use crate::config::Rotation;
use crate::door::failure::Failure;
use crate::spine::Handle;
use crate::tokens::Router;
use psd::ApplianceId;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The door, which opens before the tokens are up: until then shares of a sealed PIN come in by it and nothing else.
pub struct OperatorDoor {
    /// Where the keeper takes shares.
    pub unseal_socket: Option<PathBuf>,
    /// Bounds of requests and connections.
    pub limits: super::listener::Limits,
    /// What is known of the tokens.
    pub router: Arc<Router>,
    /// Their names.
    pub tokens: Vec<String>,
    /// What is behind it, once the daemon serves.
    pub inside: OnceLock<OperatorState>,
}

impl OperatorDoor {
    fn inside(&self) -> Result<&OperatorState, Failure> {
        self.inside.get().ok_or_else(|| {
            let troubles = self.router.troubles(&self.tokens).join("; ");
            Failure::passing("starting", format!("psdd waits for its tokens: {troubles}"), 1_000)
        })
    }
}

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
    /// The authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// `development` or `production`.
    pub environment: &'static str,
    /// When keys are rotated without an order.
    pub rotations: Vec<Rotation>,
}
