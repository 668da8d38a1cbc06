//! Faults while signing, under load.

use crate::bench::psd;
use crate::client::{Caller, Registers, Wire, code_of, items, outcome, outcomes, retryable};
use crate::contract::V;
use crate::{Faulty, run, until};
use psd::PsdId;
use psd::indicium::format_named;
use psdd_client::verify::AuthorityRoot;
use psdd_client::verify::offline::{Bundle, Verdict};
use psdd_client::{Client, ClientError, Item};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use softhsm_tests::Appliance;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Clients that sign without pause, each with a connection of its own, and never give a key up.
struct Load {
    stop: AtomicBool,
    signed: AtomicU64,
    faults: AtomicU64,
    codes: Mutex<BTreeMap<String, u64>>,
    /// Mills and result by key.
    pieces: Mutex<BTreeMap<[u8; 16], (u64, V)>>,
}

impl Load {
    fn start(wire: &[Wire], psds: &[PsdId]) -> (Arc<Self>, Vec<tokio::task::JoinHandle<()>>) {
        let load = Arc::new(Self {
            stop: AtomicBool::new(false),
            signed: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            codes: Mutex::default(),
            pieces: Mutex::default(),
        });
        let tasks = wire.iter().enumerate().map(|(nth, wire)| {
            let (load, wire, psd) = (Arc::clone(&load), wire.clone(), psds[nth % psds.len()]);
            tokio::spawn(async move {
                while !load.stop.load(Ordering::Relaxed) {
                    load.sign_all(&wire, psd, items(50, "0.01")).await;
                }
            })
        });
        let tasks = tasks.collect();
        (load, tasks)
    }

    /// Asks until every item is signed.
    async fn sign_all(&self, wire: &Wire, psd: PsdId, mut open: Vec<V>) {
        let begun = Instant::now();
        while !open.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "items are not signed: {:?}", self.codes.lock());
            let results = wire.sign(psd, &open).await;
            let mut left = Vec::new();
            for (item, result) in open.into_iter().zip(results) {
                if let Some(problem) = result.find("problem") {
                    assert!(retryable(problem), "a fault that is for good: {problem:?}");
                    *self.codes.lock().expect("unpoisoned").entry(code_of(problem).to_owned()).or_default() += 1;
                    self.faults.fetch_add(1, Ordering::Relaxed);
                    left.push(item);
                    continue;
                }
                self.signed.fetch_add(1, Ordering::Relaxed);
                let key = item.get("key").bytes().try_into().expect("16 bytes");
                let before = self.pieces.lock().expect("unpoisoned").insert(key, (10, result));
                assert!(before.is_none(), "a key was given up and signed");
            }
            open = left;
            if !open.is_empty() {
                // The problem says when to come back; a flood of repetitions would only slow the recovery.
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    }
}

/// Every mark judged under the authority's root, by the code that vendors and inspectors use.
fn verdicts<'a>(appliance: &Appliance, results: impl Iterator<Item = &'a V>) -> Vec<Verdict> {
    let layout = &appliance.layout;
    let root = CertificateDer::from_pem_file(layout.authority_root()).expect("a root");
    let certificates = CertificateDer::pem_file_iter(layout.certificates()).expect("certificates");
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().expect("certificates");
    let bundle = Bundle::new(&certificates, &AuthorityRoot::from_der(&root).expect("a root")).expect("a bundle");
    let format = format_named("ibi").expect("the layout");
    let judge = |result: &V| bundle.judge(&format.decode(result.get("indicium").bytes()).expect("a mark"));
    results.map(judge).collect()
}

/// What happens to the token.
enum Trouble {
    Script(&'static str),
    KillWorkers,
    RestartKeeper,
}

#[test]
fn whatever_the_token_does_nothing_is_lost_and_nothing_debited_twice() {
    use Trouble::{KillWorkers, RestartKeeper, Script};
    // The last column: whether clients must see faults; a session that is replaced unnoticed, and a signature that only claims to be
    // too long, need not show.
    let rows: [(&str, Trouble, bool); 14] = [
        ("worker killed", KillWorkers, true),
        ("worker killed again", KillWorkers, true),
        ("C_Sign hangs", Script("C_Sign hang after=40 times=1\n"), true),
        ("C_Sign hangs for all", Script("C_Sign hang\n"), true),
        ("device error", Script("C_Sign return CKR_DEVICE_ERROR after=40\n"), true),
        ("session lost once", Script("C_Sign return CKR_SESSION_HANDLE_INVALID after=40 times=1\n"), false),
        ("sessions lost", Script("C_Sign return CKR_SESSION_HANDLE_INVALID after=40\n"), true),
        ("function failed", Script("C_Sign return CKR_FUNCTION_FAILED after=40 every=3\n"), true),
        ("failed after it was done", Script("C_Sign after-return CKR_GENERAL_ERROR after=40\n"), true),
        ("not logged in", Script("C_Sign return CKR_USER_NOT_LOGGED_IN after=40\n"), true),
        ("abort", Script("C_Sign crash after=40\n"), true),
        ("segmentation fault", Script("C_Sign segv after=40\n"), true),
        ("too long a signature", Script("C_Sign overlong after=40 times=20\n"), false),
        ("psdd-hsm restarted", RestartKeeper, true),
    ];
    let mut faulty = Faulty::raise(3);
    let caller = Caller::new(&faulty.appliance.layout);
    let psds = [psd(1), psd(2)];
    run(async {
        let mut wires = Vec::new();
        for _ in 0..3 {
            wires.push(caller.connect().await);
        }
        let wire = caller.connect().await;
        let mut before = BTreeMap::new();
        for psd in psds {
            before.insert(psd.to_string(), wire.registers(psd).await);
        }
        let (load, tasks) = Load::start(&wires, &psds);
        let signed = || load.signed.load(Ordering::Relaxed);
        let faults = || load.faults.load(Ordering::Relaxed);
        for (name, trouble, must_show) in rows {
            let begun = Instant::now();
            let from = signed();
            tokio::task::block_in_place(|| until("load", || signed() > from + 100));
            let (seen, from) = (faults(), signed());
            match trouble {
                Script(text) => faulty.script(text),
                KillWorkers => assert!(faulty.appliance.kill_workers() > 0, "{name}: there is a worker"),
                RestartKeeper => tokio::task::block_in_place(|| {
                    faulty.appliance.kill_hsm();
                    until("faults", || faults() > seen);
                    faulty.appliance.start_hsm().expect("psdd-hsm");
                }),
            }
            tokio::task::block_in_place(|| {
                until(name, || if must_show { faults() > seen } else { signed() > from + 300 });
                faulty.script("");
                let from = signed();
                until("recovery", || signed() > from + 200);
            });
            assert!(faulty.appliance.runs(), "{name}: psdd ended: {}", faulty.appliance.log_tail());
            eprintln!("{name}: {:?}, {} faults", begun.elapsed(), faults() - seen);
            // Registers hold in the midst of it.
            for psd in psds {
                wire.registers(psd).await;
            }
        }
        load.stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("every item is signed in the end");
        }
        let codes = load.codes.lock().expect("unpoisoned").clone();
        eprintln!("{} pieces, faults by code: {codes:?}", signed());
        assert!(codes.contains_key("token-unavailable"));
        assert!(codes.keys().all(|code| ["token-unavailable", "log-unsigned"].contains(&code.as_str())), "{codes:?}");

        // Registers are the sum of what clients hold.
        let pieces = load.pieces.lock().expect("unpoisoned").clone();
        for psd in psds {
            let name = psd.to_string();
            let of_psd: Vec<&V> =
                pieces.values().map(|(_, result)| result).filter(|result| result.get("psd").str() == name).collect();
            assert_eq!(wire.registers(psd).await, before[&name].after(&vec![10; of_psd.len()]), "{name}");
            let mut sequences: Vec<u64> = of_psd.iter().map(|result| result.get("sequence").u64()).collect();
            sequences.sort_unstable();
            assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{name}: no gap, no number twice");
            let last = of_psd.iter().max_by_key(|result| result.get("sequence").u64()).expect("pieces");
            let now = wire.registers(psd).await;
            assert_eq!(Registers::of(last.get("registers")), Registers { sequence: 0, ..now });
        }
        let verdicts = verdicts(&faulty.appliance, pieces.values().map(|(_, result)| result));
        assert_eq!(verdicts.iter().filter(|verdict| **verdict != Verdict::Valid).count(), 0, "of {}", verdicts.len());
        // A sample of keys gives the same pieces again.
        for (key, (_, result)) in pieces.iter().step_by(97) {
            let uuid = uuid::Uuid::from_bytes(*key);
            assert_eq!(wire.get(&format!("/v1/indicia/{uuid}")).await.body.get("piece"), result);
        }
    });
}

/// The SDK's view of the appliance, with as few repetitions as one wants.
async fn sdk(appliance: &Appliance, retries: u32) -> Client {
    let mut config = appliance.client_config();
    config.most_retries = retries;
    appliance.client(config).await
}

fn sdk_item() -> Item {
    Item {
        key: psdd_client::new_key(),
        postage: "0.73".parse().expect("an amount"),
        date: crate::client::day(0).parse().expect("a day"),
        destination: "20260".parse().expect("a destination"),
        rate: "FCM".parse().expect("a rate"),
        recipient: None,
        reference: None,
        weight_g: None,
        token: false,
    }
}

#[test]
fn a_refusing_a_lying_and_a_silent_token() {
    let mut faulty = Faulty::raise(2);
    let caller = Caller::new(&faulty.appliance.layout);
    let (one, two) = (psd(1), psd(2));
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(one).await;
        let some = items(20, "0.73");

        // What repeating does not cure is said to be so; nothing is debited, and the keys stay free.
        faulty.script("C_Sign return CKR_KEY_SIZE_RANGE\n");
        let results = tokio::task::block_in_place(|| {
            let mut results = Vec::new();
            until("the script", || {
                results = tokio::runtime::Handle::current().block_on(wire.sign(one, &items(1, "0.01")));
                outcome(&results[0]) != "signed"
            });
            results
        });
        assert_eq!(outcomes(&results), ["token-refused"]);
        assert!(!retryable(results[0].get("problem")), "{results:?}");
        let before_refusals = wire.registers(one).await;
        assert_eq!(outcomes(&wire.sign(one, &some).await), vec!["token-refused"; 20]);
        assert_eq!(outcomes(&wire.sign_with(one, &some, true).await), vec!["token-refused"; 20]);
        assert_eq!(wire.registers(one).await, before_refusals);
        assert!(before_refusals.pieces >= before.pieces);

        // A value request meets the same fault, and leaves no request under way.
        let path = format!("/v1/psds/{one}/value-requests");
        let ask = V::map([("amount", V::text("5.00"))]).encode();
        let reply = wire.post(&path, &ask).await;
        assert_eq!((reply.status, code_of(&reply.body)), (503, "token-refused"), "{:?}", reply.body);
        let view = wire.get(&format!("/v1/psds/{one}")).await;
        assert!(view.body.get("psd").get("value").find("pending").is_none());
        faulty.script("");
        tokio::task::block_in_place(|| {
            until("signing again", || {
                let results = tokio::runtime::Handle::current().block_on(wire.sign(one, &some));
                outcomes(&results).iter().all(|outcome| *outcome == "signed")
            });
        });
        assert_eq!(wire.registers(one).await, before_refusals.after(&[730; 20]));
        assert_eq!(wire.post(&path, &ask).await.status, 200);

        // The log key away for longer than the bound: signing stops and says so, and goes on by itself when it is back.
        let begun = Instant::now();
        let mut told = BTreeMap::new();
        while !told.contains_key("log-unsigned") {
            assert!(begun.elapsed() < Duration::from_secs(40), "the log was signed every time: {told:?}");
            faulty.script("");
            let results = wire.sign(one, &items(1, "0.01")).await;
            if outcome(&results[0]) != "signed" {
                continue;
            }
            // The piece just signed waits for its checkpoint, which now fails.
            faulty.script("C_Sign return CKR_FUNCTION_FAILED\n");
            let failing = Instant::now();
            while failing.elapsed() < Duration::from_secs(4) && !told.contains_key("log-unsigned") {
                let results = wire.sign(one, &items(3, "0.01")).await;
                results.iter().for_each(|result| *told.entry(outcome(result).to_owned()).or_insert(0) += 1);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let stopped = wire.registers(one).await;
        let waiting = items(5, "0.01");
        let results = wire.sign(one, &waiting).await;
        assert_eq!(outcomes(&results), vec!["log-unsigned"; 5]);
        assert!(results.iter().all(|result| retryable(result.get("problem"))));
        // What was signed before is still told, and everything else is still answered.
        assert_eq!(outcomes(&wire.sign(one, &some).await), vec!["signed"; 20]);
        assert_eq!(wire.registers(one).await, stopped);
        faulty.script("");
        tokio::task::block_in_place(|| {
            until("recovery", || {
                let results = tokio::runtime::Handle::current().block_on(wire.sign(one, &waiting));
                outcomes(&results).iter().all(|outcome| *outcome == "signed")
            });
        });
        assert_eq!(wire.registers(one).await, stopped.after(&[10; 5]));

        // A token whose signatures do not verify. The SDK hands none of them out.
        let client = sdk(&faulty.appliance, 0).await;
        client.sign(two, vec![sdk_item()], false).await.expect("an honest token");
        faulty.script("C_Sign garble\n");
        let mut lied = None;
        let begun = Instant::now();
        while lied.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the token did not lie");
            let item = sdk_item();
            match client.sign(two, vec![item.clone()], false).await {
                Ok(outcomes) => assert_eq!(outcomes.len(), 1),
                Err(error) => lied = Some((item, error)),
            }
        }
        let (item, error) = lied.expect("a lie");
        assert!(matches!(error, ClientError::Verification(_)), "{error:?}");
        // A batch of lies is noticed by the daemon, and debited for none of its pieces.
        let (before, batch) = (wire.registers(one).await, items(128, "0.01"));
        let results = wire.sign(one, &batch).await;
        assert!(
            results.iter().all(|result| outcome(result) != "signed" && retryable(result.get("problem"))),
            "{:?}",
            outcomes(&results)
        );
        assert_eq!(wire.registers(one).await, before);
        faulty.script("");
        // The daemon verifies one signature of every larger frame and of some small ones, so a single lie can be debited: its stored
        // proof stays wrong, and the SDK says so every time.
        let mut again = client.sign(two, vec![item.clone()], false).await;
        let begun = Instant::now();
        while let Ok(outcomes) = &again
            && begun.elapsed() < Duration::from_secs(10)
            && outcomes
                .iter()
                .any(|outcome| matches!(outcome, psdd_client::Outcome::Refused(problem) if problem.facts.retry))
        {
            again = client.sign(two, vec![item.clone()], false).await;
        }
        assert!(matches!(again, Err(ClientError::Verification(_))), "{again:?}");
        let uuid = uuid::Uuid::from_bytes(*item.key.as_bytes());
        assert_eq!(wire.get(&format!("/v1/indicia/{uuid}")).await.status, 200, "debited");
        // A lying log key is noticed by the daemon itself.
        let log = std::fs::read_to_string(faulty.appliance.layout.psdd_log()).expect("a log");
        eprintln!("the log names a checkpoint that does not verify: {}", log.contains("does not verify"));
        // Both are honest again, as soon as the module has looked at its script.
        tokio::task::block_in_place(|| {
            until("an honest token", || {
                let results = tokio::runtime::Handle::current().block_on(wire.sign(one, &items(5, "0.01")));
                outcomes(&results).iter().all(|outcome| *outcome == "signed")
                    && verdicts(&faulty.appliance, results.iter()).iter().all(|verdict| *verdict == Verdict::Valid)
            });
        });
    });
    assert!(faulty.appliance.runs());
}
