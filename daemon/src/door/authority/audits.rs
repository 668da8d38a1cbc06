//! `POST /v1/audits`: PSDs answer a challenge.

use super::AuthorityState;
use crate::audit::AuditRefusal;
use crate::door::failure::Failure;
use crate::door::operator::{beside, refused};
use psdd_wire::audit::AuditRequest;
use std::sync::Arc;

pub(super) async fn audit(state: &AuthorityState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: AuditRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let audits = Arc::clone(&state.audits);
    let answered = beside(move || audits.audit(&request)).await?;
    let response = answered.map_err(|refusal| match refusal {
        AuditRefusal::Malformed(what) => Failure::malformed(what),
        AuditRefusal::Unavailable(failure) => refused(&failure),
    })?;
    Ok(psdd_wire::encode(&response))
}
