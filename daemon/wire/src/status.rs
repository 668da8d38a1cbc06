//! The status list: what an appliance says of its PSD keys, all of them or a tenant's, signed by its log key, so that a verifier needs no connection.
//!
//! Fields stand in the order of deterministic encoding: shorter names first, then by bytes (RFC 8949 §4.2.1).

use crate::cose::{CoseError, Sign1};
use crate::spki::PublicKey;
use crate::text;
use psd::custody::RevocationReason;
use psd::{PsdId, UnixMillis};
use serde::{Deserialize, Serialize};

/// Content type of a status list.
pub const STATUS_LIST: &str = "application/psdd-status-list+cbor";

/// How far the appliance's clock may be ahead of the reader's.
const SKEW_MS: u64 = 300_000;

/// Payload of a status list.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct StatusList {
    /// When it was made, milliseconds since 1970.
    pub time: u64,
    /// Whose PSDs it is about, where it is not about all of the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// One for each key, in the order of PSD and key.
    pub entries: Vec<StatusEntry>,
    /// The appliance's name.
    pub appliance: String,
    /// By when there is a newer list, milliseconds since 1970.
    pub next_update: u64,
}

/// The state of one key.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct StatusEntry {
    /// Device ID.
    #[serde(with = "text")]
    pub psd: PsdId,
    /// Since when the key is in this state, milliseconds since 1970.
    pub since: u64,
    /// Where the key stands.
    pub state: KeyState,
    /// CKA_ID in the token: role, device, generation.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// Why it is revoked, by the words of RFC 5280 §5.3.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Serial number of its certificate, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

/// Where a key stands.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Made, and without a certificate.
    Created,
    /// Certified, and not signing yet.
    Certified,
    /// It signs.
    Active,
    /// Another took over.
    Superseded,
    /// It will not sign again.
    Retired,
    /// Its private half is gone.
    Destroyed,
    /// It is not trusted from a time on.
    Revoked,
}

/// Why the bytes are no status list to go by.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Not a message of that kind, or not signed by the log key.
    #[error("not a status list signed by the log key: {0}")]
    Signature(#[from] CoseError),
    /// Of another appliance.
    #[error("the status list is of appliance {0:?}")]
    Appliance(String),
    /// From the future.
    #[error("the status list was made at {made}, and now is {now}: one of the clocks is wrong")]
    Ahead {
        /// When it was made.
        made: UnixMillis,
        /// Now.
        now: UnixMillis,
    },
    /// A newer one is due.
    #[error("the status list was good until {until}, and now is {now}; fetch a new one")]
    Stale {
        /// By when a newer one was promised.
        until: UnixMillis,
        /// Now.
        now: UnixMillis,
    },
    /// An entry contradicts itself.
    #[error("entry {index} of the status list: {rule}")]
    Entry {
        /// Its index.
        index: usize,
        /// What it breaks.
        rule: &'static str,
    },
}

impl StatusList {
    /// The list as a message that waits for the signature of the log key (SPKI, DER); `None` where that is of a kind that signs nothing here.
    pub fn unsigned(&self, log_spki: &[u8]) -> Option<Sign1> {
        let key = PublicKey::of_spki(log_spki)?;
        Some(Sign1::unsigned_by(key.kind(), STATUS_LIST, None, crate::encode(self)))
    }

    /// Reads a list and verifies its signature under the log key (SPKI, DER), the appliance where one is named, and that it is current.
    pub fn verify(
        bytes: &[u8],
        log_spki: &[u8],
        appliance: Option<&str>,
        now: UnixMillis,
    ) -> Result<Self, StatusError> {
        let message = Sign1::parse(bytes)?;
        message.verify(STATUS_LIST, log_spki)?;
        let list: Self = crate::read(&message.payload).map_err(CoseError::Payload)?;
        if appliance.is_some_and(|name| name != list.appliance) {
            return Err(StatusError::Appliance(list.appliance));
        }
        if list.time > now.0.saturating_add(SKEW_MS) {
            return Err(StatusError::Ahead { made: UnixMillis(list.time), now });
        }
        if list.next_update < now.0 {
            return Err(StatusError::Stale { until: UnixMillis(list.next_update), now });
        }
        for (index, entry) in list.entries.iter().enumerate() {
            entry.check().map_err(|rule| StatusError::Entry { index, rule })?;
        }
        Ok(list)
    }
}

impl StatusEntry {
    /// Why the key is revoked, where it is.
    pub fn revoked(&self) -> Option<RevocationReason> {
        self.reason.as_deref().and_then(|word| word.parse().ok()).filter(|_| self.state == KeyState::Revoked)
    }

    /// Only a revoked key has a reason, and it has one that is known.
    fn check(&self) -> Result<(), &'static str> {
        match (self.state, self.reason.as_deref().map(str::parse::<RevocationReason>)) {
            (KeyState::Revoked, None) => Err("a revoked key has a reason"),
            (_, Some(Err(_))) => Err("the reason is none of RFC 5280 §5.3.1 that ends trust"),
            (KeyState::Revoked, Some(Ok(_))) | (_, None) => Ok(()),
            (_, Some(Ok(_))) => Err("only a revoked key has a reason"),
        }
    }
}
