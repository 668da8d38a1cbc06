//! Sealed start: the PIN comes from operators' shares, and from nowhere else.

use crate::rig::{Keeper, PATIENCE, Rig, TestKey, TestLink, eventually, sig_structure};
use psdd_hsm::link::LinkEvent;
use psdd_hsm::protocol::Form;
use psdd_hsm::role::{Algorithm, Role};
use psdd_hsm::unseal;
use psdd_seal::{
    Answer, HostKey, HostPublicKey, OfferError, RecipientKey, Refusal, SealShareError, Share, ShareFile, seal_share,
};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Unlike anything that a log line could hold by chance.
const PIN: &str = "Zx9-the-PIN-q7";
/// The last byte of a share is the last of its value.
const VALUE: usize = 32;

/// A token whose PIN was split 2 of 3, the first share encrypted to alice, and deleted from the host.
struct Ceremony {
    rig: Rig,
    pinned: HostPublicKey,
}

impl Ceremony {
    fn held() -> Self {
        Self::held_over(PIN)
    }

    /// A ceremony over this PIN, whether the token takes it or not.
    fn held_over(pin: &str) -> Self {
        let rig = Rig::with_pin(PIN);
        let made = rig.command(&["init-host"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pinned = HostPublicKey::from_pem(&made.stdout).expect("a public key");
        std::fs::write(rig.path("pin"), pin).expect("written");
        let alice = format!("alice={}", key_path("x25519.pub.pem").display());
        let out = rig.path("ceremony").display().to_string();
        let split = ["split-pin", "--token", "one", "--threshold", "2", "--shares", "3", "--holder", &alice];
        let done = rig.command(&[&split[..], &["--out", &out]].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let table = String::from_utf8(done.stdout).expect("text");
        assert!(table.contains("needed   2 of 3") && table.contains("alice") && !table.contains(pin), "{table}");
        std::fs::remove_file(rig.path("pin")).expect("removed");
        seal(&rig);
        Self { rig, pinned }
    }

    fn share(&self, index: u8) -> Share {
        let name =
            if index == 1 { "one.share-1-of-3.alice.pem".to_owned() } else { format!("one.share-{index}-of-3.pem") };
        let path = self.rig.path("ceremony").join(name);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        match ShareFile::read(&std::fs::read(&path).expect("readable")).expect("a share") {
            ShareFile::Clear(share) => share,
            ShareFile::Encrypted(share) => {
                let key = std::fs::read(key_path("x25519.pem")).expect("readable");
                share.open(&RecipientKey::from_pem(&key).expect("a key")).expect("opened")
            }
        }
    }

    fn socket(&self) -> PathBuf {
        self.rig.path("unseal.sock")
    }

    fn offer(&self) -> Vec<u8> {
        eventually("the unseal socket", || unseal::offer(&self.socket(), PATIENCE).is_ok());
        unseal::offer(&self.socket(), PATIENCE).expect("an offer")
    }

    fn envelope(&self, share: &Share) -> Vec<u8> {
        seal_share(&self.offer(), &self.pinned, share).expect("sealed")
    }

    fn submit(&self, envelope: &[u8]) -> Answer {
        unseal::submit(&self.socket(), envelope, PATIENCE).expect("an answer")
    }

    fn refusal(&self, envelope: &[u8]) -> Refusal {
        match self.submit(envelope) {
            Answer::Refused { refusal, .. } => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn keeper_logging_to(&self, log: &str) -> Keeper {
        let log = std::fs::File::options().create(true).append(true).open(self.rig.path(log)).expect("a log");
        self.rig.keeper_with(|command| {
            command.env("RUST_LOG", "trace").stderr(Stdio::from(log));
        })
    }
}

fn key_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seal/tests/keys").join(name)
}

/// Writes the configuration of a token whose PIN is sealed.
fn seal(rig: &Rig) {
    let path = rig.path("psdd-hsm.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    let pin_file = format!("pin_file = \"{}\"", rig.path("pin").display());
    assert!(text.contains(&pin_file));
    let socket = rig.path("unseal.sock").display().to_string();
    let sealed = format!("unseal_socket = \"{socket}\"\n{}", text.replace(&pin_file, "pin_sealed = true"));
    std::fs::write(path, sealed).expect("written");
}

fn down(link: &TestLink, wanted: &str) -> String {
    loop {
        match link.next() {
            LinkEvent::Down { reason } if reason.contains(wanted) => return reason,
            LinkEvent::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn signs(link: &TestLink, key: &TestKey) {
    let message = sig_structure(b"sealed");
    let signature = link.sign(&key.frame(Form::CoseSign1, 0, std::slice::from_ref(&message))).expect("signed");
    assert!(key.verifies(&message, &signature));
}

#[test]
fn a_token_serves_when_two_of_three_operators_gave_their_shares() {
    let ceremony = Ceremony::held();
    let mut keeper = ceremony.keeper_logging_to("log");
    let link = ceremony.rig.link();
    down(&link, "SEALED: 0 of 2 shares");
    let mode = std::fs::metadata(ceremony.socket()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    let forger = HostKey::from_pem(HostKey::generate().expect("made").as_bytes()).expect("read");
    let forged = seal_share(&ceremony.offer(), forger.public(), &ceremony.share(1));
    assert!(matches!(forged, Err(SealShareError::Offer(OfferError::OtherHost { .. }))));

    let first = ceremony.envelope(&ceremony.share(1));
    assert!(matches!(ceremony.submit(&first), Answer::Taken { index: 1, held: 1, threshold: 2, .. }));
    down(&link, "SEALED: 1 of 2 shares");
    assert_eq!(ceremony.refusal(&first), Refusal::AlreadyIn, "a replay");

    let mut tampered = ceremony.envelope(&ceremony.share(2));
    *tampered.last_mut().expect("bytes") ^= 1;
    assert_eq!(ceremony.refusal(&tampered), Refusal::DoesNotOpen);
    let mut altered = ceremony.share(2).encode().to_vec();
    *altered.last_mut().expect("bytes") ^= 1;
    let altered = seal_share(&ceremony.offer(), &ceremony.pinned, &Share::decode(&altered).expect("of the form"));
    assert!(matches!(altered, Err(SealShareError::Altered { index: 2 })));
    let token = ceremony.share(2).set().token().clone();
    let (_, others) = psdd_seal::split(token, b"another", 2, 3).expect("split");
    let foreign = seal_share(&ceremony.offer(), &ceremony.pinned, &others[1]);
    assert!(matches!(foreign, Err(SealShareError::OtherSet { .. })));
    assert_eq!(keeper.worker(), None, "no worker was started, so no login was tried");

    let last = ceremony.envelope(&ceremony.share(3));
    assert_eq!(ceremony.submit(&last), Answer::Unsealed { token: "one".to_owned() });
    let incarnation = link.up().incarnation;
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    signs(&link, &key);

    keeper.kill_worker();
    assert_ne!(link.up().incarnation, incarnation, "another worker, without any share");
    signs(&link, &key);

    assert!(keeper.stop().success());
    let keeper = ceremony.keeper_logging_to("log");
    down(&link, "SEALED: 0 of 2 shares");
    assert_eq!(ceremony.refusal(&first), Refusal::OtherStart, "a recorded share does not serve another start");
    assert_eq!(keeper.worker(), None);
    drop(keeper);
    logs_tell_nothing(&ceremony);
}

/// What RUST_LOG=trace wrote of a full unsealing.
fn logs_tell_nothing(ceremony: &Ceremony) {
    let log = std::fs::read(ceremony.rig.path("log")).expect("a log");
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("share 1 taken: 1 of 2") && text.contains("the PIN is rebuilt"), "it is the log: {text}");
    assert!(!text.contains(PIN));
    let pin_as_numbers = format!("{:?}", PIN.as_bytes());
    assert!(!text.contains(pin_as_numbers.trim_matches(['[', ']'])));
    for index in 1..=3 {
        let share = ceremony.share(index).encode();
        let value = &share[share.len() - VALUE..];
        for part in value.chunks(8) {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let numbers = format!("{part:?}");
            assert!(!log.windows(8).any(|window| window == part), "share {index}");
            assert!(!text.to_lowercase().contains(&hex), "share {index}, in hex");
            assert!(!text.contains(numbers.trim_matches(['[', ']'])), "share {index}, as numbers");
        }
    }
    let file = std::fs::read_to_string(ceremony.rig.path("ceremony/one.share-3-of-3.pem")).expect("readable");
    assert!(file.lines().all(|line| !text.contains(line)), "share 3, as its file has it");
}

/// What `give-share` says; its refusals too.
fn give_at_the_console(ceremony: &Ceremony, share: &str, with_key: bool) -> String {
    let (share, key) = (ceremony.rig.path("ceremony").join(share), key_path("x25519.pem"));
    let mut arguments = vec!["give-share", "--share", share.to_str().expect("text")];
    if with_key {
        arguments.extend(["--holder-key", key.to_str().expect("text")]);
    }
    let output = ceremony.rig.command(&arguments);
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).expect("text")
}

#[test]
fn a_wrong_pin_from_shares_costs_one_try_and_says_so_before_the_next_shares_are_given() {
    let ceremony = Ceremony::held_over("Zx9-not-the-PIN");
    let mut keeper = ceremony.rig.keeper();
    let link = ceremony.rig.link();
    ceremony.offer();
    assert!(give_at_the_console(&ceremony, "one.share-1-of-3.alice.pem", true).contains("share 1 taken, 1 of 2"));
    assert!(give_at_the_console(&ceremony, "one.share-1-of-3.alice.pem", true).contains("is in already"));
    assert!(give_at_the_console(&ceremony, "one.share-1-of-3.alice.pem", false).contains("--holder-key"));
    assert!(give_at_the_console(&ceremony, "one.share-3-of-3.pem", false).contains("unsealed"));
    let reason = loop {
        match link.next() {
            LinkEvent::Latched { reason, .. } => break reason,
            LinkEvent::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("CKR_PIN_INCORRECT") && reason.contains("CKF_USER_PIN_COUNT_LOW"), "{reason}");
    assert!(keeper.stop().success());

    let _keeper = ceremony.rig.keeper();
    let reason = down(&link, "SEALED: 0 of 2 shares, and LATCHED");
    assert!(reason.contains("CKR_PIN_INCORRECT") && reason.contains("clear-login-latch"), "{reason}");
    assert!(ceremony.rig.clear_latch().status.success());
    let reason = down(&link, "SEALED: 0 of 2 shares");
    assert!(!reason.contains("LATCHED"), "{reason}");
}

#[test]
fn a_keeper_without_its_set_or_host_key_says_what_to_do() {
    let ceremony = Ceremony::held();
    for (name, advice) in [("state/one.share-set", "split-pin"), ("state/host-identity.pem", "init-host")] {
        let (path, aside) = (ceremony.rig.path(name), ceremony.rig.path("aside"));
        std::fs::rename(&path, &aside).expect("renamed");
        let output = ceremony.rig.command(&[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(name) && said.contains(advice), "{said}");
        std::fs::rename(&aside, &path).expect("renamed back");
    }
    let copy = std::fs::read(ceremony.rig.path("ceremony/one.share-set")).expect("readable");
    assert_eq!(copy, std::fs::read(ceremony.rig.path("state/one.share-set")).expect("readable"));

    let out = ceremony.rig.path("again").display().to_string();
    let split = ["split-pin", "--token", "one", "--threshold", "2", "--shares", "3", "--out", &out];
    let output = ceremony.rig.command(&split);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the PIN is sealed"), "{said}");
}

#[test]
fn clients_that_are_silent_or_talk_nonsense_keep_nobody_out() {
    let ceremony = Ceremony::held();
    let _keeper = ceremony.rig.keeper();
    ceremony.offer();
    let silent = UnixStream::connect(ceremony.socket()).expect("connected");
    let nonsense: [&[u8]; 4] = [b"", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xff", b"\x05\x00\x00\x00hello"];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(ceremony.socket()).expect("connected");
        stream.write_all(bytes).expect("written");
    }
    assert!(psdd_seal::Offer::verify(&ceremony.offer(), &ceremony.pinned).is_ok());
    let long = vec![0; 8 << 10];
    assert!(matches!(unseal::submit(&ceremony.socket(), &long, PATIENCE), Err(unseal::UnsealError::TooLong(_))));
    assert_eq!(ceremony.refusal(b"nonsense"), Refusal::Malformed);
    drop(silent);
}
