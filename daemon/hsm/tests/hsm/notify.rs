//! What systemd is told, as it would hear it.

use crate::rig::{PATIENCE, Rig};
use std::os::unix::net::UnixDatagram;

struct Systemd(UnixDatagram);

impl Systemd {
    fn listen(rig: &Rig) -> Self {
        let socket = UnixDatagram::bind(rig.path("notify.sock")).expect("bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(socket)
    }

    /// Reads notices until one line is wanted; gives all lines up to it.
    fn hear(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while !heard.iter().any(|line: &String| wanted(line)) {
            let length = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}, after {heard:?}"));
            heard.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        }
        heard
    }
}

#[test]
fn systemd_hears_of_readiness_reloads_and_the_end() {
    let rig = Rig::new();
    let systemd = Systemd::listen(&rig);
    let mut keeper = rig.keeper();
    let heard = systemd.hear(|line| line == "READY=1");
    assert!(heard.contains(&"STATUS=one ready".to_owned()), "{heard:?}");

    keeper.reload();
    let heard = systemd.hear(|line| line == "READY=1");
    assert_eq!(heard[0], "RELOADING=1");
    assert!(heard[1].starts_with("MONOTONIC_USEC="), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("restart needed")), "nothing has changed");

    rig.configure(Some(&rig.serial), "sessions = 3");
    keeper.reload();
    let heard = systemd.hear(|line| line == "READY=1");
    assert!(heard.iter().any(|line| line.contains("restart needed")), "{heard:?}");

    rig.configure(Some(&rig.serial), "sesions = 3");
    keeper.reload();
    let heard = systemd.hear(|line| line == "READY=1");
    assert!(heard.iter().any(|line| line.contains("configuration refused") && line.contains("sesions")), "{heard:?}");

    assert!(keeper.stop().success());
    systemd.hear(|line| line == "STOPPING=1");
}

#[test]
fn a_latched_token_is_ready_and_said_to_be_latched() {
    let rig = Rig::new();
    std::fs::write(rig.path("pin"), "wrong-pin").expect("written");
    let systemd = Systemd::listen(&rig);
    let _keeper = rig.keeper();
    let heard = systemd.hear(|line| line == "READY=1");
    let latched = |line: &&String| line.starts_with("STATUS=one LATCHED") && line.contains("CKR_PIN_INCORRECT");
    assert!(heard.iter().any(|line| latched(&line)), "{heard:?}");
}
