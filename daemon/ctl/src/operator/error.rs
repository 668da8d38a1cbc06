//! Why a command of the operators did not do what it was asked.

use crate::error::CtlError;
use crate::output::OutputError;
use psdd_client::ClientError;
use psdd_operator_token::TokenError;
use psdd_wire::ceremony::{ApprovalError, CeremonyError, QuorumRefusal, SignError};
use std::io;
use std::path::PathBuf;

/// What went wrong, with the step that did.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A share that is not given.
    #[error("{}: {problem}", .path.display())]
    Share {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file that would be overwritten.
    #[error("{} exists already; keys and certification requests are never overwritten", .0.display())]
    Exists(PathBuf),
    /// A file that is no ceremony.
    #[error("{}: {source}", .path.display())]
    Ceremony {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: CeremonyError,
    },
    /// A file that is no approval.
    #[error("{}: {source}", .path.display())]
    Approval {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ApprovalError,
    },
    /// A key that is none.
    #[error("{}: not a private key on P-256 in PKCS#8 PEM: {problem} (make one with `psdctl operator keygen`)", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A private key that others can read.
    #[error("{} can be read by others (mode {mode:03o}); `chmod 600` it, and think about who may have", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A token named by a file.
    #[error("{} is no PKCS#11 URI; a token is named by one (pkcs11:token=…;object=…?module-path=…)", .0.display())]
    NoToken(PathBuf),
    /// A key in a token, or one that is to be made there.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The machine gave no key or no randomness.
    #[error("the cryptographic library: {0}")]
    Crypto(&'static str),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The person did not confirm.
    #[error("not confirmed; nothing was signed")]
    NotConfirmed,
    /// Approvals that are no quorum.
    #[error("{0}")]
    Quorum(#[from] QuorumRefusal),
    /// A certificate file that is none.
    #[error("{}: not certificates in PEM: {problem}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No certificates at all.
    #[error("{} holds no PSD-ROLE.pem or PSD-ROLE-GENERATION.pem", .0.display())]
    NoCertificates(PathBuf),
    /// The configuration does not say how the operator door is reached.
    #[error(
        "psdctl.toml has no [operator]: say there how the operator door is reached \
         (endpoint, server_name, server_ca, client_cert, client_key)"
    )]
    NoDoor,
    /// The root that certificates are verified against is not named.
    #[error("psdctl.toml names no authority_root; `key verify` judges against it")]
    NoRoot,
    /// No such key.
    #[error("PSD {psd} has no {role} key of that generation")]
    NoKey {
        /// The PSD.
        psd: String,
        /// The role.
        role: String,
    },
    /// The operator door, or the way to it.
    #[error("the operator door: {0}")]
    Door(#[from] ClientError),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Configuration or runtime.
    #[error(transparent)]
    Ctl(Box<CtlError>),
}

impl OperatorError {
    fn code(&self) -> u8 {
        match self {
            OperatorError::Quorum(_) | OperatorError::NotConfirmed | OperatorError::NoKey { .. } => 1,
            OperatorError::File { .. }
            | OperatorError::Exists(_)
            | OperatorError::Share { .. }
            | OperatorError::Ceremony { .. }
            | OperatorError::Approval { .. }
            | OperatorError::Key { .. }
            | OperatorError::Exposed { .. }
            | OperatorError::Certificate { .. }
            | OperatorError::NoCertificates(_)
            | OperatorError::NoToken(_)
            | OperatorError::NoDoor
            | OperatorError::NoRoot => 2,
            OperatorError::Door(error) => match error {
                ClientError::Config(_) | ClientError::Input(_) => 2,
                ClientError::Refused(_) | ClientError::Verification(_) => 1,
                ClientError::Connect { .. }
                | ClientError::Tls { .. }
                | ClientError::Deadline { .. }
                | ClientError::Contract(_) => 3,
            },
            OperatorError::Token(error) => match error {
                TokenError::Load { .. } | TokenError::Call { .. } | TokenError::Sign(_) | TokenError::Template(_) => 3,
                TokenError::Login { .. } | TokenError::Locked | TokenError::LastTry => 1,
                TokenError::Uri(_)
                | TokenError::NoModule
                | TokenError::NoToken(_)
                | TokenError::ManyTokens(_)
                | TokenError::NoKey(_)
                | TokenError::ManyKeys(_)
                | TokenError::Type
                | TokenError::Unfit(_)
                | TokenError::Public(_)
                | TokenError::Publics(_)
                | TokenError::Pin(_)
                | TokenError::Unlabelled
                | TokenError::Exists(_) => 2,
            },
            OperatorError::Crypto(_) | OperatorError::Sign(_) | OperatorError::Output(_) => 3,
            OperatorError::Ctl(_) => 2,
        }
    }
}

impl From<CtlError> for OperatorError {
    fn from(error: CtlError) -> Self {
        OperatorError::Ctl(Box::new(error))
    }
}

impl From<OperatorError> for CtlError {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Ctl(error) => *error,
            error => {
                let code = error.code();
                CtlError::Group { source: Box::new(error), code }
            }
        }
    }
}
