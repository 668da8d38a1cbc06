//! The authority door: who gets in, the log as evidence, receipts, and instructions on their way to one.

use crate::admission::{admitted, assert_refused};
use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, PATIENCE, Reply, Wire, code_of, items, outcomes, retryable};
use crate::instructions::{Authority, signed};
use crate::reload::reload;
use crate::run;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::authority::Act;
use psd::record::{Event, Record};
use psdctl::config::{CtlConfig, DoorConfig};
use psdctl::dev::{ClientIdentity, issue_inspector_client, revoke_inspector_clients};
use psdd_client::{AuthorityClient, ClientError};
use psdd_wire::checkpoint::{Checkpoint, LogKey};
use psdd_wire::proof::hashes_of;
use psdd_wire::receipt::Receipt;
use psdd_wire::tlog::{Hash, TileOf, TilePath, is_consistent, leaf_hash, node_hash, records_of, root_of_inclusion};
use softhsm_tests::Appliance;
use std::num::NonZeroU8;
use std::process::Command;
use std::time::Duration;

/// psdctl's way to the authority door.
pub(crate) fn configured(appliance: &Appliance) -> DoorConfig {
    let config = CtlConfig::read(Some(&appliance.layout.psdctl_config())).expect("psdctl.toml");
    let mut door = config.authority.expect("psdctl knows the authority door").door();
    let dir = appliance.layout.dir();
    (door.server_ca, door.client_cert) = (dir.join(&door.server_ca), dir.join(&door.client_cert));
    door.client_key = dir.join(&door.client_key);
    door
}

/// An inspector at the level of bytes.
pub(crate) fn inspector(appliance: &Appliance) -> Caller {
    let layout = &appliance.layout;
    let identity = ClientIdentity { certificate: layout.inspector(), key: layout.inspector_key() };
    Caller { address: configured(appliance).endpoint, layout: layout.clone(), identity }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn an_inspectors_certificate_opens_the_authority_door_only() {
    let appliance = raise(Wanted::default());
    let layout = &appliance.layout;
    let (vendor, inspector) = (Caller::new(layout), inspector(&appliance));
    let operator = ClientIdentity { certificate: layout.operator(), key: layout.operator_key() };
    let config = CtlConfig::read(Some(&layout.psdctl_config())).expect("psdctl.toml");
    let at_operators = config.operator.expect("psdctl knows the operator door").endpoint;
    let operators = Caller { address: at_operators, identity: operator.clone(), ..vendor.clone() };
    let other = issue_inspector_client(layout, "other-inspector", 101).expect("a certificate");
    run(async {
        admitted(&inspector, Some(&inspector.identity)).await.expect("an inspector at the authority door");
        assert_refused(&vendor, Some(&inspector.identity), "an inspector at the vendor door", "UnknownCA").await;
        assert_refused(&operators, Some(&inspector.identity), "an inspector at the operator door", "UnknownCA").await;
        assert_refused(&inspector, Some(&vendor.identity), "a vendor at the authority door", "UnknownCA").await;
        assert_refused(&inspector, Some(&operator), "an operator at the authority door", "UnknownCA").await;
        assert_refused(&inspector, None, "nobody", "CertificateRequired").await;

        for path in ["/v1/indicia", "/v1/ceremonies/1", "/v1/requests", "/v1/unseal", "/v1/log", "/log", "/"] {
            let told = inspector.http1(get(path).as_bytes()).await;
            assert!(told.starts_with("HTTP/1.1 404 ") && told.contains("no-such-route"), "{path}: {told}");
        }
        for (method, path, allow) in [
            ("DELETE", "/v1/appliance", "get"),
            ("POST", "/log/checkpoint", "get"),
            ("PUT", "/log/tile/0/000", "get"),
            ("GET", "/v1/instructions", "post"),
        ] {
            let told = inspector.http1(get(path).replacen("GET", method, 1).as_bytes()).await;
            assert!(told.starts_with("HTTP/1.1 405 "), "{path}: {told}");
            assert!(told.to_lowercase().contains(&format!("allow: {allow}")), "{path}: {told}");
        }

        let wire = inspector.connect().await;
        for path in ["/v1/appliance", "/v1/audits", "/log/checkpoint", "/nowhere"] {
            let (status, content) = wire.head(path).await;
            assert!(status >= 400 && content.is_empty(), "HEAD {path}: {status}, {content:?}");
        }

        // Its list is its own.
        admitted(&inspector, Some(&other)).await.expect("another inspector");
        revoke_inspector_clients(layout, &[101]).expect("a CRL");
        reload(&appliance);
        assert_refused(&inspector, Some(&other), "revoked", "CertificateRevoked").await;
        admitted(&inspector, Some(&inspector.identity)).await.expect("not revoked");
        admitted(&vendor, Some(&vendor.identity)).await.expect("the vendor's list is another");
    });
    let metrics = appliance.local("/metrics");
    for line in [
        "psdd_crl_seconds_left{door=\"authority\"} ",
        "psdd_certificate_seconds_left{door=\"authority\",certificate=\"client CA\"} ",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(appliance.local("/ready").contains(&format!("authority door {}\n", inspector.address)));
}

/// MTH as RFC 9162 §2.1.1 writes it: the oracle.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        many => {
            let half = many.len().next_power_of_two() / 2;
            node_hash(&mth(&many[..half]), &mth(&many[half..]))
        }
    }
}

fn at(index: usize) -> u64 {
    u64::try_from(index).expect("a number")
}

fn tile(of: TileOf, number: u64, width: usize) -> TilePath {
    TilePath { of, number, partial: NonZeroU8::new(u8::try_from(width % 256).expect("below 256")) }
}

/// The first records of the log, by its bundles.
async fn records(door: &AuthorityClient, size: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for first in (0..size).step_by(256) {
        let bundle = tile(TileOf::Entries, at(first / 256), (size - first).min(256));
        let bytes = door.tile(&bundle).await.expect("a bundle");
        all.extend(records_of(&bytes, bundle.width()).expect("records").into_iter().map(<[u8]>::to_vec));
    }
    all
}

/// What leaf 0 says of the key of the log.
fn log_key(genesis: &[u8]) -> LogKey {
    let Event::Genesis(genesis) = Record::decode(genesis).expect("a record").event else { panic!("no genesis") };
    let algorithm =
        if genesis.log_spki.len() == 44 { psd::key::Algorithm::Ed25519 } else { psd::key::Algorithm::EcdsaP256 };
    LogKey { algorithm, spki: genesis.log_spki.to_vec() }
}

async fn checkpoint(door: &AuthorityClient, origin: &str, key: &LogKey) -> Checkpoint {
    let note = door.checkpoint().await.expect("a checkpoint");
    Checkpoint::verified(&note, origin, key).expect("signed by the log key")
}

/// Waits for a checkpoint that covers so many records.
pub(crate) async fn covered(door: &AuthorityClient, size: u64) {
    let begun = std::time::Instant::now();
    loop {
        let note = door.checkpoint().await.expect("a checkpoint");
        if note.lines().nth(1).and_then(|size| size.parse().ok()).is_some_and(|covered: u64| covered >= size) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no checkpoint over {size} records: {note}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

async fn checkpoint_over(door: &AuthorityClient, origin: &str, key: &LogKey, size: u64) -> Checkpoint {
    covered(door, size).await;
    checkpoint(door, origin, key).await
}

fn assert_refusal(reply: &Reply, status: u16, code: &str, retry: bool) {
    assert_eq!((reply.status, code_of(&reply.body), retryable(&reply.body)), (status, code, retry), "{:?}", reply.body);
}

async fn signed_pieces(vendor: &Wire, count: usize) {
    for _ in (0..count).step_by(200) {
        assert_eq!(outcomes(&vendor.sign(psd(1), &items(200, "0.01")).await), vec!["signed"; 200]);
    }
}

#[test]
fn the_log_is_evidence() {
    let appliance = raise(Wanted::default());
    let (vendor, inspector) = (Caller::new(&appliance.layout), inspector(&appliance));
    let config = configured(&appliance).client();
    run(async {
        let door = AuthorityClient::start(&config).expect("a client");
        let (vendor, wire) = (vendor.connect().await, inspector.connect().await);
        signed_pieces(&vendor, 200).await;
        let told = door.appliance().await.expect("the appliance");
        let key = log_key(&records(&door, 1).await[0]);
        assert_eq!(key.spki, told.log_spki);
        let older = checkpoint_over(&door, &told.origin, &key, 200).await;
        signed_pieces(&vendor, 600).await;
        let newest = checkpoint_over(&door, &told.origin, &key, older.size + 600).await;
        let size = usize::try_from(newest.size).expect("a size");

        // Bundles, tiles of every width, and the checkpoint are of one tree.
        let records = records(&door, size).await;
        let leaves: Vec<Hash> = records.iter().map(|record| leaf_hash(record)).collect();
        assert_eq!(mth(&leaves), newest.root);
        let old = usize::try_from(older.size).expect("a size");
        assert_eq!(mth(&leaves[..old]), older.root);
        for (first, width) in [(0, 256), (0, 1), (256, 255), (512, 256), (768, size - 768), (0, old.min(255))] {
            let bytes = door.tile(&tile(TileOf::Hashes(0), at(first / 256), width)).await.expect("a tile");
            assert_eq!(bytes, leaves[first..first + width].concat(), "{width} from {first}");
        }
        let upper: Vec<u8> = (0..3).flat_map(|tile| mth(&leaves[tile * 256..(tile + 1) * 256])).collect();
        assert_eq!(door.tile(&tile(TileOf::Hashes(1), 0, 3)).await.expect("a tile"), upper);
        assert_eq!(door.fetch("/log/tile/1/000.p/3").await.expect("a tile"), upper);
        assert!(matches!(door.fetch("/log/../v1/appliance").await, Err(ClientError::Input(_))), "nothing is sent");

        // Proofs.
        for (leaf, size) in [(0, newest.size), (newest.size - 1, newest.size), (5, older.size), (0, 1), (300, 700)] {
            let proof = door.inclusion(leaf, size).await.expect("a proof");
            let index = usize::try_from(leaf).expect("an index");
            let path = hashes_of(&proof.path).expect("hashes");
            let root = mth(&leaves[..usize::try_from(size).expect("a size")]);
            assert_eq!(root_of_inclusion(leaf, size, leaves[index], &path), Some(root), "{leaf} in {size}");
        }
        let proof = door.consistency(older.size, newest.size).await.expect("a proof");
        let path = hashes_of(&proof.path).expect("hashes");
        assert!(is_consistent((older.size, older.root), (newest.size, newest.root), &path));
        assert!(!is_consistent((older.size, newest.root), (newest.size, newest.root), &path));
        assert!(door.consistency(newest.size, newest.size).await.expect("a proof").path.is_empty());

        // Receipts, of which one signature serves many.
        let mut signatures = std::collections::BTreeSet::new();
        for leaf in [0, 1, 255, 256, newest.size - 1] {
            let told = door.receipt(leaf).await.expect("a receipt");
            assert_eq!(told.record, records[usize::try_from(leaf).expect("an index")]);
            let receipt = Receipt::parse(&told.receipt).expect("a receipt");
            receipt.verify(&told.record, &key.spki).expect("a receipt of this log");
            receipt.verify(&records[2], &key.spki).expect_err("another record");
            signatures.insert((receipt.proof.size, told.receipt[told.receipt.len() - 64..].to_vec()));
            for at in [told.receipt.len() - 1, told.receipt.len() / 2, 8] {
                let mut changed = told.receipt.clone();
                changed[at] ^= 1;
                let believed = Receipt::parse(&changed).is_ok_and(|it| it.verify(&told.record, &key.spki).is_ok());
                assert!(!believed, "byte {at} of a receipt for leaf {leaf}");
            }
        }
        let sizes: std::collections::BTreeSet<u64> = signatures.iter().map(|(size, _)| *size).collect();
        assert_eq!(sizes.len(), signatures.len(), "one signature for each root");

        // What no checkpoint covers is not told, to the last record.
        let quiet = checkpoint(&door, &told.origin, &key).await.size;
        for path in [
            format!("/v1/log/inclusion?leaf=0&size={}", quiet + 100_000),
            format!("/v1/log/consistency?from=1&to={}", quiet + 100_000),
            format!("/v1/log/receipt?leaf={}", quiet + 100_000),
            format!("/v1/log/receipt?leaf={}", u64::MAX),
        ] {
            assert_refusal(&wire.get(&path).await, 404, "not-published", false);
        }
        for path in [
            "/v1/log/inclusion",
            "/v1/log/inclusion?leaf=1",
            "/v1/log/inclusion?leaf=1&size=1",
            "/v1/log/inclusion?leaf=-1&size=2",
            "/v1/log/inclusion?leaf=1&size=2&size=2",
            "/v1/log/consistency?from=0&to=1",
            "/v1/log/consistency?from=3&to=2",
            "/v1/log/receipt?leaf=x",
            "/v1/log/receipt?leaf=1&",
        ] {
            assert_refusal(&wire.get(path).await, 400, "malformed", false);
        }
        tiles_beyond(&inspector, newest.size).await;
    });
}

/// Tiles that are there and those that are not, at the level of bytes.
async fn tiles_beyond(inspector: &Caller, size: u64) {
    let full = inspector.http1(get("/log/tile/0/000").as_bytes()).await.to_lowercase();
    assert!(full.starts_with("http/1.1 200 ") && full.contains("content-type: application/octet-stream"), "{full}");
    assert!(full.contains("cache-control: private, max-age=31536000, immutable"), "{full}");
    let partial = inspector.http1(get("/log/tile/entries/000.p/2").as_bytes()).await.to_lowercase();
    assert!(partial.starts_with("http/1.1 200 ") && partial.contains("cache-control: no-store"), "{partial}");
    let note = inspector.http1(get("/log/checkpoint").as_bytes()).await;
    assert!(note.contains("psdd.log/") && note.contains("text/plain; charset=utf-8"), "{note}");
    // Records written meanwhile may be covered by now, but not so many.
    let last = size / 256 + 4;
    for path in [
        format!("0/{last:03}"),
        format!("0/{last:03}.p/1"),
        format!("entries/{last:03}"),
        "1/000".to_owned(),
        "1/000.p/255".to_owned(),
        "2/000.p/1".to_owned(),
        "7/000".to_owned(),
        "0/x018/x446/x744/x073/x709/x551/615".to_owned(),
    ] {
        let told = inspector.http1(get(&format!("/log/tile/{path}")).as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 404 ") && told.contains("not-published"), "{path}: {told}");
    }
    let long = format!("0/{}000", "x001/".repeat(1_000));
    for path in [
        "",
        "0",
        "0/",
        "0/0",
        "00/000",
        "8/000",
        "-1/000",
        "0/x000/001",
        "0/001/002",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p",
        "0/000.p/1/2",
        "../../ledger.db",
        "0/../000",
        "0/%2e%2e/000",
        "0/000%00",
        "entries/..%2f",
        "data/000",
        "0//000",
        &long,
    ] {
        let told = inspector.http1(get(&format!("/log/tile/{path}")).as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 404 ") && told.contains("no-such-route"), "{path}: {told}");
    }
}

#[test]
fn an_instruction_becomes_a_receipt_and_damage_is_told() {
    let appliance = raise(Wanted::default());
    let (vendor, inspector) = (Caller::new(&appliance.layout), inspector(&appliance));
    let config = configured(&appliance).client();
    run(async {
        let door = AuthorityClient::start(&config).expect("a client");
        let (at_vendor, wire) = (vendor.connect().await, inspector.connect().await);
        let authority = Authority::of(&vendor, &at_vendor).await;
        let claims = authority.claims(&Act::Lock(psd(1)), 1);
        let instruction = signed(&authority.inspection, &claims);
        let taken = door.carry_instruction(&instruction).await.expect("taken");
        assert_eq!(door.psd(psd(1)).await.expect("a PSD").locks, ["authority"]);
        assert_eq!(door.carry_instruction(&instruction).await.expect("again").leaf, taken.leaf, "once");
        let mut broken = instruction.clone();
        *broken.last_mut().expect("bytes") ^= 1;
        let refused = door.carry_instruction(&broken).await.expect_err("another signature");
        let ClientError::Refused(problem) = refused else { panic!("{refused}") };
        assert_eq!(problem.facts.code, "instruction-bad-signature");

        // As soon as a checkpoint covers its leaf.
        let receipt = door.receipt(taken.leaf).await.expect("a receipt");
        let key = log_key(&records(&door, 1).await[0]);
        Receipt::parse(&receipt.receipt).expect("a receipt").verify(&receipt.record, &key.spki).expect("of this log");
        let record = Record::decode(&receipt.record).expect("a record");
        assert!(matches!(record.event, Event::InstructionTaken { instruction: it, .. } if *it == *instruction));

        // Everything of everybody, as at the other doors.
        let psds = door.psds().await.expect("PSDs");
        assert_eq!(psds.len(), 1);
        assert_eq!(door.certificates(psd(1)).await.expect("certificates").keys.len(), 2);
        let (time, keys) = door.keys(None).await.expect("keys");
        assert_eq!(keys.len(), 2);
        let list = door.status_list().await.expect("a status list");
        let list = psdd_wire::status::StatusList::verify(&list, &key.spki, None, psd::UnixMillis(time));
        assert_eq!(list.expect("signed by the log key").tenant, None, "of all tenants");
        assert_refusal(&wire.get("/v1/psds/ZZ990000001").await, 404, "psd-unknown", false);
        assert_refusal(&wire.get("/v1/psds/x/certificates").await, 404, "psd-unknown", false);

        // A record that was altered on the disk gets no receipt, and one that is gone is told as such.
        let ledger = appliance.layout.state().join("ledger.db");
        alter(&ledger, "UPDATE entry SET record = x'a0' WHERE leaf = 3");
        assert_refusal(&wire.get("/v1/log/receipt?leaf=3").await, 500, "log-damaged", false);
        alter(&ledger, "DELETE FROM entry WHERE leaf = 3");
        assert_refusal(&wire.get("/v1/log/receipt?leaf=3").await, 500, "log-damaged", false);
        let told = inspector.http1(get("/log/tile/entries/000.p/5").as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 500 ") && told.contains("record 3 is missing"), "{told}");
        assert_eq!(wire.get("/v1/appliance").await.status, 200, "the daemon goes on");
    });
}

/// Alters the ledger behind the daemon's back.
pub(crate) fn alter(ledger: &std::path::Path, statement: &str) {
    let script =
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=30); d.execute(sys.argv[2]); d.commit()";
    let output = Command::new("python3").args(["-c", script]).arg(ledger).arg(statement).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn psdctl_inspect_takes_evidence_and_judges_it_offline() {
    let appliance = raise(Wanted::default());
    let layout = &appliance.layout;
    let config = layout.psdctl_config();
    let psdctl = |arguments: &[&str]| {
        let mut command = Command::new(&appliance.options.tools.ctl);
        let output =
            command.arg("--config").arg(&config).arg("inspect").args(arguments).current_dir(layout.dir()).output();
        let output = output.expect("psdctl runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, told) = psdctl(&["appliance"]);
    assert!(code == Some(0) && told.contains("development") && told.contains("psdd.log/dev-"), "{told}");
    let (code, told) = psdctl(&["psds"]);
    assert!(code == Some(0) && told.contains("PS010000000001"), "{told}");
    let (code, told) = psdctl(&["fetch", "/log/checkpoint", "--out", "checkpoint"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(std::fs::read_to_string(layout.dir().join("checkpoint")).expect("a file").starts_with("psdd.log/"));
    assert_eq!(psdctl(&["fetch", "/v1/psds", "--out", "x"]).0, Some(2));
    let (code, told) = psdctl(&["receipt", "--leaf", "2", "--out", "2.receipt", "--record", "2.record"]);
    assert_eq!(code, Some(0), "{told}");

    let spki = run(async {
        let door = AuthorityClient::start(&configured(&appliance).client()).expect("a client");
        door.appliance().await.expect("the appliance").log_spki
    });
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki));
    std::fs::write(layout.dir().join("log.pem"), pem).expect("a file");
    let judge = ["verify-receipt", "2.receipt", "--record", "2.record", "--log-key", "log.pem"];
    let (code, told) = psdctl(&judge);
    assert!(code == Some(0) && told.contains("the record is leaf 2 of the log"), "{told}");
    std::fs::write(layout.dir().join("2.record"), b"another").expect("a file");
    let (code, told) = psdctl(&judge);
    assert!(code == Some(1) && told.contains("2.receipt: the log key did not sign"), "{told}");
}
