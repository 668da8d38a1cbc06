//! The durable journal and Merkle log of `psdd` (docs/ledger.md is the format).
//!
//! Owns the database: one writer, any number of readers, recovery, verification. Refuses to go on after a failed write or
//! sync, and to hand out anything of type [`Durable`] that is not on stable storage. `psdd` and `psdctl ledger` call it.

mod back_up;
mod batch;
mod ceremony;
mod checkpoints;
mod copier;
pub mod journal;
mod live;
mod log_reader;
pub mod open;
pub mod reader;
mod recover;
mod rows;
mod schema;
pub mod scrub;
pub mod tile;
pub mod verify;
mod write;

pub use back_up::{BackUpError, back_up};
pub use ceremony::DoneStep;
pub use journal::{Body, Journal, NewRecord, Rules};
pub use log_reader::LogReader;
pub use open::{Ledger, OpenError, Recovered};
pub use psd::appliance::{Appliance, FollowError};
pub use psd::tree::Hash;
pub use reader::{Greatest, ReadError, Reader};

use psd::record::Record;
use std::sync::Arc;

/// A record that is on stable storage. Only this crate makes one: after a commit, or by reading committed state.
#[derive(Clone, Debug)]
pub struct Durable {
    leaf: u64,
    /// Shared: an outcome is passed from hand to hand, and a record is some hundred bytes.
    record: Arc<Record>,
}

impl Durable {
    /// Index in the log.
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// The store failed. Nothing may be retried: the process must stop (DESIGN.md §4, guarantee 5).
#[derive(Debug, thiserror::Error)]
#[error("ledger: {step} failed: {source}")]
pub struct StoreFault {
    /// What was being done.
    pub step: &'static str,
    /// What SQLite says.
    #[source]
    pub source: rusqlite::Error,
}

impl StoreFault {
    /// A broken invariant, found before it reached the disk: the process must stop just the same.
    pub(crate) fn broken(step: &'static str, what: &'static str) -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
        Self { step, source: rusqlite::Error::SqliteFailure(code, Some(what.to_owned())) }
    }
}

trait AtStep<T> {
    fn at(self, step: &'static str) -> Result<T, StoreFault>;
}

impl<T> AtStep<T> for Result<T, rusqlite::Error> {
    fn at(self, step: &'static str) -> Result<T, StoreFault> {
        self.map_err(|source| StoreFault { step, source })
    }
}

/// SQLite integers are signed; leaves, amounts and times of ours are below 2^63.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
