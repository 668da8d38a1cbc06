//! `psdctl scale`: the registry of scales.
//!
//! Needs no connection: the registry is a file, and the time is this machine's.

mod error;
mod list;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

pub use error::ScaleError;

/// Commands on the registry of scales.
#[derive(Subcommand, Debug)]
pub enum ScaleCommand {
    /// Check a registry: its form, and whether readings of every scale count today
    Check(list::Registered),
    /// List the scales of a registry with their calibrations
    List(list::Registered),
}

/// Runs one of them.
pub fn run(global: &Global, command: ScaleCommand) -> Result<Exit, CtlError> {
    let done = match command {
        ScaleCommand::Check(command) => list::check(global, &command),
        ScaleCommand::List(command) => list::list(global, &command),
    };
    done.map_err(ScaleError::into)
}
