//! Birth and provisioning from the local console, while the daemon is stopped: genesis, PSDs, certificates.
//!
//! Every step is a record; the same records are what quorum ceremonies write when they take these steps over. Keys are made in the
//! token by `psdd-hsm`, and only their public halves and certification requests come out.

mod certificates;
mod genesis;
mod make_key;
mod psds;
mod request;

pub use certificates::{InstallError, install_certificates};
pub(crate) use genesis::permits_software_token;
pub use genesis::{GenesisError, GenesisOptions, bear};
pub(crate) use make_key::{WantedKey, make_key};
pub use psdd_wire::ceremony::plan::{Plan, PlannedLimits, PlannedPsds};
pub use psds::{CreateError, create_psds};
pub(crate) use psds::{key_id, key_label, psd_created};
pub use request::{RequestError, certification_request};

use crate::clock::Sampler;
use crate::config::Config;
use crate::run::verify_note;
use psd::clock::{ClockGuard, ClockReading, ClockStop};
use psdd_hsm::link::{CallError, Link, StartError};
use psdd_ledger::{Ledger, OpenError, Recovered};
use std::time::{Duration, Instant};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// How long a provisioning step waits for a token.
const TOKEN_PATIENCE: Duration = Duration::from_secs(60);

/// A token, its ledger or its clock is not there.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The ledger.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// The configuration names no such token.
    #[error("the configuration names no token {0:?}")]
    NoSuchToken(String),
    /// No thread for the link.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The token does not do it.
    #[error("token {token}: {source}")]
    Token {
        /// Its name.
        token: String,
        /// Why.
        source: CallError,
    },
    /// A key that no record knows stands where one is to be made.
    #[error(
        "token {token}: there is a key under the CKA_ID of {key:?} already, and it cannot be taken over ({problem}); \
         remove it with the token's own tools"
    )]
    UnfitKey {
        /// The token's name.
        token: String,
        /// The label that the key was to have.
        key: String,
        /// Why it cannot be taken over.
        problem: String,
    },
    /// There is no time.
    #[error("clock: {0}")]
    Clock(#[from] ClockStop),
}

/// The public key of a certificate, SPKI DER.
pub(crate) fn spki_of(certificate: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(certificate).ok()?.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// A link for one provisioning step.
fn connect(config: &Config, token: &str) -> Result<Link, ConsoleError> {
    let found = config.tokens.iter().find(|candidate| candidate.name == token);
    let found = found.ok_or_else(|| ConsoleError::NoSuchToken(token.to_owned()))?;
    let link = Link::start(found.link(), |_| {})?;
    let up = link.blocking().wait_up(TOKEN_PATIENCE);
    up.map_err(|source| ConsoleError::Token { token: token.to_owned(), source })?;
    Ok(link)
}

/// The ledger of a stopped daemon.
fn open_ledger(config: &Config) -> Result<Recovered, ConsoleError> {
    Ok(Ledger::open(&config.state_dir)?.recover(config.ledger.rules(), &verify_note)?)
}

/// A time for records, never before the latest in the ledger.
struct ConsoleClock {
    guard: ClockGuard,
    sampler: Sampler,
    started: Instant,
}

impl ConsoleClock {
    fn new(config: &Config, latest: Option<ClockReading>) -> Self {
        let started = Instant::now();
        let (epoch, high_water) = latest.map_or((1, psd::UnixMillis(0)), |reading| (reading.epoch, reading.time));
        let guard = ClockGuard::resume(config.clock.rules(), epoch, high_water);
        Self { guard, sampler: Sampler::new(&config.clock, started), started }
    }

    fn read(&mut self) -> Result<ClockReading, ClockStop> {
        self.guard.observe(self.sampler.sample());
        self.guard.read(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
