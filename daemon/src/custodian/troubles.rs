//! What failed, and until when it is left alone.

use crate::backoff::pause_after;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Failures in a row by subject. A subject that is not tried for long is forgotten.
pub(super) struct Troubles<S>(HashMap<S, (u32, Instant)>);

impl<S> Default for Troubles<S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<S: Eq + Hash> Troubles<S> {
    /// Whether the subject is left alone now.
    pub(super) fn rests(&self, subject: &S, now: Instant) -> bool {
        self.0.get(subject).is_some_and(|(_, until)| now < *until)
    }

    /// It failed. Gives how long it is left alone.
    pub(super) fn failed(&mut self, subject: S, now: Instant) -> Duration {
        let failures = self.0.get(&subject).map_or(0, |(failures, _)| *failures).saturating_add(1);
        let pause = pause_after(failures, FIRST_PAUSE, LONGEST_PAUSE);
        self.0.insert(subject, (failures, now + pause));
        pause
    }

    /// It is done.
    pub(super) fn settled(&mut self, subject: &S) {
        self.0.remove(subject);
    }

    /// Forgets what was not tried since its pause ended long ago: it is gone.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, (_, until)| *until + LONGEST_PAUSE > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_is_done_and_no_other_subject_waits() {
        let mut troubles = Troubles::default();
        let mut now = Instant::now();
        for failures in 1..=8 {
            assert!(!troubles.rests(&"a", now));
            let pause = troubles.failed("a", now);
            assert!(pause >= FIRST_PAUSE * (1 << (failures - 1)) / 2, "{failures}: {pause:?}");
            assert!(troubles.rests(&"a", now) && !troubles.rests(&"b", now));
            now += pause;
        }
        troubles.settled(&"a");
        assert!(troubles.failed("a", now) <= FIRST_PAUSE, "the count begins anew");
        troubles.forget_old(now + 2 * LONGEST_PAUSE);
        assert_eq!(troubles.0.len(), 0);
    }
}
