//! Certification requests out, certificates in.

use super::OperatorState;
use super::ceremonies::{beside, refused};
use super::keys::{page, view};
use crate::ceremony::{CertificateRefusal, request_of};
use crate::door::failure::Failure;
use http::StatusCode;
use psd::PsdId;
use psd::key::Key;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::operator::{
    InstallRequest, InstallResponse, InstallResult, InstalledCertificate, RefusedCertificate, RequestView,
    RequestsResponse,
};
use psdd_wire::problem::Problem;
use serde_bytes::ByteBuf;
use std::sync::Arc;

pub(super) async fn requests(state: &OperatorState, query: Option<&str>) -> Result<Vec<u8>, Failure> {
    let view = view(state).await?;
    let keys = view.psds.iter().flat_map(|(identity, state)| {
        let open = state.keys.iter().filter(|certified| !certified.is_certified() && certified.life.is_sound());
        open.map(|certified| (identity.psd, certified.key.clone()))
    });
    let (rows, next) = page(keys.collect(), query, |(psd, key): &(PsdId, Key)| (*psd, Arc::clone(&key.key_id)))?;
    let ceremonies = state.ceremonies.clone();
    let made = beside(move || {
        let request = |(psd, key): (PsdId, Key)| {
            let csr = request_of(&ceremonies, psd, &key)?;
            let generation = key.key_id.last().copied().unwrap_or(1);
            Ok(RequestView { csr, psd, role: key.role.to_string(), key_id: key.key_id.to_vec(), generation })
        };
        rows.into_iter().map(request).collect::<Result<Vec<_>, _>>()
    });
    let requests = made.await?.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&RequestsResponse { next, requests }))
}

pub(super) async fn install(state: &OperatorState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: InstallRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let root = AuthorityRoot::from_der(&state.authority_root);
    let unreadable = |error| Failure::lasting(StatusCode::CONFLICT, "authority-root-unreadable", format!("{error}"));
    let root = root.map_err(unreadable)?;
    let ceremonies = state.ceremonies.clone();
    let results = beside(move || {
        let install = |chain: Vec<ByteBuf>| {
            let chain: Vec<Vec<u8>> = chain.into_iter().map(ByteBuf::into_vec).collect();
            match ceremonies.install(&root, &chain) {
                Ok((psd, key, serial)) => {
                    InstallResult::Installed(InstalledCertificate { psd, role: key.role.to_string(), serial })
                }
                Err(refusal) => InstallResult::Refused(RefusedCertificate { problem: problem(&refusal) }),
            }
        };
        request.chains.into_iter().map(|chain| install(chain.chain)).collect()
    });
    Ok(psdd_wire::encode(&InstallResponse { results: results.await? }))
}

fn problem(refusal: &CertificateRefusal) -> Problem {
    Problem::lasting(refusal.code(), format!("{refusal}; nothing was changed"))
}
