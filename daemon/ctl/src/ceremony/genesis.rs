//! `psdctl ceremony genesis`: the birth of an appliance on paper; it is carried out at the local console of the appliance.

use super::approve::{Approve, approve};
use super::page::{Page, Signature, write};
use super::plan::rendered;
use super::{file, genesis_draft};
use crate::cli::Global;
use crate::error::Exit;
use crate::operator::OperatorError;
use crate::output::{print, print_json};
use clap::{Args, Subcommand};
use psdd_wire::ceremony::{NewOperator, Subject};
use std::path::PathBuf;

/// Commands of a genesis.
#[derive(Subcommand, Debug)]
pub enum GenesisCommand {
    /// Write a genesis file with every field explained, to be filled in
    New(genesis_draft::New),
    /// Check a genesis file and show what it would do
    Plan(Plan),
    /// Show the full effect of a genesis file and sign an approval of it, offline
    Approve(Approve),
    /// Make a page of a genesis for signatures by hand
    Print(Print),
}

/// Arguments of `psdctl ceremony genesis plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The genesis file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `psdctl ceremony genesis print`.
#[derive(Args, Debug)]
pub struct Print {
    /// The genesis file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the page goes
    #[arg(long, value_name = "HTML")]
    out: PathBuf,
}

pub(super) fn run(global: &Global, command: GenesisCommand) -> Result<Exit, OperatorError> {
    match command {
        GenesisCommand::New(command) => genesis_draft::run(&command),
        GenesisCommand::Plan(command) => {
            let genesis = file::genesis(&command.file)?;
            if global.json {
                print_json(&serde_json::json!({
                    "appliance": genesis.appliance().as_str(),
                    "digest": crate::output::hex(&genesis.digest()),
                    "effects": genesis.effects(),
                }))?;
            } else {
                print(&rendered(&genesis.effects(), &genesis.digest()))?;
            }
            Ok(Exit::Done)
        }
        GenesisCommand::Approve(command) => {
            let genesis = file::genesis(&command.file)?;
            approve(global, &command, Subject::Genesis(&genesis))
        }
        GenesisCommand::Print(command) => {
            let genesis = file::genesis(&command.file)?;
            let lines = genesis.operators().iter().map(|NewOperator { name, public_key }| Signature {
                name: name.to_string(),
                fingerprint: Some(public_key.fingerprint()),
                approved: false,
            });
            let page = Page {
                title: format!("Genesis of appliance {}", genesis.appliance()),
                state: "not yet carried out".to_owned(),
                effects: genesis.effects(),
                digest: genesis.digest(),
                steps: Vec::new(),
                transcript: None,
                signatures: lines.collect(),
            };
            write(&page, &command.out)
        }
    }
}
