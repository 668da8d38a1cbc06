//! The command line of `psdd`.

use crate::birth::{GenesisOptions, Plan, bear, create_psds, install_certificates};
use crate::config::Config;
use crate::{RunError, check, run};
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Turns PKCS#11 HSM slots into Postal Security Devices.
#[derive(Parser)]
#[command(name = "psdd", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Serve with this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration, its policies and its TLS files.
    CheckConfig {
        /// The configuration.
        file: PathBuf,
    },
    /// Give birth to an appliance: log key, ledger, leaf 0. The file is approved by all operators and countersigned by the authority.
    BirthGenesis {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The reviewed genesis file.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// An approval of it, once for each operator.
        #[arg(long = "approval", value_name = "FILE", required = true)]
        approvals: Vec<PathBuf>,
        /// The authority's countersignature.
        #[arg(long, value_name = "FILE")]
        countersignature: PathBuf,
    },
    /// Create the PSDs of a plan; their certification requests go into a directory.
    BirthPsds {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The plan, TOML.
        #[arg(long, value_name = "FILE")]
        plan: PathBuf,
        /// Where the requests go.
        #[arg(long, value_name = "DIR")]
        requests: PathBuf,
    },
    /// Install the certificates that the authority's CA issued; PSDs with all of them become active.
    BirthCertificates {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Directory with PSD-ROLE.pem files.
        #[arg(long, value_name = "DIR")]
        certificates: PathBuf,
    },
}

/// Exit code of a configuration or an appliance that cannot be served (EX_CONFIG).
const UNFIT: u8 = 78;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    stop_on_panic();
    let arguments = Arguments::parse();
    let outcome = match (arguments.config, arguments.command) {
        (Some(config), None) => serve(&config),
        (_, Some(command)) => perform(command),
        (None, None) => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("psdd: {error:#}");
            ExitCode::from(error.downcast_ref::<RunError>().map_or(UNFIT, RunError::exit_code))
        }
    }
}

/// A panic in any thread is a broken invariant: the process ends at once, so that nothing half done is released.
fn stop_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        crate::spine::die(&crate::spine::Fatal::Broken("a thread panicked".to_owned()));
    }));
}

fn serve(config: &Path) -> anyhow::Result<()> {
    let config = Config::read(config)?;
    run(&config)?;
    Ok(())
}

fn perform(command: Command) -> anyhow::Result<()> {
    match command {
        Command::CheckConfig { file } => {
            check(&Config::read(&file)?)?;
            println!("{} holds", file.display());
        }
        Command::BirthGenesis { config, genesis, approvals, countersignature } => {
            let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
            let (file, countersignature) = (read(&genesis)?, read(&countersignature)?);
            let approvals = approvals.iter().map(read).collect::<anyhow::Result<_>>()?;
            let appliance = bear(&Config::read(&config)?, &GenesisOptions { file, approvals, countersignature })?;
            println!("appliance {appliance} is born");
        }
        Command::BirthPsds { config, plan, requests } => {
            let text = hsm_profiles::read_toml(&plan)?;
            let plan: Plan = hsm_profiles::parse_toml(&plan.display().to_string(), &text)?;
            std::fs::create_dir_all(&requests).with_context(|| requests.display().to_string())?;
            let psds = create_psds(&Config::read(&config)?, &plan, &requests, |done, all| {
                if done % 100 == 0 || done == all {
                    eprintln!("{done} of {all} PSDs created");
                }
            })?;
            println!("{} PSDs created; requests in {}", psds.len(), requests.display());
        }
        Command::BirthCertificates { config, certificates } => {
            let active = install_certificates(&Config::read(&config)?, &certificates)?;
            println!("{} PSDs became active", active.len());
        }
    }
    Ok(())
}
