//! Clients in another language: one written from the contract alone, and one that judges the log with code that others wrote.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, items, outcomes};
use crate::inspection::{configured, covered};
use crate::{run, shared};
use psdd_client::AuthorityClient;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of softhsm-tests/python, to be given its arguments.
fn program(name: &str) -> Command {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let python =
        std::env::var_os("PSDD_PYTHON").map_or_else(|| workspace.join("target/venv/bin/python"), PathBuf::from);
    assert!(python.is_file(), "no {}: run `make venv`, or set PSDD_PYTHON", python.display());
    let mut command = Command::new(python);
    command.current_dir(workspace.join("softhsm-tests/python")).arg(name);
    command
}

/// A log whose upper levels have tiles too, judged by tlog-scales and scitt-cose.
#[test]
fn others_programs_believe_the_log() {
    let appliance = raise(Wanted::default());
    run(async {
        let wire = Caller::new(&appliance.layout).connect().await;
        for _ in 0..5 {
            assert_eq!(outcomes(&wire.sign(psd(1), &items(200, "0.01")).await), vec!["signed"; 200]);
        }
        covered(&AuthorityClient::start(&configured(&appliance).client()).expect("a client"), 1_000).await;
    });
    let door = configured(&appliance);
    let mut command = program("log_client.py");
    command.args(["--url", &format!("https://{}", door.endpoint), "--server-name", &door.server_name]);
    command.arg("--ca").arg(door.server_ca).arg("--cert").arg(door.client_cert).arg("--key").arg(door.client_key);
    let output = command.output().expect("python runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("the log is what was signed"), "{told}");
    let records: usize = told.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number");
    assert!(records > 1_000, "{told}");
}

#[test]
fn the_python_client_believes_what_it_gets() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let (caller, layout) = (shared.caller(), &shared.appliance.layout);
    let notes = shared.appliance.around().join("python.jsonl");
    let output = program("vendor_client.py")
        .args([
            "--url",
            &format!("https://{}", caller.address),
            "--server-name",
            "localhost",
            "--psd",
            &psd.to_string(),
        ])
        .args(["--count", "300", "--tenant", "acme"])
        .arg("--ca")
        .arg(layout.pki().join("server-ca.pem"))
        .arg("--cert")
        .arg(layout.client())
        .arg("--key")
        .arg(layout.client_key())
        .arg("--notes")
        .arg(&notes)
        .output()
        .expect("python runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(told.contains("300 pieces"), "{told}");
    let noted = std::fs::read_to_string(notes).expect("notes");
    assert_eq!(noted.lines().filter(|line| line.contains("\"signed\"")).count(), 300);
}
