//! The unseal socket of the keeper: one request, one answer, and the client psdd asks with.
//!
//! psdd carries bytes: an offer that the host's key signs, and envelopes that only this start of the keeper can open. A
//! share in the clear never comes here.
//!
//! A frame is a 32-bit little-endian length and one CBOR item; the keeper closes the connection after its answer.

use crate::frame::{self, DecodeFrameError, EncodeFrameError};
use minicbor::{Decode, Encode};
use psdd_seal::AnswerError;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use psdd_seal::{Answer, Refusal};

/// The longest request, in bytes.
pub(crate) const MAX_REQUEST: usize = 8 << 10;
/// The longest answer, in bytes.
pub(crate) const MAX_REPLY: usize = 64 << 10;

/// What psdd asks.
#[derive(Encode, Decode)]
pub(crate) enum Request {
    /// The signed offer as it is now.
    #[n(0)]
    Offer,
    /// A sealed share.
    #[n(1)]
    Share(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

/// What the keeper says.
#[derive(Encode, Decode)]
pub(crate) enum Reply {
    /// The offer.
    #[n(0)]
    Offer(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// An [`Answer`] to a share.
    #[n(1)]
    Answer(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// The keeper failed.
    #[n(2)]
    Failed(#[n(0)] String),
}

/// Why the keeper was not heard.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// Nobody listens.
    #[error("the keeper does not answer at {socket}: psdd-hsm is down, or no PIN of its tokens is sealed")]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or took too long.
    #[error("the connection to the keeper broke; ask for the offer to see whether a share came in")]
    Io(#[from] io::Error),
    /// The request is longer than the keeper takes.
    #[error("a sealed share of {0} bytes is longer than {MAX_REQUEST}")]
    TooLong(usize),
    /// The request does not fit a frame.
    #[error(transparent)]
    Encode(#[from] EncodeFrameError),
    /// The answer is not of the form.
    #[error("the keeper's answer: {0}")]
    Decode(#[from] DecodeFrameError),
    /// The answer to a share is not of the form.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The keeper answered something else.
    #[error("the keeper answered another question")]
    Unexpected,
    /// The keeper failed, and says why.
    #[error("the keeper: {0}")]
    Keeper(String),
}

/// Fetches the keeper's signed offer ([`psdd_seal::Offer`]), to be verified by whoever seals shares to it.
///
/// Blocks for at most `patience`.
///
/// # Errors
///
/// When the keeper does not answer.
pub fn offer(socket: &Path, patience: Duration) -> Result<Vec<u8>, UnsealError> {
    match ask(socket, &Request::Offer, patience)? {
        Reply::Offer(offer) => Ok(offer),
        Reply::Answer(_) => Err(UnsealError::Unexpected),
        Reply::Failed(reason) => Err(UnsealError::Keeper(reason)),
    }
}

/// Carries a sealed share, as [`psdd_seal::seal_share`] gave it, to the keeper. A refusal is an answer, not an error.
///
/// Blocks for at most `patience`.
///
/// # Errors
///
/// When the keeper does not answer; whether the share came in, the offer then tells.
pub fn submit(socket: &Path, sealed_share: &[u8], patience: Duration) -> Result<Answer, UnsealError> {
    match ask(socket, &Request::Share(sealed_share.to_vec()), patience)? {
        Reply::Answer(answer) => Ok(Answer::decode(&answer)?),
        Reply::Offer(_) => Err(UnsealError::Unexpected),
        Reply::Failed(reason) => Err(UnsealError::Keeper(reason)),
    }
}

fn ask(socket: &Path, request: &Request, patience: Duration) -> Result<Reply, UnsealError> {
    let until = Instant::now() + patience;
    let bytes = frame::encode(request)?;
    if bytes.len() > MAX_REQUEST {
        return Err(UnsealError::TooLong(bytes.len()));
    }
    let connect = |source| UnsealError::Connect { socket: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(connect)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(&bytes)?;
    Ok(frame::decode(&read_frame(&mut stream, MAX_REPLY, until)?)?)
}

/// Reads one frame of at most so many bytes before a point in time, however slowly its sender drips it.
///
/// # Errors
///
/// `TimedOut` at that time, `InvalidData` when it is announced as longer, else as the stream.
pub(crate) fn read_frame(stream: &mut UnixStream, longest: usize, until: Instant) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    read_exact(stream, &mut prefix, until)?;
    let announced = u32::from_le_bytes(prefix);
    let length = usize::try_from(announced).ok().filter(|length| *length <= longest);
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {announced} bytes"));
    let mut bytes = vec![0; length.ok_or_else(too_long)?];
    read_exact(stream, &mut bytes, until)?;
    Ok(bytes)
}

fn read_exact(stream: &mut UnixStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = &mut buffer[read..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
