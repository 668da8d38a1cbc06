//! `psdctl inspect`: what an inspector of the postal authority does at an appliance, over the authority door, and what he proves afterwards
//! without it.

mod config;
mod error;
mod evidence;
mod fleet;
mod report;
mod round;
mod rules;
mod sample;
mod scales;
mod source;
mod table;

pub use error::InspectError;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::output::{hex, print, print_json, write_durably};
use crate::vendor::{drawn, read_cose, taken};
use clap::{Args, Subcommand};
use config::InspectorConfig;
use psdd_client::AuthorityClient;
use psdd_wire::message::AuthorityPolicyView;
use std::path::{Path, PathBuf};

const HELP: &str =
    "Without a command: brings the mirror of the appliance's log up to date, has every PSD answer a fresh challenge, \
holds every answer against the log, and shows findings and fleet (docs/inspection.md says what each finding means).

Examples:
  psdctl inspect
  psdctl inspect --watch 10
  psdctl inspect --report inspection.html

Exit code 0: nothing red. 1: a red finding, or the log itself was rolled back, forked or edited.";

/// Arguments of `psdctl inspect`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Inspect {
    #[command(subcommand)]
    command: Option<InspectCommand>,
    #[command(flatten)]
    fleet: fleet::FleetArgs,
}

/// Commands of inspectors.
#[derive(Subcommand, Debug)]
pub enum InspectCommand {
    /// What needs a connection
    #[command(flatten)]
    AtTheDoor(DoorCommand),
    /// Verify a receipt; needs no connection
    VerifyReceipt(evidence::Verify),
    /// Judge the page of an inspection again, by the evidence in it; needs no connection
    Verify(report::Verify),
    /// The scales and rate tables in the log, how calibrations stand, and whether the appliance tells the same
    Scales(scales::Scales),
    /// Judge scanned marks by the mirror of the log; needs no connection
    Scan(sample::Scan),
    /// Hold a signed checkpoint from elsewhere against the mirror; needs no connection
    Witness(sample::Witness),
}

/// Those that need the authority door.
#[derive(Subcommand, Debug)]
pub enum DoorCommand {
    /// Which appliance this is, and how far its log is signed
    Appliance,
    /// List the PSDs of every tenant with state, registers and value downloads
    Psds,
    /// Fetch the signed status list of all keys, for `indicium verify --status`
    Status(OutFile),
    /// Fetch a resource of the log: /log/checkpoint, or /log/tile/… as C2SP tlog-tiles names it
    Fetch(Fetch),
    /// Fetch a record and the receipt that it is in the log
    Receipt(evidence::Fetched),
    /// Bring a signed instruction of the postal authority
    Carry(Carry),
}

/// Where a result goes.
#[derive(Args, Debug)]
pub struct OutFile {
    /// Where it goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `psdctl inspect fetch`.
#[derive(Args, Debug)]
pub struct Fetch {
    /// Its path at the door
    path: String,
    /// Where it goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `psdctl inspect carry`.
#[derive(Args, Debug)]
pub struct Carry {
    /// The instruction: a file with the COSE_Sign1 as bytes, hex or base64, or - for stdin
    #[arg(value_name = "FILE")]
    instruction: PathBuf,
}

/// Runs one of them.
pub fn run(global: &Global, inspect: Inspect) -> Result<Exit, CtlError> {
    if inspect.command.is_some() && inspect.fleet.are_named() {
        return Err(InspectError::NoCommand.into());
    }
    let done = match inspect.command {
        None => fleet::run(global, &inspect.fleet),
        Some(InspectCommand::VerifyReceipt(command)) => evidence::verify(global, &command),
        Some(InspectCommand::Verify(command)) => report::verify(global, &command),
        Some(InspectCommand::Scales(command)) => scales::run(global, &command),
        Some(InspectCommand::Scan(command)) => sample::scan(global, &command),
        Some(InspectCommand::Witness(command)) => sample::witness(global, &command),
        Some(InspectCommand::AtTheDoor(command)) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(CtlError::Runtime)?.block_on(at_the_door(global, command))
        }
    };
    done.map_err(InspectError::into)
}

/// The way to the authority door that psdctl.toml names. Must be called inside a runtime.
pub(crate) fn inspector(global: &Global) -> Result<AuthorityClient, InspectError> {
    InspectorConfig::read(global.config.as_deref())?.client()
}

async fn at_the_door(global: &Global, command: DoorCommand) -> Result<Exit, InspectError> {
    let door = InspectorConfig::read(global.config.as_deref())?.client()?;
    match command {
        DoorCommand::Appliance => appliance(global, &door).await,
        DoorCommand::Psds => {
            let psds = door.psds().await?;
            if global.json {
                print_json(&psds)?
            } else {
                print(&drawn(&psds))?
            }
            Ok(Exit::Done)
        }
        DoorCommand::Status(OutFile { out }) => written(&out, &door.status_list().await?),
        DoorCommand::Fetch(Fetch { path, out }) => written(&out, &door.fetch(&path).await?),
        DoorCommand::Receipt(command) => evidence::fetch(global, &door, &command).await,
        DoorCommand::Carry(command) => {
            let instruction = read_cose(&command.instruction).map_err(CtlError::from)?;
            taken(global, &door.carry_instruction(&instruction).await?)?;
            Ok(Exit::Done)
        }
    }
}

fn written(out: &Path, bytes: &[u8]) -> Result<Exit, InspectError> {
    write_durably(out, bytes)?;
    print(&format!("{}: {} bytes\n", out.display(), bytes.len()))?;
    Ok(Exit::Done)
}

async fn appliance(global: &Global, door: &AuthorityClient) -> Result<Exit, InspectError> {
    let told = door.appliance().await?;
    if global.json {
        print_json(&told)?;
        return Ok(Exit::Done);
    }
    let covered = told.checkpoint.as_deref().and_then(|note| note.split('\n').nth(1)).unwrap_or("no");
    print(&format!(
        "appliance    {}, {}, psdd {}\nlog          {}: {covered} records under the newest checkpoint\nlog key      {}\n",
        told.appliance,
        told.environment,
        told.version,
        told.origin,
        hex(&told.log_spki),
    ))?;
    if let Some(AuthorityPolicyView { digest, version }) = told.policy {
        print(&format!("policy       version {version} of the authority's own; SHA-256 {}\n", hex(&digest)))?;
    }
    Ok(Exit::Done)
}
