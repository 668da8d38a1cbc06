//! `psdctl indicium`: read, verify and draw marks without a connection.

mod certificates;
mod decode;
mod render;
mod revocation;
mod verify;

pub use certificates::CertificatesError;
pub use revocation::read_crl;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

/// Commands on marks.
#[derive(Subcommand, Debug)]
pub enum IndiciumCommand {
    /// Print every field of a mark: offset, name, raw bytes and meaning
    Decode(decode::Decode),
    /// Verify the signatures of marks under certificates of the postal authority
    Verify(verify::Verify),
    /// Draw a mark: Data Matrix symbol and human-readable lines
    Render(render::Render),
}

/// Runs one of them.
pub fn run(global: &Global, command: IndiciumCommand) -> Result<Exit, CtlError> {
    match command {
        IndiciumCommand::Decode(command) => decode::run(global, &command),
        IndiciumCommand::Verify(command) => verify::run(global, &command),
        IndiciumCommand::Render(command) => render::run(&command),
    }
}
