//! psdd's connection: one at a time, the newest.
//!
//! Owns the socket, the Hello and the checks that come before a frame is queued. Refuses frames for another worker
//! process, for keys that are unknown or unusable, and messages that are not of the form their role demands.

use super::admin::{AdminJob, AdminQueue, AdminWork};
use super::form::{self, Signer};
use super::keys::{Hold, Key, Keys, hex};
use super::pool::{SignJob, refused};
use super::public_half;
use super::sign::Signing;
use crate::frame::{self, FrameBuffer};
use crate::protocol::{FaultClass, HsmFault, KEYS_PER_FRAME, KeyEntry, MAX_MESSAGES, Reply, Request, VERSION, Welcome};
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A psdd that does not read its answers for so long has lost its connection.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// A peer that does not say Hello is let go.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// What every connection needs.
pub struct Office {
    /// The sessions and their queue.
    pub signing: Arc<Signing>,
    /// The keys.
    pub keys: Arc<Keys>,
    /// The thread that does everything but signing.
    pub admin: AdminQueue,
    /// What psdd is told, but for the keys.
    pub welcome: Welcome,
    /// The newest connection.
    pub current: Mutex<Option<Arc<PsddConnection>>>,
}

/// The writing half of a connection.
pub struct PsddConnection {
    stream: Mutex<UnixStream>,
    alive: AtomicBool,
    incarnation: u64,
}

impl PsddConnection {
    /// The worker process that answers.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether anybody still reads.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Writes an answer with one call; a connection that does not take it is closed.
    pub fn send(&self, reply: &Reply) {
        if !self.is_alive() {
            return;
        }
        let room = match reply {
            Reply::Signed { signatures, .. } => signatures.len() + 64,
            _ => 256,
        };
        let bytes = match frame::encode_with_capacity(reply, room) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "an answer does not fit into a frame; connection closed");
                return self.close();
            }
        };
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = stream.write_all(&bytes) {
            tracing::warn!(%error, "psdd does not take its answers; connection closed");
            self.alive.store(false, Ordering::Relaxed);
            shut(&stream);
        }
    }

    /// Ends the connection; its frames are void.
    pub fn close(&self) {
        if self.alive.swap(false, Ordering::Relaxed) {
            shut(&self.stream.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn fail(&self, request: u64, fault: HsmFault) {
        tracing::warn!(request, code = %fault.code, step = %fault.step, "request refused");
        self.send(&Reply::Failed { request, incarnation: self.incarnation, fault });
    }
}

fn shut(stream: &UnixStream) {
    if let Err(error) = stream.shutdown(Shutdown::Both) {
        tracing::debug!(%error, "the connection was closed already");
    }
}

/// Says Hello and then serves a connection until it ends.
pub fn serve(office: &Office, mut stream: UnixStream) {
    let mut buffer = FrameBuffer::default();
    let connection = match greet(office, &mut stream, &mut buffer) {
        Ok(connection) => connection,
        Err(error) => return tracing::warn!(%error, "connection refused"),
    };
    loop {
        loop {
            match buffer.next_frame().and_then(|frame| frame.map(frame::decode::<Request>).transpose()) {
                Ok(Some(request)) => accept(office, &connection, request),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "connection closed");
                    return connection.close();
                }
            }
        }
        match buffer.fill(&mut stream) {
            Ok(0) => {
                tracing::info!("psdd closed its connection");
                return connection.close();
            }
            Ok(_) => {}
            Err(error) => {
                tracing::info!(%error, "the connection of psdd ended");
                return connection.close();
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum GreetError {
    #[error("socket")]
    Io(#[from] std::io::Error),
    #[error("it did not begin with a frame: {0}")]
    Frame(#[from] frame::DecodeFrameError),
    #[error("it ended before its Hello")]
    Ended,
    #[error("it did not say Hello in version {VERSION}")]
    NotHello,
}

/// Only a peer that says Hello takes the place of the connection before it.
fn greet(
    office: &Office,
    stream: &mut UnixStream,
    buffer: &mut FrameBuffer,
) -> Result<Arc<PsddConnection>, GreetError> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(HELLO_PATIENCE))?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let hello: Request = loop {
        if let Some(frame) = buffer.next_frame()? {
            break frame::decode(frame)?;
        }
        if buffer.fill(stream)? == 0 {
            return Err(GreetError::Ended);
        }
    };
    let writer = stream.try_clone()?;
    let incarnation = office.welcome.incarnation;
    let connection = Arc::new(PsddConnection { stream: Mutex::new(writer), alive: AtomicBool::new(true), incarnation });
    if hello != (Request::Hello { version: VERSION }) {
        let reason = format!("the worker speaks version {VERSION} of the protocol");
        connection.send(&Reply::Unavailable { reason });
        return Err(GreetError::NotHello);
    }
    stream.set_read_timeout(None)?;
    let newest = Some(Arc::clone(&connection));
    let older = std::mem::replace(&mut *office.current.lock().unwrap_or_else(PoisonError::into_inner), newest);
    if let Some(older) = older.filter(|older| older.is_alive()) {
        tracing::warn!("a newer connection of psdd takes the place of the older");
        older.close();
    }
    for keys in office.keys.entries().chunks(KEYS_PER_FRAME) {
        connection.send(&Reply::Keys(keys.to_vec()));
    }
    connection.send(&Reply::Welcome(Box::new(office.welcome.clone())));
    Ok(connection)
}

fn accept(office: &Office, connection: &Arc<PsddConnection>, request: Request) {
    let (request, incarnation, work) = match request {
        Request::Hello { .. } => {
            tracing::error!("a second Hello; connection closed");
            return connection.close();
        }
        Request::Sign { request, incarnation, key_id, role, form, floor, messages } => {
            if incarnation != connection.incarnation {
                return connection.fail(request, stale());
            }
            let judged = find_usable(office, &key_id).and_then(|hold| {
                let lowest = judge(hold.key(), role, form, floor, &messages)?;
                Ok((hold, lowest))
            });
            let sessions = usize::try_from(office.welcome.sessions).unwrap_or(1);
            return match judged {
                Ok((hold, lowest)) => {
                    let job = SignJob::new(Arc::clone(connection), request, hold, messages, lowest, sessions);
                    office.signing.pool.push(job);
                }
                Err(fault) => connection.fail(request, fault),
            };
        }
        Request::TestSign { request, incarnation, key_id } => {
            if incarnation != connection.incarnation {
                return connection.fail(request, stale());
            }
            return match find_usable(office, &key_id) {
                // It stays here.
                Ok(hold) => {
                    let message = public_half::proof_of(hold.key().entry.algorithm);
                    office.signing.pool.push(SignJob::test(Arc::clone(connection), request, hold, message));
                }
                Err(fault) => connection.fail(request, fault),
            };
        }
        Request::Adopt { incarnation, key_id, role, algorithm, spki, wrapped } => {
            if incarnation != connection.incarnation || key_id.first() != Some(&role.number()) {
                return tracing::error!(key_id = %hex(&key_id), %role, "a wrapped key is not adopted: not meant for here");
            }
            let entry = KeyEntry { key_id, role, algorithm, spki, unusable: None };
            return office.keys.adopt(entry, wrapped);
        }
        Request::Generate { request, incarnation, role, algorithm, key_id, label, residence } => {
            (request, incarnation, AdminWork::Generate { role, algorithm, key_id, label, residence })
        }
        Request::Find { request, incarnation, key_id } => (request, incarnation, AdminWork::Find { key_id }),
        Request::Destroy { request, incarnation, key_id } => (request, incarnation, AdminWork::Destroy { key_id }),
        Request::ReadObject { request, incarnation, label } => (request, incarnation, AdminWork::ReadObject { label }),
        Request::WriteObject { request, incarnation, label, bytes } => {
            (request, incarnation, AdminWork::WriteObject { label, bytes })
        }
        Request::Clock { request, incarnation } => (request, incarnation, AdminWork::Clock),
    };
    if incarnation != connection.incarnation {
        return connection.fail(request, stale());
    }
    office.admin.push(AdminJob { connection: Arc::clone(connection), request, work });
}

fn find_usable(office: &Office, key_id: &[u8]) -> Result<Hold, HsmFault> {
    let Some(hold) = office.keys.hold(key_id) else {
        return Err(refused("unknown-key", format!("no key has CKA_ID {}", hex(key_id))));
    };
    match hold.key().problem() {
        None => Ok(hold),
        Some(fault) => Err(fault),
    }
}

/// All checks of a frame, before any of it is signed; gives the lowest ascending register.
fn judge(
    key: &Key,
    role: crate::role::Role,
    form: crate::protocol::Form,
    floor: u64,
    messages: &crate::protocol::Messages,
) -> Result<Option<u64>, HsmFault> {
    if role != key.entry.role {
        return Err(refused("role-mismatch", format!("the key is of role {}, not {role}", key.entry.role)));
    }
    if messages.is_empty() || messages.len() > MAX_MESSAGES || !messages.is_sound() {
        return Err(refused("bad-frame", format!("{} messages", messages.len())));
    }
    let signer = Signer { role, spki: &key.entry.spki, floor: key.raise_floor(floor) };
    let mut lowest = None;
    for message in messages.iter() {
        let ascending = form::check(form, signer, message).map_err(|error| refused(error.code(), error.to_string()))?;
        lowest = match (lowest, ascending) {
            (Some(lowest), Some(ascending)) => Some(std::cmp::min::<u64>(lowest, ascending)),
            (lowest, ascending) => lowest.or(ascending),
        };
    }
    Ok(lowest)
}

fn stale() -> HsmFault {
    HsmFault {
        class: FaultClass::Stale,
        code: "stale-incarnation".to_owned(),
        step: "read frame".to_owned(),
        retryable: true,
    }
}
