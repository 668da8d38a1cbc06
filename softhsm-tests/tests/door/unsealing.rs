//! A keeper that starts sealed, under a daemon that goes on: two holders give their shares over the operator door, and it signs again.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, PATIENCE, item, outcomes};
use crate::run;
use softhsm_tests::Appliance;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn tool(program: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).expect("a configuration");
    std::fs::write(path, change(text)).expect("it is written");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The host's key and three shares, of which two are needed.
fn split(appliance: &Appliance) -> (PathBuf, Vec<PathBuf>) {
    let (hsm, config) = (&appliance.options.tools.hsm, appliance.layout.hsm_config());
    let (made, told) = tool(hsm, &["init-host", "--config", text(&config)]);
    assert!(made, "{told}");
    const END: &str = "-----END PUBLIC KEY-----\n";
    let begin = told.find("-----BEGIN PUBLIC KEY-----").expect("a public key");
    let end = told.find(END).expect("its end") + END.len();
    let host = appliance.around().join("host.pem");
    std::fs::write(&host, &told[begin..end]).expect("a file");
    let out = appliance.around().join("shares");
    let arguments = ["split-pin", "--config", text(&config), "--token", "main", "--threshold", "2", "--shares", "3"];
    let (made, told) = tool(hsm, &[&arguments[..], &["--out", text(&out)]].concat());
    assert!(made, "{told}");
    let files = std::fs::read_dir(&out).expect("shares").map(|entry| entry.expect("an entry").path());
    let mut shares: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "pem")).collect();
    shares.sort();
    assert_eq!(shares.len(), 3);
    (host, shares)
}

#[test]
fn two_holders_unseal_a_token_from_afar() {
    let mut appliance = raise(Wanted::default());
    let (host, shares) = split(&appliance);
    let layout = appliance.layout.clone();
    let socket = layout.run().join("unseal.sock");
    let line = format!("unseal_socket = {socket:?}\n");
    edit(&layout.psdd_config(), |before| format!("{line}{before}"));
    appliance.restart();
    edit(&layout.hsm_config(), |before| {
        let pin = before.lines().find(|line| line.starts_with("pin_file")).expect("a PIN").to_owned();
        format!("{line}{}", before.replace(&pin, "pin_sealed = true"))
    });
    appliance.kill_hsm();
    appliance.start_hsm().expect("psdd-hsm");
    let caller = Caller::new(&layout);
    let sign = || run(async { outcomes(&caller.connect().await.sign(psd(1), &[item("0.01")]).await)[0].to_owned() });
    assert_eq!(sign(), "token-unavailable", "it is sealed");

    let config = layout.psdctl_config();
    let give = |share: &Path, host: &Path| {
        let arguments = ["operator", "unseal", "--share", text(share), "--host-key", text(host)];
        tool(&appliance.options.tools.ctl, &[&["--config", text(&config)], &arguments[..]].concat())
    };
    let (given, told) = give(&shares[0], &layout.authority_root());
    assert!(!given && !told.contains("taken"), "what is no host key pins nothing: {told}");
    let (given, told) = give(&shares[0], &host);
    assert!(given && told.contains("1 of 2"), "{told}");
    let (given, told) = give(&shares[0], &host);
    assert!(!given, "the same share again is named: {told}");
    assert_eq!(sign(), "token-unavailable", "one share tells nothing");
    let (given, told) = give(&shares[2], &host);
    assert!(given && told.contains("unsealed"), "{told}");
    let begun = Instant::now();
    while sign() != "signed" {
        assert!(begun.elapsed() < PATIENCE, "the token does not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
}
