//! Who may stay: clients whose certificate is revoked or ends while they are connected, tenants with too many connections, and what is
//! told of lists that end.

use crate::admission::{good, issue};
use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, PATIENCE, Wire, code_of, item, items, outcome, outcomes, read_to_end, request};
use crate::reload::{log, reload, until, write_crl};
use crate::{AUTHORITY, VENDOR, run};
use psdctl::dev::revoke_clients;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The connection ends; until it does, it answers as it did or says why it ends.
pub async fn assert_gone(wire: &Wire) {
    let begun = Instant::now();
    while let Ok(reply) = wire.try_ask("GET", "/v1/appliance", None, &[]).await {
        if reply.status != 200 {
            assert_eq!((reply.status, code_of(&reply.body)), (403, "certificate-refused"));
        }
        assert!(begun.elapsed() < PATIENCE, "the connection stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn an_appliance(vendor: &str) -> softhsm_tests::Appliance {
    raise(Wanted { psds: 2, vendor, policy: Some((VENDOR, AUTHORITY)), ..Wanted::default() })
}

#[test]
fn a_client_revoked_mid_connection_loses_it_and_another_never_notices() {
    let appliance = an_appliance("");
    let second = appliance.issue("second", "acme", 200);
    let caller = Caller::new(&appliance.layout);
    run(async {
        let (stays, goes) = (caller.connect().await, caller.with(&second).connect().await);
        let done = Arc::new(AtomicBool::new(false));
        let signing = {
            let (stays, done) = (stays.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut signed = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(outcomes(&stays.sign(psd(1), &[item("0.01")]).await), ["signed"]);
                    signed += 1;
                }
                signed
            })
        };
        // In flight while its client is revoked: it is finished and answered.
        let before = stays.registers(psd(2)).await.pieces;
        let flight = {
            let (goes, body) = (goes.clone(), request(psd(2), &items(4096, "0.01"), false));
            tokio::spawn(async move { goes.post("/v1/indicia", &body).await })
        };
        while stays.registers(psd(2)).await.pieces == before {
            tokio::task::yield_now().await;
        }
        revoke_clients(&caller.layout, &[200]).expect("a CRL");
        reload(&appliance);
        assert_gone(&goes).await;
        let answered = flight.await.expect("an answer");
        assert_eq!(answered.status, 200, "{:?}", answered.body);
        let results = answered.body.get("results").list();
        assert_eq!(results.len(), 4096);
        assert!(results.iter().all(|result| outcome(result) == "signed"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        done.store(true, Ordering::Relaxed);
        assert!(signing.await.expect("not one error") > 0);
        assert!(log(&appliance).contains("a client is sent away"));
    });
}

#[test]
fn a_connection_ends_with_its_certificate() {
    let appliance = an_appliance("");
    let caller = Caller::new(&appliance.layout);
    let mut params = good(500);
    params.not_after = OffsetDateTime::now_utc() + time::Duration::seconds(4);
    let short = issue(&caller.layout, "short", Some("vendor-ca"), &params);
    run(async {
        let (stays, goes) = (caller.connect().await, caller.with(&short).connect().await);
        assert_gone(&goes).await;
        assert!(OffsetDateTime::now_utc() > params.not_after, "not before its end");
        assert_eq!(stays.get("/v1/appliance").await.status, 200);
    });
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

#[test]
fn a_client_that_does_not_hear_that_it_must_go_is_refused_and_then_closed() {
    let appliance = an_appliance("body_timeout_ms = 2000");
    let second = appliance.issue("second", "acme", 200);
    let caller = Caller::new(&appliance.layout);
    run(async {
        let mut stream = caller.with(&second).raw("h2").await;
        let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[]), &frame(4, 1, 0, &[])].concat();
        stream.write_all(&hello).await.expect("written");
        revoke_clients(&caller.layout, &[200]).expect("a CRL");
        reload(&appliance);
        // GOAWAY is frame type 7. The PING behind it is never answered.
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("a frame");
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.expect("its payload");
            if head[3] == 7 {
                break;
            }
        }
        // RFC 7541 §6: GET, https, and path and authority as literals.
        let fields = [&[0x82, 0x87, 0x04, 13][..], b"/v1/appliance", &[0x01, 9], b"localhost"].concat();
        stream.write_all(&frame(1, 5, 1, &fields)).await.expect("written");
        let rest = read_to_end(&mut stream).await;
        assert!(rest.contains("certificate-refused"), "{rest:?}");
    });
}

#[test]
fn a_tenant_has_a_budget_of_connections() {
    let appliance = an_appliance("max_connections_per_tenant = 2");
    let guest = appliance.issue("guest", "guest", 201);
    let caller = Caller::new(&appliance.layout);
    let ask = b"GET /v1/appliance HTTP/1.1\r\nHost: localhost\r\n\r\n";
    run(async {
        let (first, second) = (caller.connect().await, caller.connect().await);
        // Told on its first request, then closed.
        let told = caller.http1(ask).await;
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        assert!(told.contains("overloaded") && told.contains("vendor.max_connections_per_tenant"), "{told}");
        assert_eq!(caller.with(&guest).connect().await.get("/v1/appliance").await.status, 200);
        assert_eq!(first.get("/v1/appliance").await.status, 200);
        drop(second);
        let begun = Instant::now();
        let tls = || caller.tls(Some(&caller.identity), &[&rustls::version::TLS13]);
        while caller.try_connect(tls()).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "a place is free again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn the_end_of_a_list_is_told_days_before() {
    let appliance = an_appliance("");
    let caller = Caller::new(&appliance.layout);
    let ready = appliance.local("/ready");
    assert!(ready.starts_with("HTTP/1.1 200") && !ready.contains("warning"), "{ready}");
    for door in ["vendor", "operator"] {
        let metrics = appliance.local("/metrics");
        assert!(metrics.contains(&format!("psdd_crl_seconds_left{{door=\"{door}\"}} 3")), "{metrics}");
        assert!(
            metrics.contains(&format!("psdd_certificate_seconds_left{{door=\"{door}\",certificate=\"client CA\"}}"))
        );
    }
    for (hours, said) in [
        (3 * 24 + 1, "warning: vendor door: the CRL expires in 3 days"),
        (-1, "error: vendor door: the CRL has expired"),
    ] {
        write_crl(&caller, "vendor-ca", hours);
        let logged = reload(&appliance);
        assert!(logged.contains(said), "{logged}");
        let ready = appliance.local("/ready");
        assert!(ready.starts_with("HTTP/1.1 200"), "degraded, not down: {ready}");
        assert!(ready.contains(said), "{ready}");
    }
    until("a gauge below zero", || appliance.local("/metrics").contains("psdd_crl_seconds_left{door=\"vendor\"} -"));
}
