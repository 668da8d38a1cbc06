//! How far the ceremony of this desk is: what its thread writes, and whoever asks reads.
//!
//! Owns the rule that one thread at a time carries a ceremony out, however many ask for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What keeps a ceremony from its next step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hindrance {
    /// The stable code (docs/protocol.md).
    pub code: &'static str,
    /// In words.
    pub text: String,
}

/// How a ceremony stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Steps are being carried out.
    Running,
    /// It goes on by itself: what hinders it may pass.
    Waiting(Hindrance),
    /// It goes on when it is run again.
    Stopped(Hindrance),
    /// Every step is recorded, and its end.
    Done,
    /// Another ceremony gave it up.
    Abandoned,
}

/// How far a ceremony is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Its number.
    pub number: u64,
    /// Steps recorded.
    pub steps_done: u64,
    /// Of how many.
    pub steps_total: u64,
    /// How it stands.
    pub standing: Standing,
}

/// The ceremony that is carried out, or was last.
#[derive(Default)]
pub(super) struct Board {
    slot: Mutex<Slot>,
    /// Rung when a ceremony is asked for again, and when another takes the place.
    rung: Condvar,
}

#[derive(Default)]
struct Slot {
    progress: Option<Progress>,
    /// Somebody asked for it while it was carried out.
    asked_again: bool,
}

impl Slot {
    fn of(&mut self, number: u64) -> Option<&mut Progress> {
        self.progress.as_mut().filter(|progress| progress.number == number)
    }
}

impl Board {
    /// Enters a ceremony that the caller is to carry out. One that a thread carries out already stays as it is, is given back, and tries
    /// once more where it was about to stop or waits.
    pub(super) fn claim(&self, progress: &Progress) -> Result<(), Progress> {
        let mut slot = self.lock();
        let carried_out = |before: &&mut Progress| matches!(before.standing, Standing::Running | Standing::Waiting(_));
        let before = slot.of(progress.number).filter(carried_out).cloned();
        slot.asked_again = before.is_some();
        if before.is_none() {
            slot.progress = Some(progress.clone());
        }
        self.rung.notify_all();
        before.map_or(Ok(()), Err)
    }

    /// How far a ceremony is, where it is the one of this board.
    pub(super) fn progress(&self, number: u64) -> Option<Progress> {
        self.lock().of(number).cloned()
    }

    /// So many steps are recorded.
    pub(super) fn steps_done(&self, number: u64, steps_done: u64) {
        if let Some(progress) = self.lock().of(number) {
            progress.steps_done = steps_done;
        }
    }

    /// Waits before the next try, unless it is asked for meanwhile; false when another ceremony has taken the place.
    pub(super) fn wait(&self, number: u64, hindrance: Hindrance, pause: Duration) -> bool {
        let mut slot = self.lock();
        if let Some(progress) = slot.of(number) {
            progress.standing = Standing::Waiting(hindrance);
        }
        let idle = |slot: &mut Slot| slot.of(number).is_some() && !slot.asked_again;
        let waited = self.rung.wait_timeout_while(slot, pause, idle);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = slot.of(number) else { return false };
        progress.standing = Standing::Running;
        slot.asked_again = false;
        true
    }

    /// Its thread ends; false when it must try once more, because it was asked for since it last tried.
    pub(super) fn stop(&self, number: u64, hindrance: Hindrance) -> bool {
        let mut slot = self.lock();
        let again = slot.of(number).is_some() && std::mem::take(&mut slot.asked_again);
        if let Some(progress) = slot.of(number).filter(|_| !again) {
            progress.standing = Standing::Stopped(hindrance);
        }
        !again
    }

    /// Its end is recorded.
    pub(super) fn end(&self, number: u64, standing: Standing) {
        if let Some(progress) = self.lock().of(number) {
            progress.standing = standing;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(number: u64) -> Progress {
        Progress { number, steps_done: 0, steps_total: 3, standing: Standing::Running }
    }

    fn hindrance() -> Hindrance {
        Hindrance { code: "token-unavailable", text: "it is down".to_owned() }
    }

    #[test]
    fn however_many_ask_one_carries_it_out() {
        let board = Board::default();
        let claims: Vec<bool> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8).map(|_| scope.spawn(|| board.claim(&running(1)).is_ok())).collect();
            claims.into_iter().map(|claim| claim.join().expect("it claims")).collect()
        });
        assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1, "{claims:?}");
        board.steps_done(1, 2);
        let now = board.claim(&running(1)).expect_err("it is carried out");
        assert_eq!((now.steps_done, now.standing), (2, Standing::Running));
        board.end(1, Standing::Done);
        assert_eq!(board.claim(&running(2)), Ok(()));
        assert_eq!(board.progress(1), None);
    }

    #[test]
    fn one_that_was_asked_for_while_it_was_about_to_stop_tries_once_more() {
        let board = Board::default();
        assert_eq!(board.claim(&running(1)), Ok(()));
        assert!(board.claim(&running(1)).is_err());
        assert!(!board.stop(1, hindrance()), "asked for since it tried");
        assert_eq!(board.progress(1), Some(running(1)));
        assert!(board.stop(1, hindrance()));
        assert_eq!(board.progress(1).map(|progress| progress.standing), Some(Standing::Stopped(hindrance())));
        assert_eq!(board.claim(&running(1)), Ok(()), "whoever asks now carries it out");
    }

    #[test]
    fn one_that_waits_is_hurried_or_makes_room() {
        let board = Board::default();
        let patience = Duration::from_secs(60);
        assert_eq!(board.claim(&running(1)), Ok(()));
        assert!(board.wait(1, hindrance(), Duration::ZERO), "its pause is over");
        for (claimed, goes_on) in [(1, true), (2, false)] {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| board.wait(1, hindrance(), patience));
                while board.progress(1).is_some_and(|progress| progress.standing == Standing::Running) {
                    std::thread::yield_now();
                }
                assert_eq!(board.claim(&running(claimed)).is_ok(), !goes_on);
                assert_eq!(waiting.join().expect("it waits"), goes_on);
            });
        }
        board.steps_done(1, 3);
        board.end(1, Standing::Done);
        assert_eq!(board.progress(2), Some(running(2)), "the one before has no word any more");
    }
}
