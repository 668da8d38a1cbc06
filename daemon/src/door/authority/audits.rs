//! `POST /v1/audits`: PSDs answer a challenge.

use super::AuthorityState;
use crate::audit::{AuditRefusal, Audits};
use crate::door::failure::{Failure, SOON_MS};
use crate::door::operator::{beside, refused};
use psdd_wire::audit::AuditRequest;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Audits that are under way or wait: each has a thread, and other doors need threads too.
const WAITING: usize = 8;

/// What PSDs say to a challenge, to a few who ask at a time.
pub struct AuditDesk {
    audits: Arc<Audits>,
    places: Places,
}

impl AuditDesk {
    /// Over the audits of a daemon.
    pub fn new(audits: Arc<Audits>) -> Self {
        Self { audits, places: Places::default() }
    }
}

struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WAITING)))
    }
}

impl Places {
    /// One of them, or `overloaded`.
    fn take(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let detail = format!("{WAITING} audits are under way or wait; come back when one has ended");
        let place = Arc::clone(&self.0).try_acquire_owned().ok();
        place.ok_or_else(|| Failure::passing("overloaded", detail, SOON_MS))
    }
}

pub(super) async fn audit(state: &AuthorityState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: AuditRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let place = state.audits.places.take()?;
    let audits = Arc::clone(&state.audits.audits);
    // Kept until the audit has ended, whether its client still waits or not.
    let answered = beside(move || {
        let answered = audits.audit(&request);
        drop(place);
        answered
    });
    let response = answered.await?.map_err(|refusal| match refusal {
        AuditRefusal::Malformed(what) => Failure::malformed(what),
        AuditRefusal::Unavailable(failure) => refused(&failure),
    })?;
    Ok(psdd_wire::encode(&response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_than_there_are_places() {
        let places = Places::default();
        let mut taken: Vec<_> = (0..WAITING).map(|_| places.take().unwrap()).collect();
        let refused = places.take().err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.problem.facts.code.as_str()), (503, "overloaded"));
        taken.pop();
        assert!(places.take().is_ok());
    }
}
