//! A keeper that starts sealed, under a daemon that goes on: two holders give their shares over the operator door, and it signs again.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, PATIENCE, item, outcomes};
use crate::contract::V;
use crate::reload::until;
use crate::run;
use psdctl::dev::ClientIdentity;
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

/// A running daemon without its PIN: the host's key and the shares of it, and nothing unsealed yet.
fn sealed(appliance: &mut Appliance) -> (PathBuf, Vec<PathBuf>) {
    let (host, shares) = split(appliance);
    let layout = appliance.layout.clone();
    let line = format!("unseal_socket = {:?}\n", layout.run().join("unseal.sock"));
    edit(&layout.psdd_config(), |before| format!("{line}{before}"));
    appliance.restart();
    edit(&layout.hsm_config(), |before| {
        let pin = before.lines().find(|line| line.starts_with("pin_file")).expect("a PIN").to_owned();
        format!("{line}{}", before.replace(&pin, "pin_sealed = true"))
    });
    appliance.kill_hsm();
    appliance.start_hsm().expect("psdd-hsm");
    (host, shares)
}

fn operator_identity(appliance: &Appliance) -> ClientIdentity {
    ClientIdentity { certificate: appliance.layout.operator(), key: appliance.layout.operator_key() }
}

/// `psdctl operator …` and what it said.
fn operator(appliance: &Appliance, arguments: &[&str]) -> (bool, String) {
    let config = appliance.layout.psdctl_config();
    tool(&appliance.options.tools.ctl, &[&["--config", text(&config), "operator"], arguments].concat())
}

fn give(appliance: &Appliance, share: &Path, host: &Path) -> (bool, String) {
    operator(appliance, &["unseal", "--share", text(share), "--host-key", text(host)])
}

#[test]
fn two_holders_unseal_a_token_from_afar() {
    let mut appliance = raise(Wanted::default());
    let (host, shares) = sealed(&mut appliance);
    let layout = appliance.layout.clone();
    let caller = Caller::new(&layout);
    let sign = || run(async { outcomes(&caller.connect().await.sign(psd(1), &[item("0.01")]).await)[0].to_owned() });
    assert_eq!(sign(), "token-unavailable", "it is sealed");

    let (given, told) = give(&appliance, &shares[0], &layout.authority_root());
    assert!(!given && !told.contains("taken"), "what is no host key pins nothing: {told}");
    let (given, told) = give(&appliance, &shares[0], &host);
    assert!(given && told.contains("1 of 2"), "{told}");
    let (given, told) = give(&appliance, &shares[0], &host);
    assert!(!given, "the same share again is named: {told}");
    assert_eq!(sign(), "token-unavailable", "one share tells nothing");
    let (given, told) = give(&appliance, &shares[2], &host);
    assert!(given && told.contains("unsealed"), "{told}");
    let begun = Instant::now();
    while sign() != "signed" {
        assert!(begun.elapsed() < PATIENCE, "the token does not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// After a power cut nobody is at the machine: psdd starts beside a keeper without a PIN, and its operator door is there for the shares.
#[test]
fn a_daemon_that_starts_sealed_is_unsealed_from_afar() {
    let mut appliance = raise(Wanted::default());
    let (host, shares) = sealed(&mut appliance);
    let layout = appliance.layout.clone();
    for told_to_stop in [true, false] {
        appliance.kill9();
        appliance.start_unready();
        until("it waits", || appliance.local("/ready").contains("SEALED: 0 of 2 shares"));
        if told_to_stop {
            assert_eq!(appliance.stop().code(), Some(0), "it stops as told, though it has no token");
        }
    }
    let waiting = appliance.local("/ready");
    assert!(
        waiting.starts_with("HTTP/1.1 503") && waiting.contains("starting: the vendor door is closed"),
        "{waiting}"
    );
    assert!(appliance.local("/health").starts_with("HTTP/1.1 200"), "nobody restarts it for waiting");
    let metrics = appliance.local("/metrics");
    assert!(metrics.contains("psdd_serving 0\n") && metrics.contains("psdd_crl_seconds_left"), "{metrics}");

    // The port is another one with every start.
    let port = |text: &str| text.lines().find_map(|line| line.strip_prefix("operator door ")).map(str::to_owned);
    let (door, config) = (port(&waiting).expect("the operator door"), layout.psdctl_config());
    let at = std::fs::read_to_string(&config).expect("psdctl.toml");
    let (before, operators) = at.split_once("[operator]\nendpoint = \"").expect("the operator door");
    let (_, after) = operators.split_once('"').expect("its end");
    std::fs::write(&config, format!("{before}[operator]\nendpoint = \"{door}\"{after}")).expect("written");
    run(async {
        let at_door = Caller { address: door.clone(), identity: operator_identity(&appliance), layout: layout.clone() };
        let share = V::map([("share", V::Bytes(vec![7; 9_000]))]).encode();
        let mut request =
            b"POST /v1/unseal HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cbor\r\nConnection: close\r\n"
                .to_vec();
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", share.len()).as_bytes());
        request.extend_from_slice(&share);
        let told = at_door.http1(&request).await;
        assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("malformed"), "no keeper takes so much: {told}");
        let told = at_door.http1(b"PUT /v1/unseal HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        assert!(told.to_lowercase().contains("allow: get, post"), "{told}");
    });
    let (told, text) = operator(&appliance, &["status", "--out", "/dev/null"]);
    assert!(!told && text.contains("starting") && text.contains("SEALED: 0 of 2"), "{text}");

    let (given, told) = give(&appliance, &shares[0], &host);
    assert!(given && told.contains("1 of 2"), "{told}");
    until("it is told", || appliance.local("/ready").contains("SEALED: 1 of 2 shares"));
    let (given, told) = give(&appliance, &shares[1], &host);
    assert!(given && told.contains("unsealed"), "{told}");
    until("it is ready", || appliance.local("/ready").starts_with("HTTP/1.1 200"));
    assert!(appliance.local("/metrics").contains("psdd_serving 1\n"));
    assert_eq!(port(&appliance.local("/ready")), Some(door), "the door was open all the time");
}
