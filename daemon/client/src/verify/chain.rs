//! The chain check that daemon and SDK share.

pub use psdd_wire::certificate::{AuthorityRoot, CertifiedKey, ChainError};
