//! Starting and stopping the processes of a development appliance: the two daemons and the authority's funds system.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A program or file.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended at once.
    #[error("{program} ended ({status}); the end of its log {}:\n{tail}", .log.display())]
    Ended {
        /// Which.
        program: String,
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
        /// Last lines of the log.
        tail: String,
    },
    /// It did not become ready.
    #[error("{program} is not ready after {seconds} s: {last}; see {}", .log.display())]
    NotReady {
        /// Which.
        program: String,
        /// How long was waited.
        seconds: u64,
        /// What it said last.
        last: String,
        /// Its log.
        log: PathBuf,
    },
    /// It did not stop.
    #[error("process {0} does not stop")]
    Stubborn(i32),
}

/// A running appliance.
#[derive(Debug)]
pub struct Running {
    /// Address of the vendor door.
    pub vendor: String,
    /// Address of the operator door, if it has one.
    pub operator: Option<String>,
    /// Address of the authority door, if it has one.
    pub authority_door: Option<String>,
    /// Address of the authority's funds system, if it runs.
    pub funds: String,
    /// psdd, if this process started it.
    pub psdd: Option<Child>,
    /// psdd-hsm, if this process started it.
    pub hsm: Option<Child>,
    /// The authority's funds system, if this process started it.
    pub authority: Option<Child>,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ProcessError {
    move |source| ProcessError::Io { path: path.to_owned(), source }
}

/// Starts a daemon in the background, with its output in a log and its process id in a file.
pub(super) fn start(command: &mut Command, log: &Path, pid: &Path) -> Result<Child, ProcessError> {
    let out = File::options().create(true).append(true).open(log).map_err(io(log))?;
    let err = out.try_clone().map_err(io(log))?;
    // A group of its own, so that Ctrl-C in the terminal is for psdctl alone.
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let child = command.spawn().map_err(io(Path::new(command.get_program())))?;
    std::fs::write(pid, child.id().to_string()).map_err(io(pid))?;
    Ok(child)
}

/// Waits until a probe gives an answer, of a child that is watched meanwhile, or of a daemon that ran before.
pub(super) fn wait<T>(
    program: &str,
    mut child: Option<&mut Child>,
    log: &Path,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T, ProcessError> {
    let (begun, patience) = (Instant::now(), Duration::from_secs(60));
    loop {
        let last = match probe() {
            Ok(answer) => return Ok(answer),
            Err(last) => last,
        };
        if let Some(Ok(Some(status))) = child.as_mut().map(|child| child.try_wait()) {
            let (program, status, tail) = (program.to_owned(), status.to_string(), tail(log));
            return Err(ProcessError::Ended { program, status, log: log.to_owned(), tail });
        }
        if begun.elapsed() > patience {
            let (program, seconds) = (program.to_owned(), patience.as_secs());
            return Err(ProcessError::NotReady { program, seconds, last, log: log.to_owned() });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// Where the doors of a daemon are that is ready.
pub(super) struct Doors {
    pub(super) vendor: String,
    pub(super) operator: Option<String>,
    pub(super) authority: Option<String>,
}

/// Asks the local door whether psdd is ready.
pub(super) fn ready(socket: &Path) -> Result<Doors, String> {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 200") {
        return Err(body.trim().to_owned());
    }
    let door = |prefix: &str| body.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
    let vendor = door("vendor door ").ok_or_else(|| body.to_owned())?;
    Ok(Doors { vendor, operator: door("operator door "), authority: door("authority door ") })
}

/// Stops the daemon whose process id is in a file. Whether there was one.
pub(super) fn stop(pid_file: &Path) -> Result<bool, ProcessError> {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return Ok(false) };
    let number: i32 = text.trim().parse().unwrap_or(0);
    let Some(pid) = rustix::process::Pid::from_raw(number).filter(|_| is_ours(number)) else {
        std::fs::remove_file(pid_file).map_err(io(pid_file))?;
        return Ok(false);
    };
    let begun = Instant::now();
    let mut signal = rustix::process::Signal::TERM;
    while is_ours(number) {
        match begun.elapsed().as_secs() {
            0..20 => {}
            20..30 => signal = rustix::process::Signal::KILL,
            _ => return Err(ProcessError::Stubborn(number)),
        }
        if rustix::process::kill_process(pid, signal).is_err() {
            break;
        }
        // Asked once; a second TERM would only be noise in the log.
        let pause = Instant::now();
        while is_ours(number) && pause.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    std::fs::remove_file(pid_file).map_err(io(pid_file))?;
    Ok(true)
}

/// Whether a process id is still that of one of our programs, and it has not ended.
fn is_ours(number: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{number}/stat")) else { return false };
    let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    // psdd, psdd-hsm, and psdctl for the funds system.
    (stat.contains("(psdd") || stat.contains("(psdctl)")) && !zombie
}

/// Whether the daemon of a process id file runs.
pub(super) fn runs(pid_file: &Path) -> bool {
    std::fs::read_to_string(pid_file).is_ok_and(|text| text.trim().parse().is_ok_and(is_ours))
}
