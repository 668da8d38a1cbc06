//! The scrub of the running daemon: every record under a signed checkpoint read again, slowly, and again after a while.

use crate::spine::{Metrics, Newest};
use arc_swap::ArcSwapOption;
use psdd_ledger::StoreFault;
use psdd_ledger::open::ProvenHead;
use psdd_ledger::scrub::{Scrub, ScrubError};
use psdd_tls::UnixTime;
use psdd_wire::audit::ScrubLine;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So many times as long as a step took is rested after it: two percent of a core.
const REST: u32 = 49;
/// Between two looks at whether the daemon stops.
const SLICE: Duration = Duration::from_millis(100);

/// What came of the last scrub that ended.
#[derive(Default)]
pub struct Scrubs(ArcSwapOption<ScrubLine>);

impl Scrubs {
    /// None before the first of this start.
    pub fn last(&self) -> Option<ScrubLine> {
        self.0.load().as_deref().cloned()
    }
}

/// What the scrub is given.
pub(crate) struct ScrubParts {
    /// Where the ledger lies.
    pub(crate) state_dir: PathBuf,
    /// What was signed.
    pub(crate) newest: Arc<Newest>,
    /// From the end of one to the beginning of the next.
    pub(crate) every: Duration,
    /// Where the outcome goes.
    pub(crate) scrubs: Arc<Scrubs>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Whether the daemon stops.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Starts the thread.
pub(crate) fn start(parts: ScrubParts) -> std::io::Result<()> {
    std::thread::Builder::new().name("scrub".to_owned()).spawn(move || parts.run()).map(drop)
}

impl ScrubParts {
    fn run(&self) {
        let mut next = Instant::now();
        while self.rest_until(next) {
            let Some((size, root)) = self.newest.head() else {
                next = Instant::now() + SLICE;
                continue;
            };
            match self.once(ProvenHead { size, root }) {
                Ok(Some(line)) => self.tell(line),
                // It stops.
                Ok(None) => return,
                Err(fault) => tracing::warn!(%fault, "a scrub could not read the ledger and begins anew"),
            }
            next = Instant::now() + self.every;
        }
    }

    /// One scrub; none where the daemon stops meanwhile.
    fn once(&self, head: ProvenHead) -> Result<Option<ScrubLine>, StoreFault> {
        let mut scrub = Scrub::begin(&self.state_dir, head)?;
        let finding = loop {
            let begun = Instant::now();
            match scrub.step() {
                Ok(true) => break None,
                Ok(false) => {}
                Err(ScrubError::Damage(damage)) => break Some(damage.to_string()),
                Err(ScrubError::Store(fault)) => return Err(fault),
            }
            if !self.rest_until(Instant::now() + begun.elapsed() * REST) {
                return Ok(None);
            }
        };
        let time = UnixTime::now().as_secs().saturating_mul(1_000);
        Ok(Some(ScrubLine { time, records: scrub.records(), finding }))
    }

    fn tell(&self, line: ScrubLine) {
        match &line.finding {
            None => tracing::info!(records = line.records, "the ledger was scrubbed: every record is as it was signed"),
            Some(finding) => tracing::error!(
                finding,
                "the ledger is damaged: keep it as it is, take a copy, run psdctl ledger verify, and tell the authority"
            ),
        }
        self.metrics.scrub_records.store(line.records, Ordering::Relaxed);
        self.metrics.scrub_end_s.store(line.time / 1_000, Ordering::Relaxed);
        self.metrics.scrub_findings.store(u64::from(line.finding.is_some()), Ordering::Relaxed);
        self.scrubs.0.store(Some(Arc::new(line)));
    }

    /// Whether that time comes before the daemon stops.
    fn rest_until(&self, until: Instant) -> bool {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}
