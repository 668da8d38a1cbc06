//! The top of the command line: global options and the groups.

use crate::error::{CtlError, Exit};
use crate::{
    authority, ceremony, certify, completions, dev, indicium, inspect, key, ledger, operator, rate, scale, token,
    vendor,
};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  a negative verdict, or something was refused
  2  wrong usage or input; nothing was sent
  3  no connection, or a fault; the same command can be run again";

/// The command line of psdd: postal security devices, and the marks they sign.
#[derive(Parser, Debug)]
#[command(name = "psdctl", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(clap::Args, Debug, Clone)]
pub struct Global {
    /// Print JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Configuration of the connection, or the directory of a psdctl.toml
    #[arg(long, global = true, value_name = "FILE", env = "PSDCTL_CONFIG")]
    pub config: Option<PathBuf>,
}

/// The groups, one for each kind of people.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// What a postage vendor's backend does: sign mailings, load value
    #[command(subcommand)]
    Vendor(vendor::VendorCommand),
    /// Read, verify and draw marks; needs no connection
    #[command(subcommand)]
    Indicium(indicium::IndiciumCommand),
    /// Certifications of corrected mail, from what stands on the piece; needs no connection
    #[command(subcommand)]
    Certify(certify::CertifyCommand),
    /// Digital tokens, from what stands on the piece
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The registry of scales and how their calibrations stand; needs no connection
    #[command(subcommand)]
    Scale(scale::ScaleCommand),
    /// Verify a ledger offline and read its records; needs no connection
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// The reference postal authority: licences, PSD certificates, the funds system, locks, reconciliation
    #[command(subcommand)]
    Authority(authority::AuthorityCommand),
    /// What operators do together: ceremonies, from the reviewed file to the signed page
    #[command(subcommand)]
    Ceremony(ceremony::CeremonyCommand),
    /// The keys of the PSDs at a glance, and whether their certificates hold
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// What an operator does alone: a key of his own, certification requests and certificates
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// What an inspector of the postal authority does: the whole fleet at a glance, evidence of its log, instructions
    Inspect(inspect::Inspect),
    /// Rate tables: price a piece or a run, check a table, compare two; needs no connection
    #[command(subcommand)]
    Rate(rate::RateCommand),
    /// A development appliance on this machine, for trying things out
    #[command(subcommand)]
    Dev(dev::DevCommand),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Runs one command.
pub fn run(cli: Cli) -> Result<Exit, CtlError> {
    match cli.command {
        Command::Vendor(command) => vendor::run(&cli.global, command),
        Command::Indicium(command) => indicium::run(&cli.global, command),
        Command::Certify(command) => certify::run(&cli.global, command),
        Command::Token(command) => token::run(&cli.global, command),
        Command::Scale(command) => scale::run(&cli.global, command),
        Command::Ledger(command) => ledger::run(&cli.global, command),
        Command::Authority(command) => authority::run(&cli.global, command),
        Command::Ceremony(command) => ceremony::run(&cli.global, command),
        Command::Key(command) => key::run(&cli.global, command),
        Command::Operator(command) => operator::run(&cli.global, command),
        Command::Inspect(command) => inspect::run(&cli.global, command),
        Command::Rate(command) => rate::run(&cli.global, command),
        Command::Dev(command) => dev::run(&cli.global, command),
        Command::Completions(command) => completions::run(&command),
    }
}

/// Parses the arguments of this process, runs the command and tells what went wrong.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.tell();
            error.exit().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
