//! A login that failed is not tried again until an operator says so.

use crate::rig::{PIN, Rig, eventually};
use psdd_hsm::link::LinkEvent;
use psdd_hsm::role::{Algorithm, Role};

/// The token's files, which SoftHSM2 rewrites at every login that it counts.
fn token_state(rig: &Rig) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![rig.path("tokens")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let content = std::fs::read(&path).expect("readable");
                files.push((path, content));
            }
        }
    }
    files.sort();
    files
}

fn latched(link: &crate::rig::TestLink) -> (String, String) {
    loop {
        match link.next() {
            LinkEvent::Latched { reason, clear } => return (reason, clear),
            LinkEvent::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_wrong_pin_costs_one_try_and_latches_over_restarts() {
    let rig = Rig::new();
    std::fs::write(rig.path("pin"), "wrong-pin").expect("written");
    let mut keeper = rig.keeper();
    let link = rig.link();
    let (reason, clear) = latched(&link);
    assert!(reason.contains("CKR_PIN_INCORRECT"), "{reason}");
    assert!(reason.contains("CKF_USER_PIN_COUNT_LOW"), "it says what the token says of its tries: {reason}");
    assert!(clear.contains("clear-login-latch") && clear.contains("--token one"), "{clear}");
    let after_one_try = token_state(&rig);

    let first = keeper.worker().expect("a worker");
    keeper.kill_worker();
    eventually("another worker", || keeper.worker().is_some_and(|worker| worker != first));
    keeper.kill();
    drop(link);
    let mut keeper = rig.keeper();
    let link = rig.link();
    assert_eq!(latched(&link).0, reason, "it stays latched, for the same reason");
    assert_eq!(token_state(&rig), after_one_try, "and no further try was made");

    std::fs::write(rig.path("pin"), PIN).expect("written");
    drop(link);
    assert!(keeper.stop().success());
    let cleared = rig.clear_latch();
    assert!(String::from_utf8_lossy(&cleared.stdout).contains("CKR_PIN_INCORRECT"));
    let _keeper = rig.keeper();
    let link = rig.link();
    assert!(link.up().token.user_pin_count_low, "the token counted the one try");
    link.generate(Role::Device, Algorithm::EcdsaP256, "after");
}

#[test]
fn a_login_that_did_not_finish_latches() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("state")).expect("created");
    std::fs::write(rig.path("state/one.login-latch"), "a login did not finish\n").expect("written");
    let keeper = rig.keeper();
    let link = rig.link();
    assert_eq!(latched(&link).0, "a login did not finish");
    let waiting = keeper.worker().expect("a worker");
    assert!(rig.clear_latch().status.success());
    link.up();
    assert_ne!(keeper.worker(), Some(waiting), "a fresh worker logged in");
    assert!(!rig.path("state/one.login-latch").exists(), "success removed the mark");
}

#[test]
fn a_module_that_does_not_load_leaves_no_latch() {
    let rig = Rig::new();
    rig.configure(Some(&rig.serial), "module = \"/usr/lib/os-release\"");
    let _keeper = rig.keeper();
    let link = rig.link();
    loop {
        match link.next() {
            LinkEvent::Down { reason } if reason.contains("module") => break,
            LinkEvent::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!rig.path("state/one.login-latch").exists());
}
