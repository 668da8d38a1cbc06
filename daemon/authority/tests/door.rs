//! The funds system over real TLS: who is let in, what is refused before the books see it, and that what is answered is booked.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use psd::{PsdId, Registers, UnixMillis};
use psdd_authority::books::Books;
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{InitOptions, Order, init, issue, issue_client, revoke_client};
use psdd_authority::serve::{self, Open};
use psdd_wire::certificate::verify_end_entity;
use psdd_wire::cose::{Sign1, VALUE_AUTHORISATION, VALUE_REQUEST};
use psdd_wire::funds::{AccountResponse, FundsAuthorisation, FundsRequest};
use psdd_wire::message::{ValueAuthorisationClaims, ValueRequestClaims};
use psdd_wire::problem::Problem;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const PSD: &str = "PS010000000001";

/// An authority with one PSD on `appliance-1` under L-1, and its funds system.
struct Post {
    around: tempfile::TempDir,
    dir: AuthorityDir,
    device: EcdsaKeyPair,
    open: Open,
    now: UnixMillis,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Post {
    async fn open() -> Self {
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
        let open = serve::open(&dir, None).await.unwrap();
        Self { around, dir, device, open, now }
    }

    fn files(around: &tempfile::TempDir, name: &str) -> (PathBuf, PathBuf) {
        (around.path().join(format!("{name}.pem")), around.path().join(format!("{name}.key")))
    }

    fn request(&self, number: u64, amount: &str, nonce: u8) -> Vec<u8> {
        let claims = ValueRequestClaims {
            psd: PSD.parse::<PsdId>().unwrap(),
            time: self.now.0,
            nonce: [nonce; 16],
            amount: amount.parse().unwrap(),
            refund: None,
            sequence: number,
            appliance: "appliance-1".to_owned(),
            registers: Registers::default().into(),
        };
        let message = Sign1::unsigned(VALUE_REQUEST, None, psdd_wire::encode(&claims));
        let signature = self.device.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    async fn connect(&self, name: &str, http2: bool) -> std::io::Result<TlsStream<TcpStream>> {
        let files = Self::files(&self.around, name);
        connect(self.open.address, &self.dir.tls_ca(), Some((&files.0, &files.1)), http2).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, client: &str, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let stream = self.connect(client, true).await.unwrap();
        exchange(stream, true, method, path, Some("application/cbor"), body).await
    }
}

async fn connect(
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

async fn exchange(
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
    fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/concise-problem-details+cbor");
        // Not by the strict reader: problems have integer keys, which requests never have.
        serde_cbor::from_slice::<Problem>(&self.body).unwrap().facts.code
    }
}

fn carried(request: &[u8]) -> Vec<u8> {
    psdd_wire::encode(&FundsRequest { request: request.to_vec() })
}

/// A handshake of TLS 1.3 ends at the client before the server has judged its certificate: only an answer shows.
async fn is_let_in(stream: std::io::Result<TlsStream<TcpStream>>) -> bool {
    let Ok(stream) = stream else { return false };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let Ok((mut sender, connection)) = handshake else { return false };
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/v1/licences/L-1").body(Full::new(Bytes::new())).unwrap();
    sender.send_request(request).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_is_authorised_over_the_door_and_repeated_as_it_was() {
    let post = Post::open().await;
    let request = post.request(1, "40.00", 1);
    let first = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&request)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["content-type"], "application/cbor");
    let answer: FundsAuthorisation = psdd_wire::read(&first.body).unwrap();
    assert_eq!(answer.balance.to_string(), "60.00");

    // The authorisation is what a PSD accepts: by the funds key, certified by the root, for this download and no other.
    let message = Sign1::parse(&answer.authorisation).unwrap();
    let root = CertificateDer::from_pem_file(post.dir.root_certificate()).unwrap();
    let key = verify_end_entity(&[message.certificate.as_deref().unwrap()], &root, post.now).unwrap();
    message.verify(VALUE_AUTHORISATION, &key.spki).unwrap();
    let claims: ValueAuthorisationClaims = psdd_wire::read(&message.payload).unwrap();
    let told =
        (claims.amount.to_string(), claims.control_total.to_string(), claims.sequence, claims.appliance.as_str());
    assert_eq!(told, ("40.00".to_owned(), "40.00".to_owned(), 1, "appliance-1"));
    assert!(claims.expires > post.now.0 + 71 * 3_600_000);

    // Over HTTP/1.1, after a lost answer: the same bytes.
    let stream = post.connect("appliance-1", false).await.unwrap();
    let again =
        exchange(stream, false, "POST", "/v1/value-requests", Some("application/cbor"), carried(&request)).await;
    assert_eq!((again.status, again.body), (200, first.body));

    let account = post.ask("appliance-1", "GET", "/v1/licences/L-1", Vec::new()).await;
    let account: AccountResponse = psdd_wire::read(&account.body).unwrap();
    let told =
        (account.psds, account.balance.to_string(), account.deposited.to_string(), account.authorised.to_string());
    assert_eq!(told, (1, "60.00".to_owned(), "100.00".to_owned(), "40.00".to_owned()));

    // Closed and opened again, it still knows.
    let (dir, around, device, now) = (post.dir.clone(), post.around, post.device, post.now);
    post.open.close(Duration::from_secs(5)).await;
    let post = Post { open: serve::open(&dir, None).await.unwrap(), dir, around, device, now };
    let conflict = post.request(1, "40.00", 2);
    let refused = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&conflict)).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "download-conflict"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_its_code_and_moves_nothing() {
    let post = Post::open().await;
    let good = post.request(1, "40.00", 1);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    type Case<'a> = (&'a str, &'a str, &'a str, &'a str, Vec<u8>, u16, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("route", "appliance-1", "POST", "/v1/psds", Vec::new(), 404, "no-such-route"),
        ("method", "appliance-1", "GET", "/v1/value-requests", Vec::new(), 405, "method-not-allowed"),
        ("method", "appliance-1", "POST", "/v1/licences/L-1", Vec::new(), 405, "method-not-allowed"),
        ("no CBOR", "appliance-1", "POST", "/v1/value-requests", vec![0xff], 400, "malformed"),
        ("other field", "appliance-1", "POST", "/v1/value-voids", carried(&good), 400, "malformed"),
        ("oversize", "appliance-1", "POST", "/v1/value-requests", vec![0; 65_537], 413, "body-too-large"),
        ("no COSE", "appliance-1", "POST", "/v1/value-requests", carried(b"x"), 400, "statement-malformed"),
        ("as a withdrawal", "appliance-1", "POST", "/v1/withdrawals", carried(&good), 400, "statement-malformed"),
        ("forged", "appliance-1", "POST", "/v1/value-requests", carried(&forged), 400, "statement-bad-signature"),
        ("carrier", "appliance-2", "POST", "/v1/value-requests", carried(&good), 403, "not-permitted"),
        ("licence", "appliance-2", "GET", "/v1/licences/L-1", Vec::new(), 404, "licence-unknown"),
        ("licence", "appliance-1", "GET", "/v1/licences/L-2", Vec::new(), 404, "licence-unknown"),
        (
            "too much",
            "appliance-1",
            "POST",
            "/v1/value-requests",
            carried(&post.request(1, "100.01", 3)),
            409,
            "funds-short",
        ),
        (
            "a gap",
            "appliance-1",
            "POST",
            "/v1/value-requests",
            carried(&post.request(3, "1.00", 4)),
            409,
            "download-gap",
        ),
    ];
    for (name, client, method, path, body, status, code) in cases {
        let answer = post.ask(client, method, path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}");
        if status == 405 {
            assert_eq!(answer.headers["allow"], if method == "GET" { "POST" } else { "GET" });
        }
    }
    let stream = post.connect("appliance-1", true).await.unwrap();
    let media = exchange(stream, true, "POST", "/v1/value-requests", Some("text/plain"), carried(&good)).await;
    assert_eq!((media.status, media.code().as_str()), (415, "unsupported-media-type"));
    let account = post.ask("appliance-1", "GET", "/v1/licences/L-1", Vec::new()).await;
    let account: AccountResponse = psdd_wire::read(&account.body).unwrap();
    assert_eq!(account.balance.to_string(), "100.00", "nothing moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_of_the_authority_that_are_not_revoked_come_in() {
    let post = Post::open().await;
    assert!(is_let_in(post.connect("appliance-1", true).await).await);
    let ca = post.dir.tls_ca();
    assert!(!is_let_in(connect(post.open.address, &ca, None, true).await).await, "no certificate");

    // Of another authority with the same names.
    let other = AuthorityDir::at(&post.around.path().join("other"));
    let options = InitOptions {
        name: "Post".to_owned(),
        hosts: vec!["localhost".to_owned()],
        listen: None,
        refund_specimens: false,
    };
    init(&other, &options, post.now).unwrap();
    let files = Post::files(&post.around, "foreign");
    let mut books = Books::open(&other.books()).unwrap();
    issue_client(&other, &mut books, &"appliance-1".parse().unwrap(), (&files.0, &files.1), post.now).unwrap();
    assert!(!is_let_in(post.connect("foreign", true).await).await, "another CA");
    // The certificate of a PSD or of the funds key opens nothing either.
    let funds = (post.dir.funds(), post.dir.funds_key());
    let stream = connect(post.open.address, &ca, Some((&funds.0, &funds.1)), true).await;
    assert!(!is_let_in(stream).await, "the funds key");

    let mut books = Books::open(&post.dir.books()).unwrap();
    let serial = books.clients().unwrap()[0].serial;
    revoke_client(&post.dir, &mut books, serial, post.now).unwrap();
    assert!(is_let_in(post.connect("appliance-1", true).await).await, "the list is taken when it is told");
    post.open.reload().unwrap();
    assert!(!is_let_in(post.connect("appliance-1", true).await).await, "revoked");
    assert!(is_let_in(post.connect("appliance-2", true).await).await, "the other is not");

    // A list that cannot be read leaves the one in force.
    std::fs::write(post.dir.client_crl(), "no list").unwrap();
    assert!(post.open.reload().is_err());
    assert!(!is_let_in(post.connect("appliance-1", true).await).await, "still revoked");
    assert!(is_let_in(post.connect("appliance-2", true).await).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_fail_are_answered_by_nobody() {
    let mut post = Post::open().await;
    // Another program has broken the books under the funds system.
    let books = Books::open(&post.dir.books()).unwrap();
    drop(books);
    std::fs::write(post.dir.books(), b"no database, and long enough to be seen as none of them").unwrap();
    let request = post.request(1, "40.00", 1);
    let answer = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&request)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "stopping"));
    let fault = tokio::time::timeout(Duration::from_secs(5), post.open.failed()).await.expect("a fault is told");
    assert!(!fault.is_busy(), "{fault}");
}
