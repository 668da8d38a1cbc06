//! Going back in time, and being two: anchor, checkpoints of clients, lock and fence.

use psd::PsdId;
use psdctl::dev::DevOptions;
use psdd_client::Client;
use rand::SeedableRng;
use rand::rngs::StdRng;
use softhsm_tests::appliance::{copy_dir, put_back};
use softhsm_tests::load::{item, psd_numbered};
use softhsm_tests::{Appliance, Load, LoadOptions, options};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// EX_TEMPFAIL.
const FENCED: i32 = 75;

fn first_psd() -> PsdId {
    psd_numbered(1).expect("the first PSD")
}

async fn sign_some(appliance: &Appliance, client: &Client, pieces: u64) {
    let mut load = Load::new(appliance, LoadOptions { seed: 16, tasks: 2, ..LoadOptions::default() });
    load.run_pieces(std::slice::from_ref(client), pieces).await;
    load.assert_no_violations("before the ledger goes back");
}

/// When each object of the token was written last.
fn objects(appliance: &Appliance) -> BTreeMap<PathBuf, SystemTime> {
    let tokens = std::fs::read_dir(appliance.layout.softhsm_tokens()).expect("tokens").flatten();
    let files = tokens.flat_map(|token| std::fs::read_dir(token.path()).expect("a token").flatten());
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "object"));
    files.filter_map(|file| Some((file.path(), file.metadata().ok()?.modified().ok()?))).collect()
}

/// Waits until the token is written, which after the start only the anchor does.
fn wait_for_anchor(appliance: &Appliance, before: &BTreeMap<PathBuf, SystemTime>) {
    let begun = Instant::now();
    while objects(appliance) == *before {
        assert!(begun.elapsed() < Duration::from_secs(10), "the anchor is not written");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_ledger_is_refused_by_the_anchor() {
    let mut appliance = Appliance::up(options());
    assert!(appliance.stop().success(), "a clean stop");
    let older = appliance.around().join("older");
    copy_dir(&appliance.layout.state(), &older);
    appliance.restart();
    let client = appliance.client(appliance.client_config()).await;
    sign_some(&appliance, &client, 50).await;
    let before = objects(&appliance);
    // The checkpoint over these comes after `before`, and so does its anchor.
    sign_some(&appliance, &client, 50).await;
    wait_for_anchor(&appliance, &before);
    assert!(appliance.stop().success(), "a clean stop");
    put_back(&older, &appliance.layout.state());
    let refused = appliance.start().expect_err("a ledger behind the anchor was served").to_string();
    assert!(refused.contains("the anchor covers") && refused.contains("rolled back"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_newer_checkpoint_stops_a_daemon_that_went_back() {
    let mut appliance = Appliance::up(options());
    // A client that outlives the daemon finds the vendor door, the first in the file, again at the same address. Below the ephemeral ports.
    let port = 20_000 + std::process::id() % 10_000;
    let config = std::fs::read_to_string(appliance.layout.psdd_config()).expect("psdd.toml");
    let config = config.replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1);
    std::fs::write(appliance.layout.psdd_config(), config).expect("psdd.toml");
    assert!(appliance.stop().success(), "a clean stop");
    appliance.kill_hsm();
    // The image of the whole disk: SoftHSM's anchor is on it.
    let (ledger, token) = (appliance.around().join("ledger"), appliance.around().join("token"));
    copy_dir(&appliance.layout.state(), &ledger);
    copy_dir(&appliance.layout.softhsm_tokens(), &token);
    appliance.start_hsm().expect("psdd-hsm");
    appliance.restart();
    let client = appliance.client(appliance.client_config()).await;
    let old = client.checkpoint();
    sign_some(&appliance, &client, 50).await;
    let mut rng = StdRng::seed_from_u64(17);
    let begun = Instant::now();
    while client.checkpoint() == old {
        assert!(begun.elapsed() < Duration::from_secs(10), "no newer checkpoint comes");
        client.sign(first_psd(), vec![item(&mut rng, 100)], false).await.expect("a signature");
    }
    appliance.kill9();
    appliance.kill_hsm();
    put_back(&ledger, &appliance.layout.state());
    put_back(&token, &appliance.layout.softhsm_tokens());
    appliance.start_hsm().expect("psdd-hsm");
    appliance.restart();
    let outcome = client.sign(first_psd(), vec![item(&mut rng, 100)], false);
    let outcome = tokio::time::timeout(Duration::from_secs(20), outcome).await;
    assert!(!matches!(outcome, Ok(Ok(_))), "signed on a ledger that went back: {outcome:?}");
    let status = appliance.wait_exit(Duration::from_secs(5));
    assert_eq!(status.code(), Some(FENCED), "{status}\n{}", appliance.log_tail());
    assert!(appliance.log_tail().contains("a client holds a signed checkpoint"), "{}", appliance.log_tail());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_ledger_refuses() {
    let mut appliance = Appliance::up(options());
    let second = appliance.run_another();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("in use by another process"), "{}: {said}", second.status);
    let client = appliance.client(appliance.client_config()).await;
    sign_some(&appliance, &client, 20).await;
    assert!(appliance.stop().success(), "the first one serves on");
    appliance.check(None).assert_clean("two daemons on one ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloned_machine_stops_the_first_within_seconds() {
    let mut appliance = Appliance::up(DevOptions { psds: 1, ..options() });
    let client = appliance.client(appliance.client_config()).await;
    sign_some(&appliance, &client, 20).await;
    // Idle, so the copy is whole: a clone is made by the snapshot of a disk.
    let mut clone = appliance.cloned();
    clone.start_hsm().expect("the clone's psdd-hsm");
    clone.start().expect("the clone's psdd");
    let begun = Instant::now();
    let status = appliance.wait_exit(Duration::from_secs(10));
    let elapsed = begun.elapsed();
    eprintln!("clone: the first stopped {:.2} s after the clone was ready", elapsed.as_secs_f64());
    assert_eq!(status.code(), Some(FENCED), "{status}\n{}", appliance.log_tail());
    assert!(appliance.log_tail().contains("owner epoch of another daemon"), "{}", appliance.log_tail());
    assert!(elapsed < Duration::from_secs(3), "the first signed beside its clone for {elapsed:?}");
    assert!(clone.runs(), "the clone has the token now");
}
