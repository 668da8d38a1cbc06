//! Ceremonies begun, carried out and gone on with: one at a time, each on a thread of its own.
//!
//! What hinders a step may pass: a token that restarts, a clock that is not trusted for a while. Then the step is tried again after a
//! pause that doubles. Anything else stops the ceremony until it is run again.

use super::board::{Hindrance, Progress, Standing};
use super::desk::{Ceremonies, Desk, operators};
use super::perform::perform;
use super::steps::{expected, steps};
use super::{CeremonyFailure, transcript};
use crate::backoff::pause_after;
use crate::core::{Change, Sight, StepDone, View};
use psd::governance::{CeremonyEnd, OpenCeremony};
use psd::record::Event;
use psdd_wire::ceremony::{Act, Ceremony, fits, quorum};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Most bytes of file and approvals together: they stand in one record.
const MOST_BYTES: usize = 60_000;
/// Before a step is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// And when it failed many times.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a ceremony came to its end.
enum Carried {
    Out,
    GivenUp,
}

impl Ceremonies {
    /// What stands against a file now; nothing is changed.
    pub fn problems(&self, file: &[u8]) -> Result<(Ceremony, Vec<CeremonyFailure>), CeremonyFailure> {
        let ceremony = Ceremony::read(file)?;
        let view = self.0.view(Sight::All)?;
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
    /// goes on with it; that of one that has ended tells how.
    pub fn run(&self, file: &[u8], approvals: &[Vec<u8>]) -> Result<Progress, CeremonyFailure> {
        let ceremony = Ceremony::read(file)?;
        // Two who bring the same file at once begin it once.
        let _turn = self.0.judging.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.0.view(Sight::All)?;
        if let Some(open) = view.governance.open().filter(|open| *open.file == *file) {
            return self.resume(open);
        }
        if ceremony.head().number <= view.governance.newest()
            && let Some(ended) = self.0.ended_before(&ceremony)?
        {
            return Ok(ended);
        }
        self.begin(&ceremony, &view, approvals)?;
        self.enter(ceremony, 0)
    }

    fn begin(&self, ceremony: &Ceremony, view: &View, approvals: &[Vec<u8>]) -> Result<(), CeremonyFailure> {
        let operators = operators(view);
        let quorum = quorum(ceremony, approvals, &self.0.situation(view, &operators)?)?;
        under_way(view, ceremony.act())?;
        steps(ceremony)?;
        expected(ceremony, &view.psds)?;
        let bytes = ceremony.bytes().len() + approvals.iter().map(Vec::len).sum::<usize>();
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
            file: ceremony.bytes().into(),
            approvals: approvals.iter().map(|approval| approval.as_slice().into()).collect(),
        });
        self.0.change(Change::Appliance { events })?;
        tracing::info!(number, act = ceremony.act().table(), approvers = quorum.approvers().len(), "ceremony begun");
        Ok(())
    }

    /// Goes on with a ceremony that was interrupted, if there is one: it was approved before it began.
    pub fn go_on(&self) -> Result<(), CeremonyFailure> {
        let view = self.0.view(Sight::Appliance)?;
        view.governance.open().map_or(Ok(()), |open| self.resume(open).map(drop))
    }

    fn resume(&self, open: &OpenCeremony) -> Result<Progress, CeremonyFailure> {
        tracing::info!(number = open.number, step = open.steps + 1, "ceremony goes on");
        self.enter(Ceremony::read(&open.file)?, open.steps)
    }

    /// How far the ceremony of this number is, where it is the newest that this run of the daemon had a hand in.
    pub fn progress(&self, number: u64) -> Option<Progress> {
        self.0.board.progress(number)
    }

    /// Has a thread carry it out, unless one does.
    fn enter(&self, ceremony: Ceremony, steps_done: u64) -> Result<Progress, CeremonyFailure> {
        let number = ceremony.head().number;
        let steps_total = count(steps(&ceremony)?.len());
        let progress = Progress { number, steps_done, steps_total, standing: Standing::Running };
        if let Err(carried_out) = self.0.board.claim(&progress) {
            return Ok(carried_out);
        }
        let desk = Arc::clone(&self.0);
        let spawned =
            std::thread::Builder::new().name(format!("ceremony-{number}")).spawn(move || desk.conduct(&ceremony));
        match spawned {
            Ok(_) => Ok(progress),
            Err(error) => {
                let failure = CeremonyFailure::Refused(format!("no thread for it: {error}"));
                // Nobody is there to try once more, whoever asked meanwhile.
                self.0.board.end(number, Standing::Stopped(failure.hindrance()));
                Err(failure)
            }
        }
    }
}

impl Desk {
    /// Carries a ceremony out to its end, or until something stops it that will not pass by itself.
    fn conduct(&self, ceremony: &Ceremony) {
        let number = ceremony.head().number;
        let (mut failures, mut reached) = (0_u32, None);
        loop {
            let failure = match self.carry_out(ceremony) {
                Ok(Carried::Out) => return self.board.end(number, Standing::Done),
                Ok(Carried::GivenUp) => return self.board.end(number, Standing::Abandoned),
                Err(failure) => failure,
            };
            if !failure.may_pass() {
                tracing::warn!(number, code = failure.code(), %failure, "ceremony interrupted");
                if self.board.stop(number, failure.hindrance()) {
                    return;
                }
                continue;
            }
            let step = self.board.progress(number).map(|progress| progress.steps_done);
            failures = if std::mem::replace(&mut reached, step) == step { failures.saturating_add(1) } else { 1 };
            let pause = pause_after(failures, FIRST_PAUSE, LONGEST_PAUSE);
            tracing::warn!(number, code = failure.code(), %failure, pause_ms = pause.as_millis(), "ceremony waits");
            if !self.board.wait(number, failure.hindrance(), pause) {
                return;
            }
        }
    }

    /// Does the steps that no record says are done.
    fn carry_out(&self, ceremony: &Ceremony) -> Result<Carried, CeremonyFailure> {
        let steps = steps(ceremony)?;
        let number = ceremony.head().number;
        let view = self.view(Sight::Appliance)?;
        let Some(open) = view.governance.open().filter(|open| open.number == number) else {
            return Ok(match self.ended(number)? {
                Some(CeremonyEnd::Abandoned) => Carried::GivenUp,
                Some(CeremonyEnd::Done) | None => Carried::Out,
            });
        };
        self.board.steps_done(number, open.steps);
        for (step, number_of_step) in steps.iter().zip(1u64..).filter(|(_, number)| *number > open.steps) {
            perform(self, step, &|text| StepDone { number, step: number_of_step, text: text.into() })?;
            self.board.steps_done(number, number_of_step);
        }
        let transcript = transcript::signed(self, number, self.view(Sight::Appliance)?.clock?.time.0)?;
        let ended = Event::CeremonyEnded { number, end: CeremonyEnd::Done, transcript: Some(transcript.into()) };
        self.change(Change::Appliance { events: vec![ended] })?;
        tracing::info!(number, "ceremony done");
        Ok(Carried::Out)
    }

    /// How the ceremony of this very file ended, if it has.
    fn ended_before(&self, ceremony: &Ceremony) -> Result<Option<Progress>, CeremonyFailure> {
        let number = ceremony.head().number;
        if self.begun(number)?.is_none_or(|begun| begun.digest != ceremony.digest()) {
            return Ok(None);
        }
        let standing = match self.ended(number)? {
            None => return Ok(None),
            Some(CeremonyEnd::Done) => Standing::Done,
            Some(CeremonyEnd::Abandoned) => Standing::Abandoned,
        };
        let steps_done = count(self.steps_of(number, 0)?.len());
        Ok(Some(Progress { number, steps_done, steps_total: count(steps(ceremony)?.len()), standing }))
    }
}

impl CeremonyFailure {
    fn hindrance(&self) -> Hindrance {
        Hindrance { code: self.code(), text: self.to_string() }
    }
}

fn count(steps: usize) -> u64 {
    u64::try_from(steps).unwrap_or(u64::MAX)
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
