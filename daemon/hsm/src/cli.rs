//! The command line of psdd-hsm.

use crate::config::{Checked, Serials};
use crate::init_token;
use crate::keeper;
use crate::login_marker::LoginMarker;
use crate::worker;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Keeps the PINs of PKCS#11 tokens and runs a worker process for each.
#[derive(Parser)]
#[command(name = "psdd-hsm", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Keep the tokens of this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration and the profiles it names.
    CheckConfig {
        /// The configuration.
        file: PathBuf,
    },
    /// Make a token of the configured label and set its user PIN; prints its serial number for the configuration.
    InitToken {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The token's name in the configuration.
        #[arg(long, value_name = "NAME")]
        token: String,
        /// The file with the PIN of the security officer.
        #[arg(long, value_name = "FILE")]
        so_pin_file: PathBuf,
        #[arg(long, hide = true)]
        in_process: bool,
    },
    /// Let the worker log in again, after the cause of the failed login has been found.
    ClearLoginLatch {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The token's name in the configuration.
        #[arg(long, value_name = "NAME")]
        token: String,
    },
    #[command(hide = true)]
    Worker,
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter).init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not through the log: whoever silenced it must still be told.
            eprintln!("psdd-hsm: {error:#}");
            // EX_CONFIG of sysexits.h: starting again changes nothing, and the unit knows it.
            ExitCode::from(78)
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    match (arguments.config, arguments.command) {
        (Some(config), None) => Ok(keeper::run(&config)?),
        (_, Some(Command::CheckConfig { file })) => {
            let checked = Checked::load(&file, Serials::Required)?;
            println!("{}: {} token(s), all right", file.display(), checked.config.tokens.len());
            Ok(())
        }
        (_, Some(Command::InitToken { config, token, so_pin_file, in_process })) => {
            if !in_process {
                return Ok(init_token::run_in_process(&config, &token, &so_pin_file)?);
            }
            let made = init_token::init_token(&config, &token, &so_pin_file)?;
            println!("serial = {:?}\nlabel = {:?}", made.serial, made.label);
            Ok(())
        }
        (_, Some(Command::ClearLoginLatch { config, token })) => clear_login_latch(&config, &token),
        (_, Some(Command::Worker)) => worker::main(),
        (None, None) => anyhow::bail!("--config FILE or a command is needed"),
    }
}

fn clear_login_latch(config: &Path, token: &str) -> anyhow::Result<()> {
    let checked = Checked::load(config, Serials::Required)?;
    checked.index_of(token)?;
    let marker = LoginMarker::new(&checked.config.state_dir, token);
    let reason = marker.reason()?;
    if marker.clear()? {
        println!("cleared: {}", reason.unwrap_or_default());
    } else {
        println!("there was no latch");
    }
    Ok(())
}
