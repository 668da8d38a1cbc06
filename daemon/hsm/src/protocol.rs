//! What crosses the Unix socket between psdd and the worker of a token.
//!
//! Owns the frames and their meaning. Refuses bare digests: a request to sign carries the role, the form and the
//! message, so that the worker can judge what it is asked to sign. [`crate::link`] speaks one side of it, the
//! worker the other. Both come from one release: a version that differs is refused in the Hello.
//!
//! A frame is a 32-bit little-endian length and one CBOR item, an array of `[kind, [fields]]`; see
//! [`crate::frame`].

use crate::role::{Algorithm, Residence, Role, algorithm_codec, residence_codec, role_codec};
use minicbor::{Decode, Encode};

/// The version both sides state in their Hello.
pub const VERSION: u32 = 3;

/// What every message to be MACed for a digital token begins with, so that no MAC of a token key is good for anything
/// else. One byte at least follows.
pub const TOKEN_MAC_DOMAIN: &[u8] = b"psdd/token-mac/v1\0";

/// What a MAC key is told by: it has no public half, so the MAC of these bytes stands wherever a key pair has its
/// SubjectPublicKeyInfo. They do not begin with [`TOKEN_MAC_DOMAIN`], so that no digital token has this MAC.
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
    /// [`TOKEN_MAC_DOMAIN`] and the input of a digital token.
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

/// Messages to sign, back to back in one buffer.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Default, Debug)]
pub struct Messages {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
    /// Where each message ends in `bytes`, rising.
    #[n(1)]
    ends: Vec<u32>,
}

impl Messages {
    /// An empty list with room for so many messages of so many bytes.
    pub fn with_capacity(messages: usize, bytes_each: usize) -> Self {
        Self { bytes: Vec::with_capacity(messages.saturating_mul(bytes_each)), ends: Vec::with_capacity(messages) }
    }

    /// Adds a message.
    ///
    /// # Panics
    ///
    /// When all messages together exceed 4 GiB; a frame of more than 4 MiB is refused long before.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a frame holds less than 4 GiB"));
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The message at this place.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = usize::try_from(*self.ends.get(index)?).ok()?;
        let start = match index.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// About how many bytes a frame with these messages takes.
    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len().saturating_add(self.ends.len().saturating_mul(5)).saturating_add(128)
    }

    /// Whether the ends rise and the last one is the length of the buffer, as a decoder must ask.
    pub fn is_sound(&self) -> bool {
        self.ends.is_sorted()
            && self.ends.last().map_or(self.bytes.is_empty(), |end| usize::try_from(*end) == Ok(self.bytes.len()))
    }
}

impl<'m> FromIterator<&'m [u8]> for Messages {
    fn from_iter<T: IntoIterator<Item = &'m [u8]>>(messages: T) -> Self {
        let mut list = Self::default();
        for message in messages {
            list.push(message);
        }
        list
    }
}

/// A request of psdd to the worker.
///
/// `incarnation` is what the worker said in its [`Welcome`]; another one is answered [`FaultClass::Stale`].
#[derive(Encode, Decode, Clone, PartialEq, Debug)]
pub enum Request {
    /// The first frame of a connection.
    #[n(0)]
    Hello {
        /// [`VERSION`].
        #[n(0)]
        version: u32,
    },
    /// Sign all messages or none.
    #[n(1)]
    Sign {
        /// Chosen by psdd, given back in the answer.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// The role the key must have.
        #[cbor(n(3), with = "role_codec")]
        role: Role,
        /// The form every message must have.
        #[n(4)]
        form: Form,
        /// The highest committed ascending register of the key's PSD, in the unit of the message; 0 for others.
        #[n(5)]
        floor: u64,
        /// What to sign.
        #[n(6)]
        messages: Messages,
    },
    /// Make a key in the token.
    #[n(2)]
    Generate {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// What the key will sign; must be the first byte of `key_id`.
        #[cbor(n(2), with = "role_codec")]
        role: Role,
        /// How it signs.
        #[cbor(n(3), with = "algorithm_codec")]
        algorithm: Algorithm,
        /// CKA_ID: the role's number and then whatever psdd chooses.
        #[cbor(n(4), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// CKA_LABEL.
        #[n(5)]
        label: String,
        /// Where its private half is to be kept.
        #[cbor(n(6), with = "residence_codec")]
        residence: Residence,
    },
    /// Read a data object of the token.
    #[n(3)]
    ReadObject {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_LABEL.
        #[n(2)]
        label: String,
    },
    /// Write a data object of the token, in place of the one of that label.
    #[n(4)]
    WriteObject {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_LABEL.
        #[n(2)]
        label: String,
        /// CKA_VALUE.
        #[cbor(n(3), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// Read the token's own clock.
    #[n(5)]
    Clock {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
    },
    /// Let the key make a real signature that stays in the worker, as readiness asks.
    #[n(6)]
    TestSign {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
    /// Know this wrapped key from now on. Without an answer: a frame for the key follows, and says what is wrong with it.
    #[n(7)]
    Adopt {
        /// The worker process meant; another one ignores it.
        #[n(0)]
        incarnation: u64,
        /// CKA_ID.
        #[cbor(n(1), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// What it may sign; must be the first byte of `key_id`.
        #[cbor(n(2), with = "role_codec")]
        role: Role,
        /// How it signs.
        #[cbor(n(3), with = "algorithm_codec")]
        algorithm: Algorithm,
        /// The public half it must prove itself under: see [`KeyEntry::spki`].
        #[cbor(n(4), with = "minicbor::bytes")]
        spki: Vec<u8>,
        /// The private half, encrypted under the token's wrapping key.
        #[cbor(n(5), with = "minicbor::bytes")]
        wrapped: Vec<u8>,
    },
    /// Search the token, anew, for the key objects of a CKA_ID. A key that no sweep found can be used from then on.
    #[n(9)]
    Find {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
    /// Destroy a key, wherever it is: private and public objects, session copies, what was adopted.
    #[n(8)]
    Destroy {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key; `Done` as well when there is none.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
}

/// [`Request::Sign`] as it is written, without a copy of what it holds.
#[derive(Encode)]
pub(crate) enum RequestRef<'r> {
    #[n(1)]
    Sign {
        #[n(0)]
        request: u64,
        #[n(1)]
        incarnation: u64,
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: &'r [u8],
        #[cbor(n(3), with = "role_codec")]
        role: Role,
        #[n(4)]
        form: Form,
        #[n(5)]
        floor: u64,
        #[n(6)]
        messages: &'r Messages,
    },
}

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
        /// SubjectPublicKeyInfo, DER; for a MAC key the MAC of [`KEY_CHECK`].
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

/// What a worker says of itself and its token.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// [`VERSION`].
    #[n(0)]
    pub version: u32,
    /// Random, one per worker process.
    #[n(1)]
    pub incarnation: u64,
    /// The token.
    #[n(2)]
    pub token: TokenIdentity,
    /// What its profile says.
    #[n(3)]
    pub profile: ProfileSummary,
    /// How many sessions sign.
    #[n(4)]
    pub sessions: u32,
    /// The keys found in the sweep, by CKA_ID. They cross the socket in [`Reply::Keys`] and are none here meanwhile.
    #[n(5)]
    pub keys: Vec<KeyEntry>,
}

/// A token as C_GetTokenInfo describes it.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct TokenIdentity {
    /// CK_TOKEN_INFO.label without its padding.
    #[n(0)]
    pub label: String,
    /// CK_TOKEN_INFO.serialNumber without its padding.
    #[n(1)]
    pub serial: String,
    /// CK_TOKEN_INFO.manufacturerID.
    #[n(2)]
    pub manufacturer: String,
    /// CK_TOKEN_INFO.model.
    #[n(3)]
    pub model: String,
    /// CK_TOKEN_INFO.firmwareVersion, "major.minor".
    #[n(4)]
    pub firmware: String,
    /// CK_TOKEN_INFO.hardwareVersion, "major.minor".
    #[n(5)]
    pub hardware: String,
    /// CKF_CLOCK_ON_TOKEN.
    #[n(6)]
    pub clock_on_token: bool,
    /// CKF_USER_PIN_COUNT_LOW: a wrong PIN was given since the last login.
    #[n(7)]
    pub user_pin_count_low: bool,
    /// CKF_USER_PIN_LOCKED.
    #[n(8)]
    pub user_pin_locked: bool,
    /// CKF_WRITE_PROTECTED.
    #[n(9)]
    pub write_protected: bool,
    /// CKF_ERROR_STATE.
    #[n(10)]
    pub error_state: bool,
}

/// What psdd must know of the profile of the token's family.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct ProfileSummary {
    /// The family.
    #[n(0)]
    pub name: String,
    /// "software", or the validation the family has, such as "fips140-2-level-3".
    #[n(1)]
    pub validated: String,
    /// Whether the family may claim to be a validated module; a software token never may.
    #[n(2)]
    pub hardware: bool,
    /// Whether keys of Ed25519 can be made and used.
    #[n(3)]
    pub ed25519: bool,
    /// Where the anchor goes: "data" for a CKO_DATA object.
    #[n(4)]
    pub anchor_object: String,
    /// Whether the anchor is outside of what a disk image copies.
    #[n(5)]
    pub anchor_survives_disk_image: bool,
    /// At most so many records may be committed after the anchor was written.
    #[n(6)]
    pub anchor_window_records: u64,
    /// At most so much time may pass between a commit and its anchor.
    #[n(7)]
    pub anchor_window_ms: u64,
    /// Whether the profile says that the token's clock may be used.
    #[n(8)]
    pub clock_on_token: bool,
    /// Why no key can be kept wrapped under this token, if none can.
    #[n(9)]
    pub wrapping_problem: Option<String>,
}

/// A key of the token.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct KeyEntry {
    /// CKA_ID.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key_id: Vec<u8>,
    /// What it may sign.
    #[cbor(n(1), with = "role_codec")]
    pub role: Role,
    /// How it signs.
    #[cbor(n(2), with = "algorithm_codec")]
    pub algorithm: Algorithm,
    /// SubjectPublicKeyInfo, DER, or for a MAC key the MAC of [`KEY_CHECK`]; empty where the public half was not found.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub spki: Vec<u8>,
    /// Why the key must not be used, if it must not.
    #[n(4)]
    pub unusable: Option<String>,
}

/// A key of the token as it is found there now.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct FoundKey {
    /// What the sweep of a new worker would say of it.
    #[n(0)]
    pub entry: KeyEntry,
    /// CKA_LABEL of its private or secret object.
    #[n(1)]
    pub label: String,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_sign_request_is_written_like_an_owned_one() {
        let messages: Messages = [b"one".as_slice(), b"", b"three"].into_iter().collect();
        let key_id = vec![1, 2, 3];
        let borrowed = RequestRef::Sign {
            request: 7,
            incarnation: u64::MAX,
            key_id: &key_id,
            role: Role::Device,
            form: Form::CoseSign1,
            floor: 9,
            messages: &messages,
        };
        let bytes = crate::frame::encode(&borrowed).expect("short");
        let decoded: Request = crate::frame::decode(&bytes[4..]).expect("sound");
        let owned = Request::Sign {
            request: 7,
            incarnation: u64::MAX,
            key_id: key_id.clone(),
            role: Role::Device,
            form: Form::CoseSign1,
            floor: 9,
            messages: messages.clone(),
        };
        assert_eq!(decoded, owned);
    }

    #[test]
    fn messages_come_back_as_they_were_pushed() {
        let pushed: [&[u8]; 3] = [b"", b"ab", b"c"];
        let messages: Messages = pushed.into_iter().collect();
        assert_eq!(messages.iter().collect::<Vec<_>>(), pushed);
        assert!(messages.is_sound());
        assert_eq!(messages.get(3), None);
    }

    #[test]
    fn ends_that_fall_or_miss_the_buffer_are_not_sound() {
        let falling = Messages { bytes: vec![0; 4], ends: vec![3, 1, 4] };
        let short = Messages { bytes: vec![0; 4], ends: vec![2] };
        let long = Messages { bytes: vec![0; 4], ends: vec![5] };
        let without_end = Messages { bytes: vec![0], ends: Vec::new() };
        for messages in [falling, short, long, without_end] {
            assert!(!messages.is_sound(), "{messages:?}");
        }
    }
}
