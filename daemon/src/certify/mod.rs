//! What a piece of corrected mail owes: weighed on a scale that counts, rated by a table in force, less what was paid for it.
//!
//! Owns everything about a certification that does not take the PSD itself: from the item as received to a [`Piece`] that the core judges. What
//! cannot be certified becomes a piece as well, one that the core refuses once it knows that its key was never used: whoever repeats a request
//! gets what was signed then, however old the reading or the table is by now. Files are read at start and on SIGHUP ([`Desk::load`]); a desk
//! never changes, what is new of it is in the log before it certifies anything, and the core knows which generation a piece was computed under.

mod basis;
mod load;
mod pay;
mod rate;
mod run;
mod weigh;

pub use load::LoadError;
pub use pay::Payers;
pub use run::Recount;

use psd::RunId;
use psd::certification::{Certification, NotCertifiable, Rated};
use psd::clock::{ClockReading, ClockStop};
use psd::device::{Identity, Piece, RunRefusal};
use psd::indicium::Details;
use psd::run::{Dues, Run};
use psdd_certification::scale::{Freshness, Registry};
use psdd_rates::Archive;
use psdd_wire::digest::certification_digest;
use psdd_wire::item::{ItemError, ToCertify, to_certify};
use psdd_wire::message::{CertifyItem, ProvenBy};
use std::sync::Arc;

/// Tables and scales in force.
#[derive(Debug)]
pub struct Desk {
    rates: Archive,
    scales: Registry,
    freshness: Freshness,
}

/// What the pieces of one request have in common.
pub struct Request<'r> {
    /// The PSD that shall certify, as received.
    pub psd: &'r str,
    /// The same.
    pub identity: &'r Identity,
    /// Name of the rate table.
    pub rates: &'r str,
    /// The run that they are part of, as asked for and, where the PSD has it open, as it was announced.
    pub run: Option<(&'r RunId, Option<&'r Run>)>,
    /// What shall prove them.
    pub proof: ProvenBy,
    /// The time, or why there is none.
    pub clock: Result<ClockReading, ClockStop>,
    /// PSDs whose indicia may pay.
    pub payers: &'r Payers,
}

/// Why something cannot be certified.
fn refused(code: &'static str, says: impl std::fmt::Display) -> NotCertifiable {
    NotCertifiable { code, says: says.to_string() }
}

impl Desk {
    /// The piece that an item asks for.
    ///
    /// # Errors
    ///
    /// When the item is no piece in its form.
    pub fn piece(&self, request: &Request<'_>, item: &CertifyItem<'_>) -> Result<Piece, ItemError> {
        let asked = to_certify(item)?;
        let digest = certification_digest(
            request.psd,
            request.rates,
            (request.run.map(|(id, _)| id.as_str()), request.proof),
            item,
        );
        let certified = self.certification(request, item, &asked);
        let postage = certified.as_ref().map(|(certification, _)| certification.shortfall()).unwrap_or_default();
        let details = match certified {
            Ok((certification, dues)) => Details::Certification(Arc::new(certification), dues),
            Err(not) => Details::NotCertifiable(asked.date, request.proof.into(), Arc::new(not)),
        };
        let (key, reference) = (asked.key, asked.reference);
        Ok(Piece { key, digest, postage, details, recipient: None, reference, weight_g: None, token: None })
    }

    fn certification(
        &self,
        request: &Request<'_>,
        item: &CertifyItem<'_>,
        asked: &ToCertify,
    ) -> Result<(Certification, Option<Dues>), NotCertifiable> {
        let now = request.clock.map_err(|stop| refused("clock-stopped", format_args!("no trusted time: {stop}")))?.time;
        let weighed = weigh::weighed(&self.scales, item, asked, now, self.freshness)?;
        let run = match request.run {
            Some((id, run)) => Some(run.ok_or_else(|| {
                let refusal = RunRefusal::NotOpen(id.clone());
                refused(refusal.code(), refusal)
            })?),
            None => None,
        };
        let table = match run {
            Some(run) => self.table_of(run)?.table(),
            None => {
                let table = self.rates.in_force(request.rates, asked.date);
                table.map_err(|error| refused("rates-not-in-force", error))?.table()
            }
        };
        let piece = rate::piece(table, request.identity, item, asked, &weighed)?;
        let (due, tariff, dues) = match run {
            Some(run) => rate::due_in_run(table, (run, request.rates), asked, &piece)?,
            None => rate::due(table, asked, &piece).map(|(due, tariff)| (due, tariff, None))?,
        };
        let paid = pay::paid(item, asked, request)?;
        let rated = Rated {
            rates: rate::name(table.name())?,
            version: u64::from(table.version()),
            digest: *table.digest(),
            class: asked.class.clone(),
            tariff,
        };
        let (date, destination, proof) = (asked.date, asked.destination, request.proof.into());
        let run = run.map(|run| run.id.clone());
        Ok((Certification { date, destination, weighed, rated, due, paid, run, proof }, dues))
    }

    /// Without tables and scales.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        let scales = Registry::parse(b"scale = []").expect("a registry");
        Self { rates: Archive::new(), scales, freshness: Freshness { max_age_ms: 0, max_ahead_ms: 0 } }
    }

    /// The tables, for those who ask what is in force.
    pub fn rates(&self) -> &Archive {
        &self.rates
    }

    /// The scales.
    pub fn scales(&self) -> &Registry {
        &self.scales
    }
}
