//! Device audits: PSDs answer an inspector's challenge with reports that their device keys sign.
//!
//! A report is made of committed state alone, so it never says what a crash could take back. An audit changes nothing: it is no inspection
//! until the authority accepts it. One audit is under way at a time, with a few signatures in the tokens, so that pieces are not
//! held up by it.

use crate::ceremony::{Ceremonies, CeremonyFailure, standing};
use crate::core::{View, inspection_view};
use crate::custodian::validity;
use crate::scrub::Scrubs;
use crate::spine::{Handle, Metrics, Newest};
use psd::device::{CertifiedKey, Identity};
use psd::key::{Residence, Role};
use psd::record::{Event, Record};
use psd::rotation::signed;
use psd::{PsdId, State};
use psdd_hsm::link::Link;
use psdd_hsm::protocol::Welcome;
use psdd_wire::audit::{
    Asserted, AuditClaims, AuditFailure, AuditKey, AuditRequest, AuditResponse, DownloadLine, HsmLine, Logged,
    MOST_REPORTS, PendingLine,
};
use psdd_wire::message::ClockView;
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// So many reports are with their token at a time: enough for its sessions, few beside what others have it sign.
const AT_ONCE: usize = 4;
/// While pieces are signed, each of them rests so long after a report: a thousand take little more than a second, and a few percent of a core.
const REST: Duration = Duration::from_millis(6);
/// A page ends where its reports have so many keys: of each every generation is told, and a response is to stay within some MiB.
const MOST_KEYS: usize = 16_384;
/// Bytes of a challenge.
const CHALLENGE: std::ops::RangeInclusive<usize> = 16..=64;

/// What audits are given.
pub struct AuditParts {
    /// Into the core.
    pub core: Handle,
    /// Signs for PSDs.
    pub ceremonies: Ceremonies,
    /// Links of all tokens.
    pub links: Arc<OnceLock<Vec<Link>>>,
    /// Their names, in the same order.
    pub tokens: Vec<String>,
    /// The appliance's name.
    pub appliance: String,
    /// `development` or `production`.
    pub environment: &'static str,
    /// The newest signed checkpoint.
    pub newest: Arc<Newest>,
    /// Scrubs of the ledger.
    pub scrubs: Arc<Scrubs>,
    /// Whether pieces are being signed.
    pub metrics: Arc<Metrics>,
}

/// Audits of a running daemon.
pub struct Audits {
    parts: AuditParts,
    /// SHA-256 of the program that runs, where it can be read.
    binary: Option<[u8; 32]>,
    /// When each PSD last gave a report.
    last: Mutex<BTreeMap<PsdId, u64>>,
    /// Held while an audit is under way.
    turn: Mutex<()>,
}

/// Why nothing is audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditRefusal {
    /// The request is not one.
    #[error("{0}")]
    Malformed(String),
    /// Committed state cannot be had.
    #[error(transparent)]
    Unavailable(#[from] CeremonyFailure),
}

/// A PSD that is to answer.
type Subject = (Arc<Identity>, State);

impl Audits {
    /// Reads the program that runs, and waits for questions.
    pub fn new(parts: AuditParts) -> Self {
        let binary = psdd_wire::sha256_of_file(Path::new("/proc/self/exe"));
        let binary = binary.inspect_err(|error| tracing::warn!(%error, "the program that runs cannot be read"));
        Self { parts, binary: binary.ok(), last: Mutex::default(), turn: Mutex::new(()) }
    }

    /// Has PSDs answer a challenge. It blocks on the core and on tokens.
    ///
    /// # Errors
    ///
    /// As [`AuditRefusal`]; what a single PSD cannot do is told in the response.
    pub fn audit(&self, request: &AuditRequest) -> Result<AuditResponse, AuditRefusal> {
        let asked = check(request)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.parts.ceremonies.view()?;
        // Not older than the state that is told, as far as it is signed.
        let checkpoint = self.parts.newest.note();
        let (subjects, unknown, next) = chosen(&view, asked);
        let part = subjects.len().div_ceil(AT_ONCE).max(1);
        let (challenge, note) = (&*request.challenge, checkpoint.as_deref());
        let report = |subject: &Subject| {
            if self.parts.metrics.in_flight.load(Ordering::Relaxed) > 0 {
                std::thread::sleep(REST);
            }
            self.report(subject, &view, challenge, note)
        };
        let answers: Vec<Result<ByteBuf, AuditFailure>> = std::thread::scope(|scope| {
            let parts =
                subjects.chunks(part).map(|part| scope.spawn(move || part.iter().map(report).collect::<Vec<_>>()));
            let parts: Vec<_> = parts.collect();
            parts
                .into_iter()
                .flat_map(|part| match part.join() {
                    Ok(answers) => answers,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        let (mut reports, mut failures) = (Vec::with_capacity(answers.len()), unknown);
        for answer in answers {
            match answer {
                Ok(report) => reports.push(report),
                Err(failure) => failures.push(failure),
            }
        }
        Ok(AuditResponse { next, reports, failures, checkpoint })
    }

    fn report(
        &self,
        subject: &Subject,
        view: &View,
        challenge: &[u8],
        checkpoint: Option<&str>,
    ) -> Result<ByteBuf, AuditFailure> {
        let (identity, state) = subject;
        let psd = identity.psd;
        let failed = |code: &str, detail: String| AuditFailure { psd: psd.to_string(), code: code.to_owned(), detail };
        let without =
            || failed("no-device-key", "the PSD has no device key in use: nothing can sign for it".to_owned());
        let device = state.key_in_use(Role::Device).ok_or_else(without)?;
        let claims = AuditClaims {
            psd,
            logged: self.logged(identity, state),
            asserted: self.asserted(subject, &device.key.token, view),
            appliance: self.parts.appliance.clone(),
            challenge: challenge.to_vec(),
            checkpoint: checkpoint.map(str::to_owned),
        };
        let certificate = device.chain.first().map(|der| &**der);
        let message = claims.unsigned(&device.key.spki, certificate).ok_or_else(without)?;
        let signed = self.parts.ceremonies.sign_as_device(&device.key, message);
        let report = signed.map_err(|failure| failed(failure.code(), failure.to_string()))?;
        if let Ok(clock) = &view.clock {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(psd, clock.time.0);
        }
        // The authority can accept what the core knows of.
        let known = self.parts.core.reported(psd, psdd_wire::sha256(&report));
        known.map_err(|unavailable| failed("stopping", unavailable.to_string()))?;
        Ok(report.into())
    }

    /// What follows from the log.
    fn logged(&self, identity: &Identity, state: &State) -> Logged {
        Logged {
            keys: state.keys.iter().map(|certified| key_line(state, certified)).collect(),
            locks: state.locks.reasons().map(|reason| reason.as_str().to_owned()).collect(),
            state: state.lifecycle.as_str().to_owned(),
            format: identity.format.name().to_owned(),
            tenant: identity.tenant.clone(),
            licence: identity.licence.clone(),
            pending: state.pending.as_ref().map(|pending| PendingLine {
                amount: pending.amount,
                purpose: pending.purpose.as_str().to_owned(),
                sequence: pending.sequence,
            }),
            currency: identity.currency,
            sequence: state.sequence,
            downloads: state.value_sequence,
            registers: state.registers.into(),
            environment: self.parts.environment.to_owned(),
            last_download: self.last_download(identity.psd, state),
        }
    }

    /// The last download that was applied; not one that came after the state that is told.
    fn last_download(&self, psd: PsdId, state: &State) -> Option<DownloadLine> {
        let found = self.parts.core.live(psd.to_string(), "value-applied".to_owned()).ok()?;
        let durable = found.blocking_recv().ok()??;
        let Record { at, event: Event::ValueApplied { stamp, value_sequence, amount, .. } } = durable.record() else {
            return None;
        };
        let line = DownloadLine { leaf: durable.leaf(), time: at.time.0, amount: *amount, sequence: *value_sequence };
        (stamp.sequence <= state.sequence).then_some(line)
    }

    /// What only the device says.
    fn asserted(&self, (identity, state): &Subject, token: &str, view: &View) -> Asserted {
        let (psd, clock) = (identity.psd, view.clock.as_ref());
        Asserted {
            hsm: self.hsm(token),
            clock: clock.ok().copied().map(ClockView::from),
            scrub: self.parts.scrubs.last(),
            binary: self.binary.map(|digest| ByteBuf::from(digest.to_vec())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inspection: inspection_view(identity, state, &view.periods),
            last_audit: self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&psd).copied(),
            clock_stopped: clock.err().map(ToString::to_string),
        }
    }

    /// A token as it described itself when its worker logged in; empty where it does not answer, and then nothing is signed either.
    fn hsm(&self, name: &str) -> HsmLine {
        let index = self.parts.tokens.iter().position(|token| token == name);
        let link = index.and_then(|index| self.parts.links.get()?.get(index));
        let line = |welcome: &Welcome| HsmLine {
            label: welcome.token.label.clone(),
            model: welcome.token.model.clone(),
            family: welcome.profile.name.clone(),
            serial: welcome.token.serial.clone(),
            firmware: welcome.token.firmware.clone(),
            validated: welcome.profile.validated.clone(),
            manufacturer: welcome.token.manufacturer.clone(),
        };
        link.and_then(Link::welcome).as_deref().map_or_else(HsmLine::default, line)
    }
}

/// Which PSDs are asked for.
struct Asked {
    /// These; all where none are named.
    psds: Option<Vec<String>>,
    /// Of them, those behind this one.
    after: Option<PsdId>,
}

fn check(request: &AuditRequest) -> Result<Asked, AuditRefusal> {
    let malformed = |what: String| AuditRefusal::Malformed(what);
    if !CHALLENGE.contains(&request.challenge.len()) {
        return Err(malformed(format!("challenge: {} bytes, and not 16 to 64", request.challenge.len())));
    }
    if let Some(psds) = request.psds.as_ref().filter(|psds| psds.len() > MOST_REPORTS) {
        return Err(malformed(format!("psds: {}, and not at most {MOST_REPORTS}", psds.len())));
    }
    let after = request.after.as_deref().map(str::parse).transpose();
    let after = after.ok().ok_or_else(|| malformed("after: give what the page before said as `next`".to_owned()))?;
    Ok(Asked { psds: request.psds.clone(), after })
}

/// The PSDs asked for in the order of their IDs, those that do not exist, and where the next page begins.
fn chosen(view: &View, Asked { psds, after }: Asked) -> (Vec<Subject>, Vec<AuditFailure>, Option<String>) {
    let mut by_id: BTreeMap<PsdId, &Subject> = view.psds.iter().map(|subject| (subject.0.psd, subject)).collect();
    let mut unknown = Vec::new();
    if let Some(psds) = psds {
        let mut known = BTreeSet::new();
        for text in psds {
            match text.parse().ok().filter(|psd| by_id.contains_key(psd)) {
                Some(psd) => drop(known.insert(psd)),
                None => unknown.push(AuditFailure {
                    detail: "there is no PSD of this device ID here".to_owned(),
                    code: "psd-unknown".to_owned(),
                    psd: text.chars().take(64).collect(),
                }),
            }
        }
        by_id.retain(|psd, _| known.contains(psd));
    }
    if after.is_some() {
        // They were told on the first page.
        unknown.clear();
    }
    let (mut page, mut keys, mut next) = (Vec::new(), 0, None);
    for (_, subject) in by_id.into_iter().filter(|(psd, _)| after.is_none_or(|after| *psd > after)) {
        keys += subject.1.keys.len();
        if page.len() == MOST_REPORTS || (keys > MOST_KEYS && !page.is_empty()) {
            next = page.last().map(|(identity, _): &Subject| identity.psd.to_string());
            break;
        }
        page.push(subject.clone());
    }
    (page, unknown, next)
}

fn key_line(state: &State, certified: &CertifiedKey) -> AuditKey {
    let key = &certified.key;
    let (standing, since) = standing(state, certified);
    let (pieces, value) = signed(state, certified);
    let residence = if certified.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    AuditKey {
        role: key.role.to_string(),
        since,
        state: standing,
        value,
        key_id: key.key_id.to_vec(),
        pieces,
        serial: key.certificate_serial,
        created: certified.life.created.0,
        activated: certified.life.activated.map(|activated| activated.at.0),
        algorithm: key.algorithm.to_string(),
        not_after: validity(certified).map(|validity| validity.until.0),
        residence: residence.as_str().to_owned(),
        generation: key.generation(),
        certificate: certified.chain.first().map(|der| ByteBuf::from(psdd_wire::sha256(der).to_vec())),
    }
}
