//! The command line of psdd-hsm.

use crate::config::{Checked, Serials};
use crate::give_share::give_share;
use crate::host_identity::{self, Made};
use crate::init_token;
use crate::keeper;
use crate::login_marker::LoginMarker;
use crate::secret::harden_process;
use crate::split_pin::{self, Holder, SplitPlan};
use crate::worker;
use anyhow::Context;
use clap::{Parser, Subcommand};
use psdd_seal::Answer;
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
    /// Make the host identity key, whose public half genesis pins; prints that half.
    InitHost {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Split the PIN of a token among operators; prints the table for the ceremony's page.
    SplitPin {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The token's name in the configuration.
        #[arg(long, value_name = "NAME")]
        token: String,
        /// How many shares are needed, 2 or more.
        #[arg(long, value_name = "M")]
        threshold: u8,
        /// How many shares are made, at most 16.
        #[arg(long, value_name = "N")]
        shares: u8,
        /// A holder and the file of their public key (PEM, P-256 or X25519); in the order of the shares.
        #[arg(long = "holder", value_name = "NAME=PUBKEY")]
        holders: Vec<String>,
        /// The file with the PIN, where the configuration names none any more.
        #[arg(long, value_name = "FILE")]
        pin_file: Option<PathBuf>,
        /// The directory for the shares.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Give an operator's share at the console, when psdd is not there to carry it.
    GiveShare {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The file of the share.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The holder's private key (PEM, PKCS#8), where the share is encrypted.
        #[arg(long, value_name = "FILE")]
        holder_key: Option<PathBuf>,
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
        (_, Some(Command::InitHost { config })) => init_host(&config),
        (_, Some(Command::SplitPin { config, token, threshold, shares, holders, pin_file, out })) => {
            let holders = holders.iter().map(|holder| read_holder(holder)).collect::<anyhow::Result<_>>()?;
            split_pin(&config, &SplitPlan { token, threshold, shares, holders, pin_file, out })
        }
        (_, Some(Command::GiveShare { config, share, holder_key })) => {
            harden_process()?;
            match give_share(&config, &share, holder_key.as_deref())? {
                Answer::Taken { token, index, held, threshold } => {
                    println!("token {token}: share {index} taken, {held} of {threshold}");
                    Ok(())
                }
                Answer::Unsealed { token } => {
                    println!("token {token}: unsealed");
                    Ok(())
                }
                Answer::Refused { refusal, text } => anyhow::bail!("share refused ({refusal:?}): {text}"),
            }
        }
        (_, Some(Command::Worker)) => worker::main(),
        (None, None) => anyhow::bail!("--config FILE or a command is needed"),
    }
}

fn init_host(config: &Path) -> anyhow::Result<()> {
    let (public, made) = host_identity::init_host(config)?;
    match made {
        Made::Now => eprintln!("made; SHA-256 of the public key: {}", public.fingerprint()),
        Made::Before => eprintln!("was there already; SHA-256 of the public key: {}", public.fingerprint()),
    }
    print!("{}", public.to_pem());
    Ok(())
}

fn split_pin(config: &Path, plan: &SplitPlan) -> anyhow::Result<()> {
    harden_process()?;
    let made = split_pin::split_pin(config, plan)?;
    print!("{made}");
    println!(
        "Next: pin_sealed = true in place of the PIN's file, restart psdd-hsm, give the shares, delete the PIN's file."
    );
    Ok(())
}

fn read_holder(text: &str) -> anyhow::Result<Holder> {
    let (name, path) = text.split_once('=').with_context(|| format!("--holder {text}: NAME=PUBKEY is needed"))?;
    let key = std::fs::read(path).with_context(|| format!("cannot read the public key of {name}, {path}"))?;
    Ok(Holder::new(name, &key)?)
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
