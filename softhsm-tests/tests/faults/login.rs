//! Who comes first, and what a wrong PIN costs.

use crate::bench::psd;
use crate::client::{Caller, item, outcomes};
use crate::{Faulty, run, until};
use psdctl::dev;
use softhsm_tests::Appliance;
use std::process::Command;

fn latch(appliance: &Appliance) -> Option<String> {
    std::fs::read_to_string(appliance.layout.hsm_state().join("main.login-latch")).ok()
}

#[test]
fn a_wrong_pin_is_tried_once_and_either_daemon_may_come_first() {
    let mut faulty = Faulty::raise(1);
    let appliance = &mut faulty.appliance;
    let layout = appliance.layout.clone();
    let psd = psd(1);
    let one = item("0.73");
    let (first, before) = run(async {
        let wire = Caller::new(&layout).connect().await;
        (wire.sign(psd, std::slice::from_ref(&one)).await, wire.registers(psd).await)
    });

    // A wrong PIN: one attempt, however often the keeper is started, and psdd says what to do.
    let pin = std::fs::read_to_string(layout.pin()).expect("the PIN");
    std::fs::write(layout.pin(), "not-the-pin").expect("written");
    appliance.kill_hsm();
    appliance.start_hsm().expect("psdd-hsm");
    until("a latch", || appliance.local("/ready").contains("clear with"));
    let told = appliance.local("/ready");
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    assert!(told.contains("clear-login-latch") && told.contains("--token main"), "{told}");
    assert!(told.contains("CKR_PIN_INCORRECT"), "{told}");
    assert!(appliance.local("/health").starts_with("HTTP/1.1 200"), "alive, though not ready");
    let mark = latch(appliance).expect("a mark");
    run(async {
        let wire = Caller::new(&layout).connect().await;
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["token-unavailable"]);
        assert_eq!(wire.sign(psd, std::slice::from_ref(&one)).await, first, "what was signed is still told");
        assert_eq!(wire.registers(psd).await, before);
    });
    for _ in 0..2 {
        appliance.kill_hsm();
        // Not even the right PIN is tried while the mark is there.
        std::fs::write(layout.pin(), &pin).expect("written");
        appliance.start_hsm().expect("psdd-hsm");
        until("a latch", || appliance.local("/ready").contains("clear with"));
        assert_eq!(latch(appliance).as_ref(), Some(&mark), "no further attempt left its mark");
    }
    let cleared = Command::new(&appliance.options.tools.hsm)
        .args(["clear-login-latch", "--token", "main", "--config"])
        .arg(layout.hsm_config())
        .output()
        .expect("psdd-hsm runs");
    assert!(cleared.status.success(), "{}", String::from_utf8_lossy(&cleared.stderr));
    until("a login", || appliance.local("/ready").starts_with("HTTP/1.1 200"));
    assert_eq!(latch(appliance), None);
    run(async {
        let wire = Caller::new(&layout).connect().await;
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73"), one.clone()]).await), ["signed", "signed"]);
        assert_eq!(wire.registers(psd).await, before.after(&[730]));
    });

    // psdd first: it waits, and opens no door meanwhile.
    appliance.kill9();
    appliance.kill_hsm();
    for left in [layout.psdd_pid(), layout.local_socket(), layout.token_socket()] {
        if let Err(error) = std::fs::remove_file(&left) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", left.display());
        }
    }
    let options = appliance.options.clone();
    let starting = {
        let layout = layout.clone();
        std::thread::spawn(move || dev::start_psdd(&layout, &options))
    };
    until("psdd", || layout.psdd_pid().exists());
    let log_before = std::fs::read_to_string(layout.psdd_log()).expect("a log").matches("the ledger holds").count();
    until("the ledger", || {
        std::fs::read_to_string(layout.psdd_log()).expect("a log").matches("the ledger holds").count() >= log_before
    });
    assert!(!starting.is_finished(), "psdd is not ready without its token");
    assert!(!appliance.local("/ready").starts_with("HTTP/1.1 200"));
    appliance.start_hsm().expect("psdd-hsm");
    let running = starting.join().expect("a thread").expect("psdd starts when its token is there");
    run(async {
        let wire = Caller::new(&layout).connect().await;
        assert_eq!(wire.sign(psd, std::slice::from_ref(&one)).await, first);
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"]);
    });
    if let Some(mut psdd) = running.psdd {
        psdd.kill().expect("killed");
        psdd.wait().expect("its end");
    }
}
