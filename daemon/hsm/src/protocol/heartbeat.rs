//! What a worker tells its keeper.

use minicbor::{Decode, Encode};

/// What the worker tells its keeper, ten times a second.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// How far the worker is.
    #[n(0)]
    pub state: WorkerState,
    /// The oldest PKCS#11 call under way, if there is one.
    #[n(1)]
    pub oldest: Option<CallAge>,
    /// The reason of a latch.
    #[n(2)]
    pub reason: Option<String>,
}

/// How far a worker is.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
#[cbor(index_only)]
pub enum WorkerState {
    /// It loads the module and looks for the token.
    #[n(1)]
    Starting,
    /// It is inside C_Login or about to be.
    #[n(2)]
    Login,
    /// It serves psdd.
    #[n(3)]
    Ready,
    /// It found the mark of a login that did not succeed.
    #[n(4)]
    Latched,
}

/// A PKCS#11 call under way.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct CallAge {
    /// The function.
    #[n(0)]
    pub call: String,
    /// Since when.
    #[n(1)]
    pub age_ms: u64,
    /// After how long the keeper ends the worker.
    #[n(2)]
    pub deadline_ms: u64,
}
