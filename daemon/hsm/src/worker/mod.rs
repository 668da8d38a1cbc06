//! The worker of one token: the only process that loads its vendor's module.
//!
//! Owns the module, one login and the sessions. Refuses to outlive its keeper, to log in where a login failed before,
//! and to sign what is not of the form its key's role demands. Started by [`crate::keeper`] only: stdin is the
//! listening socket psdd connects to, stdout the channel to the keeper, which gives the specification and the PIN and
//! takes the heartbeats.

mod admin;
mod cache;
mod connection;
mod destroy;
pub mod ending;
mod fault;
mod form;
mod generate;
mod keys;
pub mod latched;
mod objects;
mod pool;
mod public_half;
mod sign;
mod sweep;
pub mod token;
mod watch;
pub mod wrapping;

use crate::login_marker::LoginMarker;
use crate::protocol::{ProfileSummary, Reply, VERSION, Welcome, WorkerState};
use crate::secret::{Pin, harden_process};
use crate::spec::WorkerSpec;
use admin::AdminQueue;
use cache::Cache;
use connection::Office;
use ending::{Ending, end};
use hsm_profiles::{Ed25519Mechanism, Profile};
use rustix::rand::GetRandomFlags;
use signal_hook::consts::SIGTERM;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use token::Token;
use watch::{CallSlot, Watch};
use wrapping::Wrapper;

/// How long calls that are under way may take to finish when the worker is told to end.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Why a worker could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A system call failed.
    #[error("cannot set the process up")]
    System(#[from] std::io::Error),
    /// The keeper did not say what to do.
    #[error(transparent)]
    HandOver(#[from] crate::spec::HandOverError),
    /// The profile is not one.
    #[error(transparent)]
    Profile(#[from] hsm_profiles::ProfileError),
    /// The login mark cannot be read.
    #[error(transparent)]
    Marker(#[from] crate::login_marker::MarkerError),
    /// The process that started it is not the keeper it was told of.
    #[error("the keeper is gone already")]
    Orphan,
}

/// Runs the worker; it ends only through [`ending::end`].
pub fn main() -> ! {
    match run() {
        Ok(never) => match never {},
        Err(error) => end(Ending::Setup, &chain(&error)),
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn run() -> Result<std::convert::Infallible, SetupError> {
    harden_process()?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(std::io::Error::from)?;
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut keeper = UnixStream::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    // A module that prints must not reach the keeper's channel.
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(null).map_err(std::io::Error::from)?;
    rustix::stdio::dup2_stdout(std::io::stderr()).map_err(std::io::Error::from)?;

    let (spec, pin) = WorkerSpec::take_over(&mut keeper)?;
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent != Some(spec.keeper_pid) {
        return Err(SetupError::Orphan);
    }
    let profile = spec.profile().parse()?;
    std::panic::set_hook(Box::new(|panic| end(Ending::Module, &format!("a thread panicked: {panic}"))));

    let watch = Arc::new(Watch::new(spec.deadlines()));
    let beating = Arc::clone(&watch);
    spawn("heartbeat", move || beating.beat(keeper))?;

    let opened = Arc::new(OnceLock::new());
    end_on_sigterm(Arc::clone(&opened), Arc::clone(&watch))?;
    let marker = LoginMarker::new(spec.state_dir.as_ref(), &spec.token);
    if let Some(reason) = marker.reason()? {
        drop(pin);
        latched::run(&listener, &spec, &marker, &reason, &watch);
    }
    let slot = watch.slot();
    let office = open(&spec, profile, pin, &watch, &slot, &listener)?;
    if opened.set(Arc::clone(&office)).is_err() {
        unreachable!("the token is opened once");
    }
    watch.set_state(WorkerState::Ready, None);
    accept_for_ever(&listener, &office)
}

/// Opens the token, sweeps its keys and starts the sessions; ends the worker, and tells psdd why, when it cannot.
fn open(
    spec: &WorkerSpec,
    profile: Profile,
    pin: Pin,
    watch: &Arc<Watch>,
    slot: &CallSlot,
    listener: &UnixListener,
) -> Result<Arc<Office>, SetupError> {
    let give_up = |ending, reason: String| -> ! {
        latched::answer_waiting(listener, &Reply::Unavailable { reason: reason.clone() });
        end(ending, &reason)
    };
    let (token, holder) = match Token::open(spec, &profile, pin, watch, slot) {
        Ok(opened) => opened,
        // The next worker finds the mark and tells psdd.
        Err(token::OpenError::Latched(reason)) => end(Ending::Latched, &reason),
        Err(error @ token::OpenError::NotFound { .. }) => give_up(Ending::Token, error.to_string()),
        Err(error @ (token::OpenError::NoModule(_) | token::OpenError::Call(_) | token::OpenError::Marker(_))) => {
            give_up(Ending::Module, chain(&error))
        }
    };
    let family = &profile.family;
    let wrapper = match Wrapper::find(&holder, profile.wrapping.as_ref(), family, slot) {
        Ok(wrapper) => wrapper,
        Err(error) => {
            let fault = token.classifier.judge(&error);
            give_up(sign::ending_of(fault.class), format!("wrapping key: {}: {}", fault.step, fault.code))
        }
    };
    if let Some(problem) = wrapper.problem() {
        tracing::warn!("no key can be kept wrapped: {problem}");
    }
    let cached = profile.wrapping.as_ref().map_or(1, |wrapping| wrapping.cached_keys);
    let keys = match sweep::sweep(&holder, &profile, &token.classifier, slot) {
        Ok(keys) => Arc::new(keys),
        Err(fault) => give_up(sign::ending_of(fault.class), format!("sweep: {}: {}", fault.step, fault.code)),
    };
    let wanted = u64::from(spec.sessions);
    // One more is open for everything but signing.
    let allowed = token.max_sessions.map_or(wanted, |most| wanted.min(most.saturating_sub(1)).max(1));
    if allowed < wanted {
        tracing::warn!(wanted, allowed, "the token allows fewer sessions than are configured");
    }
    let allowed = u32::try_from(allowed).unwrap_or(spec.sessions);
    let welcome = welcome(allowed, &profile, &token, wrapper.problem())?;
    let sessions = usize::try_from(allowed).unwrap_or(1);
    let signing = Arc::new(sign::Signing {
        token,
        pool: pool::Pool::new(sessions),
        holder: Mutex::new(holder),
        wrapper,
        cache: Cache::new(usize::try_from(cached).unwrap_or(usize::MAX)),
        ecdsa: profile.mechanisms.ecdsa,
        session_copy: spec.session_copy,
        fresh_process_only: profile.quirks.needs_second_process_for_recovery,
        keep_alive: Duration::from_secs(profile.sessions.keep_alive_s),
    });
    for number in 0..sessions {
        let (signing, slot) = (Arc::clone(&signing), watch.slot());
        spawn(&format!("session-{number}"), move || sign::run(&signing, &slot))?;
    }
    let (admin, jobs) = AdminQueue::new();
    let office = Arc::new(Office {
        signing: Arc::clone(&signing),
        keys: Arc::clone(&keys),
        admin,
        welcome,
        current: Mutex::new(None),
    });
    let slot = watch.slot();
    spawn("admin", move || admin::run(&signing, &keys, &profile, &jobs, &slot))?;
    Ok(office)
}

fn welcome(
    sessions: u32,
    profile: &Profile,
    token: &Token,
    wrapping_problem: Option<String>,
) -> Result<Welcome, SetupError> {
    let mut incarnation = [0; 8];
    rustix::rand::getrandom(&mut incarnation, GetRandomFlags::empty()).map_err(std::io::Error::from)?;
    Ok(Welcome {
        version: VERSION,
        incarnation: u64::from_le_bytes(incarnation),
        token: token.identity.clone(),
        profile: ProfileSummary {
            name: profile.family.clone(),
            validated: profile.validated.to_string(),
            hardware: profile.validated.is_hardware(),
            ed25519: profile.mechanisms.ed25519 != Ed25519Mechanism::None,
            anchor_object: profile.anchor.object.to_string(),
            anchor_survives_disk_image: profile.anchor.survives_disk_image,
            anchor_window_records: profile.anchor.window_records,
            anchor_window_ms: profile.anchor.window_ms,
            clock_on_token: profile.clock.on_token,
            wrapping_problem,
        },
        sessions,
        keys: Vec::new(),
    })
}

fn accept_for_ever(listener: &UnixListener, office: &Arc<Office>) -> ! {
    // A worker that answered a latch left the socket, which all workers share, without blocking.
    if let Err(error) = listener.set_nonblocking(false) {
        end(Ending::Setup, &format!("cannot listen: {error}"));
    }
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let office = Arc::clone(office);
                if let Err(error) = spawn("psdd", move || connection::serve(&office, stream)) {
                    tracing::error!(%error, "no thread for a connection");
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// A login is let finish, because one that is cut short leaves its mark; so are calls of sessions.
fn end_on_sigterm(opened: Arc<OnceLock<Arc<Office>>>, watch: Arc<Watch>) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM])?;
    spawn("signals", move || {
        if signals.forever().next().is_none() {
            return;
        }
        let until = Instant::now() + LAST_CALLS;
        while watch.heartbeat().state == WorkerState::Login && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let finished = opened.get().is_none_or(|office| office.signing.pool.stop(LAST_CALLS));
        end(Ending::Told, if finished { "told to" } else { "told to, with a call under way" });
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
