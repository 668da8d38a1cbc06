//! What operators agree on in writing: the ceremony file, the genesis file, and their approvals of either.
//!
//! Owns the form of the files, their effect in words, what an operator signs and when signatures are a quorum. Refuses to touch
//! keys, ledgers, sockets or clocks: times are passed in. `psdctl` writes and approves with it, `psdd` judges and carries out.

pub mod act;
mod approval;
mod effects;
mod error;
mod expected;
mod field;
mod file;
pub mod genesis;
mod instant;
mod names;
mod operator;
pub mod plan;
mod public_key;
mod quorum;
pub mod transcript;

pub use act::Act;
pub use approval::{Approval, ApprovalError, OperatorKey, SignError, Subject};
pub use error::CeremonyError;
pub use expected::{Expected, ExpectedKey};
pub use file::{Ceremony, Head};
pub use genesis::GenesisFile;
pub use names::{ClientName, TokenName};
pub use operator::{MOST_OPERATORS, NewOperator, Operator};
pub use public_key::{P256PublicKey, PublicKeyError};
pub use quorum::{Quorum, QuorumRefusal, Situation, fits, quorum, unanimous};

/// Most bytes of a ceremony or genesis file.
pub const LONGEST_FILE: usize = 1 << 20;
/// The longest window of a ceremony, in milliseconds: seven days.
pub const LONGEST_WINDOW_MS: u64 = 7 * 86_400_000;
/// Content type of an operator's approval of a ceremony.
pub const CEREMONY_APPROVAL: &str = "application/psdd-ceremony-approval+cbor";
/// Content type of an operator's approval of a genesis.
pub const GENESIS_APPROVAL: &str = "application/psdd-genesis-approval+cbor";
