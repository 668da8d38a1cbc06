//! The link: psdd's side of a token.
//!
//! Owns one connection to the worker of one token, its reader thread and its writer thread, the requests that are
//! outstanding and their deadlines. Reconnects for ever by itself. Refuses to block its caller, to hold more than a
//! bounded number of requests, and to answer a request twice. psdd's core calls [`Link::sign`]; provisioning goes
//! through [`Blocking`], on the same link, because a worker serves one connection at a time.

mod blocking;
mod connection;
mod outstanding;
mod reader;
mod writer;

pub use blocking::{Blocking, CallError, Generated};

use crate::frame;
use crate::protocol::{Form, HsmFault, Messages, RequestRef, Welcome};
use crate::role::{Algorithm, Role};
use connection::{Shared, SubmitError};
use outstanding::ReplyTo;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Where a token's worker is and how long it may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// The token's name in the configuration, for thread names and messages.
    pub token: String,
    /// The Unix socket its keeper binds.
    pub socket: PathBuf,
    /// How long a worker may take to answer the Hello; logging in and the sweep happen in this time.
    pub hello_timeout: Duration,
    /// How long a signature may take; later answers are discarded.
    pub request_deadline: Duration,
    /// The most requests outstanding at a time; more are refused with [`SendError::Full`].
    pub max_outstanding: usize,
}

/// The name of a request on one link; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// A frame of messages to sign with one key: all or none.
#[derive(Clone, PartialEq, Debug)]
pub struct SignFrame {
    /// CKA_ID of the key.
    pub key_id: Arc<[u8]>,
    /// The role it must have.
    pub role: Role,
    /// The form every message must have.
    pub form: Form,
    /// The highest committed ascending register of the key's PSD, in the unit of the message; 0 for other forms.
    pub floor: u64,
    /// What to sign.
    pub messages: Messages,
}

/// Signatures of one frame, in the order of its messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signatures {
    bytes: Vec<u8>,
    /// The length of each; not zero.
    each: usize,
}

impl Signatures {
    /// Signatures back to back, 64 bytes each, as P-256 and Ed25519 have them.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, each: Algorithm::EcdsaP256.signature_len() }
    }

    /// Signatures back to back, `each` bytes each; none when that is no length of theirs.
    pub fn with_length(bytes: Vec<u8>, each: usize) -> Option<Self> {
        bytes.len().checked_rem(each).filter(|rest| *rest == 0)?;
        Some(Self { bytes, each })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.each
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The signatures in order, each as long as the key's algorithm has it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.each)
    }

    /// All signatures back to back.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A key that psdd keeps for the token, encrypted under the token's wrapping key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedKey {
    /// CKA_ID.
    pub key_id: Arc<[u8]>,
    /// What it may sign.
    pub role: Role,
    /// How it signs.
    pub algorithm: Algorithm,
    /// SubjectPublicKeyInfo, DER, or a MAC key's check value: what the worker holds the unwrapped key against.
    pub spki: Arc<[u8]>,
    /// The encrypted private half, as [`Blocking::generate`] gave it.
    pub wrapped: Arc<[u8]>,
}

/// What a link reports, from its reader thread, one after the other.
#[derive(Clone, PartialEq, Debug)]
pub enum LinkEvent {
    /// A worker answers; every request sent from now on goes to it.
    Up(Arc<Welcome>),
    /// No worker answers; every outstanding request has been failed before. Said again when the reason changes.
    Down {
        /// Why.
        reason: String,
    },
    /// The worker does not log in until an operator clears the latch. Said once per latch.
    Latched {
        /// What happened.
        reason: String,
        /// The command that clears it.
        clear: String,
    },
    /// A frame is signed.
    Signed {
        /// The frame.
        request: RequestId,
        /// Its signatures, as many as it had messages.
        signatures: Signatures,
    },
    /// A request failed, once and for all.
    Failed {
        /// The request.
        request: RequestId,
        /// Why.
        fault: HsmFault,
    },
}

/// Why a request was not taken; nothing has been sent and no event follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// No worker is connected.
    #[error("no worker of the token is connected")]
    Down,
    /// So many requests are outstanding already, or the worker does not read.
    #[error("the token's queue is full")]
    Full,
    /// The frame is longer than the protocol allows.
    #[error("the frame is too long")]
    TooLong,
}

/// A handle to one token; dropping it ends the connection and its threads.
pub struct Link {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a link could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread.
    #[error("cannot start a thread for the link of token {token}")]
    Thread {
        /// The token's name.
        token: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Link {
    /// Starts the threads of a link; the first event is `Up`, `Latched` or `Down`.
    ///
    /// `on_event` runs on the reader thread and must not block: while it runs, no answer is read.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(config: LinkConfig, on_event: impl Fn(LinkEvent) + Send + 'static) -> Result<Self, StartError> {
        let token = config.token.clone();
        let shared = Arc::new(Shared::new(config));
        let mut link = Self { shared: Arc::clone(&shared), threads: Vec::with_capacity(2) };
        let failed = |source| StartError::Thread { token: token.clone(), source };

        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name(format!("hsm-tx-{token}")).spawn(move || writer::run(&writing));
        link.threads.push(writer.map_err(failed)?);
        let reader =
            std::thread::Builder::new().name(format!("hsm-rx-{token}")).spawn(move || reader::run(&shared, &on_event));
        link.threads.push(reader.map_err(failed)?);
        Ok(link)
    }

    /// Sends a frame to be signed and returns at once; `Signed` or `Failed` follows exactly once.
    ///
    /// The event may be reported before this returns.
    ///
    /// # Errors
    ///
    /// When the frame was not taken.
    pub fn sign(&self, frame: &SignFrame) -> Result<RequestId, SendError> {
        let deadline = self.shared.config.request_deadline;
        let messages = frame.messages.len();
        let key = Some(&*frame.key_id);
        let submitted = self.shared.submit(deadline, key, ReplyTo::Events { messages }, |request, incarnation| {
            let borrowed = RequestRef::Sign {
                request,
                incarnation,
                key_id: &frame.key_id,
                role: frame.role,
                form: frame.form,
                floor: frame.floor,
                messages: &frame.messages,
            };
            frame::encode_with_capacity(&borrowed, frame.messages.encoded_len())
        });
        match submitted {
            Ok(request) => Ok(request),
            Err(SubmitError::Down) => Err(SendError::Down),
            Err(SubmitError::Full) => Err(SendError::Full),
            Err(SubmitError::Frame(frame::EncodeFrameError::TooLong(_))) => Err(SendError::TooLong),
        }
    }

    /// Keeps a wrapped key, so that every worker of the token that is to sign with it gets it first. Takes the place of
    /// what was adopted under the same CKA_ID.
    pub fn adopt(&self, key: WrappedKey) {
        self.shared.adopt(key);
    }

    /// Keeps a wrapped key no longer. A worker that has it signs with it until it is destroyed.
    pub fn forget(&self, key_id: &[u8]) {
        self.shared.forget(key_id);
    }

    /// How many requests are outstanding.
    pub fn outstanding(&self) -> usize {
        self.shared.outstanding()
    }

    /// What the connected worker said of itself, if one is connected.
    pub fn welcome(&self) -> Option<Arc<Welcome>> {
        self.shared.welcome()
    }

    /// Calls that wait for their answer, for provisioning and start-up; never from inside `on_event`.
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking::new(&self.shared)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop();
        let here = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // A handler that drops its own link cannot be waited for.
            if thread.thread().id() != here && thread.join().is_err() {
                tracing::error!(token = %self.shared.config.token, "a thread of the link panicked");
            }
        }
    }
}
