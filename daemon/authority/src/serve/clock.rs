//! The authority's clock: that of its machine.

use psd::UnixMillis;
use std::time::SystemTime;

/// The machine's clock is no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock of this machine stands before 1970; set it")]
pub struct ClockError;

/// The time on this machine.
pub fn now() -> Result<UnixMillis, ClockError> {
    #[expect(clippy::disallowed_methods, reason = "the authority's clock, on the authority's machine")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().ok_or(ClockError)?;
    u64::try_from(since.as_millis()).ok().map(UnixMillis).ok_or(ClockError)
}
