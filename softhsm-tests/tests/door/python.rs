//! A client in another language, written from the contract alone.

use crate::shared;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_python_client_believes_what_it_gets() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let python =
        std::env::var_os("PSDD_PYTHON").map_or_else(|| workspace.join("target/venv/bin/python"), PathBuf::from);
    assert!(python.is_file(), "no {}: run `make venv`, or set PSDD_PYTHON", python.display());
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let (caller, layout) = (shared.caller(), &shared.appliance.layout);
    let notes = shared.appliance.around().join("python.jsonl");
    let output = Command::new(python)
        .current_dir(workspace.join("softhsm-tests/python"))
        .arg("vendor_client.py")
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
