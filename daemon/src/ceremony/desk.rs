//! The one desk where ceremonies are carried out: one at a time, on a thread of its own.

use super::perform::perform;
use super::status::Signed;
use super::steps::{expected, steps};
use super::{CeremonyFailure, transcript};
use crate::config::TokenConfig;
use crate::core::{Change, ChangeCommand, StepDone, TokenIndex, ValueReply, View};
use crate::spine::Handle;
use psd::governance::{CeremonyEnd, OpenCeremony, Subject};
use psd::record::Event;
use psd::{ApplianceId, PsdId, State, UnixMillis};
use psdd_hsm::link::Link;
use psdd_ledger::Durable;
use psdd_wire::ceremony::{Act, Approval, Ceremony, Operator, P256PublicKey, Situation, fits, quorum};
use psdd_wire::spki::KeyKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Most bytes of file and approvals together: they stand in one record.
const MOST_BYTES: usize = 60_000;

/// What the desk is given.
pub struct CeremonyParts {
    /// Into the core.
    pub core: Handle,
    /// Links of all tokens.
    pub links: Arc<OnceLock<Vec<Link>>>,
    /// Their configurations, in the same order.
    pub tokens: Vec<TokenConfig>,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// SHA-256 of the bytes of record 0.
    pub genesis: [u8; 32],
    /// CKA_ID of the log key.
    pub log_key_id: Arc<[u8]>,
    /// What kind of key it is.
    pub log_kind: KeyKind,
    /// Where it lives.
    pub log_token: TokenIndex,
    /// Where the ledger lies.
    pub state_dir: PathBuf,
}

pub(super) struct Desk {
    pub(super) core: Handle,
    links: Arc<OnceLock<Vec<Link>>>,
    pub(super) tokens: Vec<TokenConfig>,
    pub(super) appliance: ApplianceId,
    genesis: [u8; 32],
    pub(super) log_key_id: Arc<[u8]>,
    pub(super) log_kind: KeyKind,
    pub(super) log_token: TokenIndex,
    pub(super) state_dir: PathBuf,
    /// The ceremony that is carried out, or was last.
    progress: Mutex<Option<Progress>>,
    /// The newest status list.
    kept: Mutex<Option<Signed>>,
}

/// How far a ceremony is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
    /// Steps recorded.
    pub steps_done: u64,
    /// Of how many.
    pub steps_total: u64,
    /// Whether it is being carried out.
    pub running: bool,
    /// Why it stopped.
    pub stopped: Option<(&'static str, String)>,
    /// What was done, in words.
    pub lines: Vec<String>,
    /// Keys that were made, in words, and their public halves.
    pub keys: Vec<(String, Arc<[u8]>)>,
    /// When it began, milliseconds since 1970.
    pub begun: u64,
    /// Who approved.
    pub approvers: Vec<String>,
}

/// Ceremonies of a running daemon; cheap to clone.
#[derive(Clone)]
pub struct Ceremonies(pub(super) Arc<Desk>);

impl Ceremonies {
    /// A desk without work.
    pub fn new(parts: CeremonyParts) -> Self {
        let CeremonyParts { core, links, tokens, appliance, genesis, log_key_id, log_kind, log_token, state_dir } =
            parts;
        let progress = Mutex::new(None);
        Self(Arc::new(Desk {
            core,
            links,
            tokens,
            appliance,
            genesis,
            log_key_id,
            log_kind,
            log_token,
            state_dir,
            progress,
            kept: Mutex::new(None),
        }))
    }

    /// SHA-256 of record 0.
    pub fn genesis(&self) -> [u8; 32] {
        self.0.genesis
    }

    /// What stands against a file now; nothing is changed.
    pub fn problems(&self, file: &[u8]) -> Result<(Ceremony, Vec<CeremonyFailure>), CeremonyFailure> {
        let ceremony = Ceremony::read(file)?;
        let view = self.0.view()?;
        let operators = operators(&view);
        let mut problems = Vec::new();
        if let Err(refusal) = fits(&ceremony, &self.0.situation(&view, &operators)?) {
            problems.push(CeremonyFailure::Quorum(refusal));
        }
        problems.extend(under_way(&view, ceremony.act()).err());
        problems.extend(steps(&ceremony).err());
        problems.extend(expected(&ceremony, &view.psds).err());
        Ok((ceremony, problems))
    }

    /// Judges file and approvals, records the beginning, and carries it out in the background. The file of the ceremony under way, sent again,
    /// goes on with it.
    pub fn run(&self, file: &[u8], approvals: &[Vec<u8>]) -> Result<Progress, CeremonyFailure> {
        let ceremony = Ceremony::read(file)?;
        let view = self.0.view()?;
        if let Some(open) = view.governance.open().filter(|open| *open.file == *file) {
            return self.resume(open);
        }
        let again = self.progress(ceremony.head().number).filter(|before| before.digest == ceremony.digest());
        if let Some(before) = again {
            return Ok(before);
        }
        // One that ended before a restart is told to have ended, not refused as a replay.
        let number = ceremony.head().number;
        if number <= view.governance.newest() && self.0.was(number, &ceremony.digest())? {
            let steps_total = u64::try_from(steps(&ceremony)?.len()).unwrap_or(u64::MAX);
            let (begun, approvers) = self.0.begun(number)?;
            let (running, stopped, lines, keys) = (false, None, Vec::new(), Vec::new());
            let (digest, steps_done) = (ceremony.digest(), steps_total);
            return Ok(Progress {
                number,
                digest,
                steps_done,
                steps_total,
                running,
                stopped,
                lines,
                keys,
                begun,
                approvers,
            });
        }
        let operators = operators(&view);
        let quorum = quorum(&ceremony, approvals, &self.0.situation(&view, &operators)?)?;
        under_way(&view, ceremony.act())?;
        let total = steps(&ceremony)?.len();
        expected(&ceremony, &view.psds)?;
        let bytes = file.len() + approvals.iter().map(Vec::len).sum::<usize>();
        if bytes > MOST_BYTES {
            return Err(CeremonyFailure::TooLarge { bytes });
        }
        let number = ceremony.head().number;
        let mut events = Vec::new();
        if let Act::Abandon(abandon) = ceremony.act() {
            events.push(Event::CeremonyEnded { number: abandon.number, end: CeremonyEnd::Abandoned, transcript: None });
        }
        events.push(Event::CeremonyBegun {
            number,
            digest: quorum.digest(),
            file: file.into(),
            approvals: approvals.iter().map(|approval| approval.as_slice().into()).collect(),
        });
        let durable = self.0.change(Change::Appliance { events })?;
        tracing::info!(number, act = ceremony.act().table(), "ceremony begun");
        let progress = Progress {
            number,
            digest: quorum.digest(),
            steps_done: 0,
            steps_total: u64::try_from(total).unwrap_or(u64::MAX),
            running: true,
            stopped: None,
            lines: Vec::new(),
            keys: Vec::new(),
            begun: durable.last().map_or(0, |durable| durable.record().at.time.0),
            approvers: quorum.approvers().iter().map(ToString::to_string).collect(),
        };
        self.start(ceremony, progress)
    }

    /// Goes on with a ceremony that was interrupted, if there is one: it was approved before it began.
    pub fn go_on(&self) -> Result<(), CeremonyFailure> {
        let view = self.0.view()?;
        view.governance.open().map_or(Ok(()), |open| self.resume(open).map(drop))
    }

    fn resume(&self, open: &OpenCeremony) -> Result<Progress, CeremonyFailure> {
        if let Some(running) = self.progress(open.number).filter(|progress| progress.running) {
            return Ok(running);
        }
        let ceremony = Ceremony::read(&open.file)?;
        let total = steps(&ceremony)?.len();
        let before = self.progress(open.number);
        let (begun, approvers) = self.0.begun(open.number)?;
        let progress = Progress {
            number: open.number,
            digest: ceremony.digest(),
            steps_done: open.steps,
            steps_total: u64::try_from(total).unwrap_or(u64::MAX),
            running: true,
            stopped: None,
            lines: before.as_ref().map_or_else(Vec::new, |before| before.lines.clone()),
            keys: before.map_or_else(Vec::new, |before| before.keys),
            begun,
            approvers,
        };
        tracing::info!(number = open.number, step = open.steps + 1, "ceremony goes on");
        self.start(ceremony, progress)
    }

    /// How far a ceremony of this run of the daemon is.
    pub fn progress(&self, number: u64) -> Option<Progress> {
        self.0.progress().clone().filter(|progress| progress.number == number)
    }

    fn start(&self, ceremony: Ceremony, progress: Progress) -> Result<Progress, CeremonyFailure> {
        *self.0.progress() = Some(progress.clone());
        let desk = Arc::clone(&self.0);
        let number = progress.number;
        let spawned = std::thread::Builder::new().name(format!("ceremony-{number}")).spawn(move || {
            let stopped = desk.carry_out(&ceremony).err();
            if let Some(failure) = &stopped {
                tracing::warn!(number, code = failure.code(), %failure, "ceremony interrupted");
            }
            if let Some(progress) = desk.progress().as_mut() {
                progress.running = false;
                progress.stopped = stopped.map(|failure| (failure.code(), failure.to_string()));
            }
        });
        spawned.map_err(|error| CeremonyFailure::Refused(format!("no thread for it: {error}")))?;
        Ok(progress)
    }
}

impl Desk {
    fn carry_out(&self, ceremony: &Ceremony) -> Result<(), CeremonyFailure> {
        let steps = steps(ceremony)?;
        let number = ceremony.head().number;
        let done = self.progress().as_ref().map_or(0, |progress| progress.steps_done);
        for (step, number_of_step) in steps.iter().zip(1u64..).filter(|(_, number)| *number > done) {
            let recorded = |text: String| StepDone { number, step: number_of_step, text: text.into() };
            let outcome = perform(self, step, &recorded)?;
            if let Some(progress) = self.progress().as_mut() {
                progress.steps_done = number_of_step;
                progress.lines.push(outcome.line);
                progress.keys.extend(outcome.keys);
            }
        }
        let now = self.view()?.clock?.time.0;
        let progress = self.progress().clone();
        let transcript = progress.map(|progress| transcript::signed(self, &progress, now)).transpose()?;
        let transcript = transcript.map(Into::into);
        let ended = Event::CeremonyEnded { number, end: CeremonyEnd::Done, transcript };
        self.change(Change::Appliance { events: vec![ended] })?;
        tracing::info!(number, "ceremony done");
        Ok(())
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept(&self) -> std::sync::MutexGuard<'_, Option<Signed>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view(&self) -> Result<View, CeremonyFailure> {
        let answer = self.core.view()?;
        answer.blocking_recv().ok().ok_or(CeremonyFailure::Unavailable(crate::spine::Unavailable::Stopping))
    }

    /// Whether the ceremony of this number was of this file.
    fn was(&self, number: u64, digest: &[u8; 32]) -> Result<bool, CeremonyFailure> {
        let answer = self.core.live(String::new(), format!("ceremony:{number}"))?;
        let begun = answer.blocking_recv().ok().flatten();
        Ok(begun.is_some_and(
            |begun| matches!(&begun.record().event, Event::CeremonyBegun { digest: before, .. } if before == digest),
        ))
    }

    /// When a ceremony began and who approved it, by its record.
    fn begun(&self, number: u64) -> Result<(u64, Vec<String>), CeremonyFailure> {
        let stopping = || CeremonyFailure::Unavailable(crate::spine::Unavailable::Stopping);
        let answer = self.core.live(String::new(), format!("ceremony:{number}"))?;
        let begun = answer.blocking_recv().ok().flatten().ok_or_else(stopping)?;
        let Event::CeremonyBegun { approvals, .. } = &begun.record().event else { return Err(stopping()) };
        let operators = operators(&self.view()?);
        // They were judged when it began; one whose operator is on the list no more keeps its place in the record.
        let approved = approvals.iter().filter_map(|approval| Approval::verify(approval, &operators).ok());
        let approvers = approved.map(|approval| approval.operator.to_string()).collect();
        Ok((begun.record().at.time.0, approvers))
    }

    pub(super) fn state(&self, psd: PsdId) -> Result<State, CeremonyFailure> {
        let found = self.view()?.psds.into_iter().find(|(identity, _)| identity.psd == psd);
        found.map(|(_, state)| state).ok_or_else(|| CeremonyFailure::Refused(format!("there is no PSD {psd}")))
    }

    /// Makes a change, durably.
    pub(super) fn change(&self, change: Change) -> Result<Vec<Durable>, CeremonyFailure> {
        let answer = self.core.change(ChangeCommand { request: self.core.next_request(), change })?;
        match answer.blocking_recv() {
            Ok(ValueReply::Changed(durable)) => Ok(durable),
            Ok(other) => Err(CeremonyFailure::of_reply(other)),
            Err(_gone) => Err(CeremonyFailure::Unavailable(crate::spine::Unavailable::Stopping)),
        }
    }

    pub(super) fn link(&self, token: TokenIndex) -> Result<&Link, CeremonyFailure> {
        let link = self.links.get().and_then(|links| links.get(token.0));
        link.ok_or_else(|| CeremonyFailure::NoSuchToken(format!("no. {}", token.0)))
    }

    pub(super) fn link_named(&self, token: &str) -> Result<&Link, CeremonyFailure> {
        let index = self.tokens.iter().position(|config| config.name == token);
        self.link(TokenIndex(index.ok_or_else(|| CeremonyFailure::NoSuchToken(token.to_owned()))?))
    }

    fn situation<'a>(&'a self, view: &View, operators: &'a [Operator]) -> Result<Situation<'a>, CeremonyFailure> {
        Ok(Situation {
            appliance: &self.appliance,
            genesis: self.genesis,
            last_number: view.governance.newest(),
            operators,
            quorum: view.governance.quorum(),
            now: UnixMillis(view.clock?.time.0),
        })
    }
}

/// One ceremony at a time; only one that gives it up may come before it has ended.
fn under_way(view: &View, act: &Act) -> Result<(), CeremonyFailure> {
    match (view.governance.open(), act) {
        (Some(open), Act::Abandon(abandon)) if abandon.number == open.number => Ok(()),
        (Some(open), _) => Err(CeremonyFailure::UnderWay(open.number)),
        (None, Act::Abandon(abandon)) => {
            Err(CeremonyFailure::Unexpected(format!("ceremony no. {} is not under way", abandon.number)))
        }
        (None, _) => Ok(()),
    }
}

/// The operators as approvals are judged by.
pub(super) fn operators(view: &View) -> Vec<Operator> {
    let sound = |operator: &psd::governance::Operator| {
        let key = P256PublicKey::from_spki(&operator.spki).ok()?;
        let revoked = view.governance.revocation(&Subject::Operator(operator.name.clone())).is_some();
        Some(Operator { name: operator.name.as_str().parse().ok()?, key, revoked })
    };
    view.governance.operators().iter().filter_map(sound).collect()
}
