//! psdd-hsm: the keeper of the PINs, a worker process per token, and the link psdd talks to them with.
//!
//! Owns everything PKCS#11. psdd calls only [`link`] and [`unseal`]; the keeper and the workers are the binary `psdd-hsm`. No
//! cryptoki type appears outside of the worker, and no vendor code is ever loaded outside of a worker process.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
mod durable;
pub mod frame;
pub mod give_share;
pub mod host_identity;
pub mod init_token;
pub mod keeper;
pub mod link;
pub mod login_marker;
pub mod protocol;
pub mod role;
pub mod secret;
pub mod spec;
pub mod split_pin;
pub mod unseal;
mod worker;
