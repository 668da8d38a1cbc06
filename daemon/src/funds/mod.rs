//! Automatic top-up: what the core says is needed is asked of the authority's funds system, in the background.
//!
//! One request a PSD is under way, because the core asks for no second one before it is told that the first has ended. A PSD whose top-up failed
//! waits longer each time; a funds system that cannot be reached is left alone for a while by all (the circuit breaker). What is under way on a
//! PSD already, a client's download included, is finished first: its amount is the only one it works for.

use crate::authority::{AuthorityKeys, NotSigned};
use crate::backoff::pause_after;
use crate::breaker::Breaker;
use crate::core::{Event, Sight, ValueCommand, ValueReply, ValueStep};
use crate::spine::{Handle, Metrics, Unavailable};
use psd::device::{Purpose, ValueRefusal};
use psd::{PostageAmount, PsdId, TenantName};
use psdd_client::{ClientError, FundsSystem};
use psdd_wire::cose::VALUE_AUTHORISATION;
use rand::RngCore;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// A PSD that needs value.
#[derive(Clone, Debug)]
pub struct Need {
    /// Which.
    pub psd: PsdId,
    /// Whose it is.
    pub tenant: TenantName,
    /// How much.
    pub amount: PostageAmount,
}

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a top-up did not come to its end.
#[derive(Debug, thiserror::Error)]
enum TopUpError {
    /// The funds system cannot be reached, or refuses.
    #[error("the funds system: {}", crate::backoff::chain(.0))]
    Funds(#[from] ClientError),
    /// The breaker is open.
    #[error("the funds system could not be reached lately; it is asked again in {} s", .0.as_secs())]
    Breaker(Duration),
    /// What it answered is not what the authority signs.
    #[error("the funds system's answer: {0}")]
    Answer(#[from] NotSigned),
    /// The PSD refuses.
    #[error("the PSD: {0}")]
    Psd(ValueRefusal),
    /// The daemon has no time for it.
    #[error("the core: {0}")]
    Core(String),
}

impl From<Unavailable> for TopUpError {
    fn from(unavailable: Unavailable) -> Self {
        TopUpError::Core(unavailable.to_string())
    }
}

struct TopUps {
    core: Handle,
    keys: AuthorityKeys,
    funds: FundsSystem,
    breaker: Breaker,
    /// Failures in a row, by PSD.
    failures: Mutex<HashMap<PsdId, u32>>,
    metrics: Arc<Metrics>,
}

/// Serves needs until the sender is gone. Must be called inside a tokio runtime.
pub fn start(
    core: Handle,
    keys: AuthorityKeys,
    funds: FundsSystem,
    most_requests: usize,
    metrics: Arc<Metrics>,
    mut needs: mpsc::Receiver<Need>,
) {
    let failures = Mutex::new(HashMap::new());
    let shared = Arc::new(TopUps { core, keys, funds, breaker: Breaker::default(), failures, metrics });
    tokio::spawn(async move {
        if shared.core.tell(Event::TopUpAll).is_err() {
            return;
        }
        let places = Arc::new(Semaphore::new(most_requests));
        while let Some(need) = needs.recv().await {
            let (shared, places) = (Arc::clone(&shared), Arc::clone(&places));
            // At most one a PSD, so their number is bounded.
            tokio::spawn(async move {
                shared.serve(&need, &places).await;
                if shared.core.tell(Event::TopUpEnded(need.psd)).is_err() {
                    tracing::debug!("the core has gone");
                }
            });
        }
    });
}

impl TopUps {
    async fn serve(&self, need: &Need, places: &Semaphore) {
        let outcome = match places.acquire().await {
            Ok(_place) => self.top_up(need).await,
            Err(_closed) => return,
        };
        let failed = |failures: &mut HashMap<PsdId, u32>| {
            let count = failures.entry(need.psd).or_default();
            *count = count.saturating_add(1);
            *count
        };
        match outcome {
            Ok(loaded) => {
                self.lock_failures().remove(&need.psd);
                Metrics::add(&self.metrics.top_ups, 1);
                tracing::info!(psd = %need.psd, %loaded, "topped up");
            }
            Err(error) => {
                let count = failed(&mut self.lock_failures());
                let pause = pause_after(count, FIRST_PAUSE, LONGEST_PAUSE);
                Metrics::add(&self.metrics.top_ups_failed, 1);
                tracing::warn!(psd = %need.psd, amount = %need.amount, %error, pause_ms = pause.as_millis(), "not topped up");
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Asks the PSD, then the authority, then brings its answer: the same three steps that a client makes by hand.
    async fn top_up(&self, need: &Need) -> Result<PostageAmount, TopUpError> {
        self.breaker.admit().map_err(TopUpError::Breaker)?;
        let request = self.request(need).await?;
        let told = self.funds.authorise(&request).await;
        self.breaker.note(told.as_ref().err());
        let told = told?;
        let authorisation = self.keys.answer(VALUE_AUTHORISATION, &told.authorisation)?;
        let amount = authorisation.amount;
        let step = ValueStep::Apply { authorisation, bytes: told.authorisation.into() };
        match self.command(need, step).await? {
            // Whoever else carried the answer was faster.
            ValueReply::Applied(_) | ValueReply::EndedBefore => Ok(amount),
            other => Err(refused(other)),
        }
    }

    /// The request that is under way, or a new one.
    async fn request(&self, need: &Need) -> Result<Arc<[u8]>, TopUpError> {
        let mut nonce = [0; 16];
        rand::rng().fill_bytes(&mut nonce);
        match self.command(need, ValueStep::Request { amount: need.amount, nonce }).await? {
            ValueReply::Requested { request, .. } => Ok(request),
            ValueReply::Refused(refusal @ ValueRefusal::RequestPending { .. }) => {
                let view = self.core.view(Sight::Psd(need.psd))?.await.ok();
                let state = view.and_then(|view| view.psds.into_iter().next()).map(|(_, state)| state);
                let pending = state.and_then(|state| state.pending);
                let pending = pending.filter(|pending| pending.purpose != Purpose::Withdrawal);
                pending.map(|pending| pending.request).ok_or(TopUpError::Psd(refusal))
            }
            other => Err(refused(other)),
        }
    }

    async fn command(&self, need: &Need, step: ValueStep) -> Result<ValueReply, TopUpError> {
        let request = self.core.next_request();
        let command = ValueCommand { request, tenant: need.tenant.clone(), client: None, psd: need.psd, step };
        let answer = self.core.value(command)?;
        answer.await.ok().ok_or_else(|| TopUpError::Core("it is stopping".to_owned()))
    }

    fn lock_failures(&self) -> std::sync::MutexGuard<'_, HashMap<PsdId, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(reply: ValueReply) -> TopUpError {
    match reply {
        ValueReply::Refused(refusal) => TopUpError::Psd(refusal),
        ValueReply::NoClock(stop) => TopUpError::Core(format!("no trusted time: {stop}")),
        ValueReply::Fault(fault) => TopUpError::Core(fault.to_string()),
        other => TopUpError::Core(format!("{other:?}")),
    }
}
