//! The figures of one run, as a table for people and JSON for programs.

use comfy_table::{CellAlignment, Table, TableStyle};
use serde::Serialize;

/// Everything measured; rates a second, times in microseconds.
#[derive(Serialize, Default, Debug)]
pub struct Report {
    /// Plain loop on the token key, two threads.
    pub raw_token_key: f64,
    /// Plain loop on a session copy, two threads.
    pub raw_session_copy: f64,
    /// CPU of one C_Sign in the faster loop.
    pub raw_cpu_us: f64,
    /// One C_Sign alone.
    pub raw_sign_us: f64,
    /// One fdatasync of 4 KiB, median.
    pub fsync_us: f64,
    /// Daemon, requests of 256.
    pub batched: f64,
    /// Daemon, requests of 1024.
    pub batched_1024: f64,
    /// CPU a signature, requests of 256, all processes, client included.
    pub batched_cpu_us: f64,
    /// Daemon, one item a request, 64 in flight.
    pub single: f64,
    /// Lone requests.
    pub idle: Latency,
    /// Single items at half the single rate.
    pub half_load: Latency,
    /// Plain loop on a token of 1 ms, 32 threads.
    pub slow_raw: f64,
    /// Daemon over it, requests of 256.
    pub slow_daemon: f64,
    /// Resident memory of psdd after all that, MiB.
    pub resident_mib: f64,
}

/// Percentiles, microseconds.
#[derive(Serialize, Default, Debug, Clone, Copy)]
pub struct Latency {
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Samples.
    pub samples: usize,
}

impl Latency {
    /// Of these samples.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |percent: usize| samples.get(samples.len() * percent / 100).copied().unwrap_or(f64::NAN);
        Self { p50_us: at(50), p99_us: at(99), samples: samples.len() }
    }
}

impl Report {
    /// The table.
    pub fn table(&self) -> String {
        let raw = self.raw_session_copy.max(self.raw_token_key);
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header(["figure", "measured", "ratio", "reach"]);
        let rate = |n: f64| format!("{n:.0} /s");
        let micros = |n: f64| format!("{n:.0} µs");
        let ratio = |n: f64| format!("{n:.2}");
        let outside = self.batched_cpu_us - self.raw_cpu_us;
        let idle_over = self.idle.p50_us - self.raw_sign_us - self.fsync_us;
        let half_over = self.half_load.p99_us - self.raw_sign_us - self.fsync_us;
        let mut row = |name: &str, measured: String, ratio: String, reach: &str| {
            table.add_row([name.to_owned(), measured, ratio, reach.to_owned()]);
        };
        row("raw C_Sign, token key, 2 threads", rate(self.raw_token_key), String::new(), "");
        row("raw C_Sign, session copy, 2 threads", rate(self.raw_session_copy), "1.00".to_owned(), "");
        row(
            "one C_Sign; one fdatasync",
            format!("{}; {}", micros(self.raw_sign_us), micros(self.fsync_us)),
            String::new(),
            "",
        );
        row("daemon, 256 a request ÷ raw", rate(self.batched), ratio(self.batched / raw), "≥ 0.75 (goal 0.85)");
        row(
            "daemon, 1024 a request ÷ raw",
            rate(self.batched_1024),
            ratio(self.batched_1024 / raw),
            "≥ 0.75 (goal 0.85)",
        );
        row(
            "daemon, 1 a request, 64 in flight ÷ raw",
            rate(self.single),
            ratio(self.single / raw),
            "≥ 0.30 (goal 0.45)",
        );
        row("raw, token of 1 ms, 32 sessions", rate(self.slow_raw), String::new(), "");
        row(
            "daemon, token of 1 ms, 32 sessions ÷ its raw",
            rate(self.slow_daemon),
            ratio(self.slow_daemon / self.slow_raw),
            "≥ 0.90 (goal 0.95)",
        );
        row("CPU a signature outside C_Sign, 256", format!("{outside:.1} µs"), String::new(), "goal ≤ 5 µs");
        row(
            "idle, lone request: p50; p99",
            format!("{}; {}", micros(self.idle.p50_us), micros(self.idle.p99_us)),
            String::new(),
            "",
        );
        row("  p50 beyond one sign and one sync", micros(idle_over), String::new(), "goal ≤ 150 µs");
        row(
            "half load, single: p50; p99",
            format!("{}; {}", micros(self.half_load.p50_us), micros(self.half_load.p99_us)),
            String::new(),
            "",
        );
        row("  p99 beyond one sign and one sync", micros(half_over), String::new(), "goal ≤ 2,000 µs");
        row("resident memory of psdd", format!("{:.0} MiB", self.resident_mib), String::new(), "≤ 64 MiB");
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n")
    }
}
