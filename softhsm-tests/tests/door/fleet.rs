//! `psdctl inspect` against a running appliance: what an inspector sees, and what it sees of a log that was tampered with.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, items, outcomes};
use crate::inspection::{alter, configured};
use crate::instructions::{Authority, signed};
use crate::reload::until;
use crate::run;
use psd::authority::Act;
use psd::record::{Event, Record};
use psdd_client::AuthorityClient;
use psdd_inspector::Mirror;
use softhsm_tests::Appliance;
use softhsm_tests::appliance::{copy_dir, put_back};
use std::process::Command;

/// Runs it with a clock that may be as far off as that of a machine whose kernel nobody synchronises.
pub(crate) fn inspect(appliance: &Appliance, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(&appliance.options.tools.ctl)
        .arg("--config")
        .arg(appliance.layout.psdctl_config())
        .arg("inspect")
        .args(arguments)
        .current_dir(appliance.around())
        .output()
        .expect("psdctl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

const LENIENT: [&str; 2] = ["--clock-error-ms", "100000000"];

fn sign(appliance: &Appliance, pieces: usize) {
    let vendor = Caller::new(&appliance.layout);
    run(async {
        let vendor = vendor.connect().await;
        assert_eq!(outcomes(&vendor.sign(psd(1), &items(pieces, "0.50")).await), vec!["signed"; pieces]);
    });
}

pub(crate) fn scrubbed(appliance: &Appliance) {
    until("a scrub", || !appliance.local("/metrics").contains("psdd_scrub_end_seconds 0\n"));
}

#[test]
fn a_fleet_is_green_amber_when_locked_and_red_when_its_log_was_tampered_with() {
    let mut appliance = raise(Wanted { psds: 3, ..Wanted::default() });
    scrubbed(&appliance);
    sign(&appliance, 5);
    let (code, told) = inspect(&appliance, &LENIENT);
    assert!(code == Some(0) && told.contains("no findings\n"), "{told}");
    assert!(told.contains("3 PSDs: 0 red, 0 amber, 3 green") && told.matches("● green").count() == 3, "{told}");
    assert!(told.contains("3 reports on a fresh challenge") && told.contains(" proven by the log"), "{told}");
    assert!(!told.contains("CONTRADICTED") && !told.contains("not covered"), "{told}");
    assert!(!told.contains('\u{1b}'), "colours are for terminals");

    report_and_samples(&appliance);

    // The next look moves what is new.
    let (code, told) = inspect(&appliance, &[&LENIENT[..], &["--json", "--psd", "PS010000000002"]].concat());
    let view: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((code, &view["findings"]), (Some(0), &serde_json::json!([])));
    assert_eq!(view["audit"]["reports"].as_array().map(Vec::len), Some(1), "one was asked");
    assert_eq!(view["psds"].as_array().map(Vec::len), Some(3));

    let vendor = Caller::new(&appliance.layout);
    run(async {
        let door = AuthorityClient::start(&configured(&appliance).client()).expect("a client");
        let authority = Authority::of(&vendor, &vendor.connect().await).await;
        let lock = signed(&authority.inspection, &authority.claims(&Act::Lock(psd(2)), 1));
        door.carry_instruction(&lock).await.expect("taken");
    });
    let (code, told) = inspect(&appliance, &LENIENT);
    assert!(code == Some(0) && told.contains("3 PSDs: 0 red, 1 amber, 2 green"), "{told}");
    let row = told.lines().find(|line| line.contains("● amber")).expect("an amber row");
    assert!(row.contains("PS010000000002") && row.contains("locked"), "{row}");

    let (code, told) = inspect(&appliance, &["--all", "appliance"]);
    assert!(code == Some(2) && told.contains("go without a command"), "{told}");
    assert_eq!(inspect(&appliance, &["--json", "appliance"]).0, Some(0), "options of every command stand anywhere");

    // Another program than the one that runs.
    let (code, told) = inspect(&appliance, &[&LENIENT[..], &["--binary", &"0".repeat(64)]].concat());
    assert!(code == Some(1) && told.contains("● red") && told.contains(" program "), "{told}");

    // Records that are altered before an inspector has them: one under a tile that was kept, and the newest, whose tile is made of it.
    sign(&appliance, 300);
    let ledger = appliance.layout.state().join("ledger.db");
    let harm = |leaf: &str| format!("UPDATE entry SET record = CAST(record || x'00' AS BLOB) WHERE leaf = {leaf}");
    alter(&ledger, &harm("5"));
    let (code, told) = inspect(&appliance, &[&LENIENT[..], &["--mirror", "second"]].concat());
    assert!(code == Some(1) && told.contains("record 5 was edited: it does not hash to the signed tree"), "{told}");
    alter(&ledger, &harm("(SELECT MAX(leaf) FROM entry)"));
    let (code, told) = inspect(&appliance, &LENIENT);
    assert!(code == Some(1) && told.contains("the tiles served do not lead to the signed root of "), "{told}");
    assert!(told.contains("both signed checkpoints are kept in "), "{told}");
    appliance.kill9();
}

/// The page, the judgement of it, marks and checkpoints from elsewhere.
fn report_and_samples(appliance: &Appliance) {
    let (code, told) = inspect(appliance, &[&LENIENT[..], &["--report", "inspection.html"]].concat());
    assert_eq!(code, Some(0), "{told}");
    let root = appliance.layout.authority_root();
    let root = root.to_str().expect("a path");
    let (code, told) = inspect(appliance, &["verify", "inspection.html", "--authority-root", root]);
    assert!(code == Some(0) && told.contains("the page and its evidence hold"), "{told}");
    assert!(told.contains("registers of 3 of 3 PSDs") && told.contains("state and keys of 3 of 3 PSDs"), "{told}");
    let page = appliance.around().join("inspection.html");
    let html = std::fs::read_to_string(&page).expect("the page");
    std::fs::write(&page, html.replacen("1000.00", "1000.01", 1)).expect("a file");
    let (code, told) = inspect(appliance, &["verify", "inspection.html"]);
    assert!(code == Some(1) && told.contains(" of the page is not what its evidence gives"), "{told}");
    std::fs::write(&page, "<html></html>").expect("a file");
    assert_eq!(inspect(appliance, &["verify", "inspection.html"]).0, Some(2));
    std::fs::write(&page, html).expect("a file");

    let mirrored = appliance.layout.dir().join("inspection");
    let symbol = {
        let mut mirror = Mirror::open(&mirrored).expect("the mirror");
        let record =
            (0..mirror.size()).rev().find_map(|leaf| match Record::decode(mirror.entry(leaf).ok()?).ok()?.event {
                Event::Indicium(piece) => Some(piece.indicium),
                _ => None,
            });
        record.expect("a piece")
    };
    let line: String = symbol.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(appliance.around().join("scans"), format!("{line}\n")).expect("a file");
    let (code, told) = inspect(appliance, &["scan", "scans"]);
    assert!(code == Some(0) && told.contains("1 scans against "), "{told}");
    let (code, told) = inspect(appliance, &["scan", "scans", "scans", "--out", "verdicts"]);
    assert!(code == Some(1) && told.contains("duplicate"), "{told}");
    let verdicts = std::fs::read_to_string(appliance.around().join("verdicts")).expect("verdicts");
    assert!(verdicts.lines().count() == 2 && verdicts.contains("\"duplicate_of\":\"scans:1\""), "{verdicts}");
    let note = mirrored.join("checkpoint");
    let (code, told) = inspect(appliance, &["witness", note.to_str().expect("a path")]);
    assert!(code == Some(0) && told.contains("the same history"), "{told}");
}

#[test]
fn who_watches_asks_anew_each_time() {
    let appliance = raise(Wanted::default());
    let told = appliance.around().join("told");
    let mut watching = Command::new(&appliance.options.tools.ctl)
        .arg("--config")
        .arg(appliance.layout.psdctl_config())
        .args(["--json", "inspect", "--watch", "1"])
        .args(LENIENT)
        .stdout(std::fs::File::create(&told).expect("a file"))
        .spawn()
        .expect("psdctl runs");
    let challenges = || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("\"challenge\""));
        lines.map(str::to_owned).collect::<std::collections::BTreeSet<String>>()
    };
    until("three challenges", || challenges().len() >= 3);
    watching.kill().expect("it watches until it is told to end");
    watching.wait().expect("an end");
}

#[test]
fn an_older_backup_is_a_rollback() {
    let mut appliance = raise(Wanted::default());
    assert!(appliance.stop().success(), "a clean stop");
    appliance.kill_hsm();
    // The image of the whole disk, with the anchor in the token.
    let (ledger, token) = (appliance.around().join("ledger"), appliance.around().join("token"));
    copy_dir(&appliance.layout.state(), &ledger);
    copy_dir(&appliance.layout.softhsm_tokens(), &token);
    appliance.start_hsm().expect("psdd-hsm");
    appliance.restart();
    sign(&appliance, 200);
    let (code, told) = inspect(&appliance, &LENIENT);
    assert_eq!(code, Some(0), "{told}");
    appliance.kill9();
    appliance.kill_hsm();
    put_back(&ledger, &appliance.layout.state());
    put_back(&token, &appliance.layout.softhsm_tokens());
    appliance.start_hsm().expect("psdd-hsm");
    appliance.restart();
    let (code, told) = inspect(&appliance, &LENIENT);
    assert!(code == Some(1) && told.contains("rollback: the log signed "), "{told}");
    assert!(told.contains("both signed checkpoints are kept in "), "{told}");
    // With as many records again it is a fork.
    sign(&appliance, 400);
    let (code, told) = inspect(&appliance, &LENIENT);
    assert!(code == Some(1) && (told.contains("fork: ") || told.contains("rollback: ")), "{told}");
}
