//! `psdctl token`: digital tokens, from what stands on the piece.

mod verify;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

/// Commands on digital tokens.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Have the half of a digital token judged by the holder of its key, for one piece or a file of scans
    Verify(verify::Verify),
}

/// Runs one of them.
pub fn run(global: &Global, command: TokenCommand) -> Result<Exit, CtlError> {
    match command {
        TokenCommand::Verify(command) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(CtlError::Runtime)?.block_on(verify::run(global, &command))
        }
    }
}
