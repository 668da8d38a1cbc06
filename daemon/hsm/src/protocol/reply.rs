//! What the worker answers, and how it tells of failures.

use super::{FoundKey, KeyEntry, Welcome};
use minicbor::{Decode, Encode};

/// The most keys in one frame, so that a token with tens of thousands of them can be welcomed.
pub const KEYS_PER_FRAME: usize = 64;

/// What the worker tells psdd.
#[derive(Encode, Decode, Clone, PartialEq, Debug)]
pub enum Reply {
    /// The answer to Hello: the token is logged in and its keys are known.
    #[n(0)]
    Welcome(#[n(0)] Box<Welcome>),
    /// The answer to Hello: no login is tried until an operator clears the latch.
    #[n(1)]
    Latched {
        /// What happened.
        #[n(0)]
        reason: String,
        /// The command that clears it.
        #[n(1)]
        clear: String,
    },
    /// The answer to Hello: the token cannot be served now.
    #[n(2)]
    Unavailable {
        /// Why.
        #[n(0)]
        reason: String,
    },
    /// All signatures of a frame, in order.
    #[n(3)]
    Signed {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// The signatures back to back.
        #[cbor(n(2), with = "minicbor::bytes")]
        signatures: Vec<u8>,
        /// How long each of them is, in bytes.
        #[n(3)]
        each: u16,
    },
    /// A key was made.
    #[n(4)]
    Generated {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// SubjectPublicKeyInfo, DER; for a MAC key the MAC of [`KEY_CHECK`](super::KEY_CHECK).
        #[cbor(n(2), with = "minicbor::bytes")]
        spki: Vec<u8>,
        /// The private half, encrypted, where it is to be kept wrapped; the token does not have it any more.
        #[cbor(n(3), with = "minicbor::bytes")]
        wrapped: Option<Vec<u8>>,
    },
    /// A data object, or that there is none.
    #[n(5)]
    Object {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// CKA_VALUE.
        #[cbor(n(2), with = "minicbor::bytes")]
        bytes: Option<Vec<u8>>,
    },
    /// The token's clock.
    #[n(6)]
    ClockReading {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// Milliseconds since 1970 in UTC, at a resolution of 1 s; none where the token has no clock.
        #[n(2)]
        unix_ms: Option<u64>,
    },
    /// Done, with nothing to give back.
    #[n(7)]
    Done {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
    },
    /// Not done.
    #[n(8)]
    Failed {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// Why.
        #[n(2)]
        fault: HsmFault,
    },
    /// Some of the keys; any number of these come before the Welcome.
    #[n(9)]
    Keys(#[n(0)] Vec<KeyEntry>),
    /// The key that the token has under a CKA_ID, or that it has none.
    #[n(10)]
    Found {
        /// The request answered.
        #[n(0)]
        request: u64,
        /// The worker process that answers.
        #[n(1)]
        incarnation: u64,
        /// The key.
        #[n(2)]
        key: Option<FoundKey>,
    },
}

/// Whose fault a failure is, and so what is done about it.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cbor(index_only)]
pub enum FaultClass {
    /// The session is broken; the worker opened another.
    #[n(1)]
    Session,
    /// The login is gone or was refused; the worker ends.
    #[n(2)]
    Login,
    /// The module is broken; the worker ends and a fresh process follows.
    #[n(3)]
    Module,
    /// Only this request.
    #[n(4)]
    Request,
    /// The token is gone or in error; the worker ends and a fresh process follows.
    #[n(5)]
    Token,
    /// The worker refuses: the form, the role, the floor or the key is not right.
    #[n(6)]
    Refused,
    /// The frame was meant for another worker process.
    #[n(7)]
    Stale,
    /// The worker went away before it answered.
    #[n(8)]
    WorkerLost,
    /// No answer came before the deadline.
    #[n(9)]
    Deadline,
}

/// Why a request failed.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{step}: {code}")]
pub struct HsmFault {
    /// Whose fault.
    #[n(0)]
    pub class: FaultClass,
    /// The CKR name as in the standard, or a code of our own in lower case with dashes.
    #[n(1)]
    pub code: String,
    /// The PKCS#11 function, or the step of ours.
    #[n(2)]
    pub step: String,
    /// Whether the same request may succeed when it is sent again.
    #[n(3)]
    pub retryable: bool,
}
