//! `psdctl certify`: certifications of corrected mail, from what stands on the piece.

mod check;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

/// Commands on certifications.
#[derive(Subcommand, Debug)]
pub enum CertifyCommand {
    /// Check a certification number, or the printed line with it, for slips of the pen; needs no key and no connection
    Check(check::Check),
}

/// Runs one of them.
pub fn run(global: &Global, command: CertifyCommand) -> Result<Exit, CtlError> {
    match command {
        CertifyCommand::Check(command) => check::run(global, &command),
    }
}
