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
use psd::key::Role;
use psd::record::{Event, Record};
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use psdd_certification::number::{Numbering, NumberingEpoch, Place};
use psdd_certification::{CertificationNumber, PrintedLine};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
}

/// The numbering that begins at a time.
struct Since {
    begins: UnixMillis,
    /// None where the key that makes it is gone.
    numbering: Option<Arc<Numbering>>,
}

/// Every numbering so far, those that began first before the others.
pub(super) struct Numberings(Vec<Since>);

impl Numberings {
    fn at(&self, time: UnixMillis) -> Option<&Arc<Numbering>> {
        let begun = self.0.iter().rev().find(|since| since.begins < time);
        begun.and_then(|since| since.numbering.as_ref())
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
        Self { psd, appliance, core, ceremonies, log_size, log, kept: Mutex::default() }
    }

    /// Every numbering; whatever is committed by now is numbered by one of them.
    ///
    /// # Errors
    ///
    /// As the token fails, where one is made for the first time since the start.
    pub(super) async fn numberings(&self) -> Result<Numberings, Failure> {
        let mut view = self.core.view(Sight::Psd(self.psd))?.await.ok().ok_or_else(Failure::stopping)?;
        let Some((_, state)) = view.psds.pop() else { return Ok(Numberings(Vec::new())) };
        let keys = state.keys.iter().filter(|certified| certified.key.role == Role::TokenMac);
        let mut all = Vec::new();
        for (epoch, certified) in (1..).zip(keys) {
            let Some(activated) = certified.life.activated else { continue };
            let numbering = match self.kept(&certified.key.key_id) {
                Some(numbering) => Some(numbering),
                None if certified.life.destroyed.is_some() => None,
                None => Some(self.make(&certified.key.key_id, &certified.key.token, NumberingEpoch(epoch)).await?),
            };
            all.push(Since { begins: activated.at, numbering });
        }
        Ok(Numberings(all))
    }

    fn kept(&self, key_id: &Arc<[u8]>) -> Option<Arc<Numbering>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    async fn make(
        &self,
        key_id: &Arc<[u8]>,
        token: &Arc<str>,
        epoch: NumberingEpoch,
    ) -> Result<Arc<Numbering>, Failure> {
        let message = Numbering::key_message(&self.appliance, epoch);
        let (ceremonies, asked, token) = (self.ceremonies.clone(), Arc::clone(key_id), Arc::clone(token));
        let made = beside(move || ceremonies.mac(&asked, &token, &message, PATIENCE)).await?;
        let key = Zeroizing::new(made.map_err(|failure| refused(&failure))?);
        let numbering = Arc::new(Numbering::new(key, &self.appliance, epoch));
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(key_id), Arc::clone(&numbering));
        Ok(numbering)
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
        let numberings = self.numberings().await?;
        for since in numberings.0.iter().rev() {
            let Some(Ok(place)) = since.numbering.as_ref().map(|numbering| numbering.open(&number)) else { continue };
            let leaf = place.leaf();
            if leaf >= self.log_size.load(Ordering::Relaxed) {
                continue;
            }
            let bytes = self.log.read(move |log| log.record(leaf)).await?;
            let record = Record::decode(&bytes).ok();
            let certified = record.filter(|record| matches!(record.event, Event::Certification(_)));
            // Thirty-two epochs later another key gives numbers that begin alike: the record says which of them it has.
            let its_own = |record: &Record| {
                numberings.at(record.at.time).is_some_and(|own| Some(own.number(place)) == Some(number))
            };
            if let Some(record) = certified.filter(its_own) {
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
