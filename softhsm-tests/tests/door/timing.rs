//! Clients that are slow or many, and HTTP/1.1. The shared appliance gives headers and bodies three seconds.

use crate::client::{Caller, PATIENCE, item, items, outcomes, read_to_end, request};
use crate::contract::V;
use crate::{run, shared};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection lives after these bytes, and what came.
async fn lives(caller: &Caller, alpn: &str, bytes: &[u8]) -> (Duration, String) {
    let mut stream = caller.raw(alpn).await;
    let begun = Instant::now();
    stream.write_all(bytes).await.expect("written");
    let answer = read_to_end(&mut stream).await;
    (begun.elapsed(), answer)
}

#[test]
fn slow_clients_lose_their_connection_and_nothing_else() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd).await;
        let post = "POST /v1/indicia HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cbor\r\n";
        let body = request(psd, &items(1, "0.73"), false);
        let half_body = [format!("{post}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body[..40]].concat();
        let half_chunked =
            [format!("{post}Transfer-Encoding: chunked\r\n\r\n28\r\n").as_bytes(), &body[..40], b"\r\n"].concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let rows: [(&str, &str, Vec<u8>, &str); 9] = [
            ("nothing over HTTP/1.1", "http/1.1", Vec::new(), ""),
            ("nothing over HTTP/2", "h2", Vec::new(), ""),
            ("half a line", "http/1.1", b"GET /v1/ps".to_vec(), ""),
            ("half the headers", "http/1.1", post.as_bytes().to_vec(), ""),
            ("half a preface", "h2", preface[..12].to_vec(), ""),
            ("a preface and no more", "h2", preface.to_vec(), ""),
            ("half a frame", "h2", [preface, &settings[..], &[0, 0, 40, 1, 4]].concat(), ""),
            ("half a body", "http/1.1", half_body, "408"),
            ("half a body in chunks", "http/1.1", half_chunked, "408"),
        ];
        let all = rows.map(|(name, alpn, bytes, status)| {
            let caller = caller.clone();
            tokio::spawn(async move {
                let (took, answer) = lives(&caller, alpn, &bytes).await;
                (name, status, took, answer)
            })
        });
        for row in all {
            let (name, status, took, answer) = row.await.expect("the connection ends");
            eprintln!("{name}: {took:?}");
            if status.is_empty() {
                assert!(!answer.contains("HTTP/1.1 200"), "{name}: {answer}");
            } else {
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer:?}");
                assert!(answer.contains("body-timeout"), "{name}: {answer:?}");
            }
            assert!(took > TIMEOUT / 2, "{name}: after {took:?}, too soon");
            assert!(took < TIMEOUT * 4, "{name}: after {took:?}, too late");
        }
        // A TLS handshake that does not go on.
        let mut tcp = tokio::net::TcpStream::connect(&caller.address).await.expect("TCP");
        tcp.write_all(&[0x16, 0x03, 0x01]).await.expect("written");
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection stays open");
        assert_eq!(wire.registers(psd).await, before);
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"]);
    });
}

#[test]
fn http_1_works_too() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    run(async {
        let mut stream = caller.raw("http/1.1").await;
        // Several exchanges on one connection, a body in small chunks, and one request behind the other.
        let one = item("0.73");
        let body = request(psd, std::slice::from_ref(&one), false);
        let mut sent = format!("GET /v1/psds/{psd} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        let head = "POST /v1/indicia HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cbor\r\n";
        sent.extend_from_slice(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
        for chunk in body.chunks(11) {
            sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            sent.extend_from_slice(chunk);
            sent.extend_from_slice(b"\r\n");
        }
        sent.extend_from_slice(b"0\r\n\r\n");
        sent.extend_from_slice(format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes());
        sent.extend_from_slice(&body);
        stream.write_all(&sent).await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("three answers");
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
        let wire = caller.connect().await;
        assert_eq!(wire.registers(psd).await.pieces, 1, "the same key twice is one piece");
        let piece = wire.sign(psd, &[one]).await.remove(0);
        let indicium = piece.get("indicium").bytes();
        let shown = answer.windows(indicium.len()).filter(|window| *window == indicium).count();
        assert_eq!(shown, 2, "both answers carry the piece");
    });
}

/// One frame of HTTP/2: type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers of POST /v1/indicia, without Huffman codes and without the dynamic table (RFC 7541).
fn headers() -> Vec<u8> {
    let literal =
        |prefix: &[u8], value: &str| [prefix, &[u8::try_from(value.len()).expect("short")], value.as_bytes()].concat();
    [
        vec![0x83, 0x87],
        literal(&[0x04], "/v1/indicia"),
        literal(&[0x01], "localhost"),
        literal(&[0x0f, 0x10], "application/cbor"),
    ]
    .concat()
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    run(async {
        let mut stream = caller.raw("h2").await;
        let mut sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
        // The shared appliance allows 64; none of these sends its body yet.
        let stream_of = |nth: u32| 2 * nth + 1;
        for nth in 0..80 {
            sent.extend(frame(1, 4, stream_of(nth), &headers()));
        }
        stream.write_all(&sent).await.expect("written");
        let mut refused = Vec::new();
        while refused.len() < 16 {
            let mut head = [0; 9];
            tokio::time::timeout(PATIENCE, stream.read_exact(&mut head))
                .await
                .expect("frames in time")
                .expect("a frame");
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await.expect("a payload");
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                3 => {
                    assert_eq!(payload, [0, 0, 0, 7], "REFUSED_STREAM on {id}");
                    refused.push(id);
                }
                7 => panic!("GOAWAY: {payload:?}"),
                _ => {}
            }
        }
        assert!(refused.iter().all(|id| *id >= stream_of(64)), "{refused:?}");
        // One of the first now sends its body and is answered.
        let body = request(psd, &[item("0.73")], false);
        stream.write_all(&frame(0, 1, stream_of(5), &body)).await.expect("written");
        loop {
            let mut head = [0; 9];
            tokio::time::timeout(PATIENCE, stream.read_exact(&mut head))
                .await
                .expect("frames in time")
                .expect("a frame");
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.expect("a payload");
            if head[3] == 1 && head[8] == 11 {
                assert_eq!(payload[0], 0x88, "status 200 is the eighth entry of the static table");
                break;
            }
        }
        let wire = caller.connect().await;
        assert_eq!(wire.registers(psd).await.pieces, 1);
        let view = wire.get(&format!("/v1/psds/{psd}")).await;
        assert_eq!(*view.body.get("psd").get("state"), V::text("active"));
    });
}
