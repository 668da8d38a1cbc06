//! The revocation lists for everybody: DER over plain HTTP/1.1, as RFC 5280 §4.2.1.13 has it.
//!
//! A list is signed, so neither client certificates nor TLS are wanted, and verifying TLS by a list that is fetched over TLS would turn
//! in a circle. Each request looks at the file that `psdctl authority crl` writes, so a new list is out at once; it is read and taken apart
//! once, and the books are not asked, whoever comes. One address has few of the places, so that nobody has them all.

use crate::config::LimitsSection;
use crate::directory::AuthorityDir;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use psdd_wire::sha256;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::{self, PemObject};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use x509_cert::crl::CertificateList;
use x509_cert::der::{self, Decode};

/// Media type of a list (RFC 2585 §4.2).
const PKIX_CRL: &str = "application/pkix-crl";
/// The longest a cache keeps a list: one that is signed out of turn is known everywhere after this, seconds.
const MOST_AGE_S: u64 = 3_600;

/// Connections of one address at a time.
const OF_ONE_ADDRESS: usize = 8;
/// The longest wait for the head of a request: nobody has much to say.
const MOST_HEADER_TIMEOUT: Duration = Duration::from_secs(3);
/// That a list cannot be published is told so often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A list as it is published.
struct Published {
    der: Bytes,
    tag: String,
    this_update: SystemTime,
    next_update: SystemTime,
}

/// Why there is no list to give.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", .path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{}: {source}", .path.display())]
    Der { path: PathBuf, source: der::Error },
    #[error("{} does not say when the next list comes", .path.display())]
    Endless { path: PathBuf },
}

/// The file as it was when it was read: inode, time of change, length.
type Stamp = (u64, i64, i64, u64);

/// The lists as they were read last, by their files.
#[derive(Default)]
struct Shelf {
    lists: Mutex<HashMap<PathBuf, (Stamp, Arc<Published>)>>,
    told: Mutex<Option<Instant>>,
}

impl Shelf {
    async fn list(&self, path: &Path) -> Result<Arc<Published>, Unpublished> {
        let file = |source| Unpublished::File { path: path.to_owned(), source };
        let metadata = tokio::fs::metadata(path).await.map_err(file)?;
        let stamp = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        if let Some((_, list)) = locked(&self.lists).get(path).filter(|(known, _)| *known == stamp) {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(read(path).await?);
        locked(&self.lists).insert(path.to_owned(), (stamp, Arc::clone(&list)));
        Ok(list)
    }

    fn tell(&self, error: &Unpublished) {
        let mut told = locked(&self.told);
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::error!(%error, "a revocation list cannot be published");
        }
    }
}

/// How many connections each address has.
#[derive(Default)]
struct Guests(Mutex<HashMap<IpAddr, usize>>);

/// A place of an address.
struct Guest {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guest {
    fn admitted(guests: &Arc<Guests>, address: IpAddr) -> Option<Self> {
        let mut counts = locked(&guests.0);
        let count = counts.entry(address).or_default();
        if *count >= OF_ONE_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Self { guests: Arc::clone(guests), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = locked(&self.guests.0);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the lists of an authority until it is told to stop.
pub(super) async fn publish(
    listener: TcpListener,
    dir: AuthorityDir,
    limits: LimitsSection,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let (dir, shelf, guests) = (Arc::new(dir), Arc::new(Shelf::default()), Arc::new(Guests::default()));
    let header_timeout = Duration::from_millis(limits.header_timeout_ms).min(MOST_HEADER_TIMEOUT);
    // For the whole connection: one request and one short answer.
    let patience = header_timeout + Duration::from_millis(limits.body_timeout_ms);
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection for revocation lists is not accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Some(guest) = Guest::admitted(&guests, peer.ip()) else {
            tracing::debug!(%peer, "too many connections of one address");
            continue;
        };
        let (dir, shelf) = (Arc::clone(&dir), Arc::clone(&shelf));
        tokio::spawn(async move {
            let service = service_fn(|request| handle(&dir, &shelf, request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(16 * 1024)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(patience, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%peer, %error, "revocation lists"),
                Err(_elapsed) => tracing::debug!(%peer, "a client that does not take its list"),
            }
            drop((place, guest));
        });
    }
}

async fn handle(
    dir: &AuthorityDir,
    shelf: &Shelf,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = match request.uri().path() {
        "/psd-ca.crl" => dir.psd_crl(),
        "/authority-root.crl" => dir.root_crl(),
        _ => return Ok(said(StatusCode::NOT_FOUND, "there are /psd-ca.crl and /authority-root.crl\n")),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "a list is read and nothing else\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    Ok(match shelf.list(&path).await {
        Ok(list) => answer(&list, &request),
        Err(error) => {
            shelf.tell(&error);
            said(StatusCode::SERVICE_UNAVAILABLE, "the list cannot be read here\n")
        }
    })
}

async fn read(path: &Path) -> Result<Published, Unpublished> {
    let text = tokio::fs::read(path).await.map_err(|source| Unpublished::File { path: path.to_owned(), source })?;
    let der = CertificateRevocationListDer::from_pem_slice(&text);
    let der = der.map_err(|source| Unpublished::Pem { path: path.to_owned(), source })?.to_vec();
    let list: CertificateList =
        CertificateList::from_der(&der).map_err(|source| Unpublished::Der { path: path.to_owned(), source })?;
    let next = list.tbs_cert_list.next_update.ok_or_else(|| Unpublished::Endless { path: path.to_owned() })?;
    let (this_update, next_update) = (list.tbs_cert_list.this_update.to_system_time(), next.to_system_time());
    let tag: String = sha256(&der).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Published { tag: format!("\"{tag}\""), der: der.into(), this_update, next_update })
}

fn answer(list: &Published, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let left = list.next_update.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // With no time, and past its end, no cache keeps it.
    let left = super::now().map_or(0, |now| left.as_secs().saturating_sub(now.0 / 1_000));
    let fields = [
        (header::ETAG, list.tag.clone()),
        (header::LAST_MODIFIED, httpdate::fmt_http_date(list.this_update)),
        (header::EXPIRES, httpdate::fmt_http_date(list.next_update)),
        (header::CACHE_CONTROL, format!("public, max-age={}", left.min(MOST_AGE_S))),
        (header::CONTENT_TYPE, PKIX_CRL.to_owned()),
    ];
    let known = is_known(list, request.headers());
    let mut response = Response::new(Full::new(if known { Bytes::new() } else { list.der.clone() }));
    *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    for (name, text) in fields {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether the client has this very list (RFC 9110 §13.2.2): by its tag, and by its date only where no tag is given. The date must be the same
/// (§13.1.3 allows that): after a clock that was set back, the newest list is not the one with the latest date.
fn is_known(list: &Published, headers: &http::HeaderMap) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let is_this = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == list.tag;
        return tags.any(|tags| tags.to_str().is_ok_and(|tags| tags.split(',').map(str::trim).any(is_this)));
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    since.and_then(|since| httpdate::parse_http_date(since).ok()).is_some_and(|since| list.this_update == since)
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
