//! Runs of a PSD: opened, taken part in, closed.

use super::Psd;
use crate::certification::Certification;
use crate::id::RunId;
use crate::lifecycle::{Lifecycle, Locks};
use crate::money::PostageAmount;
use crate::record::InRun;
use crate::refusal::list;
use crate::register::Registers;
use crate::run::{ClosedRun, Dues, FURTHEST_DAYS, LATEST_CLOSING_DAYS, MOST_OPEN, Run};
use crate::time::{MailingDate, UnixMillis};
use std::sync::Arc;

/// Why a run is not opened, not closed, or does not take a piece.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunRefusal {
    /// The PSD's life is not at the point where it signs.
    #[error("the PSD is {0}, not active")]
    NotActive(Lifecycle),
    /// The PSD is locked.
    #[error("the PSD is locked: {}", list(*.0))]
    Locked(Locks),
    /// All that is left was asked to go back to the authority.
    #[error("the PSD is being withdrawn")]
    Withdrawing,
    /// Mailed too long ago to be closed in time, or too far ahead.
    #[error("the date {date} is outside {from} to {to}")]
    Date {
        /// Its day of mailing.
        date: MailingDate,
        /// First day accepted.
        from: MailingDate,
        /// Last day accepted.
        to: MailingDate,
    },
    /// The name is used up.
    #[error(
        "there was a run {0} of this tenant before, on this PSD or another, with another manifest; name a new run anew"
    )]
    Reused(RunId),
    /// Too many.
    #[error("{MOST_OPEN} runs of this PSD are open; close one")]
    TooMany,
    /// One that should have been closed.
    #[error("run {id} was mailed on {date} and is still open; close it first")]
    Unclosed {
        /// The run.
        id: RunId,
        /// Its day of mailing.
        date: MailingDate,
    },
    /// No such run, or it is over.
    #[error("run {0} is not open on this PSD; announce it first, or ask the PSD on which it was announced")]
    NotOpen(RunId),
    /// It is being counted.
    #[error(
        "run {0} is being counted, to be closed; what is not certified by now is not of it, unless it stays open: ask again"
    )]
    Closing(RunId),
    /// Not as announced.
    #[error("the piece is not of run {id}: {what}")]
    NotOfRun {
        /// The run.
        id: RunId,
        /// What differs.
        what: &'static str,
    },
    /// Not enough left for what is owed.
    #[error("{settled} are owed, and the descending register has {descending}; load value and close it again")]
    InsufficientFunds {
        /// What closing would debit.
        settled: PostageAmount,
        /// What is left.
        descending: PostageAmount,
    },
    /// The count is not one of this run.
    #[error("{0}")]
    Count(&'static str),
}

impl RunRefusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            RunRefusal::NotActive(_) => "psd-not-active",
            RunRefusal::Locked(_) => "psd-locked",
            RunRefusal::Withdrawing => "psd-withdrawing",
            RunRefusal::Date { .. } => "date-out-of-window",
            RunRefusal::Reused(_) => "run-reused",
            RunRefusal::TooMany => "runs-too-many",
            RunRefusal::Unclosed { .. } => "run-unclosed",
            RunRefusal::NotOpen(_) => "run-not-open",
            RunRefusal::Closing(_) => "run-closing",
            RunRefusal::NotOfRun { .. } => "not-of-run",
            RunRefusal::InsufficientFunds { .. } => "insufficient-funds",
            RunRefusal::Count(_) => "run-miscounted",
        }
    }
}

impl Psd {
    /// Opens a run. Whether its name was used on another PSD is the caller's to know.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    pub fn open_run(&mut self, run: Arc<Run>, now: UnixMillis) -> Result<(), RunRefusal> {
        let state = &self.state;
        if state.lifecycle != Lifecycle::Active {
            return Err(RunRefusal::NotActive(state.lifecycle));
        }
        if !state.locks.is_empty() {
            return Err(RunRefusal::Locked(state.locks));
        }
        if state.is_withdrawing() {
            return Err(RunRefusal::Withdrawing);
        }
        if state.runs.knows(&run.id) {
            return Err(RunRefusal::Reused(run.id.clone()));
        }
        let today = MailingDate::of(now).map_or(0, MailingDate::day_number);
        let window = today - LATEST_CLOSING_DAYS..=today + FURTHEST_DAYS;
        if !window.contains(&run.date.day_number()) {
            let day = |number| MailingDate::from_day_number(number).unwrap_or(run.date);
            return Err(RunRefusal::Date { date: run.date, from: day(*window.start()), to: day(*window.end()) });
        }
        let late = |open: &&Arc<Run>| open.date.day_number() + LATEST_CLOSING_DAYS < today;
        if let Some(late) = state.runs.open().find(late) {
            return Err(RunRefusal::Unclosed { id: late.id.clone(), date: late.date });
        }
        if state.runs.open().count() >= MOST_OPEN {
            return Err(RunRefusal::TooMany);
        }
        Arc::make_mut(&mut self.state.runs).opened(&run);
        Ok(())
    }

    /// Closes a run with what was counted. Neither locks nor limits keep the post from what it is owed.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    pub fn close_run(&mut self, closed: &ClosedRun) -> Result<(), RunRefusal> {
        let not_open = || RunRefusal::NotOpen(closed.id.clone());
        let run = self.state.runs.open_named(&closed.id).ok_or_else(not_open)?;
        run.admits_closing(closed).map_err(RunRefusal::Count)?;
        let before: Registers = self.state.registers;
        let registers = before
            .settled(closed.settled())
            .ok()
            .ok_or(RunRefusal::InsufficientFunds { settled: closed.settled(), descending: before.descending() })?;
        self.state.registers = registers;
        Arc::make_mut(&mut self.state.runs).closed(&closed.id);
        Ok(())
    }

    /// The place in its run of what is to be certified.
    pub(super) fn in_run(&self, what: &Certification, dues: Option<&Dues>) -> Result<Option<InRun>, RunRefusal> {
        let Some(id) = &what.run else { return Ok(None) };
        let run = self.state.runs.open_named(id).ok_or_else(|| RunRefusal::NotOpen(id.clone()))?;
        let dues = dues.cloned().unwrap_or_default();
        run.admits(what, &dues).map_err(|what| RunRefusal::NotOfRun { id: id.clone(), what })?;
        Ok(Some(InRun { id: id.clone(), dues }))
    }
}
