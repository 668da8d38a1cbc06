//! The state of a fold on the disk: numbers, counts, findings, and the leaves of the live records.
//!
//! What a PSD is otherwise follows from its live records (docs/ledger.md), which are read again from the mirror, where each is proven. So
//! this file is a cache of what was read, and no second truth.

use super::tally::Tally;
use super::weighed::Certified;
use crate::finding::Finding;
use crate::index::RunName;
use crate::mirror::Pin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of this file.
pub(super) const FORMAT: u8 = 5;

/// The file of a state: the state, and its SHA-256 behind it.
pub(super) fn written(saved: &Saved) -> Vec<u8> {
    let mut bytes = psdd_wire::encode(saved);
    let digest = psdd_wire::sha256(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// The state in a file; `None` where that is not what was written.
pub(super) fn read(bytes: &[u8]) -> Option<Saved> {
    let (state, digest) = bytes.split_last_chunk::<32>()?;
    serde_cbor::from_slice(state).ok().filter(|_| psdd_wire::sha256(state) == *digest)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) format: u8,
    pub(super) pin: Pin,
    pub(super) size: u64,
    pub(super) appliance: BTreeMap<String, u64>,
    pub(super) fleet: Tally,
    pub(super) certified: Certified,
    pub(super) latest: Latest,
    pub(super) psds: Vec<SavedPsd>,
    pub(super) findings: Vec<Finding>,
    pub(super) tenants: Vec<String>,
    pub(super) marks: Vec<RunName>,
    pub(super) keys: Vec<RunName>,
    pub(super) paid: Vec<RunName>,
}

/// The reading of the last record.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(super) struct Latest {
    pub(super) leaf: u64,
    pub(super) time_ms: u64,
    pub(super) source: u8,
    pub(super) error_ms: u32,
    pub(super) epoch: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPsd {
    pub(super) psd: String,
    pub(super) sequence: u64,
    /// Ascending, descending, control total, pieces.
    pub(super) registers: [u64; 4],
    pub(super) live: BTreeMap<String, u64>,
    pub(super) tally: Tally,
}
