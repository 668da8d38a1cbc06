//! Counts of decisions, for the local door (Prometheus text format).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What happened since the start.
#[derive(Default)]
pub struct Metrics {
    /// Pieces signed and committed.
    pub pieces: AtomicU64,
    /// Mills debited.
    pub mills: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Microseconds spent in commits.
    pub commit_us: AtomicU64,
    /// Frames sent to tokens.
    pub frames: AtomicU64,
    /// Frames that failed.
    pub frames_failed: AtomicU64,
    /// Top-ups that loaded value.
    pub top_ups: AtomicU64,
    /// Top-ups that failed and will be tried again.
    pub top_ups_failed: AtomicU64,
    /// Keys that took over by a rule.
    pub rotations: AtomicU64,
    /// What the custodian of keys could not do and will try again.
    pub custodian_failures: AtomicU64,
    /// Digital tokens that doors judged.
    pub digital_tokens: AtomicU64,
    /// Those of them that did not hold.
    pub digital_tokens_wrong: AtomicU64,
    /// Records that the last scrub read.
    pub scrub_records: AtomicU64,
    /// When it ended, seconds since 1970.
    pub scrub_end_s: AtomicU64,
    /// Whether it found damage.
    pub scrub_findings: AtomicU64,
    /// Items in flight at the last look.
    pub in_flight: AtomicU64,
    /// Items waiting at the last look.
    pub waiting: AtomicU64,
    /// Size of the log.
    pub log_size: std::sync::Arc<AtomicU64>,
    /// Size of the newest checkpoint.
    pub checkpoint_size: AtomicU64,
    refusals: Mutex<BTreeMap<String, u64>>,
}

impl Metrics {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts a refusal by its code.
    pub fn refused(&self, code: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusals.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                refusals.insert(code.to_owned(), 1);
            }
        }
    }

    /// The Prometheus text exposition.
    pub fn render(&self) -> String {
        let counters = [
            ("psdd_pieces_total", "Pieces signed and committed", &self.pieces),
            ("psdd_mills_total", "Mills debited", &self.mills),
            ("psdd_commits_total", "Ledger commits", &self.commits),
            ("psdd_commit_microseconds_total", "Time spent in ledger commits", &self.commit_us),
            ("psdd_frames_total", "Frames sent to tokens", &self.frames),
            ("psdd_frames_failed_total", "Frames that tokens failed", &self.frames_failed),
            ("psdd_top_ups_total", "Automatic top-ups that loaded value", &self.top_ups),
            ("psdd_top_ups_failed_total", "Automatic top-ups that failed", &self.top_ups_failed),
            ("psdd_digital_tokens_judged_total", "Digital tokens that doors judged", &self.digital_tokens),
            ("psdd_digital_tokens_wrong_total", "Digital tokens that did not hold", &self.digital_tokens_wrong),
            ("psdd_rotations_total", "Keys that took over by a rule of rotation", &self.rotations),
            (
                "psdd_custodian_failures_total",
                "What the custodian of keys could not do at once",
                &self.custodian_failures,
            ),
        ];
        let gauges = [
            ("psdd_items_in_flight", "Items prepared and not yet durable", &self.in_flight),
            ("psdd_items_waiting", "Items admitted and not yet judged", &self.waiting),
            ("psdd_scrub_records", "Records that the last scrub of the ledger read", &self.scrub_records),
            ("psdd_scrub_end_seconds", "When it ended, Unix time", &self.scrub_end_s),
            ("psdd_scrub_findings", "What it found damaged", &self.scrub_findings),
            ("psdd_log_size", "Records in the log", &self.log_size),
            ("psdd_checkpoint_size", "Records under the newest checkpoint", &self.checkpoint_size),
        ];
        let mut text = String::new();
        let kinds = counters.iter().map(|c| (c, "counter")).chain(gauges.iter().map(|g| (g, "gauge")));
        let written: std::fmt::Result = (|| {
            for ((name, help, value), kind) in kinds {
                writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}", value.load(Ordering::Relaxed))?;
            }
            writeln!(text, "# HELP psdd_refusals_total Refusals by code\n# TYPE psdd_refusals_total counter")?;
            for (code, count) in self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                writeln!(text, "psdd_refusals_total{{code=\"{code}\"}} {count}")?;
            }
            Ok(())
        })();
        debug_assert!(written.is_ok());
        text
    }
}
