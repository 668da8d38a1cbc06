//! What systemd is told.

use super::start::Started;
use crate::door::listener::Listening;
use crate::door::local::LocalState;
use psdd_tls::UnixTime;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) fn report(started: &Started, local: &LocalState, door: &Listening) {
    let metrics = &started.metrics;
    let mut text = format!(
        "vendor door {}; {} PSDs; {} records; {} pieces since start",
        door.address,
        started.state.licences.load().psds(),
        metrics.log_size.load(Ordering::Relaxed),
        metrics.pieces.load(Ordering::Relaxed)
    );
    for trouble in local.router.troubles(&local.tokens) {
        text.push_str("; ");
        text.push_str(&trouble);
    }
    for ending in local.calendar.endings(UnixTime::now()) {
        text.push_str("; ");
        text.push_str(&ending.to_string());
    }
    status(&text);
}

pub(super) fn status(text: &str) {
    notify(&[sd_notify::NotifyState::Status(text)]);
}

pub(super) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

pub(super) fn watchdog_interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |usec| usec / 3)
}
