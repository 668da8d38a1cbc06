//! The revocation lists over plain HTTP: what caches and verifiers are told, and that OpenSSL verifies what they get.

use crate::rig::{Answer, PSD, Post};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use psd::custody::RevocationReason;
use psd::key::Role;
use psdd_authority::books::{Books, CrlIssuer, Revoke};
use psdd_authority::pki::write_list;
use std::process::Command;
use tokio::net::TcpStream;

async fn ask(post: &Post, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let stream = TcpStream::connect(post.open.published.expect("it publishes")).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_fetched_once_and_anew_when_another_is_signed() {
    let post = Post::open().await;
    let first = ask(&post, "GET", "/psd-ca.crl", &[]).await;
    assert_eq!((first.status, text(&first, "content-type")), (200, "application/pkix-crl"));
    assert_eq!(text(&first, "cache-control"), "public, max-age=3600");
    let modified = httpdate::parse_http_date(text(&first, "last-modified")).unwrap();
    let expires = httpdate::parse_http_date(text(&first, "expires")).unwrap();
    assert_eq!(expires.duration_since(modified).unwrap().as_secs(), 30 * 86_400);
    let (tag, date) = (text(&first, "etag").to_owned(), text(&first, "last-modified").to_owned());

    let head = ask(&post, "HEAD", "/psd-ca.crl", &[]).await;
    assert_eq!((head.status, head.body.len(), text(&head, "etag")), (200, 0, tag.as_str()));
    assert_eq!(text(&head, "content-length"), first.body.len().to_string());
    let weak = format!("\"other\", W/{tag}");
    let known = [
        ("by its tag", vec![("if-none-match", tag.as_str())], 304),
        ("by its tag among others", vec![("if-none-match", &weak)], 304),
        ("by its date", vec![("if-modified-since", &date)], 304),
        ("another tag, whatever the date", vec![("if-none-match", "\"other\""), ("if-modified-since", &date)], 200),
        ("an older date", vec![("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")], 200),
        ("no date", vec![("if-modified-since", "yesterday")], 200),
    ];
    for (name, headers, status) in known {
        let answer = ask(&post, "GET", "/psd-ca.crl", &headers).await;
        assert_eq!((answer.status, text(&answer, "etag")), (status, tag.as_str()), "{name}");
        assert_eq!(answer.body.is_empty(), status == 304, "{name}");
    }

    // A list that is signed while it serves is out at once, and the old tag is worth nothing.
    let mut books = Books::open(&post.dir.books()).unwrap();
    let order = Revoke {
        psd: PSD.parse().unwrap(),
        role: Role::Device,
        generation: None,
        reason: RevocationReason::Superseded,
        invalid_since: None,
    };
    books.revoke_key(&order, post.now).unwrap().unwrap();
    let signed = write_list(&post.dir, &mut books, CrlIssuer::PsdCa, 1, post.now).unwrap();
    let second = ask(&post, "GET", "/psd-ca.crl", &[("if-none-match", &tag)]).await;
    assert_eq!((second.status, &second.body), (200, &signed.der));
    assert_ne!(text(&second, "etag"), tag);

    let file = post.around.path().join("fetched.crl");
    std::fs::write(&file, &second.body).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(&file).arg("-CAfile").arg(post.dir.psd_ca());
    let output = openssl.output().expect("openssl is installed");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("verify OK") && said.contains("Superseded"), "{said}");
    assert_eq!(ask(&post, "GET", "/authority-root.crl", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_lists_is_there() {
    let post = Post::open().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/psd-ca.key", 404),
        ("GET", "/ca/psd-ca.crl", 404),
        ("GET", "/../psd-ca.crl", 404),
        ("POST", "/psd-ca.crl", 405),
        ("DELETE", "/authority-root.crl", 405),
    ] {
        let answer = ask(&post, method, path, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(text(&answer, "allow"), if status == 405 { "GET, HEAD" } else { "" });
    }
    // What is no list any more is not published as one.
    std::fs::write(post.dir.psd_crl(), "no list").unwrap();
    assert_eq!(ask(&post, "GET", "/psd-ca.crl", &[]).await.status, 503);
    assert_eq!(ask(&post, "GET", "/authority-root.crl", &[]).await.status, 200, "the other still is");
}
