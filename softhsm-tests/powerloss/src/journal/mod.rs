//! The journal of what became durable: its records, what they add up to, and the restore after a kill.
//!
//! The shim appends [`Record`]s, each by one write; tests call [`restore`]. Encoding and [`replay`] are pure.

mod record;
mod replay;
mod restore;

pub use record::{Decoded, FileId, JournalError, Record, decode};
pub use replay::{Durable, DurableFile, replay};
pub use restore::{RestoreError, Restored, restore};
