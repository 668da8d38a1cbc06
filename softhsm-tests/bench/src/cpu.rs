//! CPU time of processes, and what one sync costs here.

use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// CPU seconds a process and its threads have used (proc(5), stat, fields 14 and 15, in ticks of 10 ms).
pub fn seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).context("stat");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// Children of a process, whichever of its threads started them.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let listed = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    listed.flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// Resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("VmRSS")? / 1024.0)
}

/// Median of fdatasync after 4 KiB, in microseconds.
pub fn fsync_us(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("target/bench.sync");
    let mut file = File::create(&path)?;
    let mut samples = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        samples.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path)?;
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
