//! The state both threads and the senders of a link share.
//!
//! Owns the one lock of the link; it is never held across a call that can block. A frame is written by its sender,
//! without blocking, when nothing is queued before it, because waking the writer thread costs more than the write.

use super::outstanding::{Answer, Delivery, Outstanding, ReplyTo};
use super::{LinkConfig, WrappedKey};
use crate::frame::{self, EncodeFrameError};
use crate::protocol::{HsmFault, Request, Welcome};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::{HashMap, VecDeque};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) struct Shared {
    pub(super) config: LinkConfig,
    state: Mutex<State>,
    /// Rung when there is something to write, or at the end.
    to_write: Condvar,
    /// Rung when the connection goes up, or at the end.
    changed: Condvar,
    next_request: AtomicU64,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    outstanding: Outstanding,
    /// Bytes that did not fit into the socket, in order.
    queue: VecDeque<Vec<u8>>,
    /// The writer thread is writing what it took from the queue.
    writing: bool,
    stopping: bool,
    /// The wrapped keys psdd keeps for the token.
    adopted: HashMap<Arc<[u8]>, Adopted>,
}

struct Adopted {
    key: WrappedKey,
    /// The worker process that was told of it, if one was.
    told: Option<u64>,
}

impl Adopted {
    fn encode(&self, incarnation: u64) -> Result<Vec<u8>, EncodeFrameError> {
        let key = &self.key;
        frame::encode(&Request::Adopt {
            incarnation,
            key_id: key.key_id.to_vec(),
            role: key.role,
            algorithm: key.algorithm,
            spki: key.spki.to_vec(),
            wrapped: key.wrapped.to_vec(),
        })
    }
}

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) stream: Arc<UnixStream>,
    pub(super) welcome: Arc<Welcome>,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubmitError {
    #[error("no worker is connected")]
    Down,
    #[error("the queue is full")]
    Full,
    #[error(transparent)]
    Frame(#[from] EncodeFrameError),
}

impl Shared {
    pub(super) fn new(config: LinkConfig) -> Self {
        Self {
            config,
            state: Mutex::new(State::default()),
            to_write: Condvar::new(),
            changed: Condvar::new(),
            next_request: AtomicU64::new(1),
        }
    }

    /// Numbers a request, writes it and enters it as outstanding. A worker that does not know the wrapped key it is
    /// about is told of it right before.
    pub(super) fn submit(
        &self,
        deadline: Duration,
        key_id: Option<&[u8]>,
        reply_to: ReplyTo,
        encode: impl FnOnce(u64, u64) -> Result<Vec<u8>, EncodeFrameError>,
    ) -> Result<super::RequestId, SubmitError> {
        let Some(connection) = self.lock().connection.clone() else {
            return Err(SubmitError::Down);
        };
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        let incarnation = connection.welcome.incarnation;
        let mut bytes = encode(request, incarnation)?;

        let mut state = self.lock();
        let same = |current: &Connection| Arc::ptr_eq(&current.stream, &connection.stream);
        if !state.connection.as_ref().is_some_and(same) {
            return Err(SubmitError::Down);
        }
        if state.outstanding.len() >= self.config.max_outstanding {
            return Err(SubmitError::Full);
        }
        let adopted = key_id.and_then(|key_id| state.adopted.get_mut(key_id));
        if let Some(adopted) = adopted.filter(|adopted| adopted.told != Some(incarnation)) {
            // What is queued and lost with its connection is told again: down() forgets who was told.
            bytes = [adopted.encode(incarnation)?, bytes].concat();
            adopted.told = Some(incarnation);
        }
        // A deadline never ends before the link's own, so the reader's clock tick finds every one in time.
        let deadline = Instant::now() + deadline.max(self.config.request_deadline);
        state.outstanding.insert(request, deadline, reply_to);
        if self.write_now_or_queue(&mut state, &connection.stream, bytes) {
            return Ok(super::RequestId(request));
        }
        state.outstanding.forget(request);
        Err(SubmitError::Down)
    }

    /// False when the connection is broken; the reader will notice and report it.
    fn write_now_or_queue(&self, state: &mut State, stream: &UnixStream, mut bytes: Vec<u8>) -> bool {
        if !state.writing && state.queue.is_empty() {
            match rustix::net::send(stream, &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) if sent == bytes.len() => return true,
                Ok(sent) => drop(bytes.drain(..sent)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_broken) => return false,
            }
        }
        state.queue.push_back(bytes);
        self.to_write.notify_one();
        true
    }

    /// Waits for bytes that must be written in turn; none at the end of the link.
    pub(super) fn next_to_write(&self) -> Option<(Arc<UnixStream>, Vec<u8>)> {
        let mut state = self.lock();
        state.writing = false;
        loop {
            if state.stopping {
                return None;
            }
            if let Some(connection) = &state.connection {
                let stream = Arc::clone(&connection.stream);
                if let Some(bytes) = state.queue.pop_front() {
                    state.writing = true;
                    return Some((stream, bytes));
                }
            }
            state = self.to_write.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens the link for requests; false at the end of the link.
    pub(super) fn up(&self, connection: Connection) -> bool {
        let mut state = self.lock();
        if state.stopping {
            return false;
        }
        state.connection = Some(connection);
        self.changed.notify_all();
        true
    }

    /// Closes the link for requests and gives back those that nobody will answer.
    pub(super) fn down(&self) -> Vec<Delivery> {
        let mut state = self.lock();
        if let Some(connection) = state.connection.take() {
            shut(&connection.stream);
        }
        state.queue.clear();
        // A connection can be lost with what was written to it and not read, though the worker goes on.
        state.adopted.values_mut().for_each(|adopted| adopted.told = None);
        state.outstanding.fail_all()
    }

    pub(super) fn answer(&self, request: u64, answer: Result<Answer, HsmFault>) -> Option<Delivery> {
        self.lock().outstanding.answer(request, answer)
    }

    pub(super) fn fail_late(&self) -> Vec<Delivery> {
        self.lock().outstanding.fail_late(Instant::now())
    }

    pub(super) fn adopt(&self, key: WrappedKey) {
        self.lock().adopted.insert(Arc::clone(&key.key_id), Adopted { key, told: None });
    }

    pub(super) fn forget(&self, key_id: &[u8]) {
        self.lock().adopted.remove(key_id);
    }

    pub(super) fn outstanding(&self) -> usize {
        self.lock().outstanding.len()
    }

    pub(super) fn welcome(&self) -> Option<Arc<Welcome>> {
        self.lock().connection.as_ref().map(|connection| Arc::clone(&connection.welcome))
    }

    /// Waits until a worker is connected.
    pub(super) fn wait_up(&self, timeout: Duration) -> Option<Arc<Welcome>> {
        let down = |state: &mut State| state.connection.is_none() && !state.stopping;
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, down);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.connection.as_ref().map(|connection| Arc::clone(&connection.welcome))
    }

    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        if let Some(connection) = &state.connection {
            shut(&connection.stream);
        }
        self.to_write.notify_all();
        self.changed.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits before the next attempt to connect; true at the end of the link.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), pause, |state| !state.stopping);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.stopping
    }

    /// No step under this lock can leave the state half changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends both directions; the reader's read returns and reports the loss.
pub(super) fn shut(stream: &UnixStream) {
    if let Err(error) = stream.shutdown(Shutdown::Both) {
        tracing::debug!(%error, "the worker's connection was closed already");
    }
}
