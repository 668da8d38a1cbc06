//! What can go wrong between asking and holding a verified answer.

use crate::config::ConfigError;
use crate::verify::VerificationError;
use psdd_wire::problem::Problem;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a call gave no answer that can be used.
///
/// A piece whose call ended in [`ClientError::Connect`], [`ClientError::Deadline`], [`ClientError::Contract`] or
/// [`ClientError::Verification`] may have been debited: repeat the call with the same key, never with a new one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be used.
    #[error("configuration")]
    Config(#[source] Arc<ConfigError>),
    /// What was asked cannot be asked. Nothing was sent.
    #[error("not sent")]
    Input(#[source] InputError),
    /// No connection, or it was lost, and retries did not help.
    #[error("no connection to {endpoint}")]
    Connect {
        /// `host:port`.
        endpoint: Arc<str>,
        /// What happened last.
        source: ConnectError,
    },
    /// The two sides do not accept each other.
    #[error("TLS with {endpoint}")]
    Tls {
        /// `host:port`.
        endpoint: Arc<str>,
        /// What rustls says.
        source: rustls::Error,
    },
    /// No answer in time, and retries did not help.
    #[error("no answer within {} ms in any of {attempts} attempts", .deadline.as_millis())]
    Deadline {
        /// The time one attempt had.
        deadline: Duration,
        /// How many were made.
        attempts: u32,
    },
    /// The appliance refused the request as a whole.
    #[error("refused")]
    Refused(#[source] Problem),
    /// The answer breaks the contract (daemon/wire/psdd.cddl).
    #[error("the server broke the contract")]
    Contract(#[source] Arc<ContractError>),
    /// The answer keeps the contract and is wrong.
    #[error("the answer does not stand verification")]
    Verification(#[source] Arc<VerificationError>),
}

/// Why a connection could not be made or held.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host could not be resolved or reached.
    #[error("cannot be reached: {0}")]
    Unreachable(#[source] Arc<io::Error>),
    /// Reached, but no connection was made in time.
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The server speaks no HTTP/2.
    #[error("the server does not offer HTTP/2 (ALPN h2)")]
    NoHttp2,
    /// The connection was lost.
    #[error("connection lost: {0}")]
    Lost(#[source] Arc<hyper::Error>),
    /// The connection was closed by the server.
    #[error("connection closed by the server")]
    Closed,
}

/// What cannot be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InputError {
    /// All-or-none binds one request, and that has a limit.
    #[error("all-or-none takes at most {limit} items, these are {items}", limit = psdd_wire::MOST_ITEMS)]
    TooManyForAllOrNone {
        /// Items given.
        items: usize,
    },
    /// Nothing of the log has this name.
    #[error("{0:?} is no resource of the log: /log/checkpoint, or /log/tile/… as C2SP tlog-tiles names it")]
    LogPath(String),
    /// Two items of one call carry the same key.
    #[error("items {first} and {second} carry the same key; a piece has a key of its own")]
    SameKey {
        /// Index of the first.
        first: usize,
        /// Index of the second.
        second: usize,
    },
}

/// What the server broke.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// An error without problem details.
    #[error("status {status} without problem details (RFC 9290)")]
    Status {
        /// HTTP status.
        status: u16,
    },
    /// Another media type than the one documented.
    #[error("media type {told:?} instead of {expected}")]
    MediaType {
        /// Told.
        told: String,
        /// Documented.
        expected: &'static str,
    },
    /// The body is no such message.
    #[error("the body of {call} is not the message documented: {source}")]
    Body {
        /// Method and path.
        call: String,
        /// What the decoder says.
        source: serde_cbor::Error,
    },
    /// The body exceeds every shape of the contract.
    #[error("the body exceeds {limit} bytes")]
    TooLong {
        /// Limit, bytes.
        limit: usize,
    },
    /// A resource of the log that is not of the form of C2SP tlog-tiles.
    #[error("{path} is not what its name says: {what}")]
    LogResource {
        /// Its path.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Not one result for each item.
    #[error("{results} results for {items} items")]
    ResultCount {
        /// Sent.
        items: usize,
        /// Received.
        results: usize,
    },
    /// A layout that this SDK does not know.
    #[error("indicium layout {0:?} is not known to this SDK; update it")]
    Format(String),
    /// The log's public key is of no kind documented.
    #[error("the log's public key is neither Ed25519 nor ECDSA P-256")]
    LogKey,
    /// An identifier differs from the one asked for.
    #[error("{what} is {told}, asked for was {asked}")]
    OtherSubject {
        /// What it is.
        what: &'static str,
        /// Asked for.
        asked: String,
        /// Told.
        told: String,
    },
    /// A certificate listed for a key is not of that key.
    #[error("the certificate listed for key {key_id} is of another key or serial")]
    CertificateOfOtherKey {
        /// CKA_ID, hex.
        key_id: String,
    },
}

impl ClientError {
    /// Whether the same call, with the same keys, can succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            ClientError::Connect { .. } | ClientError::Deadline { .. } => true,
            ClientError::Refused(problem) => problem.facts.retry,
            ClientError::Config(_)
            | ClientError::Input(_)
            | ClientError::Tls { .. }
            | ClientError::Contract(_)
            | ClientError::Verification(_) => false,
        }
    }
}

impl From<ConfigError> for ClientError {
    fn from(error: ConfigError) -> Self {
        ClientError::Config(Arc::new(error))
    }
}

impl From<InputError> for ClientError {
    fn from(error: InputError) -> Self {
        ClientError::Input(error)
    }
}

impl From<ContractError> for ClientError {
    fn from(error: ContractError) -> Self {
        ClientError::Contract(Arc::new(error))
    }
}

impl From<VerificationError> for ClientError {
    fn from(error: VerificationError) -> Self {
        ClientError::Verification(Arc::new(error))
    }
}
