//! The figures of one run, as a table for people and JSON for programs.

use crate::load::Rate;
use crate::raw::Raw;
use crate::receipts::Receipts;
use comfy_table::{CellAlignment, Table, TableStyle};
use serde::Serialize;

/// Everything measured; rates a second, times in microseconds.
#[derive(Serialize, Default, Debug)]
pub struct Report {
    /// Plain loop on the token key, two threads.
    pub raw_token_key: f64,
    /// Plain loop on a session copy, two threads.
    pub raw_session_copy: f64,
    /// One C_Sign alone.
    pub raw_sign_us: f64,
    /// One fdatasync of 4 KiB, median.
    pub fsync_us: f64,
    /// Daemon, requests of 256.
    pub batched: Row,
    /// Daemon, requests of 1024.
    pub batched_1024: Row,
    /// Daemon, one item a request, 64 in flight.
    pub single: Row,
    /// Lone requests.
    pub idle: Latency,
    /// Single items at half the single rate.
    pub half_load: Latency,
    /// Daemon over a token of 1 ms with 32 sessions, requests of 256, against the plain loop of 32 threads on it.
    pub slow: Row,
    /// Certifications that receipts prove.
    pub receipts: Option<Receipts>,
    /// Signing while many PSDs are topped up.
    pub top_ups: Option<TopUps>,
    /// Audits of many PSDs.
    pub audits: Option<Audits>,
    /// Many PSDs and a long log.
    pub fleet: Option<Fleet>,
    /// Ten thousand PSDs with wrapped keys.
    pub wrapped: Option<WrappedFleet>,
}

/// One load, measured in several rounds, each between two measurements of the raw loop.
#[derive(Serialize, Default, Debug)]
pub struct Row {
    /// Signatures a second.
    per_second: Vec<f64>,
    /// CPU a signature, all processes, client included, in microseconds.
    cpu_us: Vec<f64>,
    /// The better of the raw rates before and after.
    raw: Vec<f64>,
    /// Against that.
    ratio: Vec<f64>,
    /// CPU a signature of the same raw loop.
    raw_cpu_us: Vec<f64>,
    /// And beyond it.
    outside_us: Vec<f64>,
}

impl Row {
    /// Adds a round.
    pub fn add(&mut self, measured: &Rate, raw: [Raw; 2]) {
        let Rate { per_second, cpu_us } = *measured;
        let [before, after] = raw;
        let raw = if before.per_second > after.per_second { before } else { after };
        self.per_second.push(per_second);
        self.cpu_us.push(cpu_us);
        self.raw.push(raw.per_second);
        self.ratio.push(per_second / raw.per_second);
        self.raw_cpu_us.push(raw.cpu_us);
        self.outside_us.push(cpu_us - raw.cpu_us);
    }

    /// Signatures a second, median.
    pub fn per_second(&self) -> f64 {
        median(&self.per_second)
    }

    fn ratios(&self) -> String {
        spread(&self.ratio)
    }
}

/// Median, least and greatest ratio.
fn spread(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(ratios))
}

/// Signing on one PSD while others are topped up at once.
#[derive(Serialize, Debug)]
pub struct TopUps {
    /// How many others.
    pub psds: u32,
    /// Signatures in a span with such a wave, against the spans before and after it.
    pub ratio: Vec<f64>,
    /// From the first piece that needs value to the last top-up, milliseconds.
    pub wave_ms: Vec<f64>,
}

/// Audits of many PSDs, one after the other.
#[derive(Serialize, Debug)]
pub struct Audits {
    /// How many in each.
    pub psds: u32,
    /// Milliseconds of one while nothing else is done, less those of its signatures by the raw loop.
    pub beyond_ms: Vec<f64>,
    /// Milliseconds of one while pieces are signed.
    pub busy_ms: Vec<f64>,
    /// Signatures in a span with audits all the time, against the spans before and after it.
    pub ratio: Vec<f64>,
}

/// The middle one, or the lower of the two.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// An appliance with a long log.
#[derive(Serialize, Debug)]
pub struct Fleet {
    /// How many.
    pub psds: u32,
    /// Records in the log, at least.
    pub records: u64,
    /// Signatures a second over all PSDs with a short log and with the long one.
    pub few: f64,
    /// The same with the long log.
    pub many: f64,
    /// Resident memory of psdd after that, MiB.
    pub resident_mib: f64,
    /// From the start of psdd, killed before, to ready.
    pub start_ms: f64,
    /// Resident memory when ready.
    pub resident_after_start_mib: f64,
}

/// PSDs whose keys live wrapped, all of which sign in turn.
#[derive(Serialize, Debug)]
pub struct WrappedFleet {
    /// How many.
    pub psds: u32,
    /// Seconds the ceremony took that made them.
    pub made_s: f64,
    /// Requests, certificates and their installation, seconds.
    pub certified_s: f64,
    /// Until the authority had given value to all, seconds.
    pub funded_s: f64,
    /// From the start of psdd, killed before, to ready; its ledger has every record since.
    pub start_ms: f64,
    /// Resident memory of psdd when ready, MiB.
    pub resident_after_start_mib: f64,
    /// The same after all of them have signed.
    pub resident_mib: f64,
    /// Of the token's worker, which has unwrapped all keys by then.
    pub worker_mib: f64,
    /// Signatures a second with all, against one, while each frame is the first of its key.
    pub first: f64,
    /// Signatures a second with all, once each has signed.
    pub per_second: Vec<f64>,
    /// The same against the better rate with one, before and after.
    pub ratio: Vec<f64>,
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
    /// What the cores allow over the token of 1 ms: SoftHSM behind it shares them, so there is room for what its own C_Sign and all the
    /// rest of a signature cost together, the rest as measured with all sessions busy; but for no more than the raw loop itself reaches.
    fn slow_allowed(&self) -> f64 {
        let cores = std::thread::available_parallelism()
            .map_or(1.0, |cores| f64::from(u32::try_from(cores.get()).unwrap_or(1)));
        let a_signature_us = median(&self.slow.raw_cpu_us) + median(&self.batched.outside_us);
        (cores / a_signature_us * 1e6).min(median(&self.slow.raw))
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header(["figure", "measured", "ratio", "reach"]);
        let rate = |n: f64| format!("{n:.0} /s");
        let micros = |n: f64| format!("{n:.0} µs");
        let outside = |row: &Row| micros(median(&row.outside_us));
        let idle_over = self.idle.p50_us - self.raw_sign_us - self.fsync_us;
        let half_over = self.half_load.p99_us - self.raw_sign_us - self.fsync_us;
        let mut row = |name: &str, measured: String, ratio: String, reach: &str| {
            table.add_row([name.to_owned(), measured, ratio, reach.to_owned()]);
        };
        row("raw C_Sign, token key, 2 threads", rate(self.raw_token_key), String::new(), "");
        row("raw C_Sign, session copy, 2 threads", rate(self.raw_session_copy), String::new(), "");
        let one = format!("{}; {}", micros(self.raw_sign_us), micros(self.fsync_us));
        row("one C_Sign; one fdatasync", one, String::new(), "");
        for (name, of, reach) in [
            ("daemon, 256 a request ÷ raw", &self.batched, "≥ 0.75 (goal 0.85)"),
            ("daemon, 1024 a request ÷ raw", &self.batched_1024, "≥ 0.75 (goal 0.85)"),
            ("daemon, 1 a request, 64 in flight ÷ raw", &self.single, "≥ 0.30 (goal 0.45)"),
        ] {
            row(name, rate(of.per_second()), of.ratios(), reach);
        }
        row("raw, token of 1 ms, 32 sessions", rate(median(&self.slow.raw)), String::new(), "");
        let name = "daemon, token of 1 ms, 32 sessions ÷ its raw";
        row(name, rate(self.slow.per_second()), self.slow.ratios(), "goal 0.95");
        let allowed = self.slow_allowed();
        let of_allowed = format!("{:.2}", self.slow.per_second() / allowed);
        row("  ÷ what the cores allow", rate(allowed), of_allowed, "≥ 0.90");
        row("CPU a signature outside C_Sign, 256", outside(&self.batched), String::new(), "goal ≤ 5 µs");
        row("CPU a signature outside C_Sign, single", outside(&self.single), String::new(), "");
        let idle = format!("{}; {}", micros(self.idle.p50_us), micros(self.idle.p99_us));
        row("idle, lone request: p50; p99", idle, String::new(), "");
        row("  p50 beyond one sign and one sync", micros(idle_over), String::new(), "goal ≤ 150 µs");
        let half = format!("{}; {}", micros(self.half_load.p50_us), micros(self.half_load.p99_us));
        row("half load, single: p50; p99", half, String::new(), "");
        row("  p99 beyond one sign and one sync", micros(half_over), String::new(), "goal ≤ 2,000 µs");
        if let Some(Receipts { plain, slow }) = &self.receipts {
            row("certifications by receipt ÷ raw", rate(plain.per_second()), plain.ratios(), "≥ 2");
            row("  CPU each, client included", micros(median(&plain.cpu_us)), String::new(), "");
            let name = "certifications by receipt, token of 1 ms, 1 session ÷ its raw";
            row(name, rate(slow.per_second()), slow.ratios(), "≥ 20");
        }
        if let Some(TopUps { psds, ratio, wave_ms }) = &self.top_ups {
            let (name, took) =
                (format!("signing while {psds} PSDs top up ÷ not"), format!("{:.0} ms", median(wave_ms)));
            row(&name, took, spread(ratio), "≥ 0.95");
        }
        if let Some(Audits { psds, beyond_ms, busy_ms, ratio }) = &self.audits {
            let beyond = format!("{:.0} ms", median(beyond_ms));
            row(&format!("an audit of {psds} PSDs beyond its signatures"), beyond, String::new(), "≤ 2,000 ms");
            let busy = format!("{:.0} ms each", median(busy_ms));
            row("signing while they are audited all the time ÷ not", busy, spread(ratio), "≥ 0.95");
        }
        if let Some(fleet) = &self.fleet {
            let Fleet { psds, records, .. } = fleet;
            let name = format!("{psds} PSDs: {records} records ÷ empty");
            row(&name, rate(fleet.many), format!("{:.2}", fleet.many / fleet.few), "goal ≥ 0.95 (10 million)");
            row("  resident memory of psdd", format!("{:.0} MiB", fleet.resident_mib), String::new(), "≤ 64 MiB");
            row("  start to ready after a kill", format!("{:.0} ms", fleet.start_ms), String::new(), "goal ≤ 2,000 ms");
            let started = format!("{:.0} MiB", fleet.resident_after_start_mib);
            row("  resident memory when ready", started, String::new(), "≤ 64 MiB");
        }
        if let Some(wrapped) = &self.wrapped {
            let WrappedFleet { psds, made_s, certified_s, start_ms, .. } = wrapped;
            let name = format!("{psds} PSDs, wrapped keys, in turn ÷ one PSD");
            row(&name, rate(median(&wrapped.per_second)), spread(&wrapped.ratio), "≥ 0.90");
            row("  the first time with each key ÷ one PSD", String::new(), format!("{:.2}", wrapped.first), "");
            let memory = format!("{:.0}; {:.0} MiB", wrapped.resident_after_start_mib, wrapped.resident_mib);
            row("  resident memory of psdd: ready; after load", memory, String::new(), "≤ 100 MiB");
            row("  resident memory of the token's worker", format!("{:.0} MiB", wrapped.worker_mib), String::new(), "");
            row("  start to ready after a kill", format!("{start_ms:.0} ms"), String::new(), "goal ≤ 2,000 ms");
            row("  made; certified", format!("{made_s:.0} s; {certified_s:.0} s"), String::new(), "minutes");
        }
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n")
    }
}
