//! A development appliance of its own for one test, with the processes to kill.

use crate::checker::{self, Verdict};
use crate::notes::Notes;
use psdctl::config::CtlConfig;
use psdctl::dev::{self, ClientIdentity, DevError, DevOptions, Layout, Tools};
use psdd_client::{Client, ClientConfig};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Sockets lie below it, and their paths have 108 bytes.
const LONGEST_TEMP: usize = 40;

/// An appliance in a temporary directory. Dropping it kills its processes and removes it, unless the test is panicking: then it
/// stays and its path is printed.
pub struct Appliance {
    /// Where everything of it lies.
    pub layout: Layout,
    /// What the next start uses; the environments can be changed between starts.
    pub options: DevOptions,
    /// What its clients saw.
    pub notes: Arc<Notes>,
    psdd: Option<Child>,
    hsm: Option<Child>,
    authority: Option<Child>,
    dir: Option<TempDir>,
}

/// The defaults, with the binaries of this build.
pub fn options() -> DevOptions {
    DevOptions { tools: tools(), ..DevOptions::default() }
}

/// The binaries beside this test, which cargo does not build for it.
fn tools() -> Tools {
    let exe = std::env::current_exe().expect("the test's own path");
    // target/PROFILE/deps/TEST, or target/PROFILE/EXAMPLE.
    let dirs: Vec<&Path> = exe.ancestors().skip(1).take(2).collect();
    let find = |name: &str| -> PathBuf {
        dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap_or_else(|| {
            panic!("no {name} beside this test in {dirs:?}: run `cargo build -p psdd -p psdd-hsm -p psdctl` (`make test` does)")
        })
    };
    Tools { psdd: find("psdd"), hsm: find("psdd-hsm"), ctl: find("psdctl") }
}

fn temp_dir() -> TempDir {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > LONGEST_TEMP { PathBuf::from("/tmp") } else { base };
    tempfile::Builder::new().prefix("psdd-").tempdir_in(base).expect("a temporary directory")
}

impl Appliance {
    /// Gives birth to an appliance and starts it.
    pub fn up(options: DevOptions) -> Self {
        let mut appliance = Self::unborn(options);
        appliance.bear();
        appliance
    }

    /// Gives birth to the appliance of a directory and starts it.
    pub fn bear(&mut self) {
        // On a thread of its own, since it starts a runtime and the test may be in one. Should it fail, dropping the appliance ends
        // what was started.
        let up = std::thread::scope(|scope| scope.spawn(|| dev::up(&self.layout, &self.options)).join());
        let running = match up {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => panic!("no appliance: {error}"),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        self.psdd = running.psdd;
        self.hsm = running.hsm;
        self.authority = running.authority;
    }

    /// A directory for an appliance; [`Appliance::bear`] makes it one.
    pub fn unborn(options: DevOptions) -> Self {
        let dir = temp_dir();
        let layout = Layout::at(&dir.path().join("a"));
        let notes = Arc::new(Notes::create(dir.path().join("notes.jsonl")));
        Self { layout, options, notes, psdd: None, hsm: None, authority: None, dir: Some(dir) }
    }

    /// The directory around the appliance's own, for what a test keeps of it: copies, journals.
    pub fn around(&self) -> PathBuf {
        self.layout.dir().parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Process id of psdd.
    pub fn pid(&self) -> u32 {
        self.psdd.as_ref().expect("psdd was started").id()
    }

    /// Process id of psdd-hsm's keeper.
    pub fn hsm_pid(&self) -> u32 {
        self.hsm.as_ref().expect("psdd-hsm was started").id()
    }

    /// SIGKILL for psdd; returns when it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.psdd.take() {
            end(&mut child);
        }
    }

    /// SIGKILL for psdd-hsm's keeper; its worker dies with it.
    pub fn kill_hsm(&mut self) {
        if let Some(mut child) = self.hsm.take() {
            end(&mut child);
        }
    }

    /// SIGKILL for the authority's funds system.
    pub fn kill_authority(&mut self) {
        if let Some(mut child) = self.authority.take() {
            end(&mut child);
        }
    }

    /// Starts the authority's funds system, which must not run.
    pub fn start_authority(&mut self) -> Result<(), DevError> {
        assert!(self.authority.is_none(), "the funds system was started and not ended");
        // The number may be another process's by now.
        forget(&self.layout.authority_pid());
        self.authority = dev::start_authority(&self.layout, &self.options)?;
        Ok(())
    }

    /// SIGKILL for the workers of psdd-hsm; the keeper starts new ones. How many there were.
    pub fn kill_workers(&self) -> usize {
        let workers = children(self.hsm_pid());
        workers.iter().for_each(|pid| kill(*pid, Signal::KILL));
        workers.len()
    }

    /// SIGTERM for psdd, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::TERM);
        self.wait_exit(Duration::from_secs(20))
    }

    /// Waits until psdd ends by itself.
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let mut child = self.psdd.take().expect("psdd was started");
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("its status") {
                return status;
            }
            if begun.elapsed() > patience {
                end(&mut child);
                panic!("psdd still runs after {patience:?}; the end of its log:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether psdd runs.
    pub fn runs(&mut self) -> bool {
        self.psdd.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Starts psdd, which must not run, and waits until it is ready.
    pub fn start(&mut self) -> Result<(), DevError> {
        assert!(self.psdd.is_none(), "psdd was started and not ended");
        // The number may be another process's by now.
        forget(&self.layout.psdd_pid());
        let running = dev::start_psdd(&self.layout, &self.options)?;
        self.psdd = running.psdd;
        Ok(())
    }

    /// Starts psdd, which must not run, and waits for nothing.
    pub fn start_unready(&mut self) {
        assert!(self.psdd.is_none(), "psdd was started and not ended");
        self.psdd = Some(self.spawn());
    }

    /// What the local door says to this path, head and all, or why it says nothing.
    pub fn local(&self, path: &str) -> String {
        let ask = || {
            let mut stream = UnixStream::connect(self.layout.local_socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        ask().unwrap_or_else(|error| error.to_string())
    }

    /// Starts psdd and kills it after this time, ready or not.
    pub fn kill_while_starting(&mut self, after: Duration) {
        assert!(self.psdd.is_none(), "psdd was started and not ended");
        let mut child = self.spawn();
        std::thread::sleep(after);
        end(&mut child);
    }

    /// A further psdd with the same configuration, run until it ends by itself: its status and what it said.
    pub fn run_another(&self) -> Output {
        self.command().output().expect("psdd runs")
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options().append(true).create(true).open(self.layout.psdd_log()).expect("psdd's log");
        let child = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        child.expect("psdd runs")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.options.tools.psdd);
        command.arg("--config").arg(self.layout.psdd_config()).envs(&self.options.psdd_environment);
        command
    }

    /// A clone of this machine as it is now, beside it: its own directory with its own ledger and its own psdd-hsm, but the same
    /// token. Nothing of it runs yet. It must be dropped first.
    pub fn cloned(&self) -> Self {
        let layout = Layout::at(&self.around().join("clone"));
        copy_dir(self.layout.dir(), layout.dir());
        // Nobody runs there yet.
        std::fs::remove_dir_all(layout.run()).expect("no process ids");
        std::fs::create_dir(layout.run()).expect("a directory for sockets");
        let config = std::fs::read_to_string(layout.hsm_config()).expect("the configuration of psdd-hsm");
        let [here, there] = [self.layout.dir(), layout.dir()].map(|dir| format!("{}/", dir.display()));
        // softhsm2.conf is copied as well, but names the directory of the one token still.
        std::fs::write(layout.hsm_config(), config.replace(&here, &there)).expect("the clone's configuration");
        let (options, notes) = (self.options.clone(), Arc::clone(&self.notes));
        Self { layout, options, notes, psdd: None, hsm: None, authority: None, dir: None }
    }

    /// Starts psdd-hsm, which must not run.
    pub fn start_hsm(&mut self) -> Result<(), DevError> {
        assert!(self.hsm.is_none(), "psdd-hsm was started and not ended");
        self.hsm = Some(dev::start_hsm(&self.layout, &self.options)?);
        Ok(())
    }

    /// Kills psdd where it runs and starts it again.
    pub fn restart(&mut self) {
        self.kill9();
        if let Err(error) = self.start() {
            panic!("psdd does not start again: {error}");
        }
    }

    /// Configuration of the first client, for the door as it is now: the port changes with every start.
    pub fn client_config(&self) -> ClientConfig {
        CtlConfig::read(Some(&self.layout.psdctl_config())).expect("psdctl.toml").client()
    }

    /// The same for another client, see [`Appliance::issue`].
    pub fn client_config_of(&self, identity: &ClientIdentity) -> ClientConfig {
        let mut config = self.client_config();
        config.files.client_cert.clone_from(&identity.certificate);
        config.files.client_key.clone_from(&identity.key);
        config
    }

    /// A client certificate for a tenant. Serial numbers from 200 on are free.
    pub fn issue(&self, name: &str, tenant: &str, serial: u32) -> ClientIdentity {
        dev::issue_client(&self.layout, name, tenant, serial).expect("a client certificate")
    }

    /// A connected client.
    pub async fn client(&self, config: ClientConfig) -> Client {
        Client::connect(config).await.unwrap_or_else(|error| panic!("no connection: {}", chain(&error)))
    }

    /// Has the checker judge the ledger, of which psdd must not run, by what the clients saw.
    pub fn check(&self, sample_signatures: Option<u32>) -> Verdict {
        assert!(self.psdd.is_none(), "the checker cannot judge a ledger that is being written: stop psdd first");
        checker::check(&self.layout.state(), &[self.notes.path()], sample_signatures)
    }

    /// The last lines of psdd's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.layout.psdd_log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.kill9();
        self.kill_hsm();
        self.kill_authority();
        // Where a start failed half way, only the files know the processes.
        for file in [self.layout.psdd_pid(), self.layout.hsm_pid(), self.layout.authority_pid()] {
            let running = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            if let Some(pid) = running.filter(|pid| is_ours(*pid, self.layout.dir())) {
                kill(pid, Signal::KILL);
            }
        }
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("the appliance is kept in {}", dir.keep().display());
        }
    }
}

/// Copies regular files and directories; what is at the target already is replaced file by file.
pub fn copy_dir(from: &Path, to: &Path) {
    let copied = (|| {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
            if kind.is_dir() {
                copy_dir(&entry.path(), &target);
            } else if kind.is_file() {
                std::fs::copy(entry.path(), target)?;
            }
        }
        Ok::<(), std::io::Error>(())
    })();
    copied.unwrap_or_else(|error| panic!("copying {} to {}: {error}", from.display(), to.display()));
}

/// Puts a directory back to what an earlier copy holds, as restoring a backup does.
pub fn put_back(copy: &Path, dir: &Path) {
    std::fs::remove_dir_all(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    copy_dir(copy, dir);
}

fn end(child: &mut Child) {
    if let Err(error) = child.kill() {
        eprintln!("kill {}: {error}", child.id());
    }
    match child.wait() {
        Ok(status) if status.signal().is_some() || status.code().is_some() => {}
        other => eprintln!("process {} ended with {other:?}", child.id()),
    }
}

fn kill(pid: u32, signal: Signal) {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = raw.map(|pid| kill_process(pid, signal)) {
        eprintln!("signal {signal:?} for {pid}: {error}");
    }
}

fn forget(file: &Path) {
    match std::fs::remove_file(file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => panic!("{}: {error}", file.display()),
    }
}

/// Whether a process has this directory on its command line.
fn is_ours(pid: u32, dir: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&*dir.to_string_lossy())
}

/// Processes whose parent is this one.
fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// An error with all its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
