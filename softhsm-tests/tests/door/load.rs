//! Too much at once: bounded queues, bounded connections, and nobody kept waiting by another's flood.

use crate::bench::{Wanted, raise};
use crate::client::{Caller, code_of, item, items, outcome, outcomes, request, retryable};
use crate::contract::V;
use crate::{AUTHORITY, VENDOR, run};
use std::collections::BTreeMap;
use std::time::Duration;

const CHUNK: u64 = 64;
const IN_FLIGHT: u64 = 256;

/// A token that takes a while, so that queues fill on every machine.
fn slow_token() -> (softhsm_tests::Appliance, tempfile::TempDir) {
    let mut options = softhsm_tests::options();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = dir.path().join("script");
    std::fs::write(&script, "C_Sign latency 400\n").expect("a script");
    options.module = Some(faulty_pkcs11::built_module().expect("the faulty module"));
    let real = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let real = real.into_iter().find(|path| std::path::Path::new(path).exists()).expect("SoftHSM: install softhsm2");
    options.worker_environment = BTreeMap::from([
        ("FAULTY_PKCS11_REAL".to_owned(), real.to_owned()),
        ("FAULTY_PKCS11_SCRIPT".to_owned(), script.display().to_string()),
    ]);
    options.sessions = Some(4);
    let appliance = raise(Wanted {
        policy: Some((VENDOR, AUTHORITY)),
        vendor: "max_connections = 6\nmax_connections_per_tenant = 6",
        end: &format!("[signing]\nchunk_items = {CHUNK}\nin_flight_items = {IN_FLIGHT}\n"),
        options,
        ..Wanted::default()
    });
    (appliance, dir)
}

#[test]
fn floods_are_refused_before_they_cost_and_others_are_served_meanwhile() {
    let (appliance, _script) = slow_token();
    let guest = appliance.issue("guest", "guest", 201);
    let psd = crate::bench::psd(1);
    let caller = Caller::new(&appliance.layout);
    run(async {
        let wire = caller.connect().await;
        let visitor = caller.with(&guest).connect().await;
        let before = wire.registers(psd).await;

        // Six requests of 4096 at once; the queue of a tenant holds two of them, and a little more is in flight.
        let flood: Vec<Vec<V>> = (0..6).map(|_| items(4096, "0.01")).collect();
        let asked: Vec<_> = flood
            .iter()
            .map(|batch| {
                let (wire, body) = (wire.clone(), request(psd, batch, false));
                tokio::spawn(async move { wire.post("/v1/indicia", &body).await })
            })
            .collect();

        // The guest's single items, one after the other, in the midst of it, as soon as the flood is being signed.
        while wire.registers(psd).await.pieces < before.pieces + CHUNK {
            tokio::task::yield_now().await;
        }
        let mut places = Vec::new();
        for _ in 0..8 {
            let committed = wire.registers(psd).await.sequence;
            let result = visitor.sign(psd, &[item("0.02")]).await.remove(0);
            assert_eq!(outcome(&result), "signed", "{result:?}");
            places.push((committed, result.get("sequence").u64()));
        }
        let (mut signed, mut again, mut last) = (0, Vec::new(), 0);
        for (answer, batch) in asked.into_iter().zip(&flood) {
            let reply = answer.await.expect("an answer");
            if reply.status == 200 {
                let results = reply.body.get("results").list();
                assert!(results.iter().all(|result| outcome(result) == "signed"));
                last = results.iter().map(|result| result.get("sequence").u64()).fold(last, u64::max);
                signed += results.len();
            } else {
                assert_eq!((reply.status, code_of(&reply.body)), (503, "overloaded"));
                assert!(retryable(&reply.body), "an overload passes");
                again.push(batch.clone());
            }
        }
        assert!(signed >= 4096 && !again.is_empty(), "{signed} signed, {} refused", again.len());
        let registers = wire.registers(psd).await;
        let expected = [vec![10; signed], vec![20; places.len()]].concat();
        assert_eq!(registers, before.after(&expected), "what was refused was not debited");
        // By sequence, not by time: whoever came while the window was full waits for the window and for a chunk or two of the
        // others' turns. The slack covers what was signed between reading the registers and asking.
        eprintln!("flood until {last}, guest at {places:?}");
        for (committed, place) in &places {
            let waited = place - committed;
            assert!(waited <= IN_FLIGHT + 8 * CHUNK, "a single item waited for {waited} pieces of a flood");
        }
        assert!(
            places.iter().all(|(_, place)| *place < last),
            "the flood was over too soon to tell: {places:?}, {last}"
        );
        // What was refused succeeds with the same keys, one request after the other.
        for batch in again.iter().take(1) {
            assert_eq!(outcomes(&wire.sign(psd, batch).await), vec!["signed"; 4096]);
        }
    });

    // Connections: six are open at most, the seventh waits until one of them ends.
    run(async {
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(caller.connect().await);
        }
        let seventh = {
            let caller = caller.clone();
            tokio::spawn(async move { caller.connect().await })
        };
        let mut seventh = std::pin::pin!(seventh);
        let waited = tokio::time::timeout(Duration::from_millis(700), seventh.as_mut()).await;
        assert!(waited.is_err(), "a seventh connection was served beside six");
        for wire in &open {
            assert_eq!(wire.get("/v1/appliance").await.status, 200, "those that are in are served");
        }
        open.pop();
        let wire = seventh.await.expect("the seventh connection");
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"]);
    });
}
