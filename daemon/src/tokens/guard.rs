//! The fence and the anchor: what a token remembers of its daemon (DESIGN.md §5).
//!
//! The fence is this daemon's owner epoch, written at start and read again every second: a cloned machine on the same token
//! makes itself known within that time, and the elder stops. The anchor is size and root of the log, written after they
//! are durable: a ledger that is behind it was rolled back.

use crate::spine::{Fatal, Newest, die};
use psdd_hsm::link::{CallError, Link};
use psdd_hsm::protocol::Welcome;
use psdd_ledger::Reader;
use psdd_ledger::tile::TileError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const CALL: Duration = Duration::from_secs(5);
const FENCE_EVERY: Duration = Duration::from_secs(1);

/// Why a start stops at a token.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The token does not do it.
    #[error("token {token}: {source}")]
    Call {
        /// Its name.
        token: String,
        /// Why.
        source: CallError,
    },
    /// The anchor is not of this log, or it cannot be read.
    #[error(
        "token {token}: the anchor covers {anchored} records, this log has {size}: it was rolled back, and never signs again"
    )]
    RolledBack {
        /// Its name.
        token: String,
        /// In the anchor.
        anchored: u64,
        /// In the ledger.
        size: u64,
    },
    /// Another history.
    #[error("token {token}: the anchor over {size} records has another root than this log: it is another log")]
    Forked {
        /// Its name.
        token: String,
        /// In the anchor.
        size: u64,
    },
    /// Not 40 bytes.
    #[error("token {token}: the anchor is damaged")]
    Damaged {
        /// Its name.
        token: String,
    },
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TileError),
}

/// Watches over fence and anchor for as long as the daemon runs.
pub struct Guard {
    appliance: String,
    owner_epoch: [u8; 16],
    names: Vec<String>,
}

impl Guard {
    /// For this appliance, with a fresh owner epoch.
    pub fn new(appliance: String, owner_epoch: [u8; 16], names: Vec<String>) -> Self {
        Self { appliance, owner_epoch, names }
    }

    /// At start: refuses a ledger behind an anchor.
    pub fn check_anchor(&self, index: usize, link: &Link, ledger: &Reader, size: u64) -> Result<(), GuardError> {
        let token = self.name(index);
        let read = link.blocking().read_object(&self.anchor_label(), CALL);
        let Some(anchor) = read.map_err(|source| GuardError::Call { token: token.clone(), source })? else {
            return Ok(());
        };
        let Some((anchored, root)) = anchor.split_first_chunk::<8>() else { return Err(GuardError::Damaged { token }) };
        let anchored = u64::from_be_bytes(*anchored);
        if root.len() != 32 {
            return Err(GuardError::Damaged { token });
        }
        if anchored > size {
            return Err(GuardError::RolledBack { token, anchored, size });
        }
        if ledger.root_at(anchored)?.as_slice() != root {
            return Err(GuardError::Forked { token, size: anchored });
        }
        Ok(())
    }

    /// At start: takes the token.
    pub fn raise_fence(&self, index: usize, link: &Link) -> Result<(), GuardError> {
        let written = link.blocking().write_object(&self.fence_label(), &self.owner_epoch, CALL);
        written.map_err(|source| GuardError::Call { token: self.name(index), source })
    }

    /// Watches until told to stop; one thread for each token.
    pub fn watch(
        self: &Arc<Self>,
        links: &Arc<OnceLock<Vec<Link>>>,
        newest: &Arc<Newest>,
        welcomes: &[Arc<Welcome>],
        stop: &Arc<AtomicBool>,
    ) -> std::io::Result<()> {
        for (index, welcome) in welcomes.iter().enumerate() {
            let (guard, links, newest, stop) =
                (Arc::clone(self), Arc::clone(links), Arc::clone(newest), Arc::clone(stop));
            let window = Duration::from_millis(welcome.profile.anchor_window_ms.max(100));
            let run = move || guard.watch_one(index, &links, &newest, window, &stop);
            std::thread::Builder::new().name(format!("guard-{index}")).spawn(run)?;
        }
        Ok(())
    }

    fn watch_one(
        &self,
        index: usize,
        links: &OnceLock<Vec<Link>>,
        newest: &Newest,
        window: Duration,
        stop: &AtomicBool,
    ) {
        let Some(link) = links.get().and_then(|links| links.get(index)) else { return };
        let (mut fenced_at, mut anchored_at, mut anchored) = (Instant::now(), Instant::now(), 0);
        while !stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(100).min(window));
            if fenced_at.elapsed() >= FENCE_EVERY {
                fenced_at = Instant::now();
                self.look_at_fence(index, link);
            }
            if anchored_at.elapsed() >= window
                && let Some((size, root)) = newest.head().filter(|(size, _)| *size > anchored)
            {
                anchored_at = Instant::now();
                let anchor = [&size.to_be_bytes()[..], &root].concat();
                match link.blocking().write_object(&self.anchor_label(), &anchor, CALL) {
                    Ok(()) => anchored = size,
                    Err(error) => tracing::warn!(token = self.name(index), %error, "the anchor was not written"),
                }
            }
        }
    }

    fn look_at_fence(&self, index: usize, link: &Link) {
        match link.blocking().read_object(&self.fence_label(), CALL) {
            Ok(Some(epoch)) if epoch == self.owner_epoch => {}
            Ok(_) => die(&Fatal::Fenced(format!(
                "token {} carries the owner epoch of another daemon of this appliance",
                self.name(index)
            ))),
            Err(error) => tracing::debug!(token = self.name(index), %error, "the fence could not be read"),
        }
    }

    fn anchor_label(&self) -> String {
        format!("psdd-anchor/{}", self.appliance)
    }

    fn fence_label(&self) -> String {
        format!("psdd-fence/{}", self.appliance)
    }

    fn name(&self, index: usize) -> String {
        self.names.get(index).cloned().unwrap_or_default()
    }
}
