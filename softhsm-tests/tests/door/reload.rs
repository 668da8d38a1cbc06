//! SIGHUP and restarts: CRLs, policies and keys, on an appliance of its own because they change what is everybody's.

use crate::admission::{admitted, assert_refused, issuer};
use crate::bench::{Wanted, raise, set_policy};
use crate::client::{Caller, PATIENCE, code_of, item, items, outcomes, request};
use crate::contract::V;
use crate::staying::assert_gone;
use crate::{AUTHORITY, VENDOR, run};
use psdctl::dev::revoke_clients;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, SerialNumber};
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Polls until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("a signal");
}

pub fn log(appliance: &Appliance) -> String {
    std::fs::read_to_string(appliance.layout.psdd_log()).unwrap_or_default()
}

/// SIGHUP, and the end of the reload; gives what the log says of it.
pub fn reload(appliance: &Appliance) -> String {
    let before = log(appliance);
    let count = |text: &str| text.matches(" reloaded\n").count() + text.matches(" reloaded, but for").count();
    let done = count(&before);
    signal(appliance.pid(), rustix::process::Signal::HUP);
    until("a reload", || count(&log(appliance)) > done);
    log(appliance)[before.len()..].to_owned()
}

/// A revocation list of a CA that ends so many hours from now.
pub fn write_crl(caller: &Caller, ca: &str, hours: i64) {
    let now = OffsetDateTime::now_utc();
    let list = CertificateRevocationListParams {
        this_update: now - time::Duration::hours(48),
        next_update: now + time::Duration::hours(hours),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&issuer(&caller.layout, ca)).expect("a CRL");
    std::fs::write(caller.layout.vendor_crl(), signed.pem().expect("PEM")).expect("written");
}

#[test]
fn a_reload_changes_who_gets_in_and_what_is_allowed() {
    let mut appliance = raise(Wanted { policy: Some((VENDOR, AUTHORITY)), ..Wanted::default() });
    let psd = crate::bench::psd(1);
    let second = appliance.issue("second", "acme", 200);
    let caller = Caller::new(&appliance.layout);
    let layout = appliance.layout.clone();
    run(async {
        let mut live = caller.connect().await;
        let live_second = caller.with(&second).connect().await;
        let before = live.registers(psd).await;
        // Revoked: no new connection, and none that is open; others never notice.
        revoke_clients(&layout, &[200]).expect("a CRL");
        reload(&appliance);
        assert_refused(&caller, Some(&second), "revoked", "CertificateRevoked").await;
        admitted(&caller, Some(&caller.identity)).await.expect("not revoked");
        assert_gone(&live_second).await;
        assert_eq!(live.get("/v1/appliance").await.status, 200);

        // A list that is none: the old one stays in force.
        std::fs::write(layout.vendor_crl(), "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n")
            .expect("written");
        let said = reload(&appliance);
        assert!(said.contains("TLS is not reloaded") && said.contains("vendor-ca.crl"), "{said}");
        admitted(&caller, Some(&second)).await.expect_err("still revoked");
        admitted(&caller, Some(&caller.identity)).await.expect("still in");
        std::fs::remove_file(layout.vendor_crl()).expect("removed");
        assert!(reload(&appliance).contains("TLS is not reloaded"));
        admitted(&caller, Some(&caller.identity)).await.expect("still in");

        // Expired, or of another CA: nobody gets in, and nobody stays.
        for (ca, hours, what) in [("vendor-ca", -24, "an expired list"), ("server-ca", 24, "a list of another CA")] {
            write_crl(&caller, ca, hours);
            reload(&appliance);
            assert_refused(&caller, Some(&caller.identity), what, "").await;
            admitted(&caller, Some(&second)).await.expect_err(what);
            assert_gone(&live).await;
            revoke_clients(&layout, &[]).expect("a CRL");
            reload(&appliance);
            live = caller.connect().await;
        }
        admitted(&caller, Some(&second)).await.expect("no longer revoked");

        // A policy binds the next request on connections that are open, by name.
        assert_eq!(outcomes(&live.sign(psd, &[item("60.00")]).await), ["signed"]);
        let narrow = "@id(\"at-most-fifty\") forbid (principal, action == Action::\"sign_indicium\", resource) when { context.largest > 50000 };";
        set_policy(&layout, VENDOR, narrow);
        reload(&appliance);
        let reply = live.post("/v1/indicia", &request(psd, &[item("0.10"), item("50.001")], false)).await;
        assert_eq!((reply.status, code_of(&reply.body)), (403, "not-permitted"));
        assert!(
            format!("{:?}", reply.body).contains("forbidden by at-most-fifty of the authority"),
            "{:?}",
            reply.body
        );
        assert_eq!(outcomes(&live.sign(psd, &[item("50.00")]).await), ["signed"]);
        set_policy(&layout, &VENDOR.replace("permit", "permitt"), narrow);
        let said = reload(&appliance);
        assert!(said.contains("the policy is not reloaded") && said.contains("vendor.cedar:2:"), "{said}");
        let reply = live.post("/v1/indicia", &request(psd, &[item("50.001")], false)).await;
        assert_eq!(reply.status, 403, "the old policy stays in force");
        set_policy(&layout, "", AUTHORITY);
        reload(&appliance);
        for reply in [
            live.post("/v1/indicia", &request(psd, &[item("1")], false)).await,
            live.get("/v1/appliance").await,
            live.get(&format!("/v1/psds/{psd}")).await,
        ] {
            assert_eq!((reply.status, code_of(&reply.body)), (403, "not-permitted"), "an empty file permits nothing");
        }
        assert!(live.get("/v1/psds").await.body.get("psds").list().is_empty());
        set_policy(&layout, VENDOR, AUTHORITY);
        reload(&appliance);

        // Reloads in the middle of load refuse nothing.
        let flood = {
            let live = live.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    assert_eq!(outcomes(&live.sign(psd, &items(200, "0.01")).await), vec!["signed"; 200]);
                }
            })
        };
        let mut reloads = 0;
        while !flood.is_finished() {
            tokio::task::block_in_place(|| reload(&appliance));
            reloads += 1;
        }
        flood.await.expect("no refusal");
        assert!(reloads > 0);
        let paid = [[60_000, 50_000].as_slice(), &[10; 4000]].concat();
        assert_eq!(live.registers(psd).await, before.after(&paid));
    });

    // Keys outlive restarts, clean ones and others.
    let (used, refused) = (item("0.73"), item("100.001"));
    let other = used.clone().with("postage", V::text("0.74"));
    let (first, after) = run(async {
        let wire = Caller::new(&appliance.layout).connect().await;
        let results = wire.sign(psd, &[used.clone(), refused.clone()]).await;
        (results, wire.registers(psd).await)
    });
    for clean in [true, false] {
        if clean {
            // An idle connection must not hold up a stop.
            let begun = Instant::now();
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let caller = Caller::new(&appliance.layout);
            let idle = runtime.block_on(async { (caller.connect().await, caller.raw("http/1.1").await) });
            assert!(appliance.stop().success(), "{}", appliance.log_tail());
            let took = begun.elapsed();
            drop(idle);
            assert!(took < Duration::from_secs(4), "a stop with idle connections took {took:?}");
        } else {
            appliance.kill9();
        }
        appliance.start().expect("psdd starts again");
        run(async {
            let wire = Caller::new(&appliance.layout).connect().await;
            assert_eq!(wire.registers(psd).await, after);
            let again = wire.sign(psd, &[used.clone(), other.clone(), refused.clone()]).await;
            assert_eq!(again[0], first[0], "the same piece, to the byte");
            assert_eq!(outcomes(&again), ["signed", "key-reused", "postage-too-large"]);
            assert_eq!(wire.registers(psd).await, after);
        });
    }
}
