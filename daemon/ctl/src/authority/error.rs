//! Why a command of the authority did not do what it was asked.

use super::policy::PolicyTextError;
use crate::error::CtlError;
use crate::output::OutputError;
use psd::inspection::PeriodsError;
use psd::{ApplianceId, LicenceNumber};
use psdd_authority::audit_report::ReportRefusal;
use psdd_authority::books::{Fault, LicenceError, RevokeError};
use psdd_authority::config::ConfigError;
use psdd_authority::instructions::InstructionError;
use psdd_authority::pki::{CountersignError, IssueError, PkiError};
use psdd_authority::rates::PublishError;
use psdd_authority::serve::{ClockError, ServeError, TlsError};
use std::path::PathBuf;

/// What went wrong, with the step that did.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The directory or its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The books.
    #[error(transparent)]
    Books(#[from] Fault),
    /// A licence or a deposit.
    #[error(transparent)]
    Licence(#[from] LicenceError),
    /// No such licence.
    #[error("there is no licence {0}; `psdctl authority licence list` shows all")]
    UnknownLicence(LicenceNumber),
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A certificate of a PSD's key.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A key that is to be revoked.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// A genesis file.
    #[error(transparent)]
    Countersign(#[from] CountersignError),
    /// An instruction.
    #[error(transparent)]
    Instruction(#[from] InstructionError),
    /// A report that is not to be accepted.
    #[error("{}: {source}", .path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReportRefusal,
    },
    /// A rate table that is not signed.
    #[error("{}: {source}", .path.display())]
    Rates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PublishError,
    },
    /// Periods of inspection that cannot be.
    #[error("{option}: {source}")]
    Periods {
        /// Which option.
        option: &'static str,
        /// What is wrong with it.
        source: PeriodsError,
    },
    /// A policy's text that is not to be signed.
    #[error("{}: {source}", .path.display())]
    PolicyText {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PolicyTextError,
    },
    /// There is no version after the last.
    #[error("the policy of {appliance} has the last version there is")]
    PolicyVersions {
        /// Whose.
        appliance: ApplianceId,
    },
    /// The funds system.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Its TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The time.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The runtime for connections or its signals.
    #[error("cannot start the runtime for connections: {0}")]
    Runtime(std::io::Error),
    /// A file of registers.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The signed table would take the place of its text.
    #[error("{}: the signed table would overwrite the table; name another --out", .0.display())]
    OutIsTable(PathBuf),
    /// Not what `psdctl --json vendor psds` prints.
    #[error("{}: not the output of `psdctl --json vendor psds`: {source}", .path.display())]
    NotRegisters {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// No open finding of that number.
    #[error("there is no open finding {0}; `psdctl authority report` lists them")]
    NoFinding(u64),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl AuthorityError {
    fn code(&self) -> u8 {
        match self {
            AuthorityError::Licence(_)
            | AuthorityError::UnknownLicence(_)
            | AuthorityError::NoFinding(_)
            | AuthorityError::Revoke(_)
            | AuthorityError::Countersign(CountersignError::OtherRoot)
            | AuthorityError::Report { .. }
            | AuthorityError::Instruction(InstructionError::Certificate(_) | InstructionError::SinceAhead(_))
            | AuthorityError::Rates { source: PublishError::Table(_) | PublishError::Refused(_), .. }
            | AuthorityError::Pki(PkiError::UnknownClient(_))
            | AuthorityError::Issue(IssueError::Register(_) | IssueError::Request { .. }) => 1,
            AuthorityError::Config(_)
            | AuthorityError::Pki(PkiError::NotEmpty(_))
            | AuthorityError::Countersign(CountersignError::Malformed(_) | CountersignError::Environment(_))
            | AuthorityError::Unreadable { .. }
            | AuthorityError::OutIsTable(_)
            | AuthorityError::Periods { .. }
            | AuthorityError::PolicyText { .. }
            | AuthorityError::PolicyVersions { .. }
            | AuthorityError::Rates { source: PublishError::NotText(_), .. }
            | AuthorityError::NotRegisters { .. } => 2,
            AuthorityError::Books(_)
            | AuthorityError::Pki(
                PkiError::Make { .. }
                | PkiError::File(_)
                | PkiError::Pem { .. }
                | PkiError::Key(_)
                | PkiError::Sign(_)
                | PkiError::Books(_),
            )
            | AuthorityError::Countersign(CountersignError::Pki(_))
            | AuthorityError::Issue(IssueError::Pki(_))
            | AuthorityError::Rates {
                source: PublishError::Key(_) | PublishError::Sign(_) | PublishError::Clock(_),
                ..
            }
            | AuthorityError::Instruction(InstructionError::Key(_) | InstructionError::Books(_))
            | AuthorityError::Serve(_)
            | AuthorityError::Tls(_)
            | AuthorityError::Clock(_)
            | AuthorityError::Runtime(_)
            | AuthorityError::Output(_) => 3,
        }
    }
}

impl From<AuthorityError> for CtlError {
    fn from(error: AuthorityError) -> Self {
        let code = error.code();
        CtlError::Group { source: Box::new(error), code }
    }
}
