//! Installing what the authority's CA issued. A PSD whose keys are all certified becomes authorised, then active.

use super::{ConsoleClock, ConsoleError, open_ledger};
use crate::config::Config;
use psd::clock::ClockReading;
use psd::lifecycle::{Lifecycle, Locks};
use psd::record::{Event, Record};
use psd::{Psd, PsdId};
use psdd_ledger::OpenError;
use psdd_wire::certificate::{ChainError, verify_chain};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a certificate was not installed. Those of PSDs before it were.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Ledger or clock.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// Writing a record.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The chain does not hold.
    #[error("{path}: {source}")]
    Chain {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ChainError,
    },
    /// It certifies another key.
    #[error("{path}: the certificate is not for the {role} key of {psd}")]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The role.
        role: String,
        /// The PSD.
        psd: PsdId,
    },
    /// A mark names its certificate by serial number alone, so each stands for one key.
    #[error("{path}: serial number {serial} is taken by another key of this appliance")]
    SerialTaken {
        /// The file.
        path: PathBuf,
        /// The serial number.
        serial: u32,
    },
}

/// Installs `PSD-ROLE.pem` from a directory for every key that has no certificate yet. Gives the PSDs that became active.
pub fn install_certificates(config: &Config, dir: &Path) -> Result<Vec<PsdId>, InstallError> {
    let mut recovered = open_ledger(config)?;
    let mut clock = ConsoleClock::new(config, Some(recovered.appliance.latest));
    let root = Arc::clone(&recovered.appliance.genesis.authority_root);
    let keys = recovered.appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let mut taken: BTreeSet<u32> = keys.filter_map(|certified| certified.key.certificate_serial).collect();
    let mut active = Vec::new();
    let psds: Vec<PsdId> = recovered.appliance.psds.keys().copied().collect();
    for id in psds {
        let Some(mut psd) = recovered.appliance.psds.get(&id).cloned() else { continue };
        let at = clock.read().map_err(ConsoleError::from)?;
        let mut events = certificates_of(&mut psd, dir, &root, at, &mut taken)?;
        if events.is_empty() {
            continue;
        }
        let complete = psd.state().keys.iter().all(psd::device::CertifiedKey::is_certified);
        if complete && psd.state().lifecycle == Lifecycle::Initialised {
            for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
                events.push(Event::LifecycleChanged { stamp: psd.next_stamp(), lifecycle, locks: Locks::NONE });
            }
            active.push(id);
        }
        recovered.append(events.into_iter().map(|event| Record { at, event }).collect())?;
    }
    Ok(active)
}

fn certificates_of(
    psd: &mut Psd,
    dir: &Path,
    root: &[u8],
    at: ClockReading,
    taken: &mut BTreeSet<u32>,
) -> Result<Vec<Event>, InstallError> {
    let id = psd.identity().psd;
    let mut events = Vec::new();
    let keys = std::sync::Arc::clone(&psd.state().keys);
    for certified in keys.iter() {
        let key = certified.key.clone();
        let path = dir.join(format!("{id}-{}.pem", key.role));
        if certified.is_certified() || !certified.life.is_sound() || !path.exists() {
            continue;
        }
        let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
        let chain = read.map_err(|source| InstallError::Pem { path: path.clone(), source })?;
        let borrowed: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
        let leaf = verify_chain(&borrowed, root, at.time)
            .map_err(|source| InstallError::Chain { path: path.clone(), source })?;
        if *leaf.spki() != *key.spki {
            return Err(InstallError::OtherKey { path, role: key.role.to_string(), psd: id });
        }
        if taken.contains(&leaf.serial()) {
            return Err(InstallError::SerialTaken { path, serial: leaf.serial() });
        }
        taken.insert(leaf.serial());
        let event = Event::CertificateInstalled {
            stamp: psd.next_stamp(),
            key_id: key.key_id,
            serial: leaf.serial(),
            chain: borrowed.into_iter().map(Arc::from).collect(),
        };
        psd.fold(&event, at.time);
        events.push(event);
    }
    Ok(events)
}
