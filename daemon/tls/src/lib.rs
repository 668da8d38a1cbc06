//! TLS of a listener: 1.3 only, client certificates against one CA, its CRL enforced with its expiry, no resumption.
//!
//! Owns how files become a configuration of rustls, the question whether a chain that was good still is, and when what was read ends;
//! and how long a connection may say nothing. Knows no socket, no time of its own and none of our other crates; the doors of `psdd` and the authority's funds system use it.

mod error;
mod lifetime;
mod opening;
mod server;

pub use error::TlsError;
pub use lifetime::{Lifetimes, Unreadable, not_after};
pub use opening::{Opening, never_begun};
pub use rustls::pki_types::{CertificateDer, UnixTime};
pub use server::{ServerFiles, ServerTls};
