//! Before the tokens are up: the local and the operator door, by which the shares of a sealed PIN come in, and the wait.

use super::error::{RunError, io};
use super::notify::{notify, status};
use super::tls::DoorsTls;
use crate::config::Config;
use crate::door::calendar::Calendar;
use crate::door::listener::{Door, Listening};
use crate::door::local::{self, LocalState};
use crate::door::operator::OperatorDoor;
use crate::tokens::{Tokens, TokensError};
use psdd_hsm::protocol::Welcome;
use psdd_tls::UnixTime;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long tokens are waited for that nobody has to unseal.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between looks at the tokens.
const LOOK: Duration = Duration::from_millis(5);
/// Between words to systemd while it waits, and how long it is to wait from each.
const WORD: Duration = Duration::from_secs(5);
const EXTENSION_USEC: u32 = 30_000_000;

/// The signals that a daemon is told by.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hang_up: Signal,
}

impl Signals {
    /// From here on they no longer end the process.
    pub(super) fn watch() -> Result<Self, RunError> {
        let watched = |kind| signal(kind).map_err(io("watching signals"));
        Ok(Self {
            terminate: watched(SignalKind::terminate())?,
            interrupt: watched(SignalKind::interrupt())?,
            hang_up: watched(SignalKind::hangup())?,
        })
    }
}

/// The doors that are open from the beginning.
pub(super) struct Entrance {
    pub(super) local: Arc<LocalState>,
    pub(super) operator: Option<(Arc<OperatorDoor>, Listening)>,
}

impl Entrance {
    pub(super) async fn open(config: &Config, tls: &DoorsTls, tokens: &Tokens) -> Result<Self, RunError> {
        let names: Vec<String> = config.tokens.iter().map(|token| token.name.clone()).collect();
        let local = Arc::new(LocalState {
            router: Arc::clone(&tokens.router),
            tokens: names.clone(),
            calendar: Calendar::new(tls.named(), config.crl_alarm_days),
            operator: OnceLock::new(),
            authority: OnceLock::new(),
            serving: OnceLock::new(),
        });
        local::open(&config.local.socket, Arc::clone(&local)).map_err(io("opening the local door"))?;
        local.calendar.log(UnixTime::now());
        let (Some(door), Some(tls)) = (&config.operator, &tls.operator) else {
            return Ok(Self { local, operator: None });
        };
        let state = Arc::new(OperatorDoor {
            unseal_socket: config.unseal_socket.clone(),
            limits: door.operator_limits(),
            router: Arc::clone(&tokens.router),
            tokens: names,
            inside: OnceLock::new(),
        });
        let opened = Door::bind(door.listen, Arc::clone(&state), Arc::clone(tls), state.limits).await;
        let opened = opened.and_then(Door::open).map_err(io("opening the operator door"))?;
        tracing::info!(address = %opened.address, "operator door open");
        let first = local.operator.set(opened.address).is_ok();
        debug_assert!(first);
        Ok(Self { local, operator: Some((state, opened)) })
    }

    /// Waits until every token is up: where PINs are sealed for as long as the operators take, elsewhere for a minute. None where it was
    /// told to stop instead.
    pub(super) async fn wait(
        &self,
        config: &Config,
        tls: &DoorsTls,
        tokens: &Tokens,
        signals: &mut Signals,
    ) -> Result<Option<Vec<Arc<Welcome>>>, RunError> {
        let begun = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        let mut word = tokio::time::interval(WORD);
        loop {
            tokio::select! {
                _ = look.tick() => match tokens.ready(&self.local.tokens) {
                    Ok(welcomes) => return Ok(Some(welcomes)),
                    Err(error) if config.unseal_socket.is_none() && begun.elapsed() > PATIENCE => return Err(error.into()),
                    Err(TokensError::NotReady { .. } | TokensError::Start(_)) => {}
                },
                _ = word.tick() => {
                    status(&format!("waiting for the tokens: {}", tokens.router.troubles(&self.local.tokens).join("; ")));
                    if config.unseal_socket.is_some() {
                        notify(&[sd_notify::NotifyState::ExtendTimeoutUsec(EXTENSION_USEC)]);
                    }
                }
                _ = signals.terminate.recv() => return Ok(None),
                _ = signals.interrupt.recv() => return Ok(None),
                _ = signals.hang_up.recv() => {
                    tls.reload(config);
                }
            }
        }
    }
}
