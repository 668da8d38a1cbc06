//! Discounts: what they take off, what qualifies for them, and that none is dearer than what it is a discount from.

use super::Build;
use super::fields::Fields;
use crate::error::Problem;
use crate::label::FULL;
use crate::ladder::Ladder;
use crate::names::Sorting;
use crate::table::{Discount, Reduction};
use crate::text::DiscountText;
use crate::weight::Limit;
use psd::indicium::RateCategory;
use rust_decimal::Decimal;

/// Discounts are numbered in a byte.
const MOST: usize = 200;

impl Build<'_> {
    pub(super) fn discounts(&mut self, class: &str, base: &Ladder, written: &[DiscountText]) -> Vec<Discount> {
        if written.len() > MOST {
            let problem = Problem::TooMany { what: "discounts in a class", found: written.len(), most: MOST };
            self.fault(written[MOST].name.span().start, class, problem);
            return Vec::new();
        }
        self.unique(&format!("{class}, discount"), written.iter().map(|discount| &discount.name));
        let before = self.faults.len();
        let discounts: Vec<Discount> =
            written.iter().filter_map(|discount| self.discount(class, base, discount)).collect();
        // Compared with one another only where all could be read, so that their places are those of the file.
        if self.faults.len() == before {
            self.order(class, base, written, &discounts);
            self.below_zero(class, base, written, &discounts);
        }
        discounts
    }

    fn discount(&mut self, class: &str, base: &Ladder, written: &DiscountText) -> Option<Discount> {
        let name = self.name(&format!("{class}, discount"), &written.name)?;
        let (place, at) = (format!("{class}, discount {name}"), written.name.span().start);
        if name == FULL {
            self.fault(at, &place, Problem::FullName);
        }
        let category = match &written.category {
            Some(text) => Some(self.read::<RateCategory>(&place, text)?),
            None => None,
        };
        let pieces = written.pieces.as_ref().map(|pieces| *pieces.get_ref()).filter(|pieces| *pieces > 0);
        if pieces.is_none() {
            self.fault(written.pieces.as_ref().map_or(at, |pieces| pieces.span().start), &place, Problem::NoCount);
        }
        let run = written.run.as_ref().map(|run| *run.get_ref());
        if let (Some(run), Some(pieces)) = (run, pieces)
            && run < pieces
        {
            let at = written.run.as_ref().map_or(at, |run| run.span().start);
            self.fault(at, &place, Problem::RunBelowGroup { run, pieces });
        }
        let reduction = self.reduction(&place, base, written)?;
        let DiscountText { sorting, level, .. } = *written;
        Some(Discount { name, category, sorting, level, pieces: pieces?, run: run.or(pieces)?, reduction })
    }

    fn reduction(&mut self, place: &str, base: &Ladder, written: &DiscountText) -> Option<Reduction> {
        let at = written.name.span().start;
        if written.sorting == Sorting::Bundle && written.steps.is_some() {
            self.fault(at, place, Problem::BundlePrices);
            return None;
        }
        match (&written.off, &written.percent, &written.steps, &written.further) {
            (Some(off), None, None, None) => self.something(place, off).map(Reduction::Off),
            (None, Some(percent), None, None) => self.percent(place, percent).map(Reduction::Percent),
            (None, None, Some(steps), further) => {
                let ladder = self.ladder(place, steps, further.as_ref())?;
                let (discount, class) = (ladder.heaviest(), base.heaviest());
                if discount != class {
                    self.fault(at, place, Problem::Heaviest { discount, class });
                }
                if ladder.zoned() != base.zoned() {
                    self.fault(at, place, Problem::PriceForm);
                    return None;
                }
                Some(Reduction::Prices(ladder))
            }
            _ => {
                self.fault(at, place, Problem::ReductionForm);
                None
            }
        }
    }

    /// That no discount is dearer than the class, nor than one that asks for less.
    fn order(&mut self, class: &str, base: &Ladder, written: &[DiscountText], discounts: &[Discount]) {
        for (discount, text) in discounts.iter().zip(written) {
            let (place, at) = (format!("{class}, discount {}", discount.name), text.name.span().start);
            self.not_dearer(&place, at, base, (discount, None));
            for (other, _) in discounts.iter().zip(written).filter(|(other, _)| other.sorting == discount.sorting) {
                let (sorting, level, pieces) = (discount.sorting, discount.level, discount.pieces);
                if other.name == discount.name {
                    continue;
                }
                if (other.level, other.pieces) == (level, pieces) {
                    let other = other.name.clone();
                    self.fault(at, &place, Problem::SameCount { sorting, level, pieces, other });
                } else if other.asks_less(discount) {
                    self.not_dearer(&place, at, base, (discount, Some(other)));
                }
            }
        }
    }

    fn not_dearer(&mut self, place: &str, at: usize, base: &Ladder, (discount, other): (&Discount, Option<&Discount>)) {
        for limit in joined(base, [Some(discount), other]) {
            let full = base.prices(limit);
            for (zone, full) in full.iter().enumerate() {
                let of = |discount: &Discount| discount.reduction.price(*full, limit.picograms(), zone);
                let (Some(price), Some(than)) = (of(discount), other.map_or(Some(*full), of)) else { continue };
                if price > than {
                    let what = match other {
                        Some(other) => format!("dearer than {}, which asks for less", other.name),
                        None => "dearer than without it".to_owned(),
                    };
                    let zone = if base.zoned() { self.in_zone(zone) } else { String::new() };
                    self.fault(at, place, Problem::Dearer { what, zone, at: limit, price, base: than });
                    // Told once for each pair.
                    return;
                }
            }
        }
    }

    /// That no two discounts together take off more than there is.
    fn below_zero(&mut self, class: &str, base: &Ladder, written: &[DiscountText], discounts: &[Discount]) {
        let presorted = discounts.iter().filter(|discount| discount.sorting == Sorting::Presort);
        let lowest_presorted = presorted.map(|discount| discount.reduction.lowest(base)).min();
        for (discount, text) in discounts.iter().zip(written) {
            let Reduction::Off(off) = discount.reduction else { continue };
            let lowest = match discount.sorting {
                Sorting::Presort => base.lowest(),
                Sorting::Bundle => lowest_presorted.unwrap_or(base.lowest()).min(base.lowest()),
            };
            if off > lowest {
                let place = format!("{class}, discount {}", discount.name);
                self.fault(text.name.span().start, &place, Problem::BelowZero { off, lowest });
            }
        }
    }
}

impl Discount {
    /// Whether it asks for less than another of its kind: a coarser level, or fewer pieces at the same.
    fn asks_less(&self, other: &Self) -> bool {
        self.level > other.level || (self.level == other.level && self.pieces < other.pieces)
    }
}

impl Reduction {
    /// What is left of a price, before rounding; nothing where a ladder has no price there.
    pub(crate) fn price(&self, full: Decimal, picograms: u64, zone: usize) -> Option<Decimal> {
        match self {
            Reduction::Off(off) => full.checked_sub(*off),
            Reduction::Percent(percent) => {
                let off = full.checked_mul(*percent)?.checked_div(Decimal::ONE_HUNDRED)?;
                full.checked_sub(off)
            }
            Reduction::Prices(ladder) => ladder.price(picograms, zone),
        }
    }

    fn lowest(&self, base: &Ladder) -> Decimal {
        match self {
            Reduction::Prices(ladder) => ladder.lowest(),
            Reduction::Off(_) | Reduction::Percent(_) => self.price(base.lowest(), 0, 0).unwrap_or_default(),
        }
    }
}

/// Every weight at which a price of the class or of the discounts may change, ascending.
fn joined(base: &Ladder, discounts: [Option<&Discount>; 2]) -> Vec<Limit> {
    let mut limits = base.limits();
    for discount in discounts.into_iter().flatten() {
        if let Reduction::Prices(ladder) = &discount.reduction {
            limits.extend(ladder.limits());
        }
    }
    limits.sort_unstable();
    limits.dedup();
    limits.retain(|limit| *limit <= base.heaviest());
    limits
}
