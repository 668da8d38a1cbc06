//! The circuit breaker: an authority's system that cannot be reached is left alone for a while, and then tried by one.

use psdd_client::ClientError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many calls in a row without an answer open it.
const FAILURES: u32 = 5;
/// And for so long.
const OPEN_FOR: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made now; else how long to wait. After the pause one call is let through; its outcome decides for the rest.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        self.admit_at(Instant::now())
    }

    /// Whether calls are made at all now; nothing is entered.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open_until.is_none_or(|until| until <= Instant::now())
    }

    /// What became of a call. A refusal is an answer: only silence counts.
    pub(crate) fn note(&self, error: Option<&ClientError>) {
        let silent =
            matches!(error, Some(ClientError::Connect { .. } | ClientError::Tls { .. } | ClientError::Deadline { .. }));
        self.note_at(silent, Instant::now());
    }

    fn admit_at(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                state.open_until = Some(now + OPEN_FOR);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn note_at(&self, silent: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(now + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_opens_it_and_one_answer_closes_it() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            breaker.note_at(true, at(0));
            assert_eq!(breaker.admit_at(at(0)), Ok(()));
        }
        breaker.note_at(true, at(0));
        assert_eq!(breaker.admit_at(at(5)), Err(Duration::from_secs(10)));
        assert_eq!(breaker.admit_at(at(15)), Ok(()), "one is let through");
        assert!(breaker.admit_at(at(16)).is_err(), "and no other before its outcome is known");
        breaker.note_at(true, at(17));
        assert!(breaker.admit_at(at(31)).is_err());
        assert_eq!(breaker.admit_at(at(32)), Ok(()));
        breaker.note_at(false, at(33));
        assert_eq!((breaker.admit_at(at(33)), breaker.admit_at(at(33))), (Ok(()), Ok(())));
        breaker.note_at(true, at(34));
        assert_eq!(breaker.admit_at(at(34)), Ok(()), "the count begins anew");
    }
}
