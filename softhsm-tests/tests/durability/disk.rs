//! Disks that fail: psdd ends by itself, and nothing that it answered is lost.

use super::campaign::Campaign;
use std::time::{Duration, Instant};

/// EX_IOERR.
const IO_ERROR: i32 = 74;

async fn ends_at(name: &'static str, seed: u64, faults: &[(&str, &str)]) {
    let mut campaign = Campaign::new(name, seed, Some(&[]));
    for (variable, value) in faults {
        let status = campaign.appliance.stop();
        assert!(status.success(), "a clean stop: {status}");
        campaign.preload(&[(variable, value)]);
        campaign.appliance.restart();
        let clients = campaign.clients().await;
        let appliance = &mut campaign.appliance;
        let begun = Instant::now();
        let ended = async {
            while appliance.runs() && begun.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        campaign.load.run(&clients, ended).await;
        let status = campaign.appliance.wait_exit(Duration::from_secs(1));
        assert_eq!(status.code(), Some(IO_ERROR), "{variable}={value}: {status}\n{}", campaign.appliance.log_tail());
        // What the failed sync left in the page cache may never reach the disk.
        campaign.power_loss();
        campaign.judge(None).assert_clean(&format!("after {variable}={value}"));
        campaign.preload(&[]);
        campaign.appliance.restart();
        campaign.settle().await;
    }
    let status = campaign.appliance.stop();
    assert!(status.success(), "a clean stop: {status}");
    campaign.judge(None).assert_clean("at the end");
    assert!(campaign.load.tally().signed > 0 && campaign.load.tally().unanswered > 0, "{:?}", campaign.load.tally());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_daemon() {
    let syncs = ["20", "41", "90"].map(|count| ("POWERLOSS_FAIL_SYNC_AFTER", count));
    ends_at("failing sync", 14, &syncs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_the_daemon() {
    let sizes = ["200000", "777777"].map(|bytes| ("POWERLOSS_FAIL_WRITE_AFTER_BYTES", bytes));
    ends_at("full disk", 15, &sizes).await;
}
