//! `psdctl certify`: certifications of corrected mail, from what stands on the piece.

mod check;
mod verify;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

/// Commands on certifications.
#[derive(Subcommand, Debug)]
pub enum CertifyCommand {
    /// Check a certification number, or the printed line with it, for slips of the pen; needs no key and no connection
    Check(check::Check),
    /// Say whether a certification number and an indicium belong together, for one piece or a file of scans
    Verify(verify::Verify),
}

/// Runs one of them.
pub fn run(global: &Global, command: CertifyCommand) -> Result<Exit, CtlError> {
    match command {
        CertifyCommand::Check(command) => check::run(global, &command),
        CertifyCommand::Verify(command) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(CtlError::Runtime)?.block_on(verify::run(global, &command))
        }
    }
}
