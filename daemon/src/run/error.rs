//! Why the daemon did not start, and the exit code that says so.

use crate::certify::LoadError;
use crate::tokens::{GuardError, TokensError};
use psd::clock::ClockStop;
use psdd_ledger::{OpenError, StoreFault};
use psdd_tls::TlsError;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// Writing to it, or reading it.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The policies.
    #[error("policy: {0}")]
    Policy(String),
    /// Rate tables or scales.
    #[error("certification: {0}")]
    Certification(#[source] LoadError),
    /// TLS.
    #[error("{door} door: {source}")]
    Tls {
        /// Of which door.
        door: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// One client certificate would open two doors.
    #[error(
        "{door}.client_ca: {} has a key that {} of the {other} door has too; each door needs a CA of its own",
        .ca.display(), .other_ca.display()
    )]
    SharedCa {
        /// The door.
        door: &'static str,
        /// Its client CA.
        ca: std::path::PathBuf,
        /// Another door.
        other: &'static str,
        /// That one's.
        other_ca: std::path::PathBuf,
    },
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Fence or anchor.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The configuration does not fit the appliance.
    #[error("{0}")]
    Unfit(String),
    /// There is no time.
    #[error("clock: {0}")]
    Clock(#[from] ClockStop),
    /// Sockets, threads, signals.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RunError {
    /// The exit code (sysexits.h; docs/operations.md): 74 and 75 as for a running daemon, 78 for what only a person can
    /// change, 69 for what may be there a moment later.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Ledger(OpenError::RolledBack { .. })
            | RunError::Guard(GuardError::RolledBack { .. } | GuardError::Forked { .. }) => 75,
            // Another version can read it: no fault of the disk.
            RunError::Ledger(OpenError::Format(_)) => 78,
            RunError::Ledger(_) | RunError::Store(_) => 74,
            RunError::Policy(_)
            | RunError::Certification(_)
            | RunError::Tls { .. }
            | RunError::SharedCa { .. }
            | RunError::Unfit(_)
            | RunError::Guard(GuardError::Damaged { .. }) => 78,
            RunError::Guard(GuardError::Call { .. } | GuardError::Tree(_))
            | RunError::Tokens(_)
            | RunError::Clock(_)
            | RunError::Io { .. } => 69,
        }
    }
}

pub(super) fn io(what: &'static str) -> impl Fn(std::io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}
