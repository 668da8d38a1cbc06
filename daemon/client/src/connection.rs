//! Connections that keep themselves.
//!
//! One task owns each connection: it connects, watches, and connects again with growing pauses. Callers see its state
//! through a watch channel and never wait on a lock. Tasks end when the last caller's handle is gone.

use crate::alert::{Alert, Noting, rustls_error};
use crate::error::{ClientError, ConnectError};
use crate::retry::backoff;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use psdd_wire::gather::Gathering;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Idle firewalls drop connections silently, so a ping goes out this often.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A ping not answered in this time ends the connection.
const PING_ANSWER: Duration = Duration::from_secs(5);
/// A connection that lived this long was a good one: the next attempt follows at once.
const GOOD_LIFE: Duration = Duration::from_secs(1);
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

pub(crate) type Sender = SendRequest<Full<Bytes>>;
type Io = TokioIo<Gathering<Noting<TlsStream<TcpStream>>>>;
type Opened = (Sender, Connection<Io, Full<Bytes>, TokioExecutor>, Alert);

/// Where and how to connect.
pub(crate) struct Endpoint {
    pub(crate) address: Arc<str>,
    pub(crate) name: ServerName<'static>,
    pub(crate) tls: TlsConnector,
    pub(crate) deadline: Duration,
}

/// What a connection's task says of it.
#[derive(Clone)]
enum State {
    /// An attempt is under way; why the last connection ended, if there was one.
    Connecting(Option<ClientError>),
    Up(Sender),
    /// The last attempt failed; the next follows after a pause.
    Down(ClientError),
}

/// One connection, seen by callers.
struct Link {
    state: watch::Receiver<State>,
    room: Semaphore,
}

/// All connections of a client.
pub(crate) struct Pool {
    links: Vec<Link>,
    next: AtomicUsize,
}

/// A connection with room for one request.
pub(crate) struct Lease<'a> {
    pub(crate) sender: Sender,
    link: &'a Link,
    _room: SemaphorePermit<'a>,
}

impl Pool {
    /// Starts the tasks; must be called inside a tokio runtime.
    pub(crate) fn start(endpoint: Endpoint, connections: usize, room: usize) -> Self {
        let endpoint = Arc::new(endpoint);
        let links = (0..connections).map(|_| {
            let (publish, state) = watch::channel(State::Connecting(None));
            tokio::spawn(keep(Arc::clone(&endpoint), publish));
            Link { state, room: Semaphore::new(room) }
        });
        Self { links: links.collect(), next: AtomicUsize::new(0) }
    }

    /// Waits until the first connection is up or has failed.
    pub(crate) async fn first_contact(&self) -> Result<(), ClientError> {
        self.links[0].sender().await.map(drop)
    }

    /// A connection that is up, preferring the one whose turn it is; waits while one is being made.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, ClientError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..self.links.len()).map(|i| &self.links[turn.wrapping_add(i) % self.links.len()]);
        let up = in_turn().find(|link| matches!(&*link.state.borrow(), State::Up(sender) if !sender.is_closed()));
        let connecting = || in_turn().find(|link| matches!(&*link.state.borrow(), State::Connecting(_)));
        let link = up.or_else(connecting).unwrap_or(&self.links[turn % self.links.len()]);
        let permit = link.room.acquire().await;
        let sender = link.sender().await?;
        // The semaphore is never closed; without a permit there is no bound, so that would be a lost connection.
        let room = permit.map_err(|_closed| link.closed());
        Ok(Lease { sender, link, _room: room? })
    }
}

impl Link {
    async fn sender(&self) -> Result<Sender, ClientError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Connecting(_))).await;
        match settled.as_deref() {
            Ok(State::Up(sender)) => Ok(sender.clone()),
            Ok(State::Down(error)) => Err(error.clone()),
            Ok(State::Connecting(_)) | Err(_) => Err(self.closed()),
        }
    }

    fn closed(&self) -> ClientError {
        ClientError::Connect { endpoint: "the appliance".into(), source: ConnectError::Closed }
    }
}

impl Lease<'_> {
    /// Why the connection ended, told by its task; a request that fails with it only knows that it did.
    pub(crate) async fn epitaph(&self) -> Option<ClientError> {
        let mut state = self.link.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Up(_)));
        match timeout(Duration::from_millis(100), ended).await {
            Ok(Ok(state)) => match &*state {
                State::Down(error) | State::Connecting(Some(error)) => Some(error.clone()),
                State::Connecting(None) | State::Up(_) => None,
            },
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

async fn keep(endpoint: Arc<Endpoint>, publish: watch::Sender<State>) {
    let mut failures = 0;
    loop {
        let opened = tokio::select! {
            opened = endpoint.open() => opened,
            () = publish.closed() => return,
        };
        let error = match opened {
            Ok((sender, connection, alert)) => {
                publish.send_replace(State::Up(sender));
                let since = Instant::now();
                let ended = tokio::select! {
                    ended = connection => ended,
                    () = publish.closed() => return,
                };
                if since.elapsed() >= GOOD_LIFE {
                    failures = 0;
                }
                match ended {
                    Ok(()) => endpoint.lost(ConnectError::Closed),
                    Err(error) => endpoint.ended(error, &alert),
                }
            }
            Err(error) => error,
        };
        tracing::debug!(endpoint = %endpoint.address, %error, failures, "connection down");
        if failures > 0 {
            publish.send_replace(State::Down(error.clone()));
            tokio::select! {
                () = tokio::time::sleep(backoff(failures)) => {}
                () = publish.closed() => return,
            }
        }
        failures = failures.saturating_add(1);
        publish.send_replace(State::Connecting(Some(error)));
    }
}

impl Endpoint {
    async fn open(&self) -> Result<Opened, ClientError> {
        match timeout(self.deadline, self.connect()).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(self.lost(ConnectError::TimedOut(self.deadline))),
        }
    }

    async fn connect(&self) -> Result<Opened, ClientError> {
        let unreachable = |error: io::Error| self.lost(ConnectError::Unreachable(Arc::new(error)));
        let tcp = TcpStream::connect(&*self.address).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let tls = self.tls.connect(self.name.clone(), tcp).await.map_err(|error| match rustls_error(&error) {
            Some(source) => self.refused(source),
            None => unreachable(error),
        })?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(self.lost(ConnectError::NoHttp2));
        }
        let alert = Alert::default();
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(Gathering::new(Noting::new(tls, alert.clone()))));
        match handshake.await {
            Ok((sender, connection)) => Ok((sender, connection, alert)),
            Err(error) => Err(self.ended(error, &alert)),
        }
    }

    /// The error for a connection that ended with this one.
    fn ended(&self, error: hyper::Error, alert: &Alert) -> ClientError {
        match alert.noted() {
            Some(source) => self.refused(source),
            None => self.lost(ConnectError::Lost(Arc::new(error))),
        }
    }

    fn lost(&self, source: ConnectError) -> ClientError {
        ClientError::Connect { endpoint: Arc::clone(&self.address), source }
    }

    fn refused(&self, source: rustls::Error) -> ClientError {
        ClientError::Tls { endpoint: Arc::clone(&self.address), source }
    }
}
