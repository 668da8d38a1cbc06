//! `psdctl key`: every generation of every key at a glance, and whether its certificate holds.

mod list;
mod verify;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::operator::{OperatorError, within};
use clap::Subcommand;

/// Commands on keys, over the operator door.
#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// List keys: age, pieces, value, state, certificate, residence, next rotation
    List(list::List),
    /// Show all that is known of the keys of one PSD
    Show(list::Show),
    /// Verify certificates against the authority's root, and that keys, states and times fit
    Verify(verify::Verify),
}

/// Runs one of them.
pub fn run(global: &Global, command: KeyCommand) -> Result<Exit, CtlError> {
    let done = match command {
        KeyCommand::List(command) => within(list::list(global, &command)),
        KeyCommand::Show(command) => within(list::show(global, &command)),
        KeyCommand::Verify(command) => within(verify::run(global, &command)),
    };
    done.map_err(OperatorError::into)
}
