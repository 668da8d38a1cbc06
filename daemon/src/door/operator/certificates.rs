//! Certification requests out, certificates in.

use super::OperatorState;
use super::ceremonies::{beside, refused};
use super::keys::{page, view};
use crate::ceremony::{CertificateRefusal, Installed, requests_of};
use crate::core::Sight;
use crate::door::failure::Failure;
use http::StatusCode;
use psd::PsdId;
use psd::key::Key;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::operator::{
    InstallRequest, InstallResponse, InstallResult, InstalledCertificate, MOST_CHAINS, MOST_REQUESTS,
    RefusedCertificate, RequestView, RequestsResponse,
};
use psdd_wire::problem::Problem;
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// A certificate that the core could not take now is brought again after so long.
const RETRY_AFTER_MS: u64 = 1_000;

pub(super) async fn requests(state: &OperatorState, query: Option<&str>) -> Result<Vec<u8>, Failure> {
    let view = view(state, Sight::All).await?;
    let keys = view.psds.iter().flat_map(|(identity, state)| {
        let open = state.keys.iter().filter(|certified| !certified.is_certified() && certified.life.is_sound());
        open.map(|certified| (identity.psd, certified.key.clone()))
    });
    let place = |(psd, key): &(PsdId, Key)| (*psd, Arc::clone(&key.key_id));
    let (rows, next) = page(keys.collect(), query, MOST_REQUESTS, place)?;
    let ceremonies = state.ceremonies.clone();
    let made = beside(move || {
        let requests = requests_of(&ceremonies, &rows)?;
        let view = |((psd, key), csr): ((PsdId, Key), Vec<u8>)| {
            let generation = key.generation();
            RequestView { csr, psd, role: key.role.to_string(), key_id: key.key_id.to_vec(), generation }
        };
        Ok(rows.into_iter().zip(requests).map(view).collect())
    });
    let requests = made.await?.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&RequestsResponse { next, requests }))
}

pub(super) async fn install(state: &OperatorState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: InstallRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    if request.chains.len() > MOST_CHAINS {
        return Err(Failure::malformed(format!("chains: {MOST_CHAINS} at most in one request")));
    }
    let root = AuthorityRoot::from_der(&state.authority_root);
    let unreadable = |error| Failure::lasting(StatusCode::CONFLICT, "authority-root-unreadable", format!("{error}"));
    let root = root.map_err(unreadable)?;
    let ceremonies = state.ceremonies.clone();
    let results = beside(move || {
        let chains = request.chains.into_iter().map(|chain| chain.chain.into_iter().map(ByteBuf::into_vec).collect());
        let results = ceremonies.install(&root, chains.collect())?;
        Ok(results.into_iter().map(told).collect())
    });
    let results = results.await?.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&InstallResponse { results }))
}

fn told(result: Result<Installed, CertificateRefusal>) -> InstallResult {
    match result {
        Ok(Installed { psd, role, serial }) => {
            InstallResult::Installed(InstalledCertificate { psd, role: role.to_string(), serial })
        }
        Err(refusal) => {
            let problem = match &refusal {
                // Nobody knows any more whether it is durable.
                CertificateRefusal::Change(failure) if failure.retryable() => {
                    Problem::passing(refusal.code(), refusal.to_string(), RETRY_AFTER_MS)
                }
                _ => Problem::lasting(refusal.code(), format!("{refusal}; nothing was changed")),
            };
            InstallResult::Refused(RefusedCertificate { problem })
        }
    }
}
