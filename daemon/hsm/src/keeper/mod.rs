//! The keeper: holds the PINs, or gathers their shares, binds the sockets, starts a worker per token and watches it.
//!
//! Owns the PINs in locked memory for as long as it runs, the listening sockets and the workers' lives. Loads no
//! vendor code, and no data of psdd crosses it: psdd connects to a token's socket, which the worker inherited, and
//! waits in its backlog while a worker restarts.

mod notify;
mod sealed;
mod status;
mod supervisor;
mod unseal_door;

use crate::config::{Checked, ConfigError, Serials};
use crate::host_identity::{self, HostIdentityError};
use crate::login_marker::LoginMarker;
use crate::secret::{PinError, harden_process};
use crate::split_pin::{self, SplitPinError};
use crossbeam_channel::{Receiver, Sender, select};
use notify::Notifier;
use psdd_seal::{Desk, DeskError, SealedToken};
use sealed::{News, PinSource, Waiting};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use status::{Board, Report};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use supervisor::Supervisor;
use unseal_door::UnsealDoor;

/// Reports that wait; a supervisor with one more waits with them.
const MAX_REPORTS: usize = 1024;
/// News of shares that wait; the unseal door with one more waits with them.
const MAX_NEWS: usize = 16;

/// Why the keeper does not run.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A PIN.
    #[error("token {token}")]
    Pin {
        /// The token's name.
        token: String,
        /// Why.
        #[source]
        source: PinError,
    },
    /// The set of shares of a token whose PIN is sealed.
    #[error(transparent)]
    Set(#[from] SplitPinError),
    /// The host identity key, which sealed PINs need.
    #[error(transparent)]
    Host(#[from] HostIdentityError),
    /// The key of this start, which shares are sealed to.
    #[error("cannot make an unsealing offer")]
    Desk(#[from] DeskError),
    /// The process cannot be protected.
    #[error("cannot forbid core files and the reading of this process's memory")]
    Harden(#[source] io::Error),
    /// The state directory.
    #[error("cannot use the state directory {path}")]
    StateDir {
        /// Which directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another keeper has these tokens.
    #[error("another keeper holds {0}")]
    Running(PathBuf),
    /// A socket.
    #[error("cannot listen on {path}")]
    Socket {
        /// Which socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread or a signal.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

/// Keeps the tokens of a configuration until SIGTERM.
///
/// # Errors
///
/// When it cannot begin; a token that cannot be served is not an error but a state.
pub fn run(config: &Path) -> Result<(), KeeperError> {
    harden_process().map_err(KeeperError::Harden)?;
    let checked = Checked::load(config, Serials::Required)?;
    let _lock = lock_state_dir(&checked.config.state_dir)?;

    let (report, reports) = crossbeam_channel::bounded(MAX_REPORTS);
    let (stop, stopped) = crossbeam_channel::bounded(0);
    let mut supervisors = Vec::new();
    let mut unsealing = Unsealing::default();
    for (index, token) in checked.config.tokens.iter().enumerate() {
        let spec = checked.worker_spec(index);
        let source = if token.pin_sealed {
            unsealing.expect(&checked, index, &spec.clear_command)?
        } else {
            let pin = token.read_pin();
            PinSource::Held(pin.map_err(|source| KeeperError::Pin { token: token.name.clone(), source })?)
        };
        let listener = bind(&token.socket)?;
        let (environment, told) = (token.environment.clone(), RefCell::new(None));
        let (report, stopped) = (report.clone(), stopped.clone());
        supervisors.push((Supervisor { index, spec, environment, listener, report, stopped, told }, source));
        if !checked.profile(index).validated.is_hardware() {
            tracing::warn!(token = %token.name, "a software token: it can claim no validation");
        }
    }
    let door = unsealing.open(&checked, stopped)?;
    drop(report);
    let signals = watch_signals().map_err(KeeperError::Start)?;
    let names = checked.config.tokens.iter().map(|token| token.name.clone()).collect();
    let threads = supervisors.into_iter().map(start).chain(door.map(open_door));
    let threads = threads.collect::<Result<Vec<_>, _>>().map_err(KeeperError::Start)?;
    serve(&checked, Board::new(names), reports, &signals, stop, threads);
    for socket in checked.config.tokens.iter().map(|token| &token.socket).chain(&checked.config.unseal_socket) {
        if let Err(error) = std::fs::remove_file(socket) {
            tracing::debug!(%error, socket = %socket.display(), "socket not removed");
        }
    }
    Ok(())
}

/// The tokens whose PINs are sealed, as they are found.
#[derive(Default)]
struct Unsealing {
    tokens: Vec<SealedToken>,
    supervisors: Vec<Sender<News>>,
}

impl Unsealing {
    fn expect(&mut self, checked: &Checked, index: usize, clear_command: &str) -> Result<PinSource, KeeperError> {
        let token = &checked.config.tokens[index];
        let set = split_pin::read_set(checked, index)?;
        let (supervisor, news) = crossbeam_channel::bounded(MAX_NEWS);
        let marker = LoginMarker::new(&checked.config.state_dir, &token.name);
        let clear_command = clear_command.to_owned();
        let waiting = Waiting { threshold: set.threshold(), news, marker, clear_command };
        self.tokens.push(SealedToken { name: token.name.clone(), set });
        self.supervisors.push(supervisor);
        Ok(PinSource::Shares(waiting))
    }

    /// The door that shares come in by; none where no PIN is sealed.
    fn open(self, checked: &Checked, stopped: Receiver<()>) -> Result<Option<UnsealDoor>, KeeperError> {
        let Some(socket) = checked.config.unseal_socket.as_ref().filter(|_| !self.tokens.is_empty()) else {
            return Ok(None);
        };
        let host = host_identity::load(checked)?;
        tracing::info!(host_key = %host.public().fingerprint(), socket = %socket.display(), "waits for shares");
        let desk = Desk::open(host, self.tokens)?;
        Ok(Some(UnsealDoor { listener: bind(socket)?, desk, supervisors: self.supervisors, stopped }))
    }
}

fn start((supervisor, source): (Supervisor, PinSource)) -> io::Result<JoinHandle<()>> {
    let name = format!("token-{}", supervisor.spec.token);
    std::thread::Builder::new().name(name).spawn(move || supervisor.run(source))
}

fn open_door(door: UnsealDoor) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("unseal".to_owned()).spawn(move || door.run())
}

fn serve(
    checked: &Checked,
    mut board: Board,
    reports: Receiver<Report>,
    signals: &Receiver<i32>,
    stop: Sender<()>,
    threads: Vec<JoinHandle<()>>,
) {
    let mut notifier = Notifier::new();
    let tick = crossbeam_channel::tick(notifier.interval());
    loop {
        select! {
            recv(reports) -> report => if let Ok(report) = report {
                board.enter(report);
                notifier.status(&board);
            },
            recv(signals) -> signal => match signal {
                Ok(SIGHUP) => {
                    notifier.reloading();
                    board.note(compare_with_file(checked));
                    notifier.reloaded(&board);
                }
                Ok(_) | Err(_) => break,
            },
            recv(tick) -> _ => notifier.alive(),
        }
    }
    notifier.stopping();
    // Nobody listens any more, so no supervisor waits to be heard.
    drop(reports);
    drop(stop);
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a supervisor panicked");
        }
    }
}

/// What a reload finds. PINs and sockets are taken once, so a change takes a restart.
fn compare_with_file(checked: &Checked) -> Option<String> {
    match Checked::load(&checked.path, Serials::Required) {
        Ok(fresh) if fresh.config == checked.config => None,
        Ok(_) => Some("restart needed: the configuration has changed".to_owned()),
        Err(error) => {
            tracing::error!(%error, "the configuration is not right; the one in use stays");
            Some(format!("configuration refused: {error}"))
        }
    }
}

fn watch_signals() -> io::Result<Receiver<i32>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = crossbeam_channel::bounded(8);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// One keeper per state directory: two would burn PIN tries side by side.
fn lock_state_dir(path: &Path) -> Result<File, KeeperError> {
    let failed = |source| KeeperError::StateDir { path: path.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let lock_path = path.join("keeper.lock");
    let lock = File::options().write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(KeeperError::Running(lock_path)),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Binds a socket for its owner and group. A socket that nobody listens on is what a keeper that was killed left.
fn bind(path: &Path) -> Result<UnixListener, KeeperError> {
    let failed = |source| KeeperError::Socket { path: path.to_owned(), source };
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(KeeperError::Running(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(listener)
}
