//! Accepting connections: bounded in number, each with its own identity.

use super::connection::Connection;
use super::opening::{Opening, never_begun};
use super::{VendorState, request};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use psdd_wire::gather::Gathering;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// The door before it opens.
pub struct VendorDoor {
    listener: TcpListener,
    state: Arc<VendorState>,
}

/// An open door.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl VendorDoor {
    /// Binds the listener.
    pub async fn bind(listen: SocketAddr, state: Arc<VendorState>) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(listen).await?, state })
    }

    /// Opens the door.
    pub fn open(self) -> std::io::Result<Listening> {
        let address = self.listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(self.listener, self.state, stopped));
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

async fn accept(listener: TcpListener, state: Arc<VendorState>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(state.limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut tasks = tokio::task::JoinSet::new();
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
                let (state, watcher) = (Arc::clone(&state), graceful.watcher());
                tasks.spawn(async move {
                    serve(stream, peer, state, watcher).await;
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
    // Every connection is told to finish what it has begun, idle ones end at once.
    graceful.shutdown().await;
    while tasks.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, peer: SocketAddr, state: Arc<VendorState>, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection was gone at once");
        return;
    }
    let limits = state.limits;
    let acceptor = TlsAcceptor::from(state.tls.load_full());
    let stream = match tokio::time::timeout(limits.header_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%peer, %error, "TLS refused"),
        Err(_elapsed) => return tracing::info!(%peer, "TLS handshake timed out"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let connection = match Connection::new(certificate.map(AsRef::as_ref), Arc::clone(&state)) {
        Ok(connection) => Arc::new(connection),
        Err(error) => return tracing::info!(%peer, %error, "a client without identity"),
    };
    tracing::debug!(%peer, tenant = %connection.identity.tenant, client = connection.identity.client, "connected");
    let service = service_fn(move |request| request::handle(Arc::clone(&connection), request));
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
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
    let (stream, begun) = Opening::watch(stream);
    let connection = builder.serve_connection(TokioIo::new(Gathering::new(stream)), service).into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        },
        () = never_begun(begun, limits.header_timeout) => tracing::info!(%peer, "a client that says nothing"),
    }
}
