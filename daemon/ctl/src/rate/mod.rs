//! `psdctl rate`: what a piece costs by a rate table, whether a table is in order, and what changed between two. Needs no connection.
//!
//! Owns the words and tables of the group; all arithmetic is in `psdd-rates`.

mod check;
mod diff;
mod error;
pub(crate) mod manifest;
mod quote;
mod source;

pub use error::RateError;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;
use psd::UnixMillis;

/// Commands on rate tables.
#[derive(Subcommand, Debug)]
pub enum RateCommand {
    /// Price a piece line by line; with a manifest, by what the run qualifies for
    Quote(quote::Quote),
    /// Say all that is wrong with a table, or what is in it, and whether its signature holds
    Check(check::Check),
    /// Show which prices differ between two tables
    Diff(diff::Diff),
}

/// Runs one of them.
pub fn run(global: &Global, command: RateCommand) -> Result<Exit, CtlError> {
    let done = match command {
        RateCommand::Quote(command) => quote::quote(global, &command),
        RateCommand::Check(command) => check::check(global, &command),
        RateCommand::Diff(command) => diff::diff(global, &command),
    };
    done.map_err(RateError::into)
}

fn now() -> Result<UnixMillis, RateError> {
    Ok(psdd_authority::serve::now()?)
}
