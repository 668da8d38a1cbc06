//! Calls that wait for their answer: making keys, signing requests for certificates, the anchor, the clock.

use super::connection::{Shared, SubmitError};
use super::outstanding::{Answer, ReplyTo, wrong_answer};
use super::{SignFrame, Signatures};
use crate::frame;
use crate::protocol::{FoundKey, HsmFault, Request, Welcome};
use crate::role::{Algorithm, Residence, Role};
use crossbeam_channel::RecvTimeoutError;
use std::sync::Arc;
use std::time::Duration;

/// What a blocking caller may wait for on a link; borrowed from [`super::Link::blocking`].
#[derive(Clone, Copy)]
pub struct Blocking<'l> {
    shared: &'l Shared,
}

/// A key that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generated {
    /// SubjectPublicKeyInfo, DER; for a MAC key the MAC of [`crate::protocol::KEY_CHECK`].
    pub spki: Vec<u8>,
    /// The private half, encrypted under the token's wrapping key, where it is to be kept wrapped: who asked for it has the
    /// only copy, and gives it to [`super::Link::adopt`].
    pub wrapped: Option<Vec<u8>>,
}

/// Why a blocking call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No worker is connected.
    #[error("no worker of the token is connected")]
    Down,
    /// So many requests are outstanding already.
    #[error("the token's queue is full")]
    Full,
    /// The request is longer than a frame may be.
    #[error("the request is longer than a frame may be")]
    TooLong,
    /// The worker, or the link for it, failed the request.
    #[error(transparent)]
    Failed(#[from] HsmFault),
    /// The link was dropped, or did not report within twice the deadline.
    #[error("the link ended before the answer")]
    Ended,
}

impl<'l> Blocking<'l> {
    pub(super) fn new(shared: &'l Shared) -> Self {
        Self { shared }
    }

    /// Waits until a worker is connected.
    ///
    /// # Errors
    ///
    /// [`CallError::Down`] when none is after `timeout`.
    pub fn wait_up(&self, timeout: Duration) -> Result<Arc<Welcome>, CallError> {
        self.shared.wait_up(timeout).ok_or(CallError::Down)
    }

    /// Signs a frame.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn sign(&self, frame: &SignFrame, deadline: Duration) -> Result<Signatures, CallError> {
        let answer = self.call(deadline, Some(&frame.key_id), |request, incarnation| Request::Sign {
            request,
            incarnation,
            key_id: frame.key_id.to_vec(),
            role: frame.role,
            form: frame.form,
            floor: frame.floor,
            messages: frame.messages.clone(),
        })?;
        match answer {
            Answer::Signed(signatures) if signatures.len() == frame.messages.len() => Ok(signatures),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a key. The first byte of `key_id` is the role's number.
    ///
    /// # Errors
    ///
    /// As [`CallError`]; where there is a key of this CKA_ID already it is refused with [`KEY_EXISTS`](crate::protocol::KEY_EXISTS), one the profile does not have, or
    /// does not wrap, with `algorithm-not-offered`, a wrapped one with `wrapping-not-offered`, `wrapping-key-missing`, `wrapping-key-ambiguous` or
    /// `wrapping-key-unfit` where the token cannot.
    pub fn generate(
        &self,
        role: Role,
        algorithm: Algorithm,
        key_id: &[u8],
        label: &str,
        residence: Residence,
        deadline: Duration,
    ) -> Result<Generated, CallError> {
        let answer = self.call(deadline, None, |request, incarnation| Request::Generate {
            request,
            incarnation,
            role,
            algorithm,
            key_id: key_id.to_vec(),
            label: label.to_owned(),
            residence,
        })?;
        match answer {
            Answer::Generated(made) if made.wrapped.is_some() == (residence == Residence::Wrapped) => Ok(made),
            other => Err(unexpected(&other)),
        }
    }

    /// Destroys a key wherever the worker has it: private and public objects of the token, session copies, the unwrapped
    /// and the wrapped key; the link forgets it first. Done as well when there is none, and proven by a search.
    ///
    /// # Errors
    ///
    /// As [`CallError`]; `key-busy`, to be tried again, while a frame of the key is queued or signed.
    pub fn destroy(&self, key_id: &[u8], deadline: Duration) -> Result<(), CallError> {
        self.shared.forget(key_id);
        let answer = self.call(deadline, None, |request, incarnation| Request::Destroy {
            request,
            incarnation,
            key_id: key_id.to_vec(),
        })?;
        done(answer)
    }

    /// Has the token searched for the key of a CKA_ID now, whatever the Welcome said of it; none when it has no such key. One that
    /// is fit signs from then on.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn find(&self, key_id: &[u8], deadline: Duration) -> Result<Option<FoundKey>, CallError> {
        let answer = self.call(deadline, None, |request, incarnation| Request::Find {
            request,
            incarnation,
            key_id: key_id.to_vec(),
        })?;
        match answer {
            Answer::Found(key) if key.as_ref().is_none_or(|key| key.entry.key_id == key_id) => Ok(key),
            other => Err(unexpected(&other)),
        }
    }

    /// Reads a data object; none when there is no such object.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn read_object(&self, label: &str, deadline: Duration) -> Result<Option<Vec<u8>>, CallError> {
        let answer = self.call(deadline, None, |request, incarnation| Request::ReadObject {
            request,
            incarnation,
            label: label.to_owned(),
        })?;
        match answer {
            Answer::Object(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a data object in place of the one of that label.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn write_object(&self, label: &str, bytes: &[u8], deadline: Duration) -> Result<(), CallError> {
        let answer = self.call(deadline, None, |request, incarnation| Request::WriteObject {
            request,
            incarnation,
            label: label.to_owned(),
            bytes: bytes.to_vec(),
        })?;
        done(answer)
    }

    /// Reads the token's clock, in milliseconds since 1970; none where it has none.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn clock(&self, deadline: Duration) -> Result<Option<u64>, CallError> {
        match self.call(deadline, None, |request, incarnation| Request::Clock { request, incarnation })? {
            Answer::Clock(unix_ms) => Ok(unix_ms),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets a key make a real signature, which stays in the worker.
    ///
    /// # Errors
    ///
    /// As [`CallError`].
    pub fn test_sign(&self, key_id: &[u8], deadline: Duration) -> Result<(), CallError> {
        let answer = self.call(deadline, Some(key_id), |request, incarnation| Request::TestSign {
            request,
            incarnation,
            key_id: key_id.to_vec(),
        })?;
        done(answer)
    }

    fn call(
        &self,
        deadline: Duration,
        key_id: Option<&[u8]>,
        request: impl FnOnce(u64, u64) -> Request,
    ) -> Result<Answer, CallError> {
        let (waiter, answer) = crossbeam_channel::bounded(1);
        let submitted = self.shared.submit(deadline, key_id, ReplyTo::Waiter(waiter), |number, incarnation| {
            frame::encode(&request(number, incarnation))
        });
        match submitted {
            Ok(_) => {}
            Err(SubmitError::Down) => return Err(CallError::Down),
            Err(SubmitError::Full) => return Err(CallError::Full),
            Err(SubmitError::Frame(frame::EncodeFrameError::TooLong(_))) => return Err(CallError::TooLong),
        }
        // The link answers at the deadline itself; the margin only covers a link that ends meanwhile.
        let patience = deadline.max(self.shared.config.request_deadline) * 2 + Duration::from_secs(1);
        match answer.recv_timeout(patience) {
            Ok(answer) => Ok(answer?),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(CallError::Ended),
        }
    }
}

fn done(answer: Answer) -> Result<(), CallError> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> CallError {
    tracing::error!(?answer, "the worker answered something else than was asked");
    CallError::Failed(wrong_answer())
}
