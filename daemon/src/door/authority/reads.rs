//! Reading: the appliance, every PSD of every tenant, their certificates. Committed state only.

use super::AuthorityState;
use crate::core::{Sight, View};
use crate::door::certified::{self, Numbered};
use crate::door::failure::Failure;
use crate::door::numbers;
use crate::door::views::{key_views, policy_view, psd_view};
use psd::device::Identity;
use psd::{PsdId, State};
use psdd_wire::message::{
    ApplianceResponse, CertificatesResponse, CertificationResponse, PsdResponse, PsdView, PsdsResponse,
};
use std::sync::Arc;

pub(super) async fn appliance(state: &AuthorityState) -> Result<Vec<u8>, Failure> {
    let View { policy, .. } = view(state, Sight::Appliance).await?;
    Ok(psdd_wire::encode(&ApplianceResponse {
        origin: state.origin.clone(),
        policy: policy_view(&policy),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log_spki: state.log_key.spki.clone(),
        appliance: state.appliance.to_string(),
        checkpoint: state.newest.note(),
        environment: state.environment.to_owned(),
        authority_root: state.authority_root.to_vec(),
    }))
}

pub(super) async fn psds(state: &AuthorityState) -> Result<Vec<u8>, Failure> {
    let View { psds, clock, periods, .. } = view(state, Sight::All).await?;
    let clock = clock.ok();
    let mut psds: Vec<PsdView> =
        psds.iter().map(|(identity, state)| psd_view(identity, state, clock, &periods)).collect();
    psds.sort_by_key(|view| view.psd);
    Ok(psdd_wire::encode(&PsdsResponse { psds, checkpoint: state.newest.note() }))
}

pub(super) async fn psd(state: &AuthorityState, psd: &str) -> Result<Vec<u8>, Failure> {
    let (identity, of, view) = one(state, psd).await?;
    let psd = psd_view(&identity, &of, view.clock.ok(), &view.periods);
    Ok(psdd_wire::encode(&PsdResponse { psd, checkpoint: state.newest.note() }))
}

pub(super) async fn certificates(state: &AuthorityState, psd: &str) -> Result<Vec<u8>, Failure> {
    let (identity, of, _) = one(state, psd).await?;
    Ok(psdd_wire::encode(&CertificatesResponse {
        psd: identity.psd,
        keys: key_views(&of),
        checkpoint: state.newest.note(),
        authority_root: state.authority_root.to_vec(),
    }))
}

/// The certification that has a number, as people write it, of whichever tenant.
pub(super) async fn certification(state: &AuthorityState, number: &str) -> Result<Vec<u8>, Failure> {
    let numbers = state.numbers.as_deref().ok_or_else(numbers::unknown)?;
    let (leaf, record) = numbers.open(number).await?;
    let psd = record.event.stamp().ok_or_else(numbers::unknown)?.psd;
    let (identity, ..) = one(state, psd.text().as_str()).await?;
    let numbered = Numbered::of(Some(numbers), identity.licence.clone(), &[record.at.time]).await?;
    let piece = certified::stored(&state.receipts, numbered, (leaf, &record)).await?.ok_or_else(numbers::unknown)?;
    Ok(psdd_wire::encode(&CertificationResponse { piece, checkpoint: state.newest.note() }))
}

async fn view(state: &AuthorityState, sight: Sight) -> Result<View, Failure> {
    state.core.view(sight)?.await.ok().ok_or_else(Failure::stopping)
}

async fn one(state: &AuthorityState, psd: &str) -> Result<(Arc<Identity>, State, View), Failure> {
    let unknown = || Failure::unknown_psd(psd);
    let id: PsdId = psd.parse().ok().ok_or_else(unknown)?;
    let mut view = view(state, Sight::Psd(id)).await?;
    let (identity, of) = view.psds.pop().ok_or_else(unknown)?;
    Ok((identity, of, view))
}
