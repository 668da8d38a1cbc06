//! The doors: listeners with identities and routes of their own.

pub mod identity;
pub mod local;
pub mod tls;
pub mod vendor;
