//! What a worker says of itself, its token and the keys there.

use crate::role::{Algorithm, Role, algorithm_codec, role_codec};
use minicbor::{Decode, Encode};

/// What a worker says of itself and its token.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// [`VERSION`](super::VERSION).
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
    /// The keys found in the sweep, by CKA_ID. They cross the socket in [`Reply::Keys`](super::Reply::Keys) and are none here meanwhile.
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
    /// SubjectPublicKeyInfo, DER, or for a MAC key the MAC of [`KEY_CHECK`](super::KEY_CHECK); empty where the public half was not found.
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
