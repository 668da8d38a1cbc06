//! A token whose PIN is not here yet: its supervisor answers psdd with why, and waits for the shares.
//!
//! Starts no worker meanwhile, so nothing of the token or its module is touched.

use super::status::TokenStatus;
use crate::login_marker::LoginMarker;
use crate::protocol::Reply;
use crate::secret::Pin;
use crate::worker::latched::answer_waiting;
use crossbeam_channel::{Receiver, select};
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// How often psdd's connections and the login mark are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// What a supervisor hears of its token's shares.
pub(super) enum News {
    /// So many are in.
    Held(u8),
    /// The PIN is rebuilt.
    Pin(Pin),
}

/// Where the PIN of a token comes from.
pub(super) enum PinSource {
    /// It is here.
    Held(Pin),
    /// Operators give it.
    Shares(Waiting),
}

/// A token that waits for its shares.
pub(super) struct Waiting {
    /// How many are needed.
    pub(super) threshold: u8,
    /// What comes in.
    pub(super) news: Receiver<News>,
    /// The token's login mark: shares alone do not help where it is set.
    pub(super) marker: LoginMarker,
    /// The command that clears it.
    pub(super) clear_command: String,
}

impl Waiting {
    /// Waits; none when the keeper stops.
    pub(super) fn wait(
        self,
        listener: &UnixListener,
        stopped: &Receiver<()>,
        tell: impl Fn(TokenStatus),
    ) -> Option<Pin> {
        let mut held = 0;
        loop {
            let status = TokenStatus::Sealed { held, threshold: self.threshold, latch: self.latch() };
            answer_waiting(listener, &Reply::Unavailable { reason: status.words() });
            tell(status);
            select! {
                recv(self.news) -> news => match news {
                    Ok(News::Held(now)) => held = now,
                    Ok(News::Pin(pin)) => return Some(pin),
                    // The unseal door ends only with the keeper.
                    Err(_) => return None,
                },
                recv(stopped) -> _ => return None,
                default(LOOK) => {}
            }
        }
    }

    fn latch(&self) -> Option<String> {
        match self.marker.reason() {
            Ok(reason) => reason.map(|reason| format!("{reason}; clear with: {}", self.clear_command)),
            Err(error) => Some(error.to_string()),
        }
    }
}
