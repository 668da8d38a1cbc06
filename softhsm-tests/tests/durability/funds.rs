//! SIGKILL of the daemon and of the authority's funds system, at random moments, while value comes by itself.

use super::campaign::Campaign;
use psd::PostageAmount;
use psdctl::dev::{DevOptions, TopUp};
use psdd_client::PsdView;
use rand::Rng;
use softhsm_tests::options;
use std::process::Command;
use std::time::{Duration, Instant};

/// Of either.
const KILLS: u32 = 110;

/// Signatures verified by the checker in between.
const SAMPLE: Option<u32> = Some(200);

/// Downloads must be under way all the time, or the campaign proves little.
const DOWNLOADS: u64 = 100;

/// A download that was interrupted waits for the end of a pause, at most 15 s.
const PATIENCE: Duration = Duration::from_secs(60);

fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

/// The appliance of the campaign: its dear PSD spends a download in a few batches.
fn hungry() -> DevOptions {
    let top_up = TopUp { below: mills(2_000_000), amount: mills(1_500_000), wait_ms: 300 };
    DevOptions { value: mills(4_000_000_000), top_up: Some(top_up), ..options() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_is_lost_or_made_between_psd_and_authority_by_sigkill() {
    let mut campaign = Campaign::on(hungry(), ("top-ups", 14), None);
    let mut rounds = 0;
    while campaign.kills < KILLS {
        match campaign.rng.random_range(0..4) {
            0 => {
                campaign.load_and_kill().await;
                if rounds % 16 == 3 {
                    campaign.judge(SAMPLE).assert_clean("after a kill");
                }
                campaign.appliance.restart();
            }
            1 => campaign.load_and_kill_authority(true).await,
            _ => campaign.load_and_kill_authority(false).await,
        }
        rounds += 1;
        if rounds % 8 == 0 {
            reconcile(&campaign, None);
        }
    }
    campaign.settle().await;
    let views = quiet(&campaign).await;
    let downloads: u64 = views.iter().map(|view| view.value.ended).sum();
    assert!(downloads >= DOWNLOADS, "{downloads} downloads are too few to prove anything");
    let report = reconcile(&campaign, Some(&views));
    eprintln!("top-ups: {downloads} downloads\n{report}");
    let status = campaign.appliance.stop();
    assert!(status.success(), "a clean stop: {status}\n{}", campaign.appliance.log_tail());
    campaign.judge(None).assert_clean("at the end");
    campaign.assert_loaded();
}

/// The registers once every PSD has what its rule wants, and nothing is under way.
async fn quiet(campaign: &Campaign) -> Vec<PsdView> {
    let client = campaign.clients().await.swap_remove(0);
    let begun = Instant::now();
    loop {
        let views = client.psds().await.expect("the PSDs");
        let settled = |view: &PsdView| view.value.pending.is_none() && view.registers.descending >= mills(2_000_000);
        if views.iter().all(settled) {
            return views;
        }
        assert!(begun.elapsed() < PATIENCE, "value does not come:\n{}", campaign.appliance.log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The authority's books hold, against these registers where they are given: every cent paid in is on an account or in a PSD.
fn reconcile(campaign: &Campaign, registers: Option<&[PsdView]>) -> String {
    let mut command = Command::new(&campaign.appliance.options.tools.ctl);
    command.args(["authority", "report"]).arg(campaign.appliance.layout.authority());
    if let Some(views) = registers {
        let file = campaign.appliance.around().join("registers.json");
        std::fs::write(&file, serde_json::to_vec(views).expect("JSON")).expect("a file");
        command.arg("--registers").arg(file);
    }
    let output = command.output().expect("psdctl runs");
    let report = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.code() == Some(0) && report.contains("everything reconciles"), "{report}");
    report
}
