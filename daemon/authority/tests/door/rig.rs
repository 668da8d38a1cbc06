//! An authority with one PSD, its funds system, and clients of it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use psd::{PsdId, Registers, UnixMillis};
use psdd_authority::books::Books;
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{InitOptions, Order, init, issue, issue_client};
use psdd_authority::serve::{self, Listen, Open};
use psdd_wire::cose::{Sign1, VALUE_REQUEST};
use psdd_wire::funds::FundsRequest;
use psdd_wire::message::ValueRequestClaims;
use psdd_wire::problem::Problem;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const PSD: &str = "PS010000000001";

/// Each on a port of its own.
pub const LISTEN: Listen = Listen { funds: None, lists: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)) };

/// An authority with one PSD on `appliance-1` under L-1, and its funds system.
pub struct Post {
    pub around: tempfile::TempDir,
    pub dir: AuthorityDir,
    pub device: EcdsaKeyPair,
    pub open: Open,
    pub now: UnixMillis,
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Post {
    pub async fn open() -> Self {
        let around = tempfile::tempdir().unwrap();
        let dir = AuthorityDir::at(&around.path().join("authority"));
        let now = serve::now().unwrap();
        let (hosts, listen) = (vec!["localhost".to_owned()], "127.0.0.1:0".parse().ok());
        init(&dir, &InitOptions { name: "Post".to_owned(), hosts, listen, refund_specimens: false }, now).unwrap();
        let mut books = Books::open(&dir.books()).unwrap();
        let (licence, appliance) = ("L-1".parse().unwrap(), "appliance-1".parse().unwrap());
        books.add_licence(&licence, "holder", now).unwrap().unwrap();
        books.deposit(&licence, "100.00".parse().unwrap(), "payment 1", now).unwrap().unwrap();
        let exchange = around.path().join("exchange");
        std::fs::create_dir(&exchange).unwrap();
        let device = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, PSD);
        params.distinguished_name.push(DnType::OrganizationalUnitName, "device");
        let request = params.serialize_request(&device).unwrap().pem().unwrap();
        std::fs::write(exchange.join(format!("{PSD}-device.csr")), request).unwrap();
        let order = Order { exchange: &exchange, appliance: &appliance, licence: &licence, renew: false };
        issue(&dir, &mut books, &order, now).unwrap();
        for name in ["appliance-1", "appliance-2"] {
            let files = Self::files(&around, name);
            issue_client(&dir, &mut books, &name.parse().unwrap(), (&files.0, &files.1), now).unwrap();
        }
        drop(books);
        let device = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &device.serialize_der()).unwrap();
        let open = serve::open(&dir, LISTEN).await.unwrap();
        Self { around, dir, device, open, now }
    }

    pub fn files(around: &tempfile::TempDir, name: &str) -> (PathBuf, PathBuf) {
        (around.path().join(format!("{name}.pem")), around.path().join(format!("{name}.key")))
    }

    pub fn request(&self, number: u64, amount: &str, nonce: u8) -> Vec<u8> {
        let claims = self.claims(number, amount, nonce);
        self.request_of(claims)
    }

    /// What the PSD says when it asks for value.
    pub fn claims(&self, number: u64, amount: &str, nonce: u8) -> ValueRequestClaims {
        ValueRequestClaims {
            psd: PSD.parse::<PsdId>().unwrap(),
            time: self.now.0,
            nonce: [nonce; 16],
            amount: amount.parse().unwrap(),
            refund: None,
            sequence: number,
            appliance: "appliance-1".to_owned(),
            registers: Registers::default().into(),
        }
    }

    /// A request with these claims, signed by the PSD's device key.
    pub fn request_of(&self, claims: ValueRequestClaims) -> Vec<u8> {
        signed(VALUE_REQUEST, psdd_wire::encode(&claims), &self.device)
    }

    pub async fn connect(&self, name: &str, http2: bool) -> std::io::Result<TlsStream<TcpStream>> {
        let files = Self::files(&self.around, name);
        connect(self.open.address, &self.dir.tls_ca(), Some((&files.0, &files.1)), http2).await
    }

    /// Files of a client of this name, and of this CN, of another authority that calls itself the same.
    pub fn foreign_client(&self, name: &str, appliance: &str) {
        let other = AuthorityDir::at(&self.around.path().join("other"));
        let hosts = vec!["localhost".to_owned()];
        let options = InitOptions { name: "Post".to_owned(), hosts, listen: None, refund_specimens: false };
        init(&other, &options, self.now).unwrap();
        let files = Self::files(&self.around, name);
        let mut books = Books::open(&other.books()).unwrap();
        issue_client(&other, &mut books, &appliance.parse().unwrap(), (&files.0, &files.1), self.now).unwrap();
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, client: &str, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let stream = self.connect(client, true).await.unwrap();
        exchange(stream, true, method, path, Some("application/cbor"), body).await
    }
}

pub async fn connect(
    address: SocketAddr,
    ca: &Path,
    identity: Option<(&Path, &Path)>,
    http2: bool,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

pub async fn exchange(
    stream: TlsStream<TcpStream>,
    http2: bool,
    method: &str,
    path: &str,
    media: Option<&str>,
    body: Vec<u8>,
) -> Answer {
    let uri = if http2 { format!("https://localhost{path}") } else { path.to_owned() };
    let mut request = http::Request::builder().method(method).uri(uri).header("host", "localhost");
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Answer {
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/concise-problem-details+cbor");
        // Not by the strict reader: problems have integer keys, which requests never have.
        serde_cbor::from_slice::<Problem>(&self.body).unwrap().facts.code
    }
}

/// A statement, COSE_Sign1 by a key.
pub fn signed(content_type: &str, payload: Vec<u8>, by: &EcdsaKeyPair) -> Vec<u8> {
    let message = Sign1::unsigned(content_type, None, payload);
    let signature = by.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
    message.with_signature(signature.as_ref())
}

pub fn carried(request: &[u8]) -> Vec<u8> {
    psdd_wire::encode(&FundsRequest { request: request.to_vec() })
}

/// A handshake of TLS 1.3 ends at the client before the server has judged its certificate: only an answer shows.
pub async fn is_let_in(stream: std::io::Result<TlsStream<TcpStream>>) -> bool {
    let Ok(stream) = stream else { return false };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let Ok((mut sender, connection)) = handshake else { return false };
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/v1/licences/L-1").body(Full::new(Bytes::new())).unwrap();
    sender.send_request(request).await.is_ok()
}
