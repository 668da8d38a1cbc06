//! Mail runs: what a manifest qualifies for, what a piece owes under each tariff of its run, and what the count of a run takes away.

use super::rate::{name, unknown};
use super::{Desk, refused};
use psd::certification::NotCertifiable;
use psd::device::Identity;
use psd::run::{Destination, MOST_DESTINATIONS, Run, RunTerms};
use psd::{PostageAmount, RateName};
use psdd_rates::{
    Counts, LostGroup, Manifest, ManifestError, NameError, Piece, Published, Qualified, Table, Tariff, Zip,
    discounts_of, qualify, shortfall,
};
use psdd_wire::digest::run_digest;
use psdd_wire::message::{RunRequest, ZipCount};
use std::collections::BTreeSet;

/// What the count of a run says.
pub struct Recount {
    /// The tariff of each ZIP announced, by its place among those of the run.
    pub tariffs: Vec<u8>,
    /// Groups that have not the discount they were announced for.
    pub lost: Vec<LostGroup>,
}

impl Desk {
    /// The run that a manifest announces.
    ///
    /// # Errors
    ///
    /// When it cannot be one, with the code and what to do.
    pub fn run(&self, psd: &str, identity: &Identity, request: &RunRequest<'_>) -> Result<Run, NotCertifiable> {
        let id = request.run.parse().map_err(|error| refused("run-invalid", error))?;
        let date = request.date.parse().map_err(|error| refused("date-invalid", error))?;
        let class: RateName = request.class.parse().map_err(|error| refused("class-invalid", error))?;
        let published = self.rates.in_force(&request.rates, date);
        let table = published.map_err(|error| refused("rates-not-in-force", error))?.table();
        super::rate::same_currency(table, identity)?;
        if request.counts.len() > MOST_DESTINATIONS {
            let says = format!(
                "a run goes to at most {MOST_DESTINATIONS} ZIPs, this one to {}; split it",
                request.counts.len()
            );
            return Err(refused("run-too-large", says));
        }
        let counts = counts(&request.counts)?;
        let manifest =
            Manifest { class: class.to_string(), claims: request.discounts.clone(), counts, total: request.total };
        let qualified = qualify(table, &manifest).map_err(|error| not_qualified(&error))?;
        let every = qualified.every_tariff(table);
        let tariffs = every.iter().map(|tariff| name(&table.tariff_label(*tariff))).collect::<Result<_, _>>()?;
        let terms = RunTerms {
            id,
            digest: run_digest(psd, request),
            date,
            rates: name(table.name())?,
            version: u64::from(table.version()),
            rates_digest: *table.digest(),
            class,
            tariffs,
        };
        let destinations = qualified.destinations().map(|(zip, tariff, pieces)| Destination {
            zip: zip.number(),
            pieces: u32::try_from(pieces).unwrap_or(u32::MAX),
            tariff: place(&every, tariff),
        });
        Run::new(terms, destinations.collect()).map_err(|error| refused("run-too-large", error))
    }

    /// The tariffs that the ZIPs of a run have by what was counted for each of them.
    ///
    /// # Errors
    ///
    /// When the run's own rate table is not there any more.
    pub fn recount(&self, run: &Run, counted: impl Iterator<Item = (u32, u32)>) -> Result<Recount, NotCertifiable> {
        let table = self.table_of(run)?.table();
        let mut counts = Counts::new();
        let zips = counted.filter_map(|(zip, pieces)| Some((Zip::from_number(zip)?, u64::from(pieces))));
        zips.into_iter()
            .try_for_each(|(zip, pieces)| counts.add(zip, pieces))
            .map_err(|error| refused("run-miscounted", error))?;
        let announced = announced(table, run)?;
        let shortfall = shortfall(table, &announced, &counts).map_err(|error| not_qualified(&error))?;
        let every = announced.every_tariff(table);
        // A ZIP without a piece owes nothing under any tariff.
        let tariff = |to: &Destination| {
            let found = Zip::from_number(to.zip).and_then(|zip| shortfall.counted.tariff(zip).ok());
            found.map_or(0, |tariff| place(&every, tariff))
        };
        Ok(Recount { tariffs: run.destinations().iter().map(tariff).collect(), lost: shortfall.lost })
    }

    /// The table that a run was announced under, in force or not.
    pub(super) fn table_of(&self, run: &Run) -> Result<&Published, NotCertifiable> {
        let gone = || {
            let says = format!(
                "version {} of rate table {}, by which run {} was announced, is not in rates_dir any more; put it back",
                run.version, run.rates, run.id
            );
            refused("rates-gone", says)
        };
        self.rates.by_digest(&run.rates_digest).map(AsRef::as_ref).ok_or_else(gone)
    }
}

/// What a piece of a run owes under each tariff of that, by its table.
pub(super) fn dues(table: &Table, run: &Run, piece: &Piece) -> Result<Vec<PostageAmount>, NotCertifiable> {
    let class = table.class_named(run.class.as_str()).map_err(unknown)?;
    let due = |label: &RateName| {
        let tariff = table.tariff_labelled(class, label.as_str()).map_err(unknown)?;
        table.price(piece, &tariff).map_err(super::rate::unrated)
    };
    run.tariffs.iter().map(due).collect()
}

/// What the manifest of a run qualified for, found again.
fn announced(table: &Table, run: &Run) -> Result<Qualified, NotCertifiable> {
    let mut counts = Counts::new();
    for to in run.destinations() {
        let zip = Zip::from_number(to.zip).ok_or_else(|| refused("zip-unknown", format!("{:05} is no ZIP", to.zip)))?;
        counts.add(zip, u64::from(to.pieces)).map_err(|error| refused("run-miscounted", error))?;
    }
    let claims: BTreeSet<&str> = run.tariffs.iter().flat_map(|tariff| discounts_of(tariff.as_str())).collect();
    let claims = claims.into_iter().map(str::to_owned).collect();
    let manifest = Manifest { class: run.class.to_string(), claims, total: counts.total(), counts };
    qualify(table, &manifest).map_err(|error| not_qualified(&error))
}

fn place(every: &[Tariff], tariff: Tariff) -> u8 {
    let place = every.iter().position(|other| *other == tariff).unwrap_or_default();
    u8::try_from(place).unwrap_or_default()
}

fn counts(rows: &[ZipCount]) -> Result<Counts, NotCertifiable> {
    let mut counts = Counts::new();
    for ZipCount { zip: text, pieces } in rows {
        let zip: Zip = text.parse().map_err(|error| refused("zip-unknown", error))?;
        if counts.of(zip) > 0 || *pieces == 0 {
            let says =
                format!("ZIP {zip} stands twice in the counts, or without a piece; name each once, with its pieces");
            return Err(refused("counts-invalid", says));
        }
        counts.add(zip, *pieces).map_err(|error| refused("counts-invalid", error))?;
    }
    Ok(counts)
}

fn not_qualified(error: &ManifestError) -> NotCertifiable {
    let code = match error {
        ManifestError::Name(NameError::Class { .. }) => "class-unknown",
        ManifestError::Name(_) | ManifestError::Twice(_) => "discount-unknown",
        ManifestError::Total { .. } => "counts-differ",
        ManifestError::Empty => "counts-invalid",
        ManifestError::UnknownZip { .. } => "zip-unknown",
    };
    refused(code, error)
}
