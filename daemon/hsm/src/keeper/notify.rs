//! What the keeper tells systemd.

use super::status::Board;
use sd_notify::NotifyState;
use std::time::Duration;

/// How often to look around where systemd watches nothing.
const UNWATCHED: Duration = Duration::from_secs(10);

pub(super) struct Notifier {
    ready: bool,
    watchdog: Option<Duration>,
    said: String,
}

impl Notifier {
    pub(super) fn new() -> Self {
        Self { ready: false, watchdog: sd_notify::watchdog_enabled(), said: String::new() }
    }

    /// How often [`Notifier::alive`] must be called.
    pub(super) fn interval(&self) -> Duration {
        self.watchdog.map_or(UNWATCHED, |watchdog| watchdog / 3)
    }

    /// The main loop, which hears of every worker, runs.
    pub(super) fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    pub(super) fn status(&mut self, board: &Board) {
        let line = board.line();
        if line != self.said {
            tell(&[NotifyState::Status(&line)]);
            self.said = line;
        }
        if !self.ready && board.is_settled() {
            self.ready = true;
            tracing::info!(status = %self.said, "ready");
            tell(&[NotifyState::Ready]);
        }
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "no monotonic clock for the reload notice"),
        }
    }

    pub(super) fn reloaded(&mut self, board: &Board) {
        self.status(board);
        tracing::info!(status = %self.said, "reloaded");
        tell(&[NotifyState::Ready]);
    }

    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd was not told");
    }
}
