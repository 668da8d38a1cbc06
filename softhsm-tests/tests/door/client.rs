//! A vendor's client at the level of bytes: every answer is held against the contract, nothing is repeated, nothing hidden.
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::contract::{Contract, V};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use psd::{PostageAmount, PsdId};
use psdctl::dev::{ClientIdentity, Layout};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use softhsm_tests::appliance::chain;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No answer takes longer than this, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const CBOR: &str = "application/cbor";

/// The contract, read once.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(Contract::read)
}

/// Where the vendor door of an appliance is, and who comes.
#[derive(Clone)]
pub struct Caller {
    pub address: String,
    pub layout: Layout,
    pub identity: ClientIdentity,
}

/// What a door said.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: V,
}

impl Caller {
    /// The appliance's first client, of tenant `acme`.
    pub fn new(layout: &Layout) -> Self {
        let text = std::fs::read_to_string(layout.psdctl_config()).expect("psdctl.toml");
        let address = text.lines().find_map(|line| line.strip_prefix("endpoint = \"")).expect("an endpoint");
        let identity = ClientIdentity { certificate: layout.client(), key: layout.client_key() };
        Self { address: address.trim_end_matches('"').to_owned(), layout: layout.clone(), identity }
    }

    pub fn with(&self, identity: &ClientIdentity) -> Self {
        Self { identity: identity.clone(), ..self.clone() }
    }

    /// The usual client configuration, without a certificate where there is no identity.
    pub fn tls(
        &self,
        identity: Option<&ClientIdentity>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = self.layout.pki().join("server-ca.pem");
        roots.add(CertificateDer::from_pem_file(ca).expect("server CA")).expect("a trust anchor");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("TLS");
        let builder = builder.with_root_certificates(roots);
        let Some(identity) = identity else { return builder.with_no_client_auth() };
        let chain = CertificateDer::pem_file_iter(&identity.certificate).expect("a certificate");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
        builder.with_client_auth_cert(chain, key).expect("an identity")
    }

    pub async fn tls_stream(&self, mut config: ClientConfig, alpn: &str) -> std::io::Result<TlsStream<TcpStream>> {
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        tokio::time::timeout(PATIENCE, connected).await.expect("a handshake in time")
    }

    /// A TLS connection that speaks what the caller writes.
    pub async fn raw(&self, alpn: &str) -> TlsStream<TcpStream> {
        let config = self.tls(Some(&self.identity), &[&rustls::version::TLS13]);
        self.tls_stream(config, alpn).await.expect("a TLS connection")
    }

    /// An HTTP/2 connection.
    pub async fn connect(&self) -> Wire {
        self.try_connect(self.tls(Some(&self.identity), &[&rustls::version::TLS13])).await.expect("a connection")
    }

    /// With TLS 1.3 a server's refusal of a certificate shows only in the first answer, so one is asked for.
    pub async fn try_connect(&self, config: ClientConfig) -> Result<Wire, String> {
        let stream = self.tls_stream(config, "h2").await.map_err(|error| chain(&error))?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(8 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| chain(&error))?;
        let driver = tokio::spawn(async move { connection.await.err().map(|error| chain(&error)) });
        let wire = Wire { sender, caller: self.clone() };
        match wire.try_ask("GET", "/v1/appliance", None, &[]).await {
            Ok(reply) if reply.status == 200 || reply.status == 403 => Ok(wire),
            Ok(reply) => Err(format!("status {}", reply.status)),
            // The request only knows that its connection ended; the connection knows why.
            Err(error) => Err(match driver.await {
                Ok(Some(why)) => why,
                Ok(None) | Err(_) => error,
            }),
        }
    }

    /// One HTTP/1.1 exchange on a connection of its own: writes, then reads to the end.
    pub async fn http1(&self, request: &[u8]) -> String {
        let mut stream = self.raw("http/1.1").await;
        stream.write_all(request).await.expect("written");
        read_to_end(&mut stream).await
    }
}

/// Everything until the peer closes; what it closes with does not matter.
pub async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> String {
    let mut bytes = Vec::new();
    match tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await {
        Ok(Ok(_) | Err(_)) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_elapsed) => panic!("the connection stays open; read so far: {}", String::from_utf8_lossy(&bytes)),
    }
}

/// An HTTP/2 connection at the level of requests.
#[derive(Clone)]
pub struct Wire {
    sender: SendRequest<Full<Bytes>>,
    pub caller: Caller,
}

/// The rule of a route's answer.
fn rule_of(method: &str, path: &str) -> &'static str {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", ["v1", "digital-tokens"]) => "token-verdict",
        ("POST", ["v1", "indicia"]) => "sign-response",
        ("GET", ["v1", "indicia", _]) => "piece-response",
        ("POST", ["v1", "psds", _, "certifications"]) => "certify-response",
        ("GET", ["v1", "certifications", _] | ["v1", "certifications", "numbers", _]) => "certification-response",
        ("GET", ["v1", "psds", _, "runs"]) => "mail-runs-response",
        ("POST", ["v1", "psds", _, "runs"] | ["v1", "psds", _, "runs", _, "close"])
        | ("GET", ["v1", "psds", _, "runs", _]) => "mail-run-response",
        ("GET", ["v1", "psds"]) => "psds-response",
        ("GET", ["v1", "psds", _]) => "psd-response",
        ("GET", ["v1", "psds", _, "certificates"]) => "certificates-response",
        ("GET", ["v1", "appliance"]) => "appliance-response",
        ("POST", ["v1", "psds", _, "value-requests"]) => "value-request-response",
        ("POST", ["v1", "psds", _, "value-authorisations"]) => "value-applied-response",
        ("POST", ["v1", "psds", _, "value-voids"]) => "value-voided-response",
        ("POST", ["v1", "psds", _, "refund-requests" | "withdrawals"]) => "value-request-response",
        ("POST", ["v1", "psds", _, "withdrawal-acknowledgements"]) => "withdrawn-response",
        ("POST", ["v1", "instructions"]) => "instruction-response",
        ("POST", ["v1", "audits"]) => "audit-response",
        ("GET", ["v1", "keys"]) => "keys-response",
        ("GET", ["v1", "status"]) => "status-response",
        ("GET", ["v1", "log", "inclusion"]) => "inclusion-response",
        ("GET", ["v1", "log", "consistency"]) => "consistency-response",
        ("GET", ["v1", "log", "receipt"]) => "receipt-response",
        other => panic!("no rule for {other:?}"),
    }
}

impl Wire {
    /// Asks; the answer is held against the contract.
    pub async fn ask(&self, method: &str, path: &str, media: Option<&str>, body: &[u8]) -> Reply {
        self.try_ask(method, path, media, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub async fn try_ask(&self, method: &str, path: &str, media: Option<&str>, body: &[u8]) -> Result<Reply, String> {
        let mut request = http::Request::builder().method(method).uri(format!("https://localhost{path}"));
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        let mut sender = self.sender.clone();
        let exchange = async {
            sender.ready().await.map_err(|error| chain(&error))?;
            let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((head, body))
        };
        let (head, body) =
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_elapsed| format!("no answer to {path}"))??;
        let status = head.status.as_u16();
        let media = head.headers.get("content-type").map(|value| value.to_str().expect("plain").to_owned());
        assert_eq!(head.headers.get("cache-control").map(|value| value.as_bytes()), Some(&b"no-store"[..]));
        let (rule, expected) = match status {
            200 => (rule_of(method, path), CBOR),
            _ => ("problem", "application/concise-problem-details+cbor"),
        };
        assert_eq!(media.as_deref(), Some(expected), "{method} {path}");
        let body = contract().message(rule, &body).unwrap_or_else(|why| panic!("{method} {path}: {why}"));
        Ok(Reply { status, body })
    }

    /// Status and content of the answer to HEAD.
    pub async fn head(&self, path: &str) -> (u16, Bytes) {
        let request = http::Request::builder().method("HEAD").uri(format!("https://localhost{path}"));
        let mut sender = self.sender.clone();
        sender.ready().await.expect("a connection");
        let response = sender.send_request(request.body(Full::default()).expect("a request")).await.expect("an answer");
        (response.status().as_u16(), response.into_body().collect().await.expect("its content").to_bytes())
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.ask("POST", path, Some(CBOR), body).await
    }

    /// Signs; every item has its result.
    pub async fn sign(&self, psd: PsdId, items: &[V]) -> Vec<V> {
        self.sign_with(psd, items, false).await
    }

    pub async fn sign_with(&self, psd: PsdId, items: &[V], all_or_none: bool) -> Vec<V> {
        let reply = self.post("/v1/indicia", &request(psd, items, all_or_none)).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        let results = reply.body.get("results").list().to_vec();
        assert_eq!(results.len(), items.len());
        for (item, result) in items.iter().zip(&results) {
            assert_eq!(item.get("key"), result.get("key"), "results stand in the order of the items");
        }
        results
    }

    /// Registers of a PSD, committed.
    pub async fn registers(&self, psd: PsdId) -> Registers {
        let reply = self.get(&format!("/v1/psds/{psd}")).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        let view = reply.body.get("psd");
        let registers = Registers::of(view.get("registers"));
        Registers { sequence: view.get("sequence").u64(), ..registers }
    }
}

/// The registers of a PSD in mills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    pub sequence: u64,
    pub pieces: u64,
    pub ascending: u64,
    pub descending: u64,
}

impl Registers {
    /// Without the sequence, which stands elsewhere. The sum must hold.
    pub fn of(registers: &V) -> Self {
        let of = |name: &str| mills(registers.get(name).str());
        let (ascending, descending) = (of("ascending"), of("descending"));
        assert_eq!(ascending + descending, of("control_total"), "AR + DR = CT");
        Self { sequence: 0, pieces: registers.get("pieces").u64(), ascending, descending }
    }

    /// After a run was closed, so many mills short.
    pub fn settled(self, mills: u64) -> Self {
        Self { pieces: self.pieces, ..self.after(&[mills]) }
    }

    /// After signing pieces of these mills.
    pub fn after(self, pieces: &[u64]) -> Self {
        let total: u64 = pieces.iter().sum();
        let count = u64::try_from(pieces.len()).expect("a count");
        Self {
            sequence: self.sequence + count,
            pieces: self.pieces + count,
            ascending: self.ascending + total,
            descending: self.descending - total,
        }
    }
}

pub fn mills(text: &str) -> u64 {
    text.parse::<PostageAmount>().unwrap_or_else(|error| panic!("{text}: {error}")).mills()
}

/// A fresh key, later than all before it.
pub fn key() -> [u8; 16] {
    *uuid::Uuid::now_v7().as_bytes()
}

/// A key whose time differs from now by so many milliseconds.
pub fn key_at(offset_ms: i64) -> [u8; 16] {
    let mut bytes = key();
    let now = bytes[..6].iter().fold(0i64, |n, byte| n << 8 | i64::from(*byte));
    bytes[..6].copy_from_slice(&(now + offset_ms).to_be_bytes()[2..]);
    bytes
}

/// A day so many days from today, UTC.
pub fn day(offset: i64) -> String {
    let day = time::OffsetDateTime::now_utc().date() + time::Duration::days(offset);
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

/// An item with a fresh key.
pub fn item(postage: &str) -> V {
    V::map([
        ("key", V::Bytes(key().to_vec())),
        ("date", V::Text(day(0))),
        ("rate", V::text("FCM")),
        ("postage", V::text(postage)),
        ("destination", V::text("20260-0004-99")),
    ])
}

pub fn items(count: usize, postage: &str) -> Vec<V> {
    (0..count).map(|_| item(postage)).collect()
}

/// A sign request.
pub fn request(psd: PsdId, items: &[V], all_or_none: bool) -> Vec<u8> {
    let request = V::map([("psd", V::Text(psd.to_string())), ("items", V::Array(items.to_vec()))]);
    if all_or_none { request.with("all_or_none", V::Bool(true)).encode() } else { request.encode() }
}

/// The code of a problem.
pub fn code_of(problem: &V) -> &str {
    problem.get("tag:psdd,2026:problem").get("code").str()
}

pub fn retryable(problem: &V) -> bool {
    *problem.get("tag:psdd,2026:problem").get("retry") == V::Bool(true)
}

/// What is signed says the registers that were told with it.
pub fn claims_the_registers(claims: &V, result: &V) {
    let registers = result.get("registers");
    for (claim, register) in [
        ("ascending", "ascending"),
        ("descending", "descending"),
        ("control_total", "control_total"),
        ("count", "pieces"),
    ] {
        assert_eq!(claims.get(claim), registers.get(register), "{claim}");
    }
}

/// `signed`, or the code of the refusal.
pub fn outcome(result: &V) -> &str {
    result.find("problem").map_or("signed", code_of)
}

pub fn outcomes(results: &[V]) -> Vec<&str> {
    results.iter().map(outcome).collect()
}
