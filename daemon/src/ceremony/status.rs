//! The status list: what the appliance says of every key, signed by the log key, for verifiers without a connection.

use super::{Ceremonies, CeremonyFailure};
use psd::device::CertifiedKey;
use psd::key::Role;
use psd::{PsdId, State};
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_wire::cose::Sign1;
use psdd_wire::status::{KeyState, STATUS_LIST, StatusEntry, StatusList};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// A list is signed anew after so long at the earliest, however many ask.
const KEPT_MS: u64 = 5_000;
/// A verifier fetches the next one within this time.
const GOOD_FOR_MS: u64 = 3_600_000;

/// The list that was signed last.
#[derive(Clone)]
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
        (None, None, None, Some(_)) => (KeyState::Superseded, successor(state, certified)),
        (None, None, None, None) if certified.is_certified() => (KeyState::Certified, life.created.0),
        (None, None, None, None) => (KeyState::Created, life.created.0),
    }
}

/// When the key after this one took over.
fn successor(state: &State, certified: &CertifiedKey) -> u64 {
    let from = certified.life.activated.map_or(0, |activated| activated.sequence);
    let later = state.keys.iter().filter(|other| other.key.role == certified.key.role);
    let later = later.filter_map(|other| other.life.activated).filter(|other| other.sequence > from);
    later.min_by_key(|other| other.sequence).map_or(certified.life.created.0, |next| next.at.0)
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
    /// The status list, COSE_Sign1 by the log key; not older than a few seconds. It blocks on the core and on the token.
    pub fn status_list(&self) -> Result<Arc<[u8]>, CeremonyFailure> {
        let desk = &self.0;
        let view = desk.view()?;
        let time = view.clock?.time.0;
        if let Some(kept) = desk.kept().clone().filter(|kept| time.saturating_sub(kept.at) < KEPT_MS) {
            return Ok(kept.bytes);
        }
        let of_psd = |(identity, state): &(Arc<psd::device::Identity>, State)| {
            let psd = identity.psd;
            state.keys.iter().map(move |certified| entry(psd, state, certified)).collect::<Vec<_>>()
        };
        let mut entries: Vec<StatusEntry> = view.psds.iter().flat_map(of_psd).collect();
        entries.sort_by(|one, other| (one.psd, &one.key_id).cmp(&(other.psd, &other.key_id)));
        let next_update = time.saturating_add(GOOD_FOR_MS);
        let list = StatusList { time, entries, appliance: desk.appliance.to_string(), next_update };
        let message = Sign1::unsigned_by(desk.log_kind, STATUS_LIST, None, psdd_wire::encode(&list));
        let mut messages = Messages::with_capacity(1, 1_024);
        messages.push(&message.to_be_signed());
        let key_id = Arc::clone(&desk.log_key_id);
        let frame = SignFrame { key_id, role: Role::Log, form: Form::CoseSign1, floor: 0, messages };
        let signatures = desk.link(desk.log_token)?.blocking().sign(&frame, PATIENCE)?;
        let signature = signatures.iter().next().unwrap_or_default().to_vec();
        let bytes: Arc<[u8]> = message.with_signature(&signature).into();
        *desk.kept() = Some(Signed { at: time, bytes: Arc::clone(&bytes) });
        Ok(bytes)
    }
}
