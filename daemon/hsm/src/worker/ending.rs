//! How a worker ends: at once, with a status that says why.
//!
//! No C_Finalize: it can hang or crash, and the end of the process says the same to the token.

use std::sync::atomic::{AtomicBool, Ordering};

static ENDING: AtomicBool = AtomicBool::new(false);

/// Why a worker ends. The keeper starts another after each but the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It was told to.
    Told,
    /// The module is broken, or could not be loaded.
    Module,
    /// The token is gone, in error, or not the one that is configured.
    Token,
    /// The login is gone; the next worker logs in again.
    LoginLost,
    /// A login failed; the mark is set and the next worker reports it.
    Latched,
    /// An operator cleared the latch; the next worker logs in.
    Unlatched,
    /// The keeper is gone.
    KeeperGone,
    /// What the keeper sent was not right.
    Setup,
}

impl Ending {
    /// The exit status.
    pub const fn status(self) -> i32 {
        match self {
            Ending::Told => 0,
            Ending::Module => 70,
            Ending::Token => 71,
            Ending::LoginLost => 72,
            Ending::Latched => 73,
            Ending::Unlatched => 74,
            Ending::KeeperGone => 75,
            Ending::Setup => 76,
        }
    }

    /// What the exit status says, if it is one of a worker.
    pub fn of_status(status: i32) -> Option<Self> {
        let all = [
            Ending::Told,
            Ending::Module,
            Ending::Token,
            Ending::LoginLost,
            Ending::Latched,
            Ending::Unlatched,
            Ending::KeeperGone,
            Ending::Setup,
        ];
        all.into_iter().find(|ending| ending.status() == status)
    }
}

/// Whether some thread has begun to end the process.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Ends the process. The first thread to come here does it; others wait to be ended with it.
#[expect(clippy::disallowed_methods, reason = "a thread of the worker ends the process; nothing is left to flush")]
pub fn end(ending: Ending, why: &str) -> ! {
    if ENDING.swap(true, Ordering::SeqCst) {
        loop {
            std::thread::park();
        }
    }
    match ending {
        Ending::Told | Ending::Unlatched => tracing::info!("worker ends: {why}"),
        Ending::Module | Ending::Token | Ending::LoginLost | Ending::Latched | Ending::KeeperGone | Ending::Setup => {
            tracing::error!(?ending, "worker ends: {why}")
        }
    }
    std::process::exit(ending.status());
}
