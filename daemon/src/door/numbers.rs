//! Certification numbers: from the place of a certification in the log to what a person reads, and back (docs/certification.md, "Numbers").
//!
//! The key of a numbering epoch is a MAC by a token MAC key of one PSD, made once for each of its keys and kept in memory. Which key numbers a
//! certification follows from the time of its record alone, so that every repetition tells the same number.

use super::failure::Failure;
use super::log_readers::LogReaders;
use super::operator::{beside, refused};
use crate::ceremony::Ceremonies;
use crate::core::Sight;
use crate::spine::Handle;
use http::StatusCode;
use psd::certification::Certification;
use psd::device::CertifiedKey;
use psd::key::Role;
use psd::record::{Event, Record};
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use psdd_certification::number::{Numbering, NumberingEpoch, Place};
use psdd_certification::{CertificationNumber, PrintedLine};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the token may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What gives numbers and opens them.
pub struct Numbers {
    psd: PsdId,
    appliance: ApplianceId,
    core: Handle,
    ceremonies: Ceremonies,
    /// Leaves in the log, at least.
    log_size: Arc<AtomicU64>,
    log: Arc<LogReaders>,
    /// By the CKA_ID of the MAC key that made them.
    kept: Mutex<HashMap<Arc<[u8]>, Arc<Numbering>>>,
    /// That there is nothing to number with is told once.
    told: Once,
}

/// The numbering that begins at a time.
struct Since {
    begins: UnixMillis,
    epoch: NumberingEpoch,
    /// CKA_ID and token of the key that makes it; none once that is destroyed.
    key: Option<(Arc<[u8]>, Arc<str>)>,
    /// None where it was not asked for, or the key is gone.
    numbering: Option<Arc<Numbering>>,
}

/// The epoch that a certification of this time is numbered in.
fn newest_before(epochs: &[Since], time: UnixMillis) -> Option<usize> {
    epochs.iter().rposition(|since| since.begins < time)
}

/// The numberings so far, those that began first before the others.
pub(super) struct Numberings(Vec<Since>);

impl Numberings {
    fn at(&self, time: UnixMillis) -> Option<&Arc<Numbering>> {
        newest_before(&self.0, time).and_then(|at| self.0[at].numbering.as_ref())
    }

    /// The number of the certification at a leaf, and the line that is printed with it where that is short enough.
    pub(super) fn of(
        &self,
        (time, leaf): (UnixMillis, u64),
        licence: &LicenceNumber,
        certification: &Certification,
    ) -> Option<(CertificationNumber, Option<PrintedLine>)> {
        let number = self.at(time)?.number(Place::of_leaf(leaf)?);
        let (class, due) = (certification.rated.class.clone(), certification.due);
        let line = PrintedLine::new(licence.clone(), class, certification.date, due, number);
        Some((number, line.ok()))
    }
}

impl Numbers {
    /// By the token MAC keys of this PSD.
    pub fn new(
        psd: PsdId,
        appliance: ApplianceId,
        (core, ceremonies): (Handle, Ceremonies),
        log_size: Arc<AtomicU64>,
        log: Arc<LogReaders>,
    ) -> Self {
        Self { psd, appliance, core, ceremonies, log_size, log, kept: Mutex::default(), told: Once::new() }
    }

    /// The numberings that certifications of these times have; records of them are committed by now. Those of other times are left out.
    ///
    /// # Errors
    ///
    /// As the token fails, where one is made for the first time since the start.
    pub(super) async fn numberings(&self, times: &[UnixMillis]) -> Result<Numberings, Failure> {
        let mut all = self.epochs().await?;
        let needed: BTreeSet<usize> = times.iter().filter_map(|time| newest_before(&all, *time)).collect();
        for at in needed {
            self.fill(&mut all[at]).await?;
        }
        Ok(Numberings(all))
    }

    /// Every epoch so far, without the numberings.
    async fn epochs(&self) -> Result<Vec<Since>, Failure> {
        let mut view = self.core.view(Sight::Psd(self.psd))?.await.ok().ok_or_else(Failure::stopping)?;
        let state = view.psds.pop().map(|(_, state)| state);
        let of_psd = state.iter().flat_map(|state| state.keys.iter());
        let keys = of_psd.filter(|certified| certified.key.role == Role::TokenMac);
        let since = |(number, certified): (u32, &CertifiedKey)| {
            let gone = certified.life.destroyed.is_some();
            if gone {
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&certified.key.key_id);
            }
            Some(Since {
                begins: certified.life.activated?.at,
                epoch: NumberingEpoch(number),
                key: (!gone).then(|| (Arc::clone(&certified.key.key_id), Arc::clone(&certified.key.token))),
                numbering: None,
            })
        };
        let epochs: Vec<Since> = (1..).zip(keys).filter_map(since).collect();
        if epochs.is_empty() {
            self.told.call_once(|| {
                tracing::warn!(psd = %self.psd, "the PSD of certification.numbers has no token MAC key in use: certifications get no numbers");
            });
        }
        Ok(epochs)
    }

    async fn fill(&self, since: &mut Since) -> Result<(), Failure> {
        let Some((key_id, token)) = &since.key else { return Ok(()) };
        since.numbering = match self.kept(key_id) {
            Some(numbering) => Some(numbering),
            None => self.make(key_id, token, since.epoch).await?,
        };
        Ok(())
    }

    fn kept(&self, key_id: &Arc<[u8]>) -> Option<Arc<Numbering>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    /// `None` where the token that has the key is not one of this daemon's any more: the key is as good as gone.
    async fn make(
        &self,
        key_id: &Arc<[u8]>,
        token: &Arc<str>,
        epoch: NumberingEpoch,
    ) -> Result<Option<Arc<Numbering>>, Failure> {
        if !self.ceremonies.has_token(token) {
            tracing::warn!(%token, epoch = epoch.0, "the token of a numbering key is not configured: its numbers are not told");
            return Ok(None);
        }
        let message = Numbering::key_message(&self.appliance, epoch);
        let (ceremonies, asked, token) = (self.ceremonies.clone(), Arc::clone(key_id), Arc::clone(token));
        let made = beside(move || ceremonies.mac(&asked, &token, &message, PATIENCE)).await?;
        let key = Zeroizing::new(made.map_err(|failure| refused(&failure))?);
        let numbering = Arc::new(Numbering::new(key, &self.appliance, epoch));
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(key_id), Arc::clone(&numbering));
        Ok(Some(numbering))
    }

    /// The leaf and the record of the certification that has this number.
    ///
    /// # Errors
    ///
    /// `number-misread` where the check characters do not hold, `number-unknown` where no certification has it.
    pub(super) async fn open(&self, text: &str) -> Result<(u64, Record), Failure> {
        let number: CertificationNumber = text
            .parse()
            .map_err(|error| Failure::lasting(StatusCode::BAD_REQUEST, "number-misread", format!("{error}")))?;
        let mut epochs = self.epochs().await?;
        for at in (0..epochs.len()).rev() {
            if epochs[at].epoch.modulo() != number.epoch_modulo() {
                continue;
            }
            self.fill(&mut epochs[at]).await?;
            let Some(Ok(place)) = epochs[at].numbering.as_ref().map(|numbering| numbering.open(&number)) else {
                continue;
            };
            let leaf = place.leaf();
            if leaf >= self.log_size.load(Ordering::Relaxed) {
                continue;
            }
            let bytes = self.log.read(move |log| log.record(leaf)).await?;
            let record = Record::decode(&bytes).ok();
            // Thirty-two epochs later another key gives numbers that begin alike: the time of the record says which of them it has.
            let its_own = |record: &Record| newest_before(&epochs, record.at.time) == Some(at);
            let certified = record.filter(|record| matches!(record.event, Event::Certification(_)) && its_own(record));
            if let Some(record) = certified {
                return Ok((leaf, record));
            }
        }
        Err(unknown())
    }
}

/// No certification has the number, or none that who asks may know of.
pub(super) fn unknown() -> Failure {
    Failure::lasting(StatusCode::NOT_FOUND, "number-unknown", "this appliance gave the number to no certification")
}
