//! `psdctl ledger`: judge a ledger by itself, offline or beside a running daemon, and read its records.

mod judge;
mod show;
mod verify;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::Subcommand;
use psdd_ledger::reader::ReadError;
use psdd_ledger::verify::VerifyError;
use std::path::PathBuf;

/// Commands on ledgers.
#[derive(Subcommand, Debug)]
pub enum LedgerCommand {
    /// Verify every record, row and signature of a ledger; changes nothing, and may run beside psdd
    Verify(verify::Verify),
    /// Print one record
    Show(show::Show),
}

/// A ledger that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It could not be verified.
    #[error("cannot verify the ledger: {0}")]
    Verify(#[from] VerifyError),
    /// A record could not be read.
    #[error("cannot read the record: {0}")]
    Read(#[from] ReadError),
    /// It could not be opened.
    #[error("cannot open the ledger: {0}")]
    Open(#[from] psdd_ledger::StoreFault),
    /// No such record.
    #[error("there is no record {0}")]
    NoRecord(u64),
    /// The root given.
    #[error("the authority root in {}: {source}", .path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls_pki_types::pem::Error,
    },
}

impl LedgerError {
    fn code(&self) -> u8 {
        match self {
            LedgerError::Verify(VerifyError::Store(_)) | LedgerError::Read(ReadError::Store(_)) => 3,
            LedgerError::Read(ReadError::Damaged { .. } | ReadError::Index { .. } | ReadError::Wrapped { .. }) => 1,
            LedgerError::Verify(VerifyError::Io { .. } | VerifyError::Format(_))
            | LedgerError::Open(_)
            | LedgerError::NoRecord(_)
            | LedgerError::Root { .. } => 2,
        }
    }
}

impl From<LedgerError> for CtlError {
    fn from(error: LedgerError) -> Self {
        let code = error.code();
        CtlError::Group { source: error.into(), code }
    }
}

/// Runs one of them.
pub fn run(global: &Global, command: LedgerCommand) -> Result<Exit, CtlError> {
    match command {
        LedgerCommand::Verify(command) => verify::run(global, &command),
        LedgerCommand::Show(command) => show::run(global, &command),
    }
}
