//! What must hold of a PSD when a ceremony runs, so that what was approved is what is met.

use psd::lifecycle::{Lifecycle, LockReason, Locks};
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// The PSD as its approvers knew it.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Where it stands in its life.
    #[serde(deserialize_with = "state")]
    pub state: Lifecycle,
    /// Exactly these locks.
    #[serde(deserialize_with = "locks")]
    pub locks: Locks,
}

/// The same, with the key that is used now.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ExpectedKey {
    /// Where the PSD stands in its life.
    #[serde(deserialize_with = "state")]
    pub state: Lifecycle,
    /// Exactly these locks.
    #[serde(deserialize_with = "locks")]
    pub locks: Locks,
    /// Newest generation of the key, from 1.
    #[serde(deserialize_with = "generation")]
    pub generation: u8,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.locks.is_empty() {
            return write!(f, "the PSD is {} and not locked", self.state);
        }
        let locks: Vec<&str> = self.locks.reasons().map(LockReason::as_str).collect();
        write!(f, "the PSD is {} and locked for exactly: {}", self.state, locks.join(", "))
    }
}

impl fmt::Display for ExpectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, locks, generation } = *self;
        write!(f, "{}, and the newest generation of the key is {generation}", Expected { state, locks })
    }
}

fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lifecycle, D::Error> {
    let text = String::deserialize(deserializer)?;
    let states =
        [Lifecycle::Initialised, Lifecycle::Authorised, Lifecycle::Active, Lifecycle::Withdrawn, Lifecycle::Scrapped];
    states.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        de::Error::custom(format!("{text:?} is none of initialised, authorised, active, withdrawn, scrapped"))
    })
}

fn locks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Locks, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().try_fold(Locks::NONE, |locks, word| {
        let reason = LockReason::ALL.into_iter().find(|reason| reason.as_str() == word);
        let reason = reason.ok_or_else(|| {
            de::Error::custom(format!(
                "{word:?} is none of inspection-overdue, clock, operator, authority, funds, fault"
            ))
        })?;
        Ok(locks.with(reason))
    })
}

/// A generation of a key, from 1; a CKA_ID has one byte for it.
pub(super) fn generation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = u8::deserialize(deserializer)?;
    if number == 0 { Err(de::Error::custom("generations are counted from 1")) } else { Ok(number) }
}
