//! SIGKILL at random moments under load, with and without what was not synced.

use super::campaign::Campaign;
use rand::Rng;
use std::time::Duration;

/// Under load; those of a starting daemon and after a retry are not counted.
const KILLS: u32 = 60;

/// Signatures verified by the checker in between; the clients verified all of them.
const SAMPLE: Option<u32> = Some(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_is_lost_by_sigkill() {
    let mut campaign = Campaign::new("sigkill", 11, None);
    campaign.intrude().await;
    while campaign.kills < KILLS {
        campaign.load_and_kill().await;
        if campaign.kills.is_multiple_of(10) {
            campaign.judge(SAMPLE).assert_clean("after ten more kills");
        }
        if campaign.kills.is_multiple_of(5) {
            let within = Duration::from_millis(campaign.rng.random_range(5..120));
            campaign.appliance.kill_while_starting(within);
            campaign.further_kills += 1;
        }
        campaign.appliance.restart();
        if campaign.kills % 8 == 3 {
            let keeper = campaign.rng.random_bool(0.5);
            campaign.load_and_kill_hsm(keeper).await;
        }
    }
    finish(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_is_lost_by_power_loss() {
    let mut campaign = Campaign::new("power loss", 12, Some(&[]));
    while campaign.kills < KILLS {
        campaign.load_and_kill().await;
        match campaign.kills % 3 {
            // Killed, started on pages that only the page cache holds, asked for answers from them; then the power fails.
            0 => {
                campaign.appliance.restart();
                campaign.settle().await;
                campaign.appliance.kill9();
                campaign.further_kills += 1;
            }
            // The same, and killed again before it was ready.
            1 => {
                let within = Duration::from_millis(campaign.rng.random_range(5..120));
                campaign.appliance.kill_while_starting(within);
                campaign.further_kills += 1;
            }
            _ => {}
        }
        campaign.power_loss();
        if campaign.kills.is_multiple_of(10) {
            campaign.judge(SAMPLE).assert_clean("after a power loss");
        }
        campaign.appliance.restart();
    }
    finish(campaign).await;
}

async fn finish(mut campaign: Campaign) {
    campaign.settle().await;
    let status = campaign.appliance.stop();
    assert!(status.success(), "a clean stop: {status}\n{}", campaign.appliance.log_tail());
    campaign.judge(None).assert_clean("at the end");
    campaign.assert_loaded();
}

/// The negative control: were syncs missing, the campaign above would show it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_syncs_do_nothing_is_found_out() {
    const WITHIN_KILLS: u32 = 3;
    let mut campaign = Campaign::new("without syncs", 13, Some(&[("POWERLOSS_IGNORE_SYNC", "1")]));
    loop {
        campaign.load_and_kill().await;
        campaign.power_loss();
        let verdict = campaign.judge(SAMPLE);
        if verdict.count("seen-record") > 0 {
            break;
        }
        assert!(campaign.kills < WITHIN_KILLS, "no lost record was found: {verdict:?}");
        verdict.assert_clean("nothing was answered, nothing is lost");
        campaign.appliance.restart();
    }
}
