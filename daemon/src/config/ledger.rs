//! `[ledger]`.

use psdd_ledger::journal::Rules;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::time::Duration;

const DAY: NonZeroU32 = NonZeroU32::new(24).unwrap();

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
    /// Hours from the end of one scrub of the whole ledger to the beginning of the next.
    pub scrub_every_hours: NonZeroU32,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            state_digest_records: 65_536,
            checkpoint_every_ms: 250,
            checkpoint_bound_ms: 2_000,
            scrub_every_hours: DAY,
        }
    }
}

impl LedgerConfig {
    /// For the journal.
    pub fn rules(&self) -> Rules {
        Rules { state_digest_records: self.state_digest_records, ..Rules::default() }
    }

    /// From the end of one scrub to the beginning of the next.
    pub fn scrub_every(&self) -> Duration {
        Duration::from_secs(u64::from(self.scrub_every_hours.get()) * 3_600)
    }
}
