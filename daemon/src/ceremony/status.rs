//! The status list: what the appliance says of every key of a tenant or of all, signed by the log key, for verifiers without a connection.

use super::{Ceremonies, CeremonyFailure};
use crate::core::Sight;
use psd::device::CertifiedKey;
use psd::rotation::successor;
use psd::{PsdId, State, TenantName};
use psdd_wire::status::{KeyState, STATUS_LIST, StatusEntry, StatusList};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// A list is signed anew after so long at the earliest, however many ask.
const KEPT_MS: u64 = 5_000;
/// A verifier fetches the next one within this time.
const GOOD_FOR_MS: u64 = 3_600_000;

/// A list that was signed.
pub(super) struct Signed {
    at: u64,
    bytes: Arc<[u8]>,
}

/// Where a key stands; of several things, what binds most. And since when.
pub fn standing(state: &State, certified: &CertifiedKey) -> (KeyState, u64) {
    let life = &certified.life;
    let in_use = state.key_in_use(certified.key.role).is_some_and(|used| used.key.key_id == certified.key.key_id);
    match (life.revoked, life.destroyed, life.retired, life.activated) {
        (Some(revoked), ..) => (KeyState::Revoked, revoked.since.0),
        (None, Some(destroyed), ..) => (KeyState::Destroyed, destroyed.0),
        (None, None, Some(retired), _) => (KeyState::Retired, retired.0),
        (None, None, None, Some(activated)) if in_use => (KeyState::Active, activated.at.0),
        (None, None, None, Some(_)) => {
            let next = successor(state, certified);
            (KeyState::Superseded, next.map_or(life.created, |next| next.at).0)
        }
        (None, None, None, None) if certified.is_certified() => (KeyState::Certified, life.created.0),
        (None, None, None, None) => (KeyState::Created, life.created.0),
    }
}

fn entry(psd: PsdId, state: &State, certified: &CertifiedKey) -> StatusEntry {
    let (standing, since) = standing(state, certified);
    StatusEntry {
        psd,
        since,
        state: standing,
        key_id: certified.key.key_id.to_vec(),
        reason: certified.life.revoked.map(|revoked| revoked.reason.as_str().to_owned()),
        serial: certified.key.certificate_serial,
    }
}

impl Ceremonies {
    /// The status list of the PSDs of a tenant, or of all, COSE_Sign1 by the log key; not older than a few seconds. It blocks on the
    /// core and on the token.
    pub fn status_list(&self, of: Option<&TenantName>) -> Result<Arc<[u8]>, CeremonyFailure> {
        let desk = &self.0;
        let time = desk.view(Sight::Appliance)?.clock?.time.0;
        let whose = of.cloned();
        {
            let mut kept = desk.kept();
            // What is too old leaves, so that no more lists are kept than tenants ask within that time.
            kept.retain(|_, signed| time.saturating_sub(signed.at) < KEPT_MS);
            if let Some(signed) = kept.get(&whose) {
                return Ok(Arc::clone(&signed.bytes));
            }
        }
        let view = desk.view(Sight::All)?;
        let of_psd = |(identity, state): &(Arc<psd::device::Identity>, State)| {
            let psd = identity.psd;
            state.keys.iter().map(move |certified| entry(psd, state, certified)).collect::<Vec<_>>()
        };
        let mut entries: Vec<StatusEntry> = view
            .psds
            .iter()
            .filter(|(identity, _)| of.is_none_or(|tenant| identity.tenant == *tenant))
            .flat_map(of_psd)
            .collect();
        entries.sort_by(|one, other| (one.psd, &one.key_id).cmp(&(other.psd, &other.key_id)));
        let next_update = time.saturating_add(GOOD_FOR_MS);
        let (tenant, appliance) = (of.map(ToString::to_string), desk.appliance.to_string());
        let list = StatusList { time, tenant, entries, appliance, next_update };
        let bytes: Arc<[u8]> = desk.sign_as_log(STATUS_LIST, psdd_wire::encode(&list), PATIENCE)?.into();
        desk.kept().insert(whose, Signed { at: time, bytes: Arc::clone(&bytes) });
        Ok(bytes)
    }
}
