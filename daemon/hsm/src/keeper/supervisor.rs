//! The life of one token's workers: start, watch, end, start again.
//!
//! Owns the worker's process. Ends it when its heartbeat stops, or when a call of its module is past the deadline,
//! because such a call cannot be cancelled.

use super::sealed::PinSource;
use super::status::{Report, TokenStatus};
use crate::frame::{self, FrameBuffer};
use crate::protocol::{Heartbeat, WorkerState};
use crate::secret::Pin;
use crate::spec::{HandOverError, WorkerSpec};
use crate::worker::ending::Ending;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use rustix::process::{Pid, Signal};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(2);
/// A little longer than the worker itself gives its last calls.
const STOP_PATIENCE: Duration = Duration::from_millis(2500);
const LOOK: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const HEALTHY: Duration = Duration::from_secs(30);

/// Everything the workers of one token need.
pub struct Supervisor {
    /// The place of the token in the configuration.
    pub index: usize,
    /// What a worker is told.
    pub spec: WorkerSpec,
    /// The variables a worker gets, and no others.
    pub environment: BTreeMap<String, String>,
    /// The socket that psdd connects to.
    pub listener: UnixListener,
    /// Where reports go.
    pub report: Sender<Report>,
    /// Disconnected when the keeper stops.
    pub stopped: Receiver<()>,
    /// The last report.
    pub told: RefCell<Option<TokenStatus>>,
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot start a worker")]
    Spawn(#[from] io::Error),
    #[error("the worker did not take its specification")]
    HandOver(#[from] HandOverError),
}

impl Supervisor {
    /// Waits for the PIN where it is sealed, then runs workers until the keeper stops.
    pub(super) fn run(&self, source: PinSource) {
        let pin = match source {
            PinSource::Held(pin) => Some(pin),
            PinSource::Shares(waiting) => waiting.wait(&self.listener, &self.stopped, |status| self.tell(status)),
        };
        if let Some(pin) = pin {
            self.run_workers(&pin);
        }
    }

    fn run_workers(&self, pin: &Pin) {
        let mut pause = FIRST_PAUSE;
        while !self.is_stopped() {
            let since = Instant::now();
            let (why, at_once) = match self.start(pin) {
                Ok((child, control)) => self.watch(child, control),
                Err(error) => (error.to_string(), false),
            };
            if self.is_stopped() {
                return;
            }
            self.tell(TokenStatus::Down(why));
            if at_once || since.elapsed() >= HEALTHY {
                pause = FIRST_PAUSE;
            }
            match self.stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) | Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn start(&self, pin: &Pin) -> Result<(Child, UnixStream), StartError> {
        let (control, theirs) = UnixStream::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("worker").env_clear().envs(&self.environment);
        if let Some(filter) = std::env::var_os("RUST_LOG") {
            command.env("RUST_LOG", filter);
        }
        command.stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)));
        command.stdout(Stdio::from(OwnedFd::from(theirs)));
        let mut child = command.spawn()?;
        // The command holds the worker's end of the channel; without it the channel ends when the worker does.
        drop(command);
        if let Err(error) = self.spec.hand_over(pin, &mut &control) {
            self.kill(&mut child);
            return Err(error.into());
        }
        Ok((child, control))
    }

    /// Watches a worker to its end; says why it ended, and whether the next may follow at once.
    fn watch(&self, mut child: Child, mut control: UnixStream) -> (String, bool) {
        if let Err(error) = control.set_read_timeout(Some(LOOK)) {
            self.kill(&mut child);
            return (format!("cannot watch a worker: {error}"), false);
        }
        let mut buffer = FrameBuffer::default();
        let mut heard = Instant::now();
        let mut told_to_stop = None;
        let mut sentence = None;
        loop {
            match buffer.fill(&mut control) {
                Ok(0) => break,
                Ok(_) => heard = Instant::now(),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
            if let Some(hung) = self.judge_heartbeats(&mut buffer) {
                sentence = Some(hung);
                break;
            }
            if heard.elapsed() >= HEARTBEAT_PATIENCE {
                sentence = Some("its heartbeat stopped".to_owned());
                break;
            }
            if self.is_stopped() {
                let since = *told_to_stop.get_or_insert_with(|| {
                    terminate(&child);
                    Instant::now()
                });
                if since.elapsed() >= STOP_PATIENCE {
                    sentence = Some("it did not end when told to".to_owned());
                    break;
                }
            }
        }
        match sentence {
            Some(why) => {
                tracing::error!(token = %self.spec.token, pid = child.id(), "worker killed: {why}");
                self.kill(&mut child);
                (why, false)
            }
            None => self.reap(child),
        }
    }

    /// Reads all heartbeats there are; gives why the worker must be ended, if it must.
    fn judge_heartbeats(&self, buffer: &mut FrameBuffer) -> Option<String> {
        loop {
            let beat: Heartbeat = match buffer.next_frame().and_then(|frame| frame.map(frame::decode).transpose()) {
                Ok(Some(beat)) => beat,
                Ok(None) => return None,
                Err(error) => return Some(format!("its heartbeat is malformed: {error}")),
            };
            if let Some(call) = beat.oldest.filter(|call| call.age_ms > call.deadline_ms) {
                return Some(format!("{} is under way for {} ms of {}", call.call, call.age_ms, call.deadline_ms));
            }
            self.tell(match beat.state {
                WorkerState::Starting => TokenStatus::Starting,
                WorkerState::Login => TokenStatus::LoggingIn,
                WorkerState::Ready => TokenStatus::Ready,
                WorkerState::Latched => TokenStatus::Latched(beat.reason.unwrap_or_default()),
            });
        }
    }

    /// The channel ended, so the worker has ended or is about to; one that lingers in exit handlers is killed.
    fn reap(&self, mut child: Child) -> (String, bool) {
        let until = Instant::now() + HEARTBEAT_PATIENCE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return verdict(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => {
                    self.kill(&mut child);
                    return ("it lingered after its end".to_owned(), false);
                }
            }
        }
    }

    fn kill(&self, child: &mut Child) {
        if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
            tracing::error!(token = %self.spec.token, pid = child.id(), %error, "cannot end a worker");
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }

    fn tell(&self, status: TokenStatus) {
        if self.told.replace(Some(status.clone())).as_ref() == Some(&status) {
            return;
        }
        if self.report.send(Report { index: self.index, status }).is_err() {
            tracing::debug!("the keeper does not listen any more");
        }
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM)) {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "the worker has ended already"),
        None => tracing::error!(pid = child.id(), "not a process id"),
    }
}

/// What an exit status says. After a latch was set or cleared nothing is broken, so nobody waits.
fn verdict(status: ExitStatus) -> (String, bool) {
    match status.code().and_then(Ending::of_status) {
        Some(ending @ (Ending::Latched | Ending::Unlatched)) => (format!("worker ended: {ending:?}"), true),
        Some(
            ending @ (Ending::Told
            | Ending::Module
            | Ending::Token
            | Ending::LoginLost
            | Ending::KeeperGone
            | Ending::Setup),
        ) => (format!("worker ended: {ending:?}"), false),
        None => (format!("worker ended: {status}"), false),
    }
}
