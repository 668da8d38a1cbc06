//! The command line of `psdd`.

use crate::birth::{GenesisOptions, Plan, bear, create_psds, install_certificates};
use crate::config::Config;
use crate::{RunError, check, run};
use anyhow::Context;
use clap::{Parser, Subcommand};
use psd::ApplianceId;
use psd::record::{AuthorityPurpose, Environment};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
    /// Give birth to an appliance: log key, ledger, leaf 0. Development appliances only, until there are ceremonies.
    BirthGenesis {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The appliance's name.
        #[arg(long)]
        appliance: ApplianceId,
        /// What its marks are worth.
        #[arg(long, value_parser = ["development", "production"])]
        environment: String,
        /// The postal authority's root certificate, PEM.
        #[arg(long, value_name = "PEM")]
        authority_root: PathBuf,
        /// The authority's funds certificate, PEM.
        #[arg(long, value_name = "PEM")]
        funds: PathBuf,
        /// The authority's inspection certificate, PEM: locks and unlocks.
        #[arg(long, value_name = "PEM")]
        inspection: Option<PathBuf>,
        /// The authority's policy certificate, PEM: ceilings.
        #[arg(long, value_name = "PEM")]
        policy: Option<PathBuf>,
        /// Name of the token that gets the log key.
        #[arg(long, value_name = "NAME")]
        log_token: String,
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
        Command::BirthGenesis {
            config,
            appliance,
            environment,
            authority_root,
            funds,
            inspection,
            policy,
            log_token,
        } => {
            let environment = match environment.as_str() {
                "production" => Environment::Production,
                _ => Environment::Development,
            };
            let given = [
                (AuthorityPurpose::Funds, Some(funds)),
                (AuthorityPurpose::Inspection, inspection),
                (AuthorityPurpose::Policy, policy),
            ];
            let given = given.into_iter().filter_map(|(purpose, path)| Some((purpose, path?)));
            let authority_keys: Vec<_> =
                given.map(|(purpose, path)| Ok((purpose, certificate(&path)?))).collect::<anyhow::Result<_>>()?;
            let authority_root = certificate(&authority_root)?;
            let options = GenesisOptions { appliance, environment, authority_root, authority_keys, log_token };
            bear(&Config::read(&config)?, &options)?;
            println!("appliance {} is born", options.appliance);
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

fn certificate(path: &Path) -> anyhow::Result<Vec<u8>> {
    let der = CertificateDer::from_pem_file(path).with_context(|| path.display().to_string())?;
    Ok(der.to_vec())
}
