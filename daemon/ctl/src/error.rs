//! What a command can end with, and how a person is told.

use crate::config::ConfigError;
use crate::indicium::CertificatesError;
use crate::input::InputError;
use crate::output::OutputError;
use crate::render::RenderError;
use crate::vendor::{FundsError, JournalError, ListError, ValueError};
use psdd_client::ClientError;
use std::error::Error;
use std::process::ExitCode;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0.
    Done,
    /// 1: the answer is no.
    Negative,
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The configuration of the connection.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A mark given as input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Certificates given as input.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// A mailing list.
    #[error(transparent)]
    List(#[from] ListError),
    /// The journal of idempotency keys.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Files and amounts of a value download.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// What goes to the authority and comes back, asked for in a way that cannot be.
    #[error(transparent)]
    Funds(#[from] FundsError),
    /// No PSD of the licence can be read.
    #[error("this client can read no PSD of a licence {0} (`psdctl vendor psds` lists those it can read)")]
    NoSuchLicence(psd::LicenceNumber),
    /// A mark could not be drawn.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The appliance, or the way to it.
    #[error("the vendor door: {0}")]
    Client(#[from] ClientError),
    /// The authority's funds system, or the way to it.
    #[error("the funds system: {0}")]
    FundsSystem(#[source] ClientError),
    /// The appliance's certificates cannot be judged.
    #[error("certificates of the appliance")]
    Root(#[source] psdd_client::verify::ChainError),
    /// The runtime for connections could not be started.
    #[error("cannot start the runtime for connections")]
    Runtime(#[source] std::io::Error),
    /// Another group's error, with its exit code.
    #[error("{source}")]
    Group {
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
        /// 1, 2 or 3.
        code: u8,
    },
}

impl CtlError {
    /// The exit code, as the help documents it.
    pub fn exit(&self) -> ErrorExit {
        ErrorExit(match self {
            CtlError::Config(_)
            | CtlError::Input(_)
            | CtlError::Certificates(_)
            | CtlError::List(_)
            | CtlError::NoSuchLicence(_)
            | CtlError::Value(_)
            | CtlError::Funds(_) => 2,
            CtlError::Root(_) => 1,
            CtlError::Journal(error) => error.exit_code(),
            CtlError::Render(_) | CtlError::Output(_) | CtlError::Runtime(_) => 3,
            CtlError::Client(error) | CtlError::FundsSystem(error) => match error {
                ClientError::Config(_) | ClientError::Input(_) => 2,
                ClientError::Refused(_) | ClientError::Verification(_) => 1,
                ClientError::Connect { .. }
                | ClientError::Tls { .. }
                | ClientError::Deadline { .. }
                | ClientError::Contract(_) => 3,
            },
            CtlError::Group { code, .. } => *code,
        })
    }

    /// Tells it on stderr: what, why, what to do.
    pub fn tell(&self) {
        eprintln!("psdctl: {self}");
        let mut last = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Sources that are quoted in the line above are not told twice.
            if !last.contains(&text) {
                eprintln!("  because: {text}");
            }
            last = text;
            cause = error.source();
        }
        if let Some(advice) = self.advice() {
            eprintln!("  do: {advice}");
        }
    }

    /// What a person can do about it, where the message does not say it already.
    fn advice(&self) -> Option<&'static str> {
        if let CtlError::FundsSystem(ClientError::Connect { .. } | ClientError::Tls { .. }) = self {
            return Some("check [funds] in psdctl.toml, then run the same command again: it goes on where it stopped");
        }
        let CtlError::Client(error) = self else { return None };
        Some(match error {
            ClientError::Connect { .. } => {
                "check that psdd runs and that `endpoint` in psdctl.toml is its vendor door, then run the same command again"
            }
            ClientError::Tls { .. } => {
                "check server_ca, server_name, client_cert and client_key in psdctl.toml; each door has a CA of its own"
            }
            ClientError::Deadline { .. } => {
                "run the same command again; pieces keep their keys, so nothing is debited twice"
            }
            ClientError::Refused(problem) if problem.facts.retry => "run the same command again",
            ClientError::Contract(_) => "compare the versions of psdctl and psdd",
            ClientError::Verification(_) => {
                "do not post the pieces; keep the files and tell the operators and the postal authority"
            }
            ClientError::Config(_) | ClientError::Input(_) | ClientError::Refused(_) => return None,
        })
    }
}

/// An exit code above zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorExit(u8);

impl From<ErrorExit> for ExitCode {
    fn from(exit: ErrorExit) -> Self {
        ExitCode::from(exit.0)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Negative => ExitCode::from(1),
        }
    }
}
