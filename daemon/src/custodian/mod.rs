//! The custodian of keys: rotates them as the configuration says, has the next ones certified, retires and destroys the old ones.
//!
//! Owns a thread that looks at committed state, does what [`psd::rotation::tasks`] says, one thing after the other, and looks again as long as there
//! was something to do. A CA that does not answer keeps no key from taking over, retirement or destruction, and is asked by one once in a while.
//! Each thing is a change that the core judges and the ledger records, so a kill at any point leaves nothing half done: the next look finds what is left. While a ceremony has not ended only certificates are fetched, and the ceremony that waited for one goes on. What fails is tried
//! again after a pause that doubles; keys in use go on signing meanwhile.

mod troubles;

use crate::birth::spki_of;
use crate::breaker::Breaker;
use crate::ceremony::{Ceremonies, CeremonyFailure, CertificateRefusal, Enrolment, Installed};
use crate::config::{Rotation, rule_for};
use crate::spine::Metrics;
use psd::custody::KeyStep;
use psd::device::{CertifiedKey, Identity};
use psd::key::{Role, generation};
use psd::lifecycle::Lifecycle;
use psd::rotation::{Task, Validity, tasks};
use psd::{PsdId, State, UnixMillis};
use psdd_client::{CertificationAuthority, ClientError};
use psdd_wire::certificate::{AuthorityRoot, ChainError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use troubles::Troubles;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// That a ceremony holds everything back is told so often.
const TOLD_EVERY: Duration = Duration::from_secs(3_600);
/// A stop waits so long for the thread.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Certificates that are fetched before they are installed together.
const MOST_CERTIFICATES: usize = 256;
/// Between two looks at whether the daemon stops.
const SLICE: Duration = Duration::from_millis(100);

/// What the custodian is given.
pub struct CustodianParts {
    /// Makes, certifies and steps keys.
    pub ceremonies: Ceremonies,
    /// When to rotate.
    pub rotations: Vec<Rotation>,
    /// The authority's CA and the runtime it is asked in; without it certificates are carried.
    pub ca: Option<(CertificationAuthority, tokio::runtime::Handle)>,
    /// The authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// How often to look.
    pub every: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Why something is not done now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The token or the core.
    #[error("{0}")]
    Change(#[from] CeremonyFailure),
    /// The CA.
    #[error("the authority's CA: {}", crate::backoff::chain(.0))]
    Ca(#[from] ClientError),
    /// Its certificate.
    #[error("the authority's certificate: {0}")]
    Certificate(#[from] CertificateRefusal),
    /// It is of another key.
    #[error("the authority's CA answers with the certificate of another key")]
    OtherKey,
    /// The rule.
    #[error(
        "it is due, and as many generations as most_generations allows are in the token: retire and destroy old ones"
    )]
    AtTheCap,
}

/// One thing that is done, and may fail, apart from all others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Job {
    Certify(Arc<[u8]>),
    Task(Task),
}

type Subject = (PsdId, Job);

/// A certificate on its way from the CA into the records.
struct Fetched {
    subject: Subject,
    chain: Vec<Vec<u8>>,
}

struct Custodian {
    parts: CustodianParts,
    root: AuthorityRoot,
    breaker: Breaker,
    troubles: Troubles<Subject>,
    /// Tokens in which keys could not be made or destroyed.
    tokens: Troubles<Arc<str>>,
    /// The ceremony that has not ended, and when that was told.
    held_back: Option<(u64, Instant)>,
    stop: Arc<AtomicBool>,
}

/// Why there is no custodian.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The root certificate of leaf 0.
    #[error("the authority's root certificate: {0}")]
    Root(#[from] ChainError),
    /// No thread.
    #[error("starting the custodian of keys: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running custodian.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Starts the thread.
pub fn start(parts: CustodianParts) -> Result<Running, StartError> {
    let root = AuthorityRoot::from_der(&parts.authority_root)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (troubles, tokens, breaker) = (Troubles::default(), Troubles::default(), Breaker::default());
    let mut custodian = Custodian { parts, root, breaker, troubles, tokens, held_back: None, stop: Arc::clone(&stop) };
    let thread = std::thread::Builder::new().name("custodian".to_owned()).spawn(move || custodian.run())?;
    Ok(Running { stop, thread })
}

impl Running {
    /// Ends it. Must be awaited before the runtime ends, in which it may be asking the CA.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Release);
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < STOP_PATIENCE {
            tokio::time::sleep(SLICE / 10).await;
        }
    }
}

/// Between when a key's certificate holds, and those of its issuers.
pub fn validity(certified: &CertifiedKey) -> Option<Validity> {
    let ms = |time: x509_cert::time::Time| u64::try_from(time.to_unix_duration().as_millis()).ok().map(UnixMillis);
    let of_one = |der: &Arc<[u8]>| {
        let certificate = Certificate::from_der(der).ok()?;
        let validity = certificate.tbs_certificate().validity();
        Some(Validity { from: ms(validity.not_before)?, until: ms(validity.not_after)? })
    };
    let all: Vec<Validity> = certified.chain.iter().map(of_one).collect::<Option<_>>()?;
    all.into_iter().reduce(|one, other| Validity { from: one.from.max(other.from), until: one.until.min(other.until) })
}

impl Custodian {
    fn run(&mut self) {
        while !self.stops() {
            let begun = Instant::now();
            match self.look() {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "the custodian of keys sees nothing"),
            }
            while begun.elapsed() < self.parts.every && !self.stops() {
                std::thread::sleep(SLICE);
            }
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Does what is to be done now. Gives how much of it was done.
    fn look(&mut self) -> Result<usize, CeremonyFailure> {
        let begun = Instant::now();
        let view = self.parts.ceremonies.view()?;
        let now = view.clock?.time;
        self.troubles.forget_old(begun);
        self.tokens.forget_old(begun);
        self.tell_of_ceremony(view.governance.open().map(|open| open.number));
        let active = || view.psds.iter().filter(|(_, state)| state.lifecycle == Lifecycle::Active);
        let mut done = 0;
        // What is locked does not sign, so that nothing of it is due.
        for (identity, state) in active().filter(|(_, state)| state.locks.is_empty()) {
            if self.stops() || self.held_back.is_some() {
                break;
            }
            done += self.rotate(identity, state, now);
        }
        let mut fetched = Vec::new();
        for (identity, state) in active() {
            // What was fetched is installed before long, and rotation goes on, however slow the CA is.
            let enough = fetched.len() >= MOST_CERTIFICATES || begun.elapsed() > self.parts.every;
            if self.stops() || enough || !self.breaker.is_closed() {
                break;
            }
            self.fetch_all(identity.psd, state, &mut fetched);
        }
        let installed = self.install(fetched)?;
        self.parts.ceremonies.go_on_certified(&view)?;
        Ok(done + installed)
    }

    /// Nothing but certificates is looked after while a ceremony has not ended: that is told, again and again.
    fn tell_of_ceremony(&mut self, open: Option<u64>) {
        let before = self.held_back.take();
        let Some(number) = open else { return };
        let told = before.filter(|(held, told)| *held == number && told.elapsed() < TOLD_EVERY).map(|(_, told)| told);
        if told.is_none() {
            tracing::warn!(
                number,
                "a ceremony has not ended: no key is rotated, retired or destroyed by rule until then"
            );
        }
        self.held_back = Some((number, told.unwrap_or_else(Instant::now)));
    }

    /// Fetches the certificates that keys of a PSD wait for.
    fn fetch_all(&mut self, psd: PsdId, state: &State, fetched: &mut Vec<Fetched>) {
        let (Some(_), Some(device)) = (&self.parts.ca, state.key_in_use(Role::Device)) else { return };
        for key in state.keys.iter().filter(|key| !key.is_certified() && key.life.is_sound()) {
            let subject = (psd, Job::Certify(Arc::clone(&key.key.key_id)));
            if self.troubles.rests(&subject, Instant::now()) {
                continue;
            }
            match self.fetch(psd, device, key) {
                Ok(Some(chain)) => fetched.push(Fetched { subject, chain }),
                Ok(None) => return,
                Err(trouble) => self.failed(subject, &trouble),
            }
        }
    }

    /// The certificate of a key, from the CA; none where it is not asked now.
    fn fetch(&self, psd: PsdId, device: &CertifiedKey, key: &CertifiedKey) -> Result<Option<Vec<Vec<u8>>>, Trouble> {
        let Some((ca, runtime)) = &self.parts.ca else { return Ok(None) };
        let Enrolment { csr, statement } = self.parts.ceremonies.enrolment(psd, &device.key, &key.key)?;
        if self.breaker.admit().is_err() {
            return Ok(None);
        }
        let asked = async {
            tokio::select! {
                told = ca.enrol(&csr, &statement) => Some(told),
                () = self.stopped() => None,
            }
        };
        let Some(told) = runtime.block_on(asked) else { return Ok(None) };
        self.breaker.note(told.as_ref().err());
        let chain = told?;
        // Else it would be installed for that key, and this one be asked for for ever.
        let of_key = chain.first().and_then(|leaf| spki_of(leaf)).is_some_and(|spki| *spki == *key.key.spki);
        if of_key { Ok(Some(chain)) } else { Err(Trouble::OtherKey) }
    }

    async fn stopped(&self) {
        while !self.stops() {
            tokio::time::sleep(SLICE).await;
        }
    }

    /// Installs what was fetched, all at once. Gives how many are in place.
    fn install(&mut self, fetched: Vec<Fetched>) -> Result<usize, CeremonyFailure> {
        if fetched.is_empty() {
            return Ok(0);
        }
        let (subjects, chains): (Vec<_>, Vec<_>) =
            fetched.into_iter().map(|Fetched { subject, chain }| (subject, chain)).unzip();
        let mut installed = 0;
        for (subject, result) in subjects.into_iter().zip(self.parts.ceremonies.install(&self.root, chains)?) {
            match result {
                Ok(Installed { psd, role, serial }) => {
                    tracing::info!(%psd, %role, serial, "the next key is certified");
                    self.troubles.settled(&subject);
                    installed += 1;
                }
                Err(refusal) => self.failed(subject, &refusal.into()),
            }
        }
        Ok(installed)
    }

    fn rotate(&mut self, identity: &Identity, state: &State, now: UnixMillis) -> usize {
        let mut done = 0;
        for role in Role::CERTIFIED {
            let rule = rule_for(&self.parts.rotations, &identity.licence, role);
            let wanted = rule.map_or_else(Vec::new, |rule| tasks(rule, state, role, validity, now));
            done += wanted.into_iter().filter(|task| self.try_task(identity.psd, state, role, task)).count();
        }
        done
    }

    /// Whether the task was done.
    fn try_task(&mut self, psd: PsdId, state: &State, role: Role, task: &Task) -> bool {
        let now = Instant::now();
        let subject = (psd, Job::Task(task.clone()));
        // A token that fails at keys is left alone by all PSDs: each try may cost its worker, and with it all signing.
        let token = match task {
            Task::Make(_) | Task::Destroy(_) => state.newest_key(role).map(|key| Arc::clone(&key.token)),
            Task::Activate(_) | Task::Retire(_) | Task::AtTheCap(_) => None,
        };
        let token_rests = token.as_ref().is_some_and(|token| self.tokens.rests(token, now));
        if self.troubles.rests(&subject, now) || token_rests || self.held_back.is_some() {
            return false;
        }
        match self.perform(psd, state, task) {
            Ok(()) => {
                self.troubles.settled(&subject);
                token.iter().for_each(|token| self.tokens.settled(token));
                return true;
            }
            // It began since this look did.
            Err(Trouble::Change(CeremonyFailure::UnderWay(number))) => self.tell_of_ceremony(Some(number)),
            Err(trouble) => {
                if let (Trouble::Change(CeremonyFailure::Token(_) | CeremonyFailure::Key(_)), Some(token)) =
                    (&trouble, token)
                {
                    self.tokens.failed(token, now);
                }
                self.failed(subject, &trouble);
            }
        }
        false
    }

    fn perform(&self, psd: PsdId, state: &State, task: &Task) -> Result<(), Trouble> {
        let ceremonies = &self.parts.ceremonies;
        match task {
            Task::Make(role) => {
                let made = ceremonies.make_next_key(psd, *role)?;
                tracing::info!(%psd, %role, generation = made, "the next key is made");
            }
            Task::Activate(key_id) => {
                ceremonies.step_key(psd, key_id, KeyStep::Activated)?;
                Metrics::add(&self.parts.metrics.rotations, 1);
                tracing::info!(%psd, generation = generation(key_id), "the next key has taken over");
            }
            Task::Retire(key_id) => {
                ceremonies.step_key(psd, key_id, KeyStep::Retired)?;
                tracing::info!(%psd, generation = generation(key_id), "a key is retired");
            }
            Task::Destroy(key_id) => {
                if let Some(certified) = state.key(key_id) {
                    ceremonies.destroy_key(psd, certified)?;
                    tracing::info!(%psd, generation = generation(key_id), "a retired key is destroyed");
                }
            }
            Task::AtTheCap(_) => return Err(Trouble::AtTheCap),
        }
        Ok(())
    }

    fn failed(&mut self, subject: Subject, trouble: &Trouble) {
        let (psd, job) = (subject.0, subject.1.clone());
        let pause = self.troubles.failed(subject, Instant::now());
        Metrics::add(&self.parts.metrics.custodian_failures, 1);
        tracing::warn!(%psd, ?job, %trouble, pause_ms = pause.as_millis(), "a key is not looked after");
    }
}
