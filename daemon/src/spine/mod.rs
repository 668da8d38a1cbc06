//! The shell around the core: threads, channels and the two stores of truth.
//!
//! `spine-core` owns the engine and everything the engine's actions need; `spine-ledger` owns the journal; `spine-look-up` owns a
//! reader; each token has a link with its own threads. What is admitted is bounded by the core, and by
//! that every queue between them: none of them ever blocks another.

mod checkpoint;
mod core_thread;
mod ledger_thread;
pub(crate) mod look_up;
mod metrics;
mod spot_check;

pub use checkpoint::Newest;
pub use core_thread::{FrameEvent, Handle, Listeners, Spine, SpineParts, SpineSettings, Unavailable};
pub use metrics::Metrics;

use std::fmt;

/// Why the process must stop now (docs/operations.md lists the exit codes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fatal {
    /// The ledger could not be written, read or synced.
    Ledger(String),
    /// A token carries another daemon's owner epoch.
    Fenced(String),
    /// Something that cannot happen did.
    Broken(String),
}

impl Fatal {
    /// The exit code: EX_IOERR, EX_TEMPFAIL, EX_SOFTWARE of sysexits.h.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Fatal::Ledger(_) => 74,
            Fatal::Fenced(_) => 75,
            Fatal::Broken(_) => 70,
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Ledger(what) => write!(f, "ledger: {what}"),
            Fatal::Fenced(what) => write!(f, "fenced off: {what}"),
            Fatal::Broken(what) => write!(f, "broken invariant: {what}"),
        }
    }
}

/// Ends the process without unwinding: nothing that is in memory may be released after a fault of this kind.
#[expect(
    clippy::disallowed_methods,
    reason = "a fault of this kind must not unwind through code that could still release something"
)]
pub fn die(fatal: &Fatal) -> ! {
    tracing::error!(%fatal, exit_code = fatal.exit_code(), "psdd stops");
    std::process::exit(i32::from(fatal.exit_code()))
}
