//! What can be wrong with a log, with whoever serves it, or with the mirror itself.

use super::PinError;
use crate::durable::DiskError;
use crate::source::FetchError;
use psdd_wire::checkpoint::CheckpointError;
use std::path::PathBuf;

/// Why a mirror did not advance, or cannot be used. It stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The source does not answer, or fails; try again.
    #[error("{path}: {source}")]
    Fetch {
        /// What was asked for.
        path: String,
        /// What the source says.
        #[source]
        source: FetchError,
    },
    /// The source withholds a part of the log that it signed.
    #[error("{path} is missing, though the log's signed checkpoint covers it")]
    Missing {
        /// What was asked for.
        path: String,
    },
    /// Not of the form that C2SP tlog-tiles gives it.
    #[error("{path} {what}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The checkpoint is not this log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Another log.
    #[error(
        "the checkpoint is of log {told:?}, and the mirror of {pinned:?}: another appliance answers there; give that a mirror of its own"
    )]
    OtherLog {
        /// Its origin.
        told: String,
        /// That of the mirror's log.
        pinned: String,
    },
    /// Leaf 0 is not believed.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The log is shorter than it was.
    #[error(
        "rollback: the log signed {told} records, and {seen} before; both signed checkpoints are kept in {}", evidence.display()
    )]
    RolledBack {
        /// Size signed now.
        told: u64,
        /// Size signed before.
        seen: u64,
        /// Both signed checkpoints.
        evidence: PathBuf,
    },
    /// The log signed two histories.
    #[error(
        "fork: the log signed {told} records that do not begin with the {seen} it signed before; both signed checkpoints are kept in {}", evidence.display()
    )]
    Forked {
        /// Size signed now.
        told: u64,
        /// Size signed before.
        seen: u64,
        /// Both signed checkpoints.
        evidence: PathBuf,
    },
    /// Tiles that are not those of the signed root: whether the log forked cannot be told from them.
    #[error(
        "the tiles served do not lead to the signed root of {told} records; both signed checkpoints are kept in {}", evidence.display()
    )]
    TilesDiffer {
        /// Size signed now.
        told: u64,
        /// Both signed checkpoints.
        evidence: PathBuf,
    },
    /// An entry is not the one that the log signed.
    #[error("record {leaf} was edited: it does not hash to the signed tree; what was served is kept in {}", evidence.display())]
    Edited {
        /// The leaf.
        leaf: u64,
        /// What was served, with the checkpoint.
        evidence: PathBuf,
    },
    /// Beyond the mirror.
    #[error("the mirror has no record {leaf}")]
    NoLeaf {
        /// The leaf.
        leaf: u64,
    },
    /// The mirror's own files are not what was put there.
    #[error("the mirror is damaged: {what}; make a new one from the log")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// There is a mirror already.
    #[error("{} holds a mirror already; open it", directory.display())]
    Pinned {
        /// Where.
        directory: PathBuf,
    },
    /// A mirror whose pin is gone.
    #[error("{} holds parts of a mirror without its pin: keep it as it is, and make a new mirror elsewhere", directory.display())]
    Unpinned {
        /// Where.
        directory: PathBuf,
    },
    /// There is no mirror.
    #[error("{} holds no mirror; make one with the log key or the authority's root", directory.display())]
    NotPinned {
        /// Where.
        directory: PathBuf,
    },
    /// Another process has it.
    #[error("{} is in use by another process", directory.display())]
    InUse {
        /// Where.
        directory: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
