//! New PSDs: identity, keys in the token, certification requests for the authority's CA.

use super::plan::{Group, Plan, PlanError};
use super::request::{RequestError, certification_request};
use super::{ConsoleClock, ConsoleError, connect, open_ledger};
use crate::config::Config;
use psd::PsdId;
use psd::Registers;
use psd::key::{Algorithm, Role};
use psd::record::{Event, Record, Stamp};
use psdd_hsm::link::Link;
use psdd_ledger::OpenError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keys of a new PSD, in the order they are made.
const ROLES: [Role; 2] = [Role::Indicium, Role::Device];

/// Why PSDs were not created. Those named by requests in the directory were.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Token, ledger or clock.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The plan.
    #[error("plan: {0}")]
    Plan(#[from] PlanError),
    /// The PSD exists.
    #[error("PSD {0} exists already")]
    Exists(PsdId),
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
/// many are done of how many.
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
    let twice = all.iter().enumerate().find(|(at, psd)| all[..*at].contains(psd)).map(|(_, psd)| psd);
    if let Some(psd) = twice.or_else(|| all.iter().find(|psd| recovered.appliance.psds.contains_key(psd))) {
        return Err(CreateError::Exists(*psd));
    }
    let mut clock = ConsoleClock::new(config, Some(recovered.appliance.latest));
    let mut done = 0;
    for group in &groups {
        let link = connect(config, &group.token)?;
        for psd in &group.psds {
            let mut events = vec![created(group, *psd)];
            for (role, sequence) in ROLES.into_iter().zip(2..) {
                events.push(make_key(&link, group, *psd, role, sequence, requests)?);
            }
            let at = clock.read().map_err(ConsoleError::from)?;
            recovered.append(events.into_iter().map(|event| Record { at, event }).collect())?;
            done += 1;
            progress(done, all.len());
        }
    }
    Ok(all)
}

fn created(group: &Group, psd: PsdId) -> Event {
    Event::PsdCreated {
        stamp: Stamp { psd, sequence: 1, registers: Registers::default() },
        tenant: group.tenant.clone(),
        licence: group.licence.clone(),
        licensing_zip: group.licensing_zip.number(),
        format: group.format.into(),
        software_id: group.software_id,
        limits: group.limits,
    }
}

/// CKA_ID of a key: role, device, generation. The role comes first because the worker looks for it there.
fn key_id(psd: PsdId, role: Role, generation: u8) -> Vec<u8> {
    let mut id = vec![role.number()];
    id.extend(psd.manufacturer());
    id.extend(psd.model());
    id.extend(psd.serial().to_be_bytes());
    id.push(generation);
    id
}

fn make_key(
    link: &Link,
    group: &Group,
    psd: PsdId,
    role: Role,
    sequence: u64,
    requests: &Path,
) -> Result<Event, CreateError> {
    let id = key_id(psd, role, 1);
    let on_token = |source| ConsoleError::Token { token: group.token.clone(), source };
    let spki = link
        .blocking()
        .generate(role, Algorithm::EcdsaP256, &id, &format!("{role} {psd} 1"), Duration::from_secs(60))
        .map_err(on_token)?;
    let request =
        certification_request(link, psd, role, &id, &spki).map_err(|source| CreateError::Request { psd, source })?;
    let path = requests.join(format!("{psd}-{role}.csr"));
    std::fs::write(&path, request).map_err(|source| CreateError::Write { path, source })?;
    Ok(Event::KeyCreated {
        stamp: Stamp { psd, sequence, registers: Registers::default() },
        key_id: id.into(),
        role,
        algorithm: Algorithm::EcdsaP256,
        token: group.token.as_str().into(),
        spki: spki.into(),
    })
}
