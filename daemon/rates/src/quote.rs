//! From a piece and a tariff to its postage.

use crate::length::Size;
use crate::piece::{Piece, Surcharges};
use crate::quote_error::QuoteError;
use crate::table::{Charge, Class, Surcharge, Table};
use crate::tariff::{ClassId, Tariff};
use psd::PostageAmount;
use rust_decimal::Decimal;
use std::fmt;

/// What a piece costs, line by line: the sum of the lines is the total.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Name and version of the table.
    pub table: String,
    /// The tariff, for people.
    pub tariff: String,
    /// The zone, where the class has zones.
    pub zone: Option<String>,
    /// What it was made of.
    pub lines: Vec<QuoteLine>,
    /// The postage, rounded as the table has it.
    pub total: PostageAmount,
}

/// One part of a price, below zero for what is taken off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuoteLine {
    /// What it is.
    pub kind: LineKind,
    /// For people: the class, the step, the zone, the discount, the surcharge.
    pub name: String,
    /// How much, exactly.
    pub amount: Decimal,
}

/// The parts of a price, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// The first step of the class, in the nearest zone.
    Base,
    /// What the weight adds.
    Step,
    /// What the zone adds.
    Zone,
    /// What a discount takes off.
    Discount,
    /// What is charged beside.
    Surcharge,
    /// What rounding adds or takes off.
    Rounding,
}

/// Where the lines go, where anybody wants them.
type Lines<'a> = Option<&'a mut Vec<QuoteLine>>;

impl Table {
    /// What a piece costs.
    ///
    /// # Errors
    ///
    /// When the table has no price for it.
    pub fn price(&self, piece: &Piece, tariff: &Tariff) -> Result<PostageAmount, QuoteError> {
        let (exact, _) = self.exact(piece, *tariff, None)?;
        self.rounding.piece(exact).ok_or(QuoteError::Range)
    }

    /// What a piece costs, line by line.
    ///
    /// # Errors
    ///
    /// As [`Table::price`].
    pub fn quote(&self, piece: &Piece, tariff: &Tariff) -> Result<Quote, QuoteError> {
        let mut lines = Vec::new();
        let (exact, zone) = self.exact(piece, *tariff, Some(&mut lines))?;
        let total = self.rounding.piece(exact).ok_or(QuoteError::Range)?;
        let rounded = crate::rounding::decimal(total) - exact;
        note(&mut Some(&mut lines), LineKind::Rounding, rounded, || self.rounding.to_string());
        let zone = zone.and_then(|zone| self.zones().get(zone).cloned());
        Ok(Quote { table: self.label(), tariff: self.tariff_name(*tariff), zone, lines, total })
    }

    /// The price before rounding, and the zone where the class has zones.
    fn exact(
        &self,
        piece: &Piece,
        tariff: Tariff,
        mut lines: Lines<'_>,
    ) -> Result<(Decimal, Option<usize>), QuoteError> {
        let foreign = || QuoteError::Tariff { table: self.label() };
        let class = self.class(tariff.class).ok_or_else(foreign)?;
        let zone = self.zone_of(class, piece)?;
        let place = zone.unwrap_or(0);
        fits(class, piece.size.as_ref())?;
        let picograms = chargeable(class, piece)?;
        let full = class.ladder.price(picograms, place).ok_or_else(|| beyond(class, piece))?;
        self.told_full(class, picograms, (full, zone), &mut lines);
        let mut price = full;
        for at in [tariff.presort, tariff.bundle].into_iter().flatten() {
            let discount = self.discount_at(tariff.class, at).ok_or_else(foreign)?;
            let reduced = discount.reduction.price(price, picograms, place);
            let reduced = reduced.ok_or(QuoteError::Range)?;
            note(&mut lines, LineKind::Discount, reduced - price, || discount.name.clone());
            price = reduced;
        }
        let beside = self.beside(tariff.class, piece, price, &mut lines)?;
        Ok((price.checked_add(beside).ok_or(QuoteError::Range)?, zone))
    }

    fn zone_of(&self, class: &Class, piece: &Piece) -> Result<Option<usize>, QuoteError> {
        let unknown = |zip| QuoteError::UnknownZip { zip, table: self.label() };
        let Some(zones) = &self.zones else { return Ok(None) };
        if class.ladder.zoned() {
            let missing = |missing| QuoteError::NoZip { class: class.name.clone(), missing };
            let origin = piece.origin.ok_or_else(|| missing("origin"))?;
            let destination = piece.destination.ok_or_else(|| missing("destination"))?;
            return zones.zone(origin, destination).map(Some).map_err(unknown);
        }
        let mut told = [piece.origin, piece.destination].into_iter().flatten();
        told.find(|zip| !zones.knows(*zip)).map_or(Ok(None), |zip| Err(unknown(zip)))
    }

    /// The lines of a full price.
    fn told_full(&self, class: &Class, picograms: u64, (full, zone): (Decimal, Option<usize>), lines: &mut Lines<'_>) {
        if lines.is_none() {
            return;
        }
        let nearest = class.ladder.price(picograms, 0).unwrap_or(full);
        let first = class.ladder.first();
        if let Some(lines) = lines {
            // Stands there even where it is zero: every price begins with it.
            lines.push(QuoteLine { kind: LineKind::Base, name: class.title.clone(), amount: first.normalize() });
        }
        note(lines, LineKind::Step, nearest - first, || {
            let step = class.ladder.limits().into_iter().find(|limit| picograms <= limit.picograms());
            step.map_or_else(String::new, |step| format!("up to {step}"))
        });
        let name = zone.and_then(|zone| self.zones().get(zone));
        note(lines, LineKind::Zone, full - nearest, || name.map_or_else(String::new, |name| format!("zone {name}")));
    }

    /// The sum of the surcharges.
    fn beside(
        &self,
        class: ClassId,
        piece: &Piece,
        price: Decimal,
        lines: &mut Lines<'_>,
    ) -> Result<Decimal, QuoteError> {
        let (mut sum, mut left) = (Decimal::ZERO, piece.surcharges);
        for (place, surcharge) in self.surcharges.iter().enumerate() {
            if !self.due(class, piece, (place, surcharge))? {
                continue;
            }
            left = left.without(Surcharges::default().with(place));
            let amount = match surcharge.charge {
                Charge::Amount(amount) => Some(amount),
                Charge::Percent(percent) => {
                    price.checked_mul(percent).and_then(|part| part.checked_div(Decimal::ONE_HUNDRED))
                }
            };
            let amount = amount.ok_or(QuoteError::Range)?;
            note(lines, LineKind::Surcharge, amount, || surcharge.title.clone());
            sum = sum.checked_add(amount).ok_or(QuoteError::Range)?;
        }
        // Of another table, where anything is left.
        if left.is_empty() { Ok(sum) } else { Err(QuoteError::Tariff { table: self.label() }) }
    }

    fn due(&self, class: ClassId, piece: &Piece, (place, surcharge): (usize, &Surcharge)) -> Result<bool, QuoteError> {
        let asked = piece.surcharges.holds(place);
        let of_class = surcharge.classes.binary_search(&class).is_ok();
        match &surcharge.condition {
            Some(condition) if of_class => {
                let size = piece.size.as_ref();
                size.map(|size| condition.holds(size))
                    .ok_or_else(|| QuoteError::NoSize { class: self.class_name(class) })
            }
            Some(_) => Ok(false),
            None if !asked => Ok(false),
            None if !of_class => {
                let (class, surcharge) = (self.class_name(class), surcharge.name.clone());
                Err(QuoteError::NotOfClass { class, surcharge })
            }
            None => match surcharge.needs.without(piece.surcharges).first() {
                Some(needed) => {
                    let needed = self.surcharges.get(needed).map(|needed| needed.name.clone()).unwrap_or_default();
                    Err(QuoteError::Needs { surcharge: surcharge.name.clone(), needed })
                }
                None => Ok(true),
            },
        }
    }
}

fn note(lines: &mut Lines<'_>, kind: LineKind, amount: Decimal, name: impl FnOnce() -> String) {
    if let Some(lines) = lines
        && !amount.is_zero()
    {
        lines.push(QuoteLine { kind, name: name(), amount: amount.normalize() });
    }
}

fn fits(class: &Class, size: Option<&Size>) -> Result<(), QuoteError> {
    let (Some(shape), Some(size)) = (&class.shape, size) else { return Ok(()) };
    match shape.misfit(size) {
        None => Ok(()),
        Some((side, found, bound, limit)) => {
            let (class, shape) = (class.name.clone(), shape.name.clone());
            Err(QuoteError::Shape { side, found, bound, limit, class, shape })
        }
    }
}

/// The weight that is charged: what a piece weighs, or its bulk where that counts for more. Picograms.
fn chargeable(class: &Class, piece: &Piece) -> Result<u64, QuoteError> {
    let weight = piece.weight.picograms();
    let Some((over, per_lb)) = class.dimensional else { return Ok(weight) };
    let size = piece.size.as_ref().ok_or_else(|| QuoteError::NoSize { class: class.name.clone() })?;
    Ok(if size.exceeds_cubic_inches(over) { weight.max(size.dimensional_pg(per_lb)) } else { weight })
}

fn beyond(class: &Class, piece: &Piece) -> QuoteError {
    let (name, heaviest) = (class.name.clone(), class.ladder.heaviest());
    match piece.size {
        Some(size) if piece.weight.picograms() <= heaviest.picograms() => {
            QuoteError::TooBulky { size: size.to_string(), class: name, heaviest }
        }
        _ => QuoteError::TooHeavy { weight: piece.weight, class: name, heaviest },
    }
}

impl fmt::Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LineKind::Base => "base",
            LineKind::Step => "step",
            LineKind::Zone => "zone",
            LineKind::Discount => "discount",
            LineKind::Surcharge => "surcharge",
            LineKind::Rounding => "rounding",
        })
    }
}
