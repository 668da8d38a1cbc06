//! The tokens of an appliance: links, the keys they must hold, the anchor and the fence.

mod guard;
mod router;

pub use guard::{Guard, GuardError};
pub use router::{ExpectedKey, Router, Tokens, TokensError};
