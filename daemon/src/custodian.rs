//! The custodian of keys: rotates them as the configuration says, has the next ones certified, retires and destroys the old ones.
//!
//! Owns a thread that looks at committed state, does what [`psd::rotation::tasks`] says, one thing after the other, and looks again as long as there
//! was something to do. Each thing is a change that the core judges and the ledger records, so a kill at any point leaves nothing half done: the next
//! look finds what is left. While a ceremony has not ended only certificates are fetched, and the ceremony that waited for one goes on. What fails is tried
//! again after a pause that doubles; keys in use go on signing meanwhile.

use crate::backoff::pause_after;
use crate::ceremony::{Ceremonies, CeremonyFailure, CertificateRefusal, Enrolment, Installed};
use crate::config::{Rotation, rule_for};
use crate::spine::Metrics;
use psd::custody::KeyStep;
use psd::device::{CertifiedKey, Identity};
use psd::key::Role;
use psd::lifecycle::Lifecycle;
use psd::rotation::{Task, Validity, tasks};
use psd::{PsdId, State, UnixMillis};
use psdd_client::{CertificationAuthority, ClientError};
use psdd_wire::certificate::{AuthorityRoot, ChainError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The roles that have certificates.
const ROLES: [Role; 3] = [Role::Indicium, Role::Certification, Role::Device];
/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
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
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
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

/// A certificate on its way from the CA into the records.
struct Fetched {
    psd: PsdId,
    job: Job,
    chain: Vec<Vec<u8>>,
}

struct Custodian {
    parts: CustodianParts,
    root: AuthorityRoot,
    /// Failures in a row, and until when to wait.
    troubles: HashMap<(PsdId, Job), (u32, Instant)>,
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

/// Starts the thread; it ends when `stop` is set.
pub fn start(parts: CustodianParts) -> Result<(), StartError> {
    let root = AuthorityRoot::from_der(&parts.authority_root)?;
    let mut custodian = Custodian { parts, root, troubles: HashMap::new() };
    std::thread::Builder::new().name("custodian".to_owned()).spawn(move || custodian.run())?;
    Ok(())
}

/// Between when a key's certificate holds.
pub fn validity(certified: &CertifiedKey) -> Option<Validity> {
    let leaf = Certificate::from_der(certified.chain.first()?).ok()?;
    let validity = leaf.tbs_certificate().validity();
    let ms = |time: x509_cert::time::Time| u64::try_from(time.to_unix_duration().as_millis()).ok().map(UnixMillis);
    Some(Validity { from: ms(validity.not_before)?, until: ms(validity.not_after)? })
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
        self.parts.stop.load(Ordering::Acquire)
    }

    /// Does what is to be done now. Gives how much of it was done.
    fn look(&mut self) -> Result<usize, CeremonyFailure> {
        let view = self.parts.ceremonies.view()?;
        let now = view.clock?.time;
        let ordered = view.governance.open().is_some();
        let mut done = 0;
        let mut fetched = Vec::new();
        for (identity, state) in view.psds.iter().filter(|(_, state)| state.lifecycle == Lifecycle::Active) {
            if self.stops() || fetched.len() >= MOST_CERTIFICATES {
                break;
            }
            self.fetch_all(identity.psd, state, &mut fetched);
            if !ordered {
                done += self.rotate(identity, state, now);
            }
        }
        let installed = self.install(fetched)?;
        if ordered && installed > 0 {
            self.parts.ceremonies.go_on()?;
        }
        Ok(done + installed)
    }

    /// Fetches the certificates that keys of a PSD wait for.
    fn fetch_all(&mut self, psd: PsdId, state: &State, fetched: &mut Vec<Fetched>) {
        let (Some(_), Some(device)) = (&self.parts.ca, state.key_in_use(Role::Device)) else { return };
        for key in state.keys.iter().filter(|key| !key.is_certified() && key.life.is_sound()) {
            let job = Job::Certify(Arc::clone(&key.key.key_id));
            let chain = self.attempt(psd, job.clone(), |custodian| custodian.fetch(psd, device, key));
            fetched.extend(chain.flatten().map(|chain| Fetched { psd, job, chain }));
        }
    }

    fn fetch(&self, psd: PsdId, device: &CertifiedKey, key: &CertifiedKey) -> Result<Option<Vec<Vec<u8>>>, Trouble> {
        let Some((ca, runtime)) = &self.parts.ca else { return Ok(None) };
        let Enrolment { csr, statement } = self.parts.ceremonies.enrolment(psd, &device.key, &key.key)?;
        Ok(Some(runtime.block_on(ca.enrol(&csr, &statement))?))
    }

    /// Installs what was fetched, all at once. Gives how many are in place.
    fn install(&mut self, fetched: Vec<Fetched>) -> Result<usize, CeremonyFailure> {
        if fetched.is_empty() {
            return Ok(0);
        }
        let (subjects, chains): (Vec<_>, Vec<_>) =
            fetched.into_iter().map(|Fetched { psd, job, chain }| ((psd, job), chain)).unzip();
        let mut installed = 0;
        for (subject, result) in subjects.into_iter().zip(self.parts.ceremonies.install(&self.root, chains)?) {
            match result {
                Ok(Installed { psd, role, serial }) => {
                    tracing::info!(%psd, %role, serial, "the next key is certified");
                    installed += 1;
                }
                Err(refusal) => self.failed(subject, &refusal.into()),
            }
        }
        Ok(installed)
    }

    fn rotate(&mut self, identity: &Identity, state: &State, now: UnixMillis) -> usize {
        let mut wanted = Vec::new();
        for role in ROLES {
            if let Some(rule) = rule_for(&self.parts.rotations, &identity.licence, role) {
                wanted.extend(tasks(rule, state, role, validity, now));
            }
        }
        let mut attempt = |task: Task| {
            let job = Job::Task(task.clone());
            self.attempt(identity.psd, job, |custodian| custodian.perform(identity.psd, state, &task))
        };
        wanted.into_iter().flat_map(&mut attempt).count()
    }

    fn perform(&self, psd: PsdId, state: &State, task: &Task) -> Result<(), Trouble> {
        let ceremonies = &self.parts.ceremonies;
        match task {
            Task::Make(role) => {
                let generation = ceremonies.make_next_key(psd, *role)?;
                tracing::info!(%psd, %role, generation, "the next key is made");
            }
            Task::Activate(key_id) => {
                ceremonies.step_key(psd, key_id, KeyStep::Activated)?;
                Metrics::add(&self.parts.metrics.rotations, 1);
                tracing::info!(%psd, generation = key_id.last(), "the next key has taken over");
            }
            Task::Retire(key_id) => {
                ceremonies.step_key(psd, key_id, KeyStep::Retired)?;
                tracing::info!(%psd, generation = key_id.last(), "a superseded key is retired");
            }
            Task::Destroy(key_id) => {
                if let Some(certified) = state.key(key_id) {
                    ceremonies.destroy_key(psd, certified)?;
                    tracing::info!(%psd, generation = key_id.last(), "a retired key is destroyed");
                }
            }
            Task::AtTheCap(_) => return Err(Trouble::AtTheCap),
        }
        Ok(())
    }

    /// Tries something unless it failed lately; none where it was not done.
    fn attempt<T>(&mut self, psd: PsdId, job: Job, act: impl FnOnce(&Self) -> Result<T, Trouble>) -> Option<T> {
        let subject = (psd, job);
        if self.troubles.get(&subject).is_some_and(|(_, until)| Instant::now() < *until) {
            return None;
        }
        match act(self) {
            Ok(done) => {
                self.troubles.remove(&subject);
                Some(done)
            }
            Err(trouble) => {
                self.failed(subject, &trouble);
                None
            }
        }
    }

    fn failed(&mut self, subject: (PsdId, Job), trouble: &Trouble) {
        let failures = self.troubles.get(&subject).map_or(0, |(failures, _)| *failures).saturating_add(1);
        let pause = pause_after(failures, FIRST_PAUSE, LONGEST_PAUSE);
        Metrics::add(&self.parts.metrics.custodian_failures, 1);
        let (psd, job) = (subject.0, &subject.1);
        tracing::warn!(%psd, ?job, %trouble, pause_ms = pause.as_millis(), "a key is not looked after");
        self.troubles.insert(subject, (failures, Instant::now() + pause));
    }
}
