//! `psdctl vendor` and `psdctl indicium` against a small appliance: the mailing that ships, repeated, drawn and judged.

#[path = "../../client/tests/appliance/mod.rs"]
mod appliance;

use appliance::{Appliance, Fault, PSD};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const MAILING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../softhsm-tests/mailing/spring-mailing.csv");

struct Desk {
    appliance: Appliance,
    dir: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let appliance = Appliance::start().await;
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| appliance.pki.file(name).display().to_string();
        let config = format!(
            "endpoint = \"{}\"\nserver_name = \"localhost\"\nserver_ca = \"{}\"\nclient_cert = \"{}\"\nclient_key = \"{}\"\n\
             authority_root = \"{}\"\ncertificates = \"{}\"\npsd = \"{PSD}\"\n",
            appliance.address,
            file("door.pem"),
            file("client.pem"),
            file("client.key"),
            file("root.pem"),
            file("bundle.pem"),
        );
        std::fs::write(dir.path().join("psdctl.toml"), config).unwrap();
        Self { appliance, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs psdctl off the test's thread, which serves the appliance.
    async fn psdctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psdctl"));
        command.args(args).current_dir(self.dir.path()).env_remove("PSDCTL_CONFIG");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn sign(&self, csv: &Path) -> Output {
        let csv = csv.to_str().unwrap();
        let sender = "Larkspur Press, PO Box 4120, Palo Alto CA 94301";
        let files = ["--csv", csv, "--out", "results.jsonl", "--html", "sheet.html", "--sender", sender];
        self.psdctl(&[&["vendor", "sign", "--batch", "64"][..], &files].concat()).await
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_is_signed_once_however_often_it_is_run() {
    let desk = Desk::new().await;
    let first = desk.sign(Path::new(MAILING)).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    println!("{}", text(&first.stdout));
    let results = std::fs::read_to_string(desk.path("results.jsonl")).unwrap();
    assert_eq!((results.lines().count(), desk.appliance.debits()), (600, 600));
    assert!(text(&first.stdout).contains("600 of 600"));

    let again = desk.sign(Path::new(MAILING)).await;
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(desk.appliance.debits(), 600);
    assert_eq!(std::fs::read_to_string(desk.path("results.jsonl")).unwrap(), results);
    assert!(text(&again.stdout).contains("repeats an earlier run"));

    let verified = desk.psdctl(&["indicium", "verify", "results.jsonl", "--json"]).await;
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified.stderr));
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["summary"], serde_json::json!({ "valid": 600 }));

    let sheet = std::fs::read_to_string(desk.path("sheet.html")).unwrap();
    assert_eq!(sheet.matches("<article>").count(), 24);
    // For a person to look at: PSDCTL_SHEET=/tmp/sheet.html cargo test
    if let Ok(copy) = std::env::var("PSDCTL_SHEET") {
        std::fs::write(copy, &sheet).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_broke_off_is_repeated_with_its_keys() {
    let desk = Desk::new().await;
    desk.appliance.misbehave(Fault::Drop(1000));
    let broken = desk.sign(Path::new(MAILING)).await;
    assert_eq!(broken.status.code(), Some(3));
    assert!(text(&broken.stderr).contains("do: check that psdd runs"), "{}", text(&broken.stderr));
    assert!(desk.path("results.jsonl.keys.jsonl").is_file() && !desk.path("results.jsonl").exists());
    let debited = desk.appliance.debits();
    assert!(debited > 0);
    desk.appliance.behave();
    let whole = desk.sign(Path::new(MAILING)).await;
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    assert_eq!(desk.appliance.debits(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_unreadable_marks_are_told_apart() {
    let desk = Desk::new().await;
    let csv = desk.path("two.csv");
    std::fs::write(
        &csv,
        "address,zip4,weight_g,class,postage\nA B,20500-0003,20,FCL,0.78\nC D,00501-0001,9,PRES,0.545\n",
    )
    .unwrap();
    assert_eq!(desk.sign(&csv).await.status.code(), Some(0));
    let results = std::fs::read_to_string(desk.path("results.jsonl")).unwrap();
    let marks = results.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let marks: Vec<String> = marks.map(|line| line["indicium"].as_str().unwrap().to_owned()).collect();
    // Twice the postage in the second mark, and the signature of the first.
    let mut forged = marks[1].clone();
    forged.replace_range(38..44, "420400");
    let verdict = async |mark: &str| {
        let out = desk.psdctl(&["indicium", "verify", mark, "--json"]).await;
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code().unwrap(), report["results"][0]["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict(&marks[1]).await, (0, "valid".to_owned()));
    assert_eq!(verdict(&forged).await, (1, "bad-signature".to_owned()));
    assert_eq!(verdict("0102").await, (1, "unreadable".to_owned()));
    let mut unknown = marks[0].clone();
    unknown.replace_range(4..6, "ff");
    assert_eq!(verdict(&unknown).await, (1, "unknown-certificate".to_owned()));
    let root = desk.appliance.pki.file("other-root.pem").display().to_string();
    let other = desk.psdctl(&["indicium", "verify", &marks[0], "--authority-root", &root, "--json"]).await;
    assert!(text(&other.stdout).contains("not-from-authority"), "{}", text(&other.stdout));

    let decoded = desk.psdctl(&["indicium", "decode", &marks[1]]).await;
    assert!(text(&decoded.stdout).contains("$0.545") && text(&decoded.stdout).contains("signature  valid"));
    println!("{}", text(&decoded.stdout));
    for (form, head) in [("svg", &b"<svg"[..]), ("png", b"\x89PNG"), ("text", " ".as_bytes())] {
        let drawn = desk.psdctl(&["indicium", "render", &marks[1], "--format", form]).await;
        assert!(drawn.status.success() && (form == "text" || drawn.stdout.starts_with(head)), "{form}");
        if let Ok(directory) = std::env::var("PSDCTL_MARKS") {
            std::fs::write(Path::new(&directory).join(format!("mark.{form}")), &drawn.stdout).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_vouchers_is_signed_verified_and_drawn() {
    let desk = Desk::new().await;
    desk.appliance.make_vouchers();
    let csv = desk.path("tickets.csv");
    let day = appliance::today().to_string();
    let rows = format!("ticket,25.00,seat 12 B,{day},{day},A-1\ngift-certificate,100,,{day},{day},\n");
    std::fs::write(&csv, format!("kind,value,holder,valid_from,valid_until,reference\n{rows}")).unwrap();
    let files = ["--csv", csv.to_str().unwrap(), "--out", "results.jsonl"];
    let arguments = [&["vendor", "sign"][..], &files].concat();
    for debits in [2, 2] {
        let signed = desk.psdctl(&arguments).await;
        assert_eq!(signed.status.code(), Some(0), "{}", text(&signed.stderr));
        assert!(text(&signed.stdout).contains("vouchers of") && text(&signed.stdout).contains("$125.00"));
        assert_eq!(desk.appliance.debits(), debits);
    }
    let results = std::fs::read_to_string(desk.path("results.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(results.lines().next().unwrap()).unwrap();
    assert_eq!((line["postage"].as_str(), line["reference"].as_str()), (Some("25.00"), Some("A-1")));
    let verified = desk.psdctl(&["indicium", "verify", "results.jsonl", "--json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((verified.status.code(), &report["summary"]), (Some(0), &serde_json::json!({ "valid": 2 })));

    let mark = line["indicium"].as_str().unwrap();
    let decoded = desk.psdctl(&["indicium", "decode", mark]).await;
    for says in ["seat 12 B", "$25.00", "SPECIMEN", "signature  valid"] {
        assert!(text(&decoded.stdout).contains(says), "{says}: {}", text(&decoded.stdout));
    }
    let verdict = async |mark: &str| {
        let out = desk.psdctl(&["indicium", "verify", mark, "--json"]).await;
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        report["results"][0]["verdict"].as_str().unwrap().to_owned()
    };
    // 25.00 to 95.00; and cut short.
    let forged = mark.replacen("6532352e3030", "6539352e3030", 1);
    assert_ne!(forged, mark);
    assert_eq!(verdict(&forged).await, "bad-signature");
    assert_eq!(verdict(&mark[..mark.len() - 2]).await, "unreadable");
    for (form, head) in [("svg", &b"<svg"[..]), ("png", b"\x89PNG"), ("text", " ".as_bytes())] {
        let drawn = desk.psdctl(&["indicium", "render", mark, "--format", form]).await;
        assert!(drawn.status.success() && (form == "text" || drawn.stdout.starts_with(head)), "{form}");
        if let Ok(directory) = std::env::var("PSDCTL_MARKS") {
            std::fs::write(Path::new(&directory).join(format!("voucher.{form}")), &drawn.stdout).unwrap();
        }
    }
    for (option, value) in [("--html", "page.html"), ("--date", day.as_str())] {
        let refused = desk.psdctl(&[&arguments[..], &[option, value]].concat()).await;
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(&format!("{option} is for mail")), "{}", text(&refused.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_from_a_faulty_list() {
    let desk = Desk::new().await;
    let csv = desk.path("bad.csv");
    std::fs::write(&csv, "address,zip4,weight_g,class,postage\nA B,20500-0003,20,FCL,0.78\nC D,501,9,fcl,1\n").unwrap();
    let refused = desk.sign(&csv).await;
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(told.contains("bad.csv:3:2: zip4") && told.contains("bad.csv:3:4: class"), "{told}");
    assert_eq!(desk.appliance.requests(), 0);
    assert!(!desk.path("results.jsonl.keys.jsonl").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn psds_are_listed_and_errors_say_what_to_do() {
    let desk = Desk::new().await;
    let listed = desk.psdctl(&["vendor", "psds"]).await;
    println!("{}", text(&listed.stdout));
    assert!(text(&listed.stdout).contains(PSD) && text(&listed.stdout).contains("$1,000.00"));
    let json = desk.psdctl(&["--json", "vendor", "psds"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["psd"], PSD);
    let elsewhere = desk.psdctl(&["--config", "nowhere.toml", "vendor", "psds"]).await;
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(text(&elsewhere.stderr).contains("no configuration at nowhere.toml"));
}
