//! What crosses the Unix socket between psdd and the worker of a token.
//!
//! Owns the frames and their meaning. Refuses bare digests: a request to sign carries the role, the form and the
//! message, so that the worker can judge what it is asked to sign. [`crate::link`] speaks one side of it, the
//! worker the other. Both come from one release: a version that differs is refused in the Hello.
//!
//! A frame is a 32-bit little-endian length and one CBOR item, an array of `[kind, [fields]]`; see
//! [`crate::frame`].

mod heartbeat;
mod messages;
mod reply;
mod request;
mod welcome;

pub use heartbeat::{CallAge, Heartbeat, WorkerState};
pub use messages::Messages;
pub use psd::key::TOKEN_MAC_DOMAIN;
pub use reply::{FaultClass, HsmFault, KEYS_PER_FRAME, Reply};
pub use request::Request;
pub(crate) use request::RequestRef;
pub use welcome::{FoundKey, KeyEntry, ProfileSummary, TokenIdentity, Welcome};

use minicbor::{Decode, Encode};

/// The version both sides state in their Hello.
pub const VERSION: u32 = 3;

/// What a MAC key is told by: it has no public half, so the MAC of these bytes stands wherever a key pair has its
/// SubjectPublicKeyInfo. They do not begin with [`TOKEN_MAC_DOMAIN`], so that nothing that is made of a MAC has this one.
pub const KEY_CHECK: &[u8] = b"psdd/key-check/v1\0";

/// The code by which a key is not made: there is one of its CKA_ID.
pub const KEY_EXISTS: &str = "key-exists";

/// The most messages one frame may carry.
pub const MAX_MESSAGES: usize = 16_384;

/// The form a message to sign must have.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cbor(index_only)]
pub enum Form {
    /// An indicium without its signature; its ascending register must be above the floor.
    #[n(1)]
    Indicium,
    /// A COSE `Sig_structure` for COSE_Sign1 (RFC 9052 §4.4).
    #[n(2)]
    CoseSign1,
    /// The body of a C2SP checkpoint: origin, size, root, each on a line.
    #[n(3)]
    Checkpoint,
    /// A PKCS#10 CertificationRequestInfo for the signing key itself (RFC 2986 §4.1).
    #[n(4)]
    CertificationRequest,
    /// [`TOKEN_MAC_DOMAIN`], and behind it what the MAC is for and of what.
    #[n(5)]
    TokenMac,
}

impl Form {
    /// The name of the form in refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Indicium => "indicium",
            Form::CoseSign1 => "cose-sign1",
            Form::Checkpoint => "checkpoint",
            Form::CertificationRequest => "certification-request",
            Form::TokenMac => "token-mac",
        }
    }
}
