//! `psdctl ceremony`: from the reviewed file to the signed page.
//!
//! `plan` and `approve` need no connection: what a person reads and what the key signs come from the same bytes.

mod approve;
mod draft;
mod file;
mod genesis;
mod genesis_draft;
mod page;
mod plan;
mod run;

pub(crate) use genesis_draft::{Environment, GenesisDraft};

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::operator::{OperatorError, within};
use clap::Subcommand;

/// Commands of ceremonies.
#[derive(Subcommand, Debug)]
pub enum CeremonyCommand {
    /// Write a ceremony file to be filled in, with number and genesis of the appliance
    New(draft::New),
    /// Check a ceremony file and show what it would do; touches nothing
    Plan(plan::Plan),
    /// Show the full effect of a file and sign an approval of it, offline
    Approve(approve::Approve),
    /// Carry out a ceremony that a quorum approved, step by step; running it again goes on where it stopped
    Run(run::Run),
    /// How a ceremony stands
    Status(run::Status),
    /// Make a page of a ceremony for signatures by hand
    Print(page::Print),
    /// The birth of an appliance: its file and the approvals of all operators
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
}

/// Runs one of them.
pub fn run(global: &Global, command: CeremonyCommand) -> Result<Exit, CtlError> {
    let done = match command {
        CeremonyCommand::New(command) => within(draft::run(global, &command)),
        CeremonyCommand::Plan(command) => within(plan::run(global, &command)),
        CeremonyCommand::Approve(command) => approve::run(global, &command),
        CeremonyCommand::Run(command) => within(run::run(global, &command)),
        CeremonyCommand::Status(command) => within(run::status(global, &command)),
        CeremonyCommand::Print(command) => within(page::run(global, &command)),
        CeremonyCommand::Genesis(command) => genesis::run(global, command),
    };
    done.map_err(OperatorError::into)
}
