//! A token in a temporary directory, its keeper as a process, and a link with its events.

use crossbeam_channel::{Receiver, RecvTimeoutError};
use psdd_hsm::link::{Link, LinkConfig, LinkEvent, RequestId, SignFrame, WrappedKey};
use psdd_hsm::protocol::{Form, Messages, Welcome};
use psdd_hsm::role::{Algorithm, Residence, Role};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PIN: &str = "24680";
pub const SO_PIN: &str = "1357924680";
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A token and a configuration that names it.
pub struct Rig {
    pub directory: TempDir,
    pub serial: String,
}

impl Rig {
    /// Makes a token with `psdd-hsm init-token`.
    pub fn new() -> Self {
        Self::with_pin(PIN)
    }

    /// As [`Rig::new`], with another PIN.
    pub fn with_pin(pin: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("psdd").tempdir().expect("temporary directory");
        let mut rig = Self { directory, serial: String::new() };
        let at = |name: &str| rig.path(name);
        std::fs::create_dir(at("tokens")).expect("created");
        let softhsm = format!("directories.tokendir = {}\nlog.level = ERROR\n", at("tokens").display());
        std::fs::write(at("softhsm2.conf"), softhsm).expect("written");
        std::fs::write(at("pin"), format!("{pin}\n")).expect("written");
        std::fs::write(at("so-pin"), SO_PIN).expect("written");
        rig.configure(None, "");
        let made = rig.init_token();
        assert!(made.status.success(), "init-token: {}", String::from_utf8_lossy(&made.stderr));
        let printed = String::from_utf8(made.stdout).expect("text");
        let serial = printed.lines().find_map(|line| line.strip_prefix("serial = \"")?.strip_suffix('"'));
        rig.serial = serial.unwrap_or_else(|| panic!("no serial in {printed:?}")).to_owned();
        rig.configure(Some(&rig.serial), "");
        rig
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another host with the same configuration and the same token.
    pub fn clone_of_host(&self) -> Self {
        let directory = tempfile::Builder::new().prefix("psdd").tempdir().expect("temporary directory");
        let clone = Self { directory, serial: self.serial.clone() };
        for name in ["pin", "softhsm2.conf"] {
            std::fs::copy(self.path(name), clone.path(name)).expect("copied");
        }
        clone.configure(Some(&clone.serial), "");
        clone
    }

    /// Writes the configuration, with further lines for the token.
    pub fn configure(&self, serial: Option<&str>, more: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let serial = serial.map(|serial| format!("serial = \"{serial}\"\n")).unwrap_or_default();
        let text = format!(
            "state_dir = \"{}\"\n[[token]]\nname = \"one\"\nprofile = \"softhsm2\"\nlabel = \"psdd-one\"\n{serial}\
             pin_file = \"{}\"\nsocket = \"{}\"\n{more}\n[token.environment]\nSOFTHSM2_CONF = \"{}\"\n",
            at("state"),
            at("pin"),
            at("one.sock"),
            at("softhsm2.conf"),
        );
        std::fs::write(self.path("psdd-hsm.toml"), text).expect("written");
    }

    /// Puts the shipped profile, changed like this, in place of the shipped one.
    pub fn change_profile(&self, change: impl FnOnce(&str) -> String) {
        let (_, shipped) = hsm_profiles::SHIPPED.iter().find(|(name, _)| *name == "softhsm2").expect("it ships");
        let changed = change(shipped);
        assert_ne!(&changed, shipped);
        std::fs::write(self.path("profile.toml"), changed).expect("written");
        let configuration = std::fs::read_to_string(self.path("psdd-hsm.toml")).expect("read");
        let path = self.path("profile.toml").display().to_string();
        let configuration = configuration.replace("profile = \"softhsm2\"", &format!("profile = \"{path}\""));
        std::fs::write(self.path("psdd-hsm.toml"), configuration).expect("written");
    }

    pub fn init_token(&self) -> Output {
        let so_pin = self.path("so-pin");
        self.command(&["init-token", "--token", "one", "--so-pin-file", so_pin.to_str().expect("text")])
    }

    pub fn clear_latch(&self) -> Output {
        self.command(&["clear-login-latch", "--token", "one"])
    }

    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psdd-hsm"));
        command.args(arguments).arg("--config").arg(self.path("psdd-hsm.toml"));
        command.output().expect("psdd-hsm runs")
    }

    /// Starts the keeper.
    pub fn keeper(&self) -> Keeper {
        self.keeper_with(|_| {})
    }

    /// Starts the keeper, with a change to how.
    pub fn keeper_with(&self, change: impl FnOnce(&mut Command)) -> Keeper {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psdd-hsm"));
        command.arg("--config").arg(self.path("psdd-hsm.toml"));
        command.env("NOTIFY_SOCKET", self.path("notify.sock"));
        change(&mut command);
        Keeper { child: command.spawn().expect("psdd-hsm runs") }
    }

    pub fn link(&self) -> TestLink {
        self.link_with(|_| {})
    }

    pub fn link_with(&self, change: impl FnOnce(&mut LinkConfig)) -> TestLink {
        let mut config = LinkConfig {
            token: "one".to_owned(),
            socket: self.path("one.sock"),
            hello_timeout: PATIENCE,
            request_deadline: PATIENCE,
            max_outstanding: 64,
        };
        change(&mut config);
        let (sender, events) = crossbeam_channel::bounded(10_000);
        let link = Link::start(config, move |event| {
            // The test may have ended before the link.
            drop(sender.send(event));
        });
        TestLink { link: link.expect("threads"), events }
    }

    /// Runs an ignored test of this binary as a process that loads the module itself.
    pub fn helper(&self, test: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        let output = command.output().expect("this test runs");
        assert!(output.status.success(), "{test}: {}", String::from_utf8_lossy(&output.stdout));
        output
    }
}

/// A keeper that ends with its test.
pub struct Keeper {
    child: Child,
}

impl Keeper {
    /// The worker, of which a test has one.
    pub fn worker(&self) -> Option<i32> {
        let id = self.child.id();
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).ok()?;
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        children.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).next()?.parse().ok()
    }

    pub fn kill_worker(&self) {
        signal(self.worker().expect("a worker"), rustix::process::Signal::KILL);
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Whether it has ended, with a failure.
    pub fn has_failed(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(status)) if !status.success())
    }

    pub fn reload(&self) {
        signal(i32::try_from(self.child.id()).expect("a pid"), rustix::process::Signal::HUP);
    }

    pub fn stop(&mut self) -> std::process::ExitStatus {
        signal(i32::try_from(self.child.id()).expect("a pid"), rustix::process::Signal::TERM);
        self.child.wait().expect("reaped")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let status = self.stop();
            assert!(status.success() || std::thread::panicking(), "the keeper ended with {status}");
        }
    }
}

pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("signalled");
}

/// Stops a process; when this returns, none of its threads runs any more.
pub fn stop(pid: i32) {
    signal(pid, rustix::process::Signal::STOP);
    eventually("every thread has stopped", || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    });
}

pub fn is_running(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok()
}

/// Waits for a condition.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A link and what it reported.
pub struct TestLink {
    pub link: Link,
    pub events: Receiver<LinkEvent>,
}

impl TestLink {
    pub fn next(&self) -> LinkEvent {
        match self.events.recv_timeout(PATIENCE) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("no event"),
        }
    }

    /// The next `Up`, past any `Down`.
    pub fn up(&self) -> Arc<Welcome> {
        loop {
            match self.next() {
                LinkEvent::Up(welcome) => return welcome,
                LinkEvent::Down { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn generate(&self, role: Role, algorithm: Algorithm, name: &str) -> TestKey {
        self.make(role, algorithm, name, Residence::Resident)
    }

    /// Makes a key that is kept wrapped, and lets the link keep it.
    pub fn generate_wrapped(&self, role: Role, algorithm: Algorithm, name: &str) -> TestKey {
        let key = self.make(role, algorithm, name, Residence::Wrapped);
        self.link.adopt(key.adoption());
        key
    }

    fn make(&self, role: Role, algorithm: Algorithm, name: &str, residence: Residence) -> TestKey {
        let key_id = [&[role.number()], name.as_bytes()].concat();
        let label = format!("{role} {name}");
        let made = self.link.blocking().generate(role, algorithm, &key_id, &label, residence, PATIENCE);
        let made = made.expect("generated");
        let wrapped = made.wrapped.unwrap_or_default();
        TestKey { key_id: key_id.into(), role, algorithm, spki: made.spki, wrapped }
    }

    /// Signs through events; gives the signatures or the code of the failure.
    pub fn sign(&self, frame: &SignFrame) -> Result<Vec<u8>, String> {
        let sent = self.link.sign(frame).expect("taken");
        self.answer(sent)
    }

    pub fn answer(&self, sent: RequestId) -> Result<Vec<u8>, String> {
        match self.next() {
            LinkEvent::Signed { request, signatures } => {
                assert_eq!(request, sent);
                Ok(signatures.into_bytes())
            }
            LinkEvent::Failed { request, fault } => {
                assert_eq!(request, sent);
                Err(fault.code)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A key that was made.
#[derive(Clone)]
pub struct TestKey {
    pub key_id: Arc<[u8]>,
    pub role: Role,
    pub algorithm: Algorithm,
    pub spki: Vec<u8>,
    /// Empty where it is resident.
    pub wrapped: Vec<u8>,
}

impl TestKey {
    /// What the link is to keep.
    pub fn adoption(&self) -> WrappedKey {
        WrappedKey {
            key_id: Arc::clone(&self.key_id),
            role: self.role,
            algorithm: self.algorithm,
            spki: self.spki.as_slice().into(),
            wrapped: self.wrapped.as_slice().into(),
        }
    }

    pub fn frame(&self, form: Form, floor: u64, messages: &[Vec<u8>]) -> SignFrame {
        let messages: Messages = messages.iter().map(Vec::as_slice).collect();
        SignFrame { key_id: Arc::clone(&self.key_id), role: self.role, form, floor, messages }
    }

    /// Verifies with aws-lc-rs, which had no part in the signing.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey};
        match self.algorithm {
            Algorithm::EcdsaP256 => {
                let point = &self.spki[self.spki.len() - 65..];
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Algorithm::EcdsaP384 => {
                let point = &self.spki[self.spki.len() - 97..];
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            // Nobody but the token has the secret: a MAC is told from others, not verified.
            Algorithm::HmacSha256 => signature.len() == 32 && signature != self.spki,
            Algorithm::Ed25519 => {
                let point = &self.spki[self.spki.len() - 32..];
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// An IBI message with this ascending register.
pub fn indicium(ascending: u64) -> Vec<u8> {
    let mut message = vec![1; 49];
    message[1] = psd::indicium::ibi::ECDSA_P256;
    message[14..19].copy_from_slice(&ascending.to_le_bytes()[..5]);
    message
}

/// A COSE Sig_structure over this payload.
pub fn sig_structure(payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut message);
    let written = encoder.array(4).and_then(|e| e.str("Signature1")).and_then(|e| e.bytes(&[0xa1, 1, 0x26]));
    written.and_then(|e| e.bytes(b"")).and_then(|e| e.bytes(payload)).expect("memory");
    message
}

/// A checkpoint's body.
pub fn checkpoint() -> Vec<u8> {
    format!("example.org/psdd\n42\n{}=\n", "A".repeat(43)).into_bytes()
}
