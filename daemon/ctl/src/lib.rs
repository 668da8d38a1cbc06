//! The command line of `psdd`, one module for each group of subcommands.
//!
//! Owns what a person types and reads. Refuses to judge by itself: what comes over the wire is judged by `psdd-client`, marks are
//! read by `psd`. The binary is a dozen lines, so tests call the same code.
//!
//! Exit codes: 0 done; 1 a negative verdict or a refusal; 2 wrong usage or input; 3 no connection, or a fault.

pub mod authority;
pub mod ceremony;
pub mod certify;
pub mod cli;
pub mod completions;
pub mod config;
pub mod dev;
pub mod door;
pub mod error;
pub mod indicium;
pub mod input;
pub mod inspect;
pub mod key;
pub mod ledger;
pub mod operator;
pub mod output;
pub mod progress;
pub mod rate;
pub mod render;
pub mod scale;
pub mod token;
pub mod vendor;

pub use cli::{Cli, main, run};
pub use error::{CtlError, Exit};
