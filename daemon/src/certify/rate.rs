//! The price of a piece by a table.

use super::refused;
use psd::certification::{NotCertifiable, Weighed};
use psd::device::Identity;
use psd::run::{Dues, Run};
use psd::{PostageAmount, RateName};
use psdd_rates::{FULL, Length, NameError, Piece, QuoteError, Size, Table, Tariff, Weight, Zip};
use psdd_wire::item::ToCertify;
use psdd_wire::message::CertifyItem;

/// The piece as tables rate it.
pub(super) fn piece(
    table: &Table,
    certifier: &Identity,
    item: &CertifyItem<'_>,
    asked: &ToCertify,
    weighed: &Weighed,
) -> Result<Piece, NotCertifiable> {
    same_currency(table, certifier)?;
    table.class_named(asked.class.as_str()).map_err(unknown)?;
    let names: Vec<&str> = item.surcharges.iter().map(String::as_str).collect();
    Ok(Piece {
        weight: Weight::from_milligrams(weighed.weight_mg).map_err(|error| refused("weight-not-rated", error))?,
        origin: Some(Zip::from(certifier.licensing_zip)),
        destination: Some(Zip::from(asked.destination)),
        size: item.size.as_ref().map(size).transpose()?,
        surcharges: table.surcharges(&names).map_err(unknown)?,
    })
}

/// What the piece owes by itself: the full tariff.
pub(super) fn due(
    table: &Table,
    asked: &ToCertify,
    piece: &Piece,
) -> Result<(PostageAmount, RateName), NotCertifiable> {
    let class = table.class_named(asked.class.as_str()).map_err(unknown)?;
    let due = table.price(piece, &Tariff::full(class)).map_err(unrated)?;
    Ok((due, name(FULL)?))
}

/// What the piece owes by the tariff that its ZIP qualified for in its run, and under each tariff of that.
pub(super) fn due_in_run(
    table: &Table,
    (run, rates): (&Run, &str),
    asked: &ToCertify,
    piece: &Piece,
) -> Result<(PostageAmount, RateName, Option<Dues>), NotCertifiable> {
    let other = [
        ("day of mailing", run.date == asked.date),
        ("class", run.class == asked.class),
        ("rate table", run.rates.as_str() == rates),
        ("destination", run.place(asked.destination.zip()).is_some()),
    ];
    let not_of_run = |what: &str| {
        let says = format!(
            "the {what} of the piece is not one that run {} announced; certify it by itself, or in its own run",
            run.id
        );
        refused("not-of-run", says)
    };
    if let Some((what, _)) = other.into_iter().find(|(_, same)| !same) {
        return Err(not_of_run(what));
    }
    let dues = super::run::dues(table, run, piece)?;
    let tariff = run.tariff(asked.destination.zip()).ok_or_else(|| not_of_run("destination"))?;
    let due = run.tariffs.iter().zip(&dues).find(|(name, _)| *name == tariff).map(|(_, due)| *due);
    Ok((due.ok_or_else(|| not_of_run("tariff"))?, tariff.clone(), Some(dues.into())))
}

/// A table says what a PSD debits only in that one's own currency.
pub(super) fn same_currency(table: &Table, certifier: &Identity) -> Result<(), NotCertifiable> {
    if table.currency() == certifier.currency {
        return Ok(());
    }
    let says = format!(
        "table {} is in {}, and the PSD counts {}; ask a PSD of that currency",
        table.label(),
        table.currency().as_str(),
        certifier.currency.as_str()
    );
    Err(refused("rates-other-currency", says))
}

/// A name as certifications have them.
pub(super) fn name(text: &str) -> Result<RateName, NotCertifiable> {
    text.parse().map_err(|error| refused("rates-unnamed", error))
}

fn size(sides: &[String; 3]) -> Result<Size, NotCertifiable> {
    let side = |text: &String| text.parse::<Length>().map_err(|error| refused("size-invalid", error));
    let [a, b, c] = sides;
    Ok(Size::new([side(a)?, side(b)?, side(c)?]))
}

pub(super) fn unknown(error: NameError) -> NotCertifiable {
    let code = match error {
        NameError::Class { .. } => "class-unknown",
        NameError::Discount { .. } | NameError::Both { .. } => "discount-unknown",
        NameError::Surcharge { .. } => "surcharge-unknown",
    };
    refused(code, error)
}

pub(super) fn unrated(error: QuoteError) -> NotCertifiable {
    let code = match error {
        QuoteError::TooHeavy { .. } => "weight-beyond-class",
        _ => "not-rated",
    };
    refused(code, error)
}
