//! `psdd`: PKCS#11 HSM slots as Postal Security Devices.
//!
//! Owns the doors, the core and everything between them and the two stores of truth, the token and the ledger. The binary is a
//! dozen lines over [`cli::main`].

pub mod audit;
pub mod authority;
mod backoff;
pub mod birth;
mod breaker;
pub mod ceremony;
pub mod certify;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
mod custodian;
pub mod door;
pub mod funds;
mod run;
mod scrub;
pub mod spine;
pub mod tokens;

pub use run::{RunError, check, run};
