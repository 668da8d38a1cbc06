//! `psdctl operator`: an operator's own key, and what operators carry between the appliance and the authority's CA.
//!
//! Owns the operator's key, in a file or in a token, and the way to the operator door, which the groups `ceremony` and `key` use as well.

mod certificates;
mod door;
mod error;
mod key_file;
mod key_place;
mod keygen;
mod status;
mod unseal;

pub use certificates::{chain, csr_pem, request_file};
pub use door::OperatorConfig;
pub use error::OperatorError;
pub use key_file::KeyFile;
pub use key_place::KeyPlace;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

/// Commands of operators.
#[derive(Subcommand, Debug)]
pub enum OperatorCommand {
    /// Make an operator's key, in a file or in a PKCS#11 token, and a file of its public half
    Keygen(keygen::Keygen),
    /// Print the public half of an operator's key, which the list of operators has
    PublicKey(keygen::PublicKey),
    /// Fetch the certification requests of all keys without a certificate: PSD-ROLE.csr, or PSD-ROLE-GENERATION.csr from 2 on
    Requests(certificates::Requests),
    /// Fetch the signed status list of all keys, for `indicium verify --status`; the vendor door gives each tenant its own
    Status(status::Status),
    /// Give a share of a sealed PIN to the keeper of a host
    Unseal(unseal::Unseal),
    /// Bring the certificates that the authority's CA issued: all *.pem of a directory
    Certificates(certificates::Certificates),
}

/// Runs one of them.
pub fn run(global: &Global, command: OperatorCommand) -> Result<Exit, CtlError> {
    let done = match command {
        OperatorCommand::Keygen(command) => keygen::run(global, &command),
        OperatorCommand::PublicKey(command) => keygen::public_key(global, &command),
        OperatorCommand::Unseal(command) => unseal::run(global, &command),
        OperatorCommand::Status(command) => door::within(status::run(global, &command)),
        OperatorCommand::Requests(command) => door::within(certificates::requests(global, &command)),
        OperatorCommand::Certificates(command) => door::within(certificates::install(global, &command)),
    };
    done.map_err(OperatorError::into)
}

pub(crate) use door::within;
