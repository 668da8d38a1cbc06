//! The messages of the authority door about the log. Fields stand in the order of deterministic encoding.

use crate::exact;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Answer to GET /v1/log/inclusion?leaf={leaf}&size={size}.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct InclusionResponse {
    /// The leaf.
    pub leaf: u64,
    /// Siblings, the lowest first, 32 bytes each (RFC 9162 §2.1.3.1).
    #[serde(deserialize_with = "exact::byte_vecs")]
    pub path: Vec<ByteBuf>,
    /// Leaves of the tree.
    pub size: u64,
}

/// Answer to GET /v1/log/consistency?from={from}&to={to}.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyResponse {
    /// Leaves of the newer tree.
    pub to: u64,
    /// Leaves of the older tree.
    pub from: u64,
    /// 32 bytes each (RFC 9162 §2.1.4.1).
    #[serde(deserialize_with = "exact::byte_vecs")]
    pub path: Vec<ByteBuf>,
}

/// Answer to GET /v1/log/receipt?leaf={leaf}.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct ReceiptResponse {
    /// The leaf.
    pub leaf: u64,
    /// The record's bytes.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
    /// COSE receipt, see [`crate::receipt`].
    #[serde(with = "serde_bytes")]
    pub receipt: Vec<u8>,
}

/// The hashes of a path; `None` where one has not 32 bytes.
pub fn hashes_of(path: &[ByteBuf]) -> Option<Vec<[u8; 32]>> {
    path.iter().map(|hash| hash.as_slice().try_into().ok()).collect()
}
