//! `psdctl vendor`: what a postage vendor's backend does, by hand.

mod certify;
mod certify_list;
mod funds;
mod journal;
mod list;
mod mailing;
mod psds;
mod registers;
mod report;
mod runs;
mod sign;
mod status;
mod value;
mod voucher_list;

pub use funds::FundsError;
pub use journal::{Journal, JournalError, JournalHead};
pub use list::{AnyList, Cells, Fault, List, ListError, Row};
pub use mailing::MailingRow;
pub use value::ValueError;
pub use voucher_list::VoucherRow;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;

pub(crate) use funds::taken;
pub(crate) use list::parse as parse_rows;
pub(crate) use psds::drawn;
pub(crate) use value::read_cose;

/// Commands over the vendor door.
#[derive(Subcommand, Debug)]
pub enum VendorCommand {
    /// Sign a mailing or vouchers from a CSV file; running it again debits nothing twice
    Sign(sign::Sign),
    /// Certify corrected mail from a CSV file: what it still owes is debited; running it again debits nothing twice
    Certify(certify::Certify),
    /// Mail runs: announced with a manifest, certified piece by piece, counted and closed
    #[command(subcommand)]
    Run(runs::RunCommand),
    /// List the PSDs with state, registers and value downloads
    Psds(psds::Psds),
    /// Fetch the signed status list of all keys, for `indicium verify --status`
    Status(status::Status),
    /// Read the registers of all PSDs, with their sums
    Registers(registers::Registers),
    /// Load value: ask the PSD, ask the authority's funds system, bring its answer
    TopUp(funds::TopUp),
    /// Bring back the postage of a spoiled mark, by the authority's leave
    Refund(funds::Refund),
    /// Give all that is left back to the authority; the PSD never signs again
    Withdraw(funds::Withdraw),
    /// Carry a signed instruction of the postal authority to the appliance
    Carry(funds::Carry),
    /// Ask a PSD for a value request, to be carried to the authority's funds system
    ValueRequest(value::ValueRequest),
    /// Bring a PSD the authority's authorisation of value
    ValueApply(value::ValueApply),
    /// Give up a value download that was asked for, for ever; the PSD's statement of it goes to the authority's funds system
    ValueVoid(value::ValueVoid),
}

/// Runs one of them.
pub fn run(global: &Global, command: VendorCommand) -> Result<Exit, CtlError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CtlError::Runtime)?;
    runtime.block_on(async {
        match command {
            VendorCommand::Sign(command) => sign::run(global, &command).await,
            VendorCommand::Certify(command) => certify::run(global, &command).await,
            VendorCommand::Run(command) => runs::run(global, &command).await,
            VendorCommand::Psds(command) => psds::run(global, &command).await,
            VendorCommand::Status(command) => status::run(global, &command).await,
            VendorCommand::Registers(command) => registers::run(global, &command).await,
            VendorCommand::TopUp(command) => funds::top_up(global, &command).await,
            VendorCommand::Refund(command) => funds::refund(global, &command).await,
            VendorCommand::Withdraw(command) => funds::withdraw(global, &command).await,
            VendorCommand::Carry(command) => funds::carry(global, &command).await,
            VendorCommand::ValueRequest(command) => value::request(global, &command).await,
            VendorCommand::ValueApply(command) => value::apply(global, &command).await,
            VendorCommand::ValueVoid(command) => value::void(global, &command).await,
        }
    })
}
