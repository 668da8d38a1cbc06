//! New PSDs: identity, keys in the token, certification requests for the authority's CA.

use super::request::{RequestError, certification_request};
use super::{ConsoleClock, ConsoleError, WantedKey, connect, make_key, open_ledger};
use crate::config::Config;
use psd::PsdId;
use psd::Registers;
use psd::device::CertifiedKey;
use psd::key::{Algorithm, Key, Residence, Role};
use psd::record::{Event, Record, Stamp};
use psdd_hsm::link::Link;
use psdd_ledger::OpenError;
use psdd_wire::ceremony::plan::{Group, Plan, PlanError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Keys of a new PSD, in the order they are made.
const ROLES: [Role; 2] = [Role::Indicium, Role::Device];

/// Those and the ones that the plan asks for: to certify, of which the second makes certification numbers, and to make digital tokens.
fn roles(plan: &Plan) -> impl Iterator<Item = Role> {
    let Plan { certifying, digital_tokens, .. } = *plan;
    let asked = [
        (Role::Certification, certifying),
        (Role::TokenMac, certifying || digital_tokens),
        (Role::PostalMac, digital_tokens),
    ];
    ROLES.into_iter().chain(asked.into_iter().filter(|(_, asked)| *asked).map(|(role, _)| role))
}

/// Why PSDs were not created. Those before the one named were, and the plan without them can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Token, ledger or clock.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The plan.
    #[error("plan: {0}")]
    Plan(#[from] PlanError),
    /// The PSD exists, with other properties.
    #[error("PSD {0} exists already and is not what the plan says")]
    Exists(PsdId),
    /// The plan names it twice.
    #[error("the plan names PSD {0} twice")]
    Twice(PsdId),
    /// Writing a record.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// Making a request.
    #[error("PSD {psd}: {source}")]
    Request {
        /// The PSD.
        psd: PsdId,
        /// Why.
        source: RequestError,
    },
    /// Writing a request.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Creates the PSDs of a plan and writes `PSD-ROLE.csr` (PKCS#10, PEM) for each key into a directory. `progress` is told how
/// many are done of how many. Gives those that are new: PSDs that exist as planned stay as they are, and get the requests that are
/// missing, so that a step that was interrupted can be repeated.
pub fn create_psds(
    config: &Config,
    plan: &Plan,
    requests: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<PsdId>, CreateError> {
    let groups: Vec<Group> =
        plan.groups.iter().zip(1..).map(|(group, number)| group.check(number)).collect::<Result<_, _>>()?;
    let mut recovered = open_ledger(config)?;
    let all: Vec<PsdId> = groups.iter().flat_map(|group| group.psds.iter().copied()).collect();
    let mut seen = BTreeSet::new();
    if let Some(psd) = all.iter().find(|psd| !seen.insert(**psd)) {
        return Err(CreateError::Twice(*psd));
    }
    let existing = &recovered.appliance.psds;
    for (group, psd) in groups.iter().flat_map(|group| group.psds.iter().map(move |psd| (group, psd))) {
        if existing.get(psd).is_some_and(|found| !group.describes(found.identity())) {
            return Err(CreateError::Exists(*psd));
        }
    }
    let new = all.iter().filter(|psd| !existing.contains_key(psd)).count();
    let mut clock = ConsoleClock::new(config, Some(recovered.appliance.latest));
    let mut created = Vec::with_capacity(new);
    for group in &groups {
        let link = connect(config, group.token.as_str())?;
        for psd in group.psds.iter().copied() {
            if let Some(found) = recovered.appliance.psds.get(&psd) {
                let uncertified = |certified: &&CertifiedKey| !certified.is_certified();
                let keys = found.state().keys.iter().filter(uncertified);
                for Key { role, key_id, spki, .. } in keys.map(|certified| &certified.key) {
                    if !request_path(requests, psd, *role).exists() {
                        write_request(&link, psd, *role, key_id, spki, requests)?;
                    }
                }
                continue;
            }
            let mut events = vec![psd_created(group, psd)];
            for (role, sequence) in roles(plan).zip(2..) {
                events.push(key_created(&link, group, psd, role, sequence, requests)?);
            }
            let at = clock.read().map_err(ConsoleError::from)?;
            recovered.append(events.into_iter().map(|event| Record { at, event }).collect())?;
            created.push(psd);
            progress(created.len(), new);
        }
    }
    Ok(created)
}

pub(crate) fn psd_created(group: &Group, psd: PsdId) -> Event {
    Event::PsdCreated {
        stamp: Stamp { psd, sequence: 1, registers: Registers::default() },
        tenant: group.tenant.clone(),
        licence: group.licence.clone(),
        licensing_zip: group.licensing_zip.number(),
        format: group.format.into(),
        software_id: group.software_id,
        limits: group.limits,
        currency: group.currency,
        zips: group.zips,
    }
}

/// CKA_ID of a key: role, device, generation. The role comes first because the worker looks for it there.
pub(crate) fn key_id(psd: PsdId, role: Role, generation: u8) -> Vec<u8> {
    let mut id = vec![role.number()];
    id.extend(psd.manufacturer());
    id.extend(psd.model());
    id.extend(psd.serial().to_be_bytes());
    id.push(generation);
    id
}

/// CKA_LABEL of a key, which people know it by.
pub(crate) fn key_label(psd: PsdId, role: Role, generation: u8) -> String {
    format!("{role} {psd} {generation}")
}

fn key_created(
    link: &Link,
    group: &Group,
    psd: PsdId,
    role: Role,
    sequence: u64,
    requests: &Path,
) -> Result<Event, CreateError> {
    let id = key_id(psd, role, 1);
    let label = key_label(psd, role, 1);
    let algorithm = if role.is_mac() { Algorithm::HmacSha256 } else { Algorithm::EcdsaP256 };
    let residence = Residence::Resident;
    let wanted = WantedKey { role, algorithm, key_id: &id, label: &label, residence };
    let spki = make_key(link, group.token.as_str(), &wanted)?.spki;
    // A MAC key has no public half that anybody could certify.
    if !role.is_mac() {
        write_request(link, psd, role, &id, &spki, requests)?;
    }
    Ok(Event::KeyCreated {
        stamp: Stamp { psd, sequence, registers: Registers::default() },
        key_id: id.into(),
        role,
        algorithm,
        token: group.token.as_str().into(),
        spki: spki.into(),
        wrapped: None,
    })
}

fn request_path(requests: &Path, psd: PsdId, role: Role) -> PathBuf {
    requests.join(format!("{psd}-{role}.csr"))
}

fn write_request(
    link: &Link,
    psd: PsdId,
    role: Role,
    key_id: &[u8],
    spki: &[u8],
    requests: &Path,
) -> Result<(), CreateError> {
    let request = certification_request(link, psd, role, key_id, spki);
    let request = request.map_err(|source| CreateError::Request { psd, source })?;
    let path = request_path(requests, psd, role);
    std::fs::write(&path, request).map_err(|source| CreateError::Write { path, source })
}
