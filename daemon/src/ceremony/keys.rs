//! Certification requests out, certificates in: what needs no quorum, because the authority's signature is what counts.

use super::desk::Desk;
use super::{Ceremonies, CeremonyFailure};
use crate::birth::{RequestError, certification_request};
use crate::core::Change;
use psd::device::{CertifiedKey, Change as PsdChange, Identity};
use psd::key::Key;
use psd::lifecycle::Lifecycle;
use psd::{PsdId, State};
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::profile::{Lifetime, ProfileError, WantedKey};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;

/// The longest a certificate of a PSD's key may last.
const MOST_YEARS: u8 = 10;

/// Why a certificate was not installed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefusal {
    /// The certificate is for no key here.
    #[error("the certificate is for no key of this appliance that waits for one")]
    NoSuchKey,
    /// It is not what a key of a PSD must have.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// A mark names its certificate by serial number alone, so each stands for one key.
    #[error("serial number {0} is taken by another key of this appliance")]
    SerialTaken(u32),
    /// The core does not take it.
    #[error("{0}")]
    Change(#[from] CeremonyFailure),
}

impl CertificateRefusal {
    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            CertificateRefusal::NoSuchKey => "certificate-for-no-key",
            CertificateRefusal::SerialTaken(_) => "certificate-serial-taken",
            CertificateRefusal::Change(failure) => failure.code(),
            CertificateRefusal::Profile(error) => match error {
                ProfileError::Malformed(_) => "certificate-malformed",
                ProfileError::Key { .. } => "certificate-wrong-key",
                ProfileError::KeyKind { .. } => "certificate-wrong-key-kind",
                ProfileError::Subject { .. } => "certificate-wrong-subject",
                ProfileError::Issuer(_) => "certificate-wrong-issuer",
                ProfileError::Usage { .. } => "certificate-wrong-usage",
                ProfileError::Serial { .. } => "certificate-wrong-serial",
                ProfileError::NotYetValid { .. } => "certificate-not-yet-valid",
                ProfileError::Expired { .. } => "certificate-expired",
                ProfileError::TooLong { .. } => "certificate-too-long",
            },
        }
    }
}

/// A PKCS#10 request for a key, DER, signed in its token.
pub fn request_of(ceremonies: &Ceremonies, psd: PsdId, key: &Key) -> Result<Vec<u8>, CeremonyFailure> {
    let link = ceremonies.desk().link_named(&key.token)?;
    let pem = certification_request(link, psd, key.role, &key.key_id, &key.spki);
    let pem = pem.map_err(|error| match error {
        RequestError::Sign(error) => CeremonyFailure::Token(error),
        RequestError::Der(error) => CeremonyFailure::Refused(error.to_string()),
    })?;
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes());
    der.map(|der| der.to_vec()).map_err(|error| CeremonyFailure::Refused(error.to_string()))
}

impl Ceremonies {
    /// Installs a certificate. The PSD becomes active with its last one.
    pub fn install(&self, root: &AuthorityRoot, chain: &[Vec<u8>]) -> Result<(PsdId, Key, u32), CertificateRefusal> {
        let desk = self.desk();
        let view = desk.view()?;
        let now = view.clock.map_err(CeremonyFailure::from)?.time;
        let spki = chain.first().and_then(|leaf| crate::birth::spki_of(leaf));
        let found = spki.and_then(|spki| key_with(&view.psds, &spki)).ok_or(CertificateRefusal::NoSuchKey)?;
        let (psd, state, certified) = found;
        let key = certified.key.clone();
        let generation = key.key_id.last().copied().unwrap_or(1);
        let wanted = WantedKey { psd, role: key.role, generation, spki: &key.spki };
        let profiled = root.profile(chain, &wanted, &Lifetime { now, most_years: MOST_YEARS })?;
        if key.certificate_serial == Some(profiled.serial) {
            return Ok((psd, key, profiled.serial));
        }
        let keys = view.psds.iter().flat_map(|(_, state)| state.keys.iter());
        if keys.map(|other| other.key.certificate_serial).any(|serial| serial == Some(profiled.serial)) {
            return Err(CertificateRefusal::SerialTaken(profiled.serial));
        }
        let chain = chain.iter().map(|der| Arc::from(der.as_slice())).collect();
        let (key_id, serial) = (Arc::clone(&key.key_id), profiled.serial);
        let mut changes = vec![(PsdChange::InstallCertificate { key_id, serial, chain }, None)];
        let others = state.keys.iter().filter(|other| other.key.key_id != key.key_id);
        if state.lifecycle == Lifecycle::Initialised && others.clone().all(CertifiedKey::is_certified) {
            for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
                changes.push((PsdChange::Become(lifecycle), None));
            }
        }
        desk.change(Change::Psd { psd, changes, step: None })?;
        Ok((psd, key, serial))
    }

    fn desk(&self) -> &Desk {
        &self.0
    }
}

fn key_with<'v>(psds: &'v [(Arc<Identity>, State)], spki: &[u8]) -> Option<(PsdId, &'v State, &'v CertifiedKey)> {
    psds.iter().find_map(|(identity, state)| {
        let key = state.keys.iter().find(|certified| *certified.key.spki == *spki)?;
        Some((identity.psd, state, key))
    })
}
