//! How background work waits after a failure, and how it tells of one.

use rand::Rng;
use std::time::Duration;

/// How long to wait after so many failures in a row: doubling from `first` to `longest`, and spread over half of itself, so that many do not come
/// back together.
pub fn pause_after(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest);
    doubled.mul_f64(rand::rng().random_range(0.5..1.0))
}

/// An error with what lies behind it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(60));
        let mut seen = Duration::ZERO;
        for failures in 1..=40 {
            let pause = pause_after(failures, first, longest);
            assert!(pause >= first / 2 && pause <= longest, "{failures}: {pause:?}");
            seen = seen.max(pause);
        }
        assert!(seen >= longest / 2);
    }
}
