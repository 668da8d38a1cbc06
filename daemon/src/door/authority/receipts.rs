//! The root that receipts are made of: signed by the log key when somebody asks, off the hot path, one at a time, and once for many.

use super::AuthorityState;
use super::log::not_published;
use crate::door::failure::Failure;
use crate::door::operator::{beside, refused};
use psdd_wire::spki::KeyKind;
use psdd_wire::tlog::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A signature serves every leaf below its size for so long, though there are newer checkpoints.
const SERVES: Duration = Duration::from_secs(1);
/// How long the token may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The root that was signed last for receipts.
#[derive(Default)]
pub struct Receipts(Mutex<Option<Arc<SignedRoot>>>);

/// A root of the log, of a published checkpoint, and the log key's COSE signature over it.
pub(super) struct SignedRoot {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) kind: KeyKind,
    pub(super) signature: Vec<u8>,
    at: Instant,
}

impl Receipts {
    /// A signed root over this leaf.
    pub(super) async fn over(&self, state: &AuthorityState, leaf: u64) -> Result<Arc<SignedRoot>, Failure> {
        // Whoever waits here for longer than a signature may take has a token that does not sign before it.
        let kept = tokio::time::timeout(2 * PATIENCE, self.0.lock()).await;
        let mut kept = kept.ok().ok_or_else(Failure::overloaded)?;
        let serves = |signed: &&Arc<SignedRoot>| {
            leaf < signed.size && (signed.size == state.newest.size() || signed.at.elapsed() < SERVES)
        };
        if let Some(signed) = kept.as_ref().filter(serves) {
            return Ok(Arc::clone(signed));
        }
        let head = state.newest.head().filter(|(size, _)| leaf < *size);
        let (size, root) = head.ok_or_else(|| not_published(state, leaf.checked_add(1)))?;
        let ceremonies = state.ceremonies.clone();
        let signed = beside(move || ceremonies.sign_root(&root, PATIENCE)).await?;
        let (kind, signature) = signed.map_err(|failure| refused(&failure))?;
        let signed = Arc::new(SignedRoot { size, root, kind, signature, at: Instant::now() });
        *kept = Some(Arc::clone(&signed));
        Ok(signed)
    }
}
