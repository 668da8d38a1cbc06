//! Accepting connections: bounded in number, each with its own identity.

use super::desk::{self, Desk, Offices};
use super::identity;
use super::publication::publish;
use super::routes::{Client, handle};
use crate::books::{Books, Fault};
use crate::config::{Config, ConfigError, LimitsSection};
use crate::directory::AuthorityDir;
use crate::funds::FundsSystem;
use crate::instructions::Purpose;
use crate::keys::KeyError;
use crate::pki::{Enrolment, PkiError};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use psdd_tls::{Opening, ServerFiles, ServerTls, TlsError, never_begun};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_rustls::TlsAcceptor;

/// Why the funds system does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The funds key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The CA of PSD keys.
    #[error(transparent)]
    Ca(#[from] PkiError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The books: what they say of it may not be on stable storage, so nothing goes on.
    #[error(transparent)]
    Books(#[from] Fault),
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A thread.
    #[error("cannot start the thread of the books: {0}")]
    Thread(std::io::Error),
}

/// An open funds system.
pub struct Open {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it publishes revocation lists, if it does.
    pub published: Option<SocketAddr>,
    dir: AuthorityDir,
    tls: watch::Sender<Arc<ServerTls>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    publication: Option<tokio::task::JoinHandle<()>>,
    failure: oneshot::Receiver<Fault>,
    books: std::thread::JoinHandle<()>,
}

/// Where to listen, in place of what the configuration says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listen {
    /// The funds system.
    pub funds: Option<SocketAddr>,
    /// The revocation lists.
    pub lists: Option<SocketAddr>,
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Opens the funds system of an authority, and the publication of its revocation lists where that is configured.
pub async fn open(dir: &AuthorityDir, listen: Listen) -> Result<Open, ServeError> {
    let config = Config::read(dir)?;
    let tls = tls(dir)?;
    let key = Purpose::Funds.key(dir)?;
    let funds = FundsSystem::new(Books::open(&dir.books())?, key, config.terms.into());
    let offices = Offices { funds, enrolment: Enrolment::open(dir)? };
    let (listener, address) = bind(listen.funds.unwrap_or(config.listen)).await?;
    let lists = match listen.lists.or(config.publish) {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let (desk, failure, books) = desk::start(offices, config.limits.queued).map_err(ServeError::Thread)?;
    let (tls, tls_now) = watch::channel(tls);
    let (stop, stopped) = watch::channel(false);
    let published = lists.as_ref().map(|(_, address)| *address);
    let publication = lists.map(|(lists, _)| tokio::spawn(publish(lists, dir.clone(), config.limits, stopped.clone())));
    let task = tokio::spawn(accept(listener, desk, config.limits, tls_now, stopped));
    Ok(Open { address, published, dir: dir.clone(), tls, stop, task, publication, failure, books })
}

impl Open {
    /// Takes certificates and revocation list anew, for connections to come. If they are unfit, the old ones stay.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.tls.send_replace(tls(&self.dir)?);
        Ok(())
    }

    /// Waits until the books fail; they need not ever. The process must end then.
    pub async fn failed(&mut self) -> Fault {
        match (&mut self.failure).await {
            Ok(fault) => fault,
            // Without a fault the thread ends when nothing can be asked of it any more, which is after this.
            Err(_closed) => Fault::Broken("the thread that has the books panicked".to_owned()),
        }
    }

    /// Takes no new connection, lets requests finish for as long as `patience`, closes the books.
    pub async fn close(self, patience: Duration) {
        if self.stop.send(true).is_err() {
            tracing::debug!("no connection is accepted any more");
        }
        let mut task = self.task;
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            tracing::warn!("some connections did not finish in time");
            task.abort();
        }
        if let Some(publication) = self.publication {
            // A list is short, and whoever did not get it whole asks again.
            publication.abort();
        }
        let waited = tokio::task::spawn_blocking(move || self.books.join());
        if !matches!(tokio::time::timeout(patience, waited).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the books were still at work");
        }
    }
}

fn tls(dir: &AuthorityDir) -> Result<Arc<ServerTls>, TlsError> {
    let files = ServerFiles {
        certificate: dir.tls_certificate(),
        key: dir.tls_key(),
        client_ca: dir.client_ca(),
        client_crl: dir.client_crl(),
    };
    ServerTls::read(&files).map(Arc::new)
}

async fn accept(
    listener: TcpListener,
    desk: Desk,
    limits: LimitsSection,
    tls: watch::Receiver<Arc<ServerTls>>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
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
                let (desk, watcher) = (desk.clone(), graceful.watcher());
                let acceptor = TlsAcceptor::from(tls.borrow().config());
                tasks.spawn(async move {
                    serve((stream, peer), &acceptor, desk, limits, watcher).await;
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

async fn serve(
    (stream, peer): (TcpStream, SocketAddr),
    acceptor: &TlsAcceptor,
    desk: Desk,
    limits: LimitsSection,
    watcher: Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%peer, %error, "a connection was gone at once");
    }
    let patience = Duration::from_millis(limits.header_timeout_ms);
    let stream = match tokio::time::timeout(patience, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%peer, %error, "TLS refused"),
        Err(_elapsed) => return tracing::info!(%peer, "TLS handshake timed out"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let appliance = match certificate.map_or(Err(identity::NoIdentity), |der| identity::appliance(der)) {
        Ok(appliance) => appliance,
        Err(error) => return tracing::info!(%peer, %error, "a client without identity"),
    };
    tracing::debug!(%peer, appliance, "connected");
    let client = Arc::new(Client { appliance, desk, limits });
    let service = service_fn(move |request| handle(Arc::clone(&client), request));
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let builder = auto::Builder::new(TokioExecutor::new());
    // What was agreed in the handshake, and no guessing: to guess, the server would wait for the first bytes without a bound.
    let mut builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .keep_alive_interval(Duration::from_millis(limits.keep_alive_ms))
        .keep_alive_timeout(patience)
        .max_header_list_size(16 * 1024);
    let (stream, begun) = Opening::watch(stream);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        },
        () = never_begun(begun, patience) => tracing::info!(%peer, "a client that says nothing"),
    }
}
