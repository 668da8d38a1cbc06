//! Ladders: steps without gap or overlap, with prices that do not fall.

use super::Build;
use super::fields::Fields;
use crate::error::Problem;
use crate::ladder::{Further, Ladder, Step};
use crate::text::{FurtherText, StepText, Text};
use crate::weight::Limit;
use rust_decimal::Decimal;
use toml::Spanned;

/// So many steps may follow the last that is written; each is compared and told by itself.
const MOST_FURTHER: u64 = 10_000;

impl Build<'_> {
    /// The ladder of a class or a discount; nothing where it has a fault.
    pub(super) fn ladder(
        &mut self,
        place: &str,
        steps: &Spanned<Vec<Spanned<StepText>>>,
        further: Option<&Spanned<FurtherText>>,
    ) -> Option<Ladder> {
        let before = self.faults.len();
        let Some(first) = steps.get_ref().first() else {
            self.fault(steps.span().start, place, Problem::NoStep);
            return None;
        };
        let zoned = first.get_ref().by_zone.is_some();
        let mut end = Limit::ZERO;
        let mut built: Vec<Step> = Vec::new();
        for (number, written) in (1..).zip(steps.get_ref()) {
            let (place, at) = (format!("{place}, step {number}"), written.span().start);
            let StepText { over, up_to, price, by_zone } = written.get_ref();
            let (over, up_to) = (self.read::<Limit>(&place, over), self.read::<Limit>(&place, up_to));
            let prices = self.prices(&place, at, (price.as_ref(), by_zone.as_deref()), zoned);
            let (Some(over), Some(up_to)) = (over, up_to) else { continue };
            if let Some(problem) = misplaced(number, end, over, up_to) {
                self.fault(at, &place, problem);
            }
            end = up_to;
            let Some(prices) = prices else { continue };
            if let Some(step) = built.last() {
                self.rises(&place, at, up_to, (&step.prices, &prices));
            }
            built.push(Step { up_to, prices });
        }
        let further = further.map(|written| self.further(place, written, end, zoned));
        // Without a fault everything that is written was read.
        (self.faults.len() == before).then(|| Ladder::new(built, further.flatten(), zoned))
    }

    fn further(&mut self, place: &str, written: &Spanned<FurtherText>, end: Limit, zoned: bool) -> Option<Further> {
        let (place, at) = (format!("{place}, further"), written.span().start);
        let FurtherText { every, up_to, price, by_zone } = written.get_ref();
        let every = self.weight(&place, "every", every);
        let up_to = self.read::<Limit>(&place, up_to);
        let prices = self.prices(&place, at, (price.as_ref(), by_zone.as_deref()), zoned);
        let up_to = up_to?;
        if up_to <= end {
            self.fault(at, &place, Problem::EmptyStep { over: end, up_to });
            return None;
        }
        let every = every?;
        let steps = (up_to.picograms() - end.picograms()).div_ceil(every.picograms());
        if steps > MOST_FURTHER {
            let found = usize::try_from(steps).unwrap_or(usize::MAX);
            let most = usize::try_from(MOST_FURTHER).unwrap_or(usize::MAX);
            self.fault(at, &place, Problem::TooMany { what: "further steps", found, most });
        }
        Some(Further { every, up_to, prices: prices? })
    }

    /// One price, or one for each zone.
    fn prices(
        &mut self,
        place: &str,
        at: usize,
        (price, by_zone): (Option<&Text>, Option<&[Text]>),
        zoned: bool,
    ) -> Option<Vec<Decimal>> {
        let zones = self.zones.as_ref().map(|zones| zones.names.len());
        let problem = match (price, by_zone) {
            (Some(price), None) if !zoned => return self.amount(place, price).map(|price| vec![price]),
            (None, Some(prices)) if zoned => match zones {
                Some(zones) if zones == prices.len() => {
                    let prices: Vec<_> = prices.iter().map(|price| self.amount(place, price)).collect();
                    return prices.into_iter().collect();
                }
                Some(zones) => Problem::ZonePrices { found: prices.len(), zones },
                None => Problem::NoZones,
            },
            _ => Problem::PriceForm,
        };
        self.fault(at, place, problem);
        None
    }

    fn rises(&mut self, place: &str, at: usize, up_to: Limit, (before, prices): (&[Decimal], &[Decimal])) {
        let falling: Vec<_> =
            before.iter().zip(prices).enumerate().filter(|(_, (before, price))| price < before).collect();
        for (zone, (before, price)) in falling {
            let zone = if prices.len() > 1 { self.in_zone(zone) } else { String::new() };
            self.fault(at, place, Problem::Falls { zone, at: up_to, price: *price, before: *before });
        }
    }

    /// ` in zone 3`.
    pub(super) fn in_zone(&self, zone: usize) -> String {
        let name = self.zones.as_ref().and_then(|zones| zones.names.get(zone));
        name.map_or_else(String::new, |name| format!(" in zone {name}"))
    }
}

/// What is wrong with where a step begins and ends.
fn misplaced(number: usize, end: Limit, over: Limit, up_to: Limit) -> Option<Problem> {
    if number == 1 && over != Limit::ZERO {
        return Some(Problem::First { over });
    }
    match over.cmp(&end) {
        std::cmp::Ordering::Greater => Some(Problem::Gap { from: end, to: over }),
        std::cmp::Ordering::Less => Some(Problem::Overlap { from: over, to: end }),
        std::cmp::Ordering::Equal if up_to <= over => Some(Problem::EmptyStep { over, up_to }),
        std::cmp::Ordering::Equal => None,
    }
}
