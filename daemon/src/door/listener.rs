//! Accepting connections: bounded in number, each with its own identity, each ended when its client is no longer good.

use super::failure::{Answer, Failure, respond};
use super::identity::IdentityError;
use super::standing::lost;
use super::tls::DoorTls;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use psdd_tls::{Opening, never_begun};
use psdd_wire::gather::Gathering;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// What makes a door of a listener: who comes, and what is answered.
pub trait Attendant: Send + Sync + 'static {
    /// A client on one connection; dropped when that has ended.
    type Visitor: Send + Sync + 'static;

    /// Who the end-entity certificate (DER) names, which TLS has verified.
    fn admit(self: &Arc<Self>, certificate: &[u8]) -> Result<Self::Visitor, NotAdmitted>;

    /// Answers one request, or tells the problem. Whatever a client sends, the connection lives on.
    fn answer(
        visitor: Arc<Self::Visitor>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// Why a client that TLS let in is not served.
#[derive(Debug)]
pub enum NotAdmitted {
    /// Its certificate names nobody: the connection is closed.
    Nobody(IdentityError),
    /// It is told why on its first request, then the connection is closed.
    Told(Failure),
}

/// Bounds of requests and connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections.
    pub max_connections: usize,
    /// Most streams on a connection.
    pub max_streams: u32,
    /// Longest body.
    pub max_body_bytes: usize,
    /// For handshake and headers.
    pub header_timeout: Duration,
    /// For the body; and for what is in flight on a connection whose client is no longer good.
    pub body_timeout: Duration,
    /// Between pings.
    pub keep_alive: Duration,
}

/// A door before it opens.
pub struct Door<A> {
    listener: TcpListener,
    room: Arc<Room<A>>,
}

/// What the connections of a door share.
struct Room<A> {
    attendant: Arc<A>,
    tls: Arc<DoorTls>,
    limits: Limits,
}

/// An open door.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl<A: Attendant> Door<A> {
    /// Binds the listener.
    pub async fn bind(
        listen: SocketAddr,
        attendant: Arc<A>,
        tls: Arc<DoorTls>,
        limits: Limits,
    ) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(listen).await?, room: Arc::new(Room { attendant, tls, limits }) })
    }

    /// Opens the door.
    pub fn open(self) -> std::io::Result<Listening> {
        let address = self.listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(self.listener, self.room, stopped));
        Ok(Listening { address, stop, task })
    }
}

impl Listening {
    /// Takes no new connection, lets requests finish, and closes what is left after `patience`.
    pub async fn close(self, patience: Duration) {
        if self.stop.send(true).is_err() {
            return;
        }
        if tokio::time::timeout(patience, self.task).await.is_err() {
            tracing::warn!("some connections did not finish in time");
        }
    }
}

async fn accept<A: Attendant>(listener: TcpListener, room: Arc<Room<A>>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(room.limits.max_connections));
    let mut tasks = tokio::task::JoinSet::new();
    // Not to be used after the signal: a copy of it would not hear the signal any more.
    let for_connections = stopped.clone();
    loop {
        // Taken before accepting: beyond the limit, connections wait in the kernel's backlog.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (room, stopped) = (Arc::clone(&room), for_connections.clone());
                tasks.spawn(async move {
                    serve(stream, peer, room, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(listener);
    // Every connection tells its client to finish what it has begun, idle ones end at once.
    while tasks.join_next().await.is_some() {}
}

/// From the handshake to the end of a connection.
async fn serve<A: Attendant>(
    stream: TcpStream,
    peer: SocketAddr,
    room: Arc<Room<A>>,
    mut stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%peer, %error, "a connection was gone at once");
    }
    let limits = room.limits;
    let mut tls = room.tls.watch();
    let acceptor = TlsAcceptor::from(tls.borrow_and_update().config());
    let stream = match tokio::time::timeout(limits.header_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%peer, %error, "TLS refused"),
        Err(_elapsed) => return tracing::info!(%peer, "TLS handshake timed out"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
    let admitted = chain.first().map(|own| room.attendant.admit(own));
    let visitor = match admitted.unwrap_or(Err(NotAdmitted::Nobody(IdentityError::Unreadable))) {
        Ok(visitor) => Ok(Arc::new(visitor)),
        Err(NotAdmitted::Told(failure)) => {
            tracing::info!(%peer, problem = %failure.problem, "a client too many");
            Err(failure)
        }
        Err(NotAdmitted::Nobody(error)) => return tracing::info!(%peer, %error, "a client without identity"),
    };
    // Told on a first request, a client that says nothing is not waited for longer than for headers.
    let mut until = visitor.is_err().then(|| Instant::now() + limits.header_timeout);
    let (told, no_more) = (Arc::new(Notify::new()), Arc::new(OnceLock::<Failure>::new()));
    let service = {
        let (told, no_more) = (Arc::clone(&told), Arc::clone(&no_more));
        service_fn(move |request| {
            let refused = no_more.get().or(visitor.as_ref().err()).cloned();
            let (visitor, told) = (visitor.as_ref().ok().map(Arc::clone), Arc::clone(&told));
            let head = request.method() == Method::HEAD;
            async move {
                let outcome = match (refused, visitor) {
                    (None, Some(visitor)) => A::answer(visitor, request).await,
                    (Some(failure), _) => {
                        told.notify_one();
                        Err(failure)
                    }
                    (None, None) => Err(Failure::stopping()),
                };
                Ok::<_, Infallible>(respond(outcome, head))
            }
        })
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let builder = builder(http2, &limits);
    let (stream, begun) = Opening::watch(stream);
    let connection = builder.serve_connection(TokioIo::new(Gathering::new(stream)), service).into_owned();
    let mut connection = pin!(connection);
    let mut silent = pin!(never_begun(begun, limits.header_timeout));
    let mut lost = pin!(lost(tls, &chain));
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                return;
            }
            () = &mut silent => return tracing::info!(%peer, "a client that says nothing"),
            () = reached(until) => return tracing::info!(%peer, "closed on a client that did not leave"),
            why = &mut lost, if !leaving => {
                tracing::info!(%peer, %why, "a client is sent away");
                until = Some(Instant::now() + limits.body_timeout);
                // A client could go on asking as long as it does not answer to the GOAWAY.
                let failure = Failure::lasting(http::StatusCode::FORBIDDEN, "certificate-refused", why.to_string());
                no_more.get_or_init(|| failure);
            }
            () = told.notified(), if !leaving => {}
            _ = stopped.changed(), if !leaving => {}
        }
        leaving = true;
        connection.as_mut().graceful_shutdown();
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => pending().await,
    }
}

fn builder(http2: bool, limits: &Limits) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    // What was agreed in the handshake, and no guessing: to guess, the server would wait for the first bytes without a bound.
    let mut builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.header_timeout)
        .max_header_list_size(16 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .max_send_buf_size(1024 * 1024);
    builder
}
