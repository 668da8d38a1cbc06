//! Certificates in: what needs no quorum, because the authority's signature is what counts.
//!
//! A batch is judged against one view of all keys, and each certificate by itself: one that is wrong is refused and the others are
//! installed. What is installed of one PSD is one commit, so a PSD becomes active with all its certificates or with none of the batch,
//! and the commits of a batch share their syncs.

use super::desk::Desk;
use super::{Ceremonies, CeremonyFailure};
use crate::core::{Change, Sight, View};
use psd::PsdId;
use psd::device::{CertifiedKey, Change as PsdChange};
use psd::key::Role;
use psd::lifecycle::Lifecycle;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::profile::{Lifetime, ProfileError, WantedKey};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

/// The longest a certificate of a PSD's key may last.
const MOST_YEARS: u8 = 10;
/// The most bytes of a chain: it stands in one record with all of it (docs/ledger.md).
const MOST_CHAIN_BYTES: usize = 16_384;

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
    /// It is more than a record is to hold.
    #[error("the chain has {bytes} bytes; {MOST_CHAIN_BYTES} at most")]
    TooLarge {
        /// Of all its certificates.
        bytes: usize,
    },
    /// A key has one certificate for life.
    #[error("the key has its certificate, serial number {0}; a new certificate takes a new key")]
    HasAnother(u32),
    /// Nothing is certified that signs no more.
    #[error("the key is retired, destroyed or revoked")]
    NotSound,
    /// The core does not take it, nor any other certificate of its PSD that came along.
    #[error("{0}")]
    Change(Arc<CeremonyFailure>),
}

impl CertificateRefusal {
    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            CertificateRefusal::NoSuchKey => "certificate-for-no-key",
            CertificateRefusal::SerialTaken(_) => "certificate-serial-taken",
            CertificateRefusal::TooLarge { .. } => "certificate-too-large",
            CertificateRefusal::HasAnother(_) => "certificate-second",
            CertificateRefusal::NotSound => "certificate-key-out-of-use",
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

/// A certificate that is in place, now or since before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    /// The PSD.
    pub psd: PsdId,
    /// What its key may sign.
    pub role: Role,
    /// Serial number of the certificate.
    pub serial: u32,
}

/// What a batch changes of one PSD.
#[derive(Default)]
struct OfPsd {
    changes: Vec<PsdChange>,
    /// Which chains of the batch they come from.
    chains: Vec<usize>,
}

impl Ceremonies {
    /// Installs certificate chains (DER, a key's own certificate first), with a result for each, in their order. A PSD becomes active with
    /// its last one. What is installed already stays as it is.
    ///
    /// # Errors
    ///
    /// When nothing could be judged: the core does not answer, or there is no time.
    pub fn install(
        &self,
        root: &AuthorityRoot,
        chains: Vec<Vec<Vec<u8>>>,
    ) -> Result<Vec<Result<Installed, CertificateRefusal>>, CeremonyFailure> {
        let desk = &self.0;
        // One batch at a time: a serial number that two of them bring would be free for both.
        let _turn = desk.installing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = desk.view(Sight::All)?;
        let mut batch = Batch::of(&view, root)?;
        let judged = chains.iter().enumerate().map(|(place, chain)| batch.judge(place, chain));
        let mut results: Vec<_> = judged.collect();
        for (chains, refusal) in batch.commit(desk) {
            let refusal = Arc::new(refusal);
            for place in chains {
                results[place] = Err(CertificateRefusal::Change(Arc::clone(&refusal)));
            }
        }
        Ok(results)
    }
}

/// A batch on its way: what there is, and what came before in the batch.
struct Batch<'v> {
    view: &'v View,
    root: &'v AuthorityRoot,
    lifetime: Lifetime,
    /// By public half: the place of the PSD in the view and of the key in the PSD.
    keys: HashMap<&'v [u8], (usize, usize)>,
    /// Serial numbers in use, with the batch's.
    serials: HashSet<u32>,
    /// The batch's certificates by their keys.
    certified: HashMap<(usize, usize), u32>,
    /// Issuers, each once: all chains of a fleet name the same few.
    issuers: HashSet<Arc<[u8]>>,
    psds: BTreeMap<usize, OfPsd>,
}

impl<'v> Batch<'v> {
    fn of(view: &'v View, root: &'v AuthorityRoot) -> Result<Self, CeremonyFailure> {
        let now = view.clock?.time;
        let mut batch = Self {
            view,
            root,
            lifetime: Lifetime { now, most_years: MOST_YEARS },
            keys: HashMap::new(),
            serials: HashSet::new(),
            certified: HashMap::new(),
            issuers: HashSet::new(),
            psds: BTreeMap::new(),
        };
        for (place, (_, state)) in view.psds.iter().enumerate() {
            for (key, certified) in state.keys.iter().enumerate() {
                batch.keys.insert(&certified.key.spki, (place, key));
                if let Some(serial) = certified.key.certificate_serial {
                    batch.serials.insert(serial);
                }
            }
        }
        Ok(batch)
    }

    fn judge(&mut self, place: usize, chain: &[Vec<u8>]) -> Result<Installed, CertificateRefusal> {
        let bytes = chain.iter().map(Vec::len).sum();
        if bytes > MOST_CHAIN_BYTES {
            return Err(CertificateRefusal::TooLarge { bytes });
        }
        let spki = chain.first().and_then(|leaf| crate::birth::spki_of(leaf));
        let found = spki.and_then(|spki| self.keys.get(&*spki).copied());
        let found = found.ok_or(CertificateRefusal::NoSuchKey)?;
        let (identity, state) = &self.view.psds[found.0];
        let CertifiedKey { key, life, .. } = &state.keys[found.1];
        let (psd, role) = (identity.psd, key.role);
        let generation = key.generation();
        let wanted = WantedKey { psd, role, generation, spki: &key.spki };
        let serial = self.root.profile(chain, &wanted, &self.lifetime)?.serial;
        let before = key.certificate_serial.or_else(|| self.certified.get(&found).copied());
        match before {
            Some(before) if before == serial => {
                // One that comes twice in a batch fails as the first does.
                if let Some(of_psd) = self.psds.get_mut(&found.0).filter(|_| self.certified.contains_key(&found)) {
                    of_psd.chains.push(place);
                }
                return Ok(Installed { psd, role, serial });
            }
            Some(before) => return Err(CertificateRefusal::HasAnother(before)),
            None if self.serials.contains(&serial) => return Err(CertificateRefusal::SerialTaken(serial)),
            None if !life.is_sound() => return Err(CertificateRefusal::NotSound),
            None => {}
        }
        let chain = self.shared(chain);
        self.serials.insert(serial);
        self.certified.insert(found, serial);
        let of_psd = self.psds.entry(found.0).or_default();
        of_psd.changes.push(PsdChange::InstallCertificate { key_id: Arc::clone(&key.key_id), serial, chain });
        of_psd.chains.push(place);
        Ok(Installed { psd, role, serial })
    }

    fn shared(&mut self, chain: &[Vec<u8>]) -> Vec<Arc<[u8]>> {
        let Some((leaf, issuers)) = chain.split_first() else { return Vec::new() };
        let mut shared = vec![Arc::from(leaf.as_slice())];
        for issuer in issuers {
            let kept = self.issuers.get(issuer.as_slice()).map(Arc::clone);
            shared.push(kept.unwrap_or_else(|| {
                let new: Arc<[u8]> = issuer.as_slice().into();
                self.issuers.insert(Arc::clone(&new));
                new
            }));
        }
        shared
    }

    /// Has everything made durable, and says of which chains that failed.
    fn commit(self, desk: &Desk) -> Vec<(Vec<usize>, CeremonyFailure)> {
        let Self { view, certified, psds, .. } = self;
        // All are on their way before the first is waited for: that is what lets them share a sync.
        let begun = psds.into_iter().map(|(place, OfPsd { mut changes, chains })| {
            let (identity, state) = &view.psds[place];
            let all = |(key, of): (usize, &CertifiedKey)| of.is_certified() || certified.contains_key(&(place, key));
            if state.lifecycle == Lifecycle::Initialised && state.keys.iter().enumerate().all(all) {
                changes.extend([Lifecycle::Authorised, Lifecycle::Active].map(PsdChange::Become));
            }
            let changes = changes.into_iter().map(|change| (change, None)).collect();
            (chains, desk.begin_change(Change::Psd { psd: identity.psd, changes, step: None }))
        });
        let begun: Vec<_> = begun.collect();
        let ended = begun.into_iter().map(|(chains, begun)| (chains, begun.and_then(Desk::end_change)));
        ended.filter_map(|(chains, ended)| Some((chains, ended.err()?))).collect()
    }
}
