//! How long to wait before the next attempt.

use rand::Rng;
use std::time::Duration;

const FIRST_MS: u64 = 50;
const LONGEST_MS: u64 = 5_000;
/// A server's own wish is followed up to this bound.
const LONGEST_HINT_MS: u64 = 60_000;

/// The attempts of one call.
pub(crate) struct Retries {
    left: u32,
    made: u32,
}

impl Retries {
    pub(crate) fn new(most: u32) -> Self {
        Self { left: most, made: 0 }
    }

    /// Attempts begun so far, the first one included.
    pub(crate) fn attempts(&self) -> u32 {
        self.made + 1
    }

    /// The pause before the next attempt, or `None` where no attempt is left.
    #[must_use]
    pub(crate) fn next_pause(&mut self, hint_ms: Option<u64>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        self.made += 1;
        let own = backoff(self.made);
        let hint = Duration::from_millis(hint_ms.unwrap_or(0).min(LONGEST_HINT_MS));
        Some(own.max(hint + own.min(Duration::from_millis(FIRST_MS))))
    }
}

/// Doubles with every failure, half of it drawn at random so that clients do not come back in step.
pub(crate) fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_MS.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(LONGEST_MS);
    let ceiling = doubled.min(LONGEST_MS);
    Duration::from_millis(rand::rng().random_range(ceiling / 2..=ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds_and_end() {
        let mut retries = Retries::new(12);
        let pauses: Vec<_> = std::iter::from_fn(|| retries.next_pause(None)).collect();
        assert_eq!(pauses.len(), 12);
        assert!(pauses[0] <= Duration::from_millis(FIRST_MS + FIRST_MS));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(LONGEST_MS)));
        assert!(pauses[11] >= Duration::from_millis(LONGEST_MS / 2));
        assert_eq!(retries.attempts(), 13);
    }

    #[test]
    fn a_hint_is_honoured_and_bounded() {
        let pause = |hint| Retries::new(1).next_pause(Some(hint)).unwrap();
        assert!(pause(800) >= Duration::from_millis(800));
        assert!(pause(u64::MAX) <= Duration::from_millis(LONGEST_HINT_MS + FIRST_MS));
    }
}
