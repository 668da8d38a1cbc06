//! The reader thread of a link: connects, says Hello, reads answers, watches deadlines, reports events.

use super::connection::{Connection, Shared};
use super::outstanding::{Answer, Delivery, wrong_answer};
use super::{Generated, LinkEvent, Signatures};
use crate::frame::{self, DecodeFrameError, FrameBuffer};
use crate::protocol::{Reply, Request, VERSION, Welcome};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lasted this long was a good one: the next attempt starts without a pause.
const GOOD: Duration = Duration::from_secs(1);

/// Why no worker answers.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("no connection to its worker: {0}")]
    Connect(#[source] io::Error),
    #[error("its worker did not answer the Hello: {0}")]
    Hello(#[source] io::Error),
    #[error("its worker sent what is not a frame: {0}")]
    Frame(#[source] DecodeFrameError),
    #[error("its worker speaks version {0} of the protocol, not {VERSION}")]
    Version(u32),
    #[error("its worker answered the Hello with something else")]
    NotWelcome,
    #[error("{0}")]
    Unavailable(String),
    #[error("login is latched: {reason}")]
    Latched { reason: String, clear: String },
}

pub(super) fn run(shared: &Shared, on_event: &impl Fn(LinkEvent)) {
    let mut pause = FIRST_PAUSE;
    let mut said = None;
    while !shared.is_stopping() {
        let mut buffer = FrameBuffer::default();
        let reason = match connect(shared, &mut buffer) {
            Ok((connection, keys_known)) => {
                let since = Instant::now();
                if !shared.up(connection.clone()) {
                    return;
                }
                said = None;
                on_event(LinkEvent::Up(keys_known));
                let reason = read_until_lost(shared, &connection, &mut buffer, on_event);
                deliver(shared.down(), on_event);
                if since.elapsed() >= GOOD {
                    pause = FIRST_PAUSE;
                }
                LinkEvent::Down { reason }
            }
            Err(ConnectError::Latched { reason, clear }) => LinkEvent::Latched { reason, clear },
            Err(error) => LinkEvent::Down { reason: error.to_string() },
        };
        if shared.is_stopping() {
            return;
        }
        if said.as_ref() != Some(&reason) {
            on_event(reason.clone());
            said = Some(reason);
        }
        if shared.pause(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Connects and says Hello. The keeper holds the listening socket, so a worker that restarts is waited for here.
fn connect(shared: &Shared, buffer: &mut FrameBuffer) -> Result<(Connection, Arc<Welcome>), ConnectError> {
    let stream = UnixStream::connect(&shared.config.socket).map_err(ConnectError::Connect)?;
    stream.set_write_timeout(Some(shared.config.request_deadline)).map_err(ConnectError::Connect)?;
    stream.set_read_timeout(Some(tick(shared))).map_err(ConnectError::Connect)?;

    let hello = frame::encode(&Request::Hello { version: VERSION });
    let hello = hello.map_err(|error| ConnectError::Hello(io::Error::other(error)))?;
    io::Write::write_all(&mut &stream, &hello).map_err(ConnectError::Hello)?;
    match read_welcome(shared, &stream, buffer)? {
        Reply::Welcome(welcome) if welcome.version == VERSION => {
            let welcome = Arc::<Welcome>::from(welcome);
            Ok((Connection { stream: Arc::new(stream), welcome: Arc::clone(&welcome) }, welcome))
        }
        Reply::Welcome(welcome) => Err(ConnectError::Version(welcome.version)),
        Reply::Latched { reason, clear } => Err(ConnectError::Latched { reason, clear }),
        Reply::Unavailable { reason } => Err(ConnectError::Unavailable(reason)),
        Reply::Keys(_)
        | Reply::Signed { .. }
        | Reply::Generated { .. }
        | Reply::Object { .. }
        | Reply::Found { .. }
        | Reply::ClockReading { .. }
        | Reply::Done { .. }
        | Reply::Failed { .. } => Err(ConnectError::NotWelcome),
    }
}

fn read_welcome(shared: &Shared, mut stream: &UnixStream, buffer: &mut FrameBuffer) -> Result<Reply, ConnectError> {
    let until = Instant::now() + shared.config.hello_timeout;
    let mut known = Vec::new();
    loop {
        while let Some(frame) = buffer.next_frame().map_err(ConnectError::Frame)? {
            match frame::decode(frame).map_err(ConnectError::Frame)? {
                Reply::Keys(keys) => known.extend(keys),
                Reply::Welcome(welcome) => return Ok(Reply::Welcome(Box::new(Welcome { keys: known, ..*welcome }))),
                other => return Ok(other),
            }
        }
        match buffer.fill(&mut stream) {
            Ok(0) => return Err(ConnectError::Hello(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if is_tick(&error) && !shared.is_stopping() && Instant::now() < until => {}
            Err(error) => return Err(ConnectError::Hello(error)),
        }
    }
}

/// Reads answers until the connection ends, and says why it did.
fn read_until_lost(
    shared: &Shared,
    connection: &Connection,
    buffer: &mut FrameBuffer,
    on_event: &impl Fn(LinkEvent),
) -> String {
    let mut stream = &*connection.stream;
    let tick = tick(shared);
    let mut checked = Instant::now();
    loop {
        match buffer.fill(&mut stream) {
            Ok(0) => return "the worker closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) if is_tick(&error) => {}
            Err(error) => return format!("the connection to the worker broke: {error}"),
        }
        loop {
            match buffer.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => match frame::decode::<Reply>(frame) {
                    Ok(reply) => accept(shared, connection, reply, on_event),
                    Err(error) => return error.to_string(),
                },
                Err(error) => return error.to_string(),
            }
        }
        let now = Instant::now();
        if now.duration_since(checked) >= tick {
            checked = now;
            deliver(shared.fail_late(), on_event);
        }
    }
}

fn accept(shared: &Shared, connection: &Connection, reply: Reply, on_event: &impl Fn(LinkEvent)) {
    let (request, from, answer) = match reply {
        Reply::Signed { request, incarnation, signatures, each } => {
            let signatures = Signatures::with_length(signatures, usize::from(each)).ok_or_else(wrong_answer);
            (request, incarnation, signatures.map(Answer::Signed))
        }
        Reply::Generated { request, incarnation, spki, wrapped } => {
            (request, incarnation, Ok(Answer::Generated(Generated { spki, wrapped })))
        }
        Reply::Object { request, incarnation, bytes } => (request, incarnation, Ok(Answer::Object(bytes))),
        Reply::Found { request, incarnation, key } => (request, incarnation, Ok(Answer::Found(key))),
        Reply::ClockReading { request, incarnation, unix_ms } => (request, incarnation, Ok(Answer::Clock(unix_ms))),
        Reply::Done { request, incarnation } => (request, incarnation, Ok(Answer::Done)),
        Reply::Failed { request, incarnation, fault } => (request, incarnation, Err(fault)),
        Reply::Welcome(_) | Reply::Keys(_) | Reply::Latched { .. } | Reply::Unavailable { .. } => {
            tracing::warn!(token = %shared.config.token, "the worker answered a Hello that was not said; discarded");
            return;
        }
    };
    if from != connection.welcome.incarnation {
        tracing::warn!(token = %shared.config.token, request, "an answer of another worker process; discarded");
        return;
    }
    match shared.answer(request, answer) {
        Some(delivery) => delivery.deliver(on_event),
        None => tracing::debug!(token = %shared.config.token, request, "a late answer; discarded"),
    }
}

fn deliver(deliveries: Vec<Delivery>, on_event: &impl Fn(LinkEvent)) {
    for delivery in deliveries {
        delivery.deliver(on_event);
    }
}

/// How often a reader that waits looks at the deadlines: a request is failed at most this much late.
fn tick(shared: &Shared) -> Duration {
    (shared.config.request_deadline / 8).clamp(Duration::from_millis(5), Duration::from_millis(250))
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
