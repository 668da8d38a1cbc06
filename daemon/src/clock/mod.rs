//! The host's clock as a source of samples; the guard in the core judges them.

mod adjtimex;

use crate::config::ClockConfig;
use crate::core::Event;
use crate::spine::Handle;
use psd::UnixMillis;
use psd::clock::{ClockSample, ClockSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Takes samples of the host's clock.
#[derive(Clone, Debug)]
pub struct Sampler {
    source: ClockSource,
    started: Instant,
}

impl Sampler {
    /// Over the monotonic clock that began at `started`.
    pub fn new(config: &ClockConfig, started: Instant) -> Self {
        Self { source: config.rules().source, started }
    }

    /// One look, together with the monotonic clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the host for the time")]
    pub fn sample(&self) -> ClockSample {
        let (error_ms, synchronised) = match self.source {
            ClockSource::Development => (0, true),
            // The token's clock is offered by no profile yet; until one does, only the kernel's word counts.
            ClockSource::Host | ClockSource::Token => adjtimex::kernel_clock(),
        };
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let wall = since_epoch.and_then(|since| u64::try_from(since.as_millis()).ok());
        let monotonic_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A clock before 1970 is nobody's, whatever the source says of it.
        ClockSample {
            monotonic_ms,
            wall: UnixMillis(wall.unwrap_or(0)),
            error_ms,
            synchronised: synchronised && wall.is_some(),
        }
    }

    /// Feeds the core four samples a second until told to stop, and has it count refusals into the log now and then.
    pub fn feed(self, core: Handle, stop: Arc<AtomicBool>) -> std::io::Result<()> {
        let run = move || {
            let mut ticks = 0u32;
            while !stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(250));
                ticks = ticks.wrapping_add(1);
                let noted = !ticks.is_multiple_of(40) || core.tell(Event::NoteRefusals).is_ok();
                if !noted || core.tell(Event::Clock(self.sample())).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("clock".to_owned()).spawn(run).map(drop)
    }
}
