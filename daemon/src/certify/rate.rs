//! The price of a piece by a table.

use super::refused;
use psd::certification::{NotCertifiable, Weighed};
use psd::device::Identity;
use psd::{PostageAmount, RateName};
use psdd_rates::{Length, NameError, Piece, QuoteError, Size, Table, Tariff, Weight, Zip};
use psdd_wire::item::ToCertify;
use psdd_wire::message::CertifyItem;

/// What certifications call the prices without any discount.
const FULL: &str = "full";

/// What the piece owes, and by which tariff: the full one, as long as no run qualified for another.
pub(super) fn due(
    table: &Table,
    certifier: &Identity,
    item: &CertifyItem<'_>,
    asked: &ToCertify,
    weighed: &Weighed,
) -> Result<(PostageAmount, RateName), NotCertifiable> {
    if table.currency() != certifier.currency {
        let says = format!(
            "table {} is in {}, and the PSD counts {}; ask a PSD of that currency",
            table.label(),
            table.currency().as_str(),
            certifier.currency.as_str()
        );
        return Err(refused("rates-other-currency", says));
    }
    let class = table.class_named(asked.class.as_str()).map_err(unknown)?;
    let names: Vec<&str> = item.surcharges.iter().map(String::as_str).collect();
    let piece = Piece {
        weight: Weight::from_milligrams(weighed.weight_mg).map_err(|error| refused("weight-not-rated", error))?,
        origin: Some(Zip::from(certifier.licensing_zip)),
        destination: Some(Zip::from(asked.destination)),
        size: item.size.as_ref().map(size).transpose()?,
        surcharges: table.surcharges(&names).map_err(unknown)?,
    };
    let due = table.price(&piece, &Tariff::full(class)).map_err(unrated)?;
    Ok((due, name(FULL)?))
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

fn unknown(error: NameError) -> NotCertifiable {
    let code = match error {
        NameError::Class { .. } => "class-unknown",
        NameError::Discount { .. } | NameError::Both { .. } => "discount-unknown",
        NameError::Surcharge { .. } => "surcharge-unknown",
    };
    refused(code, error)
}

fn unrated(error: QuoteError) -> NotCertifiable {
    let code = match error {
        QuoteError::TooHeavy { .. } => "weight-beyond-class",
        _ => "not-rated",
    };
    refused(code, error)
}
