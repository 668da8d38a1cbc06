//! What end-to-end tests of the real binaries share: an appliance in a temporary directory, load on it, and the judgement of what
//! became of both.
//!
//! Everything here panics instead of returning errors: a test cannot go on without it, and the message says what to run.
//! Nothing here judges a ledger itself; that is the business of the checker in `softhsm-tests/python`, which shares no code with psdd.

pub mod appliance;
pub mod checker;
pub mod load;
pub mod notes;

pub use appliance::{Appliance, copy_dir, options};
pub use checker::Verdict;
pub use load::{Load, LoadOptions};
pub use notes::Notes;
