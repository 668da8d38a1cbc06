//! `psdctl dev`: a development appliance in a directory, made by running the steps an operator runs.
//!
//! Owns the layout of the directory and the vendor's development PKI; the postal authority in it is the reference authority. What it
//! makes is a development appliance and nothing else: its marks are specimens. Tests and the demo use the same functions.

mod authority;
mod ceremony;
mod funds;
mod genesis;
mod layout;
mod pki;
mod process;
mod rates;
mod up;

pub use authority::{AuthorityError, issue_psd_certificates, start_authority};
pub use ceremony::{HoldError, ceremony_file, certify, fetch_requests, hold_ceremony, issue_chains};
pub use funds::{FundsError, authorise, carry_void, load_value, pay_in};
pub use genesis::{CeremonyFailure, OPERATORS, approve, instant};
pub use layout::Layout;
pub use pki::{
    ClientIdentity, PkiError, issue_client, issue_inspector_client, issue_operator_client, revoke_clients,
    revoke_inspector_clients, revoke_operator_clients,
};
pub use process::{ProcessError, Running};
pub use up::{DevError, DevOptions, Tools, TopUp, birth, start_hsm, start_psdd, up};

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::output;
use clap::Subcommand;
use psd::{PostageAmount, PsdId};
use std::path::PathBuf;

/// How long a request of a development appliance waits for value that was asked for, milliseconds.
const FUNDS_PATIENCE_MS: u64 = 5_000;

/// A development appliance on this machine.
#[derive(Subcommand, Debug)]
pub enum DevCommand {
    /// Make an appliance in a directory, or start the one that is there
    Up {
        /// The directory
        dir: PathBuf,
        /// How many PSDs a new appliance gets
        #[arg(long, default_value_t = 1)]
        psds: u32,
        /// How many PSDs for vouchers it gets besides, VO010000000001 and on, in euros
        #[arg(long, default_value_t = 0)]
        vouchers: u32,
        /// The PSDs of a new appliance certify corrected mail as well, by the table us-domestic and the scale dev-1
        #[arg(long)]
        certifying: bool,
        /// The PSDs of a new appliance make digital tokens, where they are asked for
        #[arg(long)]
        digital_tokens: bool,
        /// Value that each PSD of a new appliance gets; with automatic top-up, that is paid in for it
        #[arg(long, default_value = "10000.00")]
        value: PostageAmount,
        /// Automatic top-up: the PSDs of a new appliance ask the authority for value below this, and a request short of it waits
        #[arg(long, requires = "top_up_amount")]
        top_up_below: Option<PostageAmount>,
        /// How much it asks for
        #[arg(long, requires = "top_up_below")]
        top_up_amount: Option<PostageAmount>,
    },
    /// Stop the appliance of a directory; its data stays
    Down {
        /// The directory
        dir: PathBuf,
    },
    /// Load value into a PSD: payment to the authority, request, authorisation, application
    Load {
        /// The directory
        dir: PathBuf,
        /// The PSD
        #[arg(long)]
        psd: PsdId,
        /// How much
        #[arg(long)]
        amount: PostageAmount,
    },
}

/// Runs a command of the group.
pub fn run(global: &Global, command: DevCommand) -> Result<Exit, CtlError> {
    let outcome = match command {
        DevCommand::Up { dir, psds, vouchers, certifying, digital_tokens, value, top_up_below, top_up_amount } => {
            let top_up = top_up_below.zip(top_up_amount);
            let top_up = top_up.map(|(below, amount)| TopUp { below, amount, wait_ms: FUNDS_PATIENCE_MS });
            let options =
                DevOptions { psds, vouchers, certifying, digital_tokens, value, top_up, ..DevOptions::default() };
            up(&Layout::at(&dir), &options).map(|running| {
                format!(
                    "appliance in {}\n  vendor door    {}\n  authority door {}\n  funds system   {}\n  configuration  {}\n",
                    dir.display(),
                    running.vendor,
                    running.authority_door.as_deref().unwrap_or("none"),
                    running.funds,
                    Layout::at(&dir).psdctl_config().display()
                )
            })
        }
        DevCommand::Down { dir } => {
            let layout = Layout::at(&dir);
            process::stop(&layout.psdd_pid())
                .and_then(|any| Ok(any | process::stop(&layout.authority_pid())?))
                .and_then(|any| Ok(any | process::stop(&layout.hsm_pid())?))
                .map(|any| if any { "stopped\n".to_owned() } else { "nothing was running\n".to_owned() })
                .map_err(DevError::from)
        }
        DevCommand::Load { dir, psd, amount } => load_value(&Layout::at(&dir), psd, amount)
            .map(|registers| format!("{psd}: DR {}\n", output::money(registers.descending)))
            .map_err(DevError::from),
    };
    let text = outcome.map_err(|error| CtlError::Group { source: Box::new(error), code: 3 })?;
    if global.json {
        output::print_json(&serde_json::json!({ "done": text.trim() }))?;
    } else {
        output::print(&text)?;
    }
    Ok(Exit::Done)
}
