//! `[ledger]`.

use psdd_ledger::journal::Rules;
use serde::Deserialize;

/// The ledger.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// A state digest is written after so many records; a start replays at most so many.
    pub state_digest_records: u64,
    /// Shortest time between two checkpoints.
    pub checkpoint_every_ms: u64,
    /// Leaves without a signature for longer stop signing.
    pub checkpoint_bound_ms: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { state_digest_records: 65_536, checkpoint_every_ms: 250, checkpoint_bound_ms: 2_000 }
    }
}

impl LedgerConfig {
    /// For the journal.
    pub fn rules(&self) -> Rules {
        Rules { state_digest_records: self.state_digest_records, ..Rules::default() }
    }
}
