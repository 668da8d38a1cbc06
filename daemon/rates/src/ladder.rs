//! The prices of a class by weight, and by zone where it has zones.

use crate::weight::Limit;
use rust_decimal::Decimal;

/// Steps of weight without a gap, from zero upwards, with prices that do not fall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// Ascending; each begins where the one before it ends.
    steps: Vec<Step>,
    further: Option<Further>,
    zoned: bool,
}

/// One step: over the end of the one before, up to its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) up_to: Limit,
    /// One price, or one for each zone.
    pub(crate) prices: Vec<Decimal>,
}

/// What is added after the last step, for every such weight or part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Further {
    pub(crate) every: Limit,
    pub(crate) up_to: Limit,
    /// One price, or one for each zone.
    pub(crate) prices: Vec<Decimal>,
}

impl Ladder {
    /// `steps` is not empty.
    pub(crate) fn new(steps: Vec<Step>, further: Option<Further>, zoned: bool) -> Self {
        Self { steps, further, zoned }
    }

    /// Whether the prices differ by zone.
    pub const fn zoned(&self) -> bool {
        self.zoned
    }

    /// The heaviest it has a price for.
    pub fn heaviest(&self) -> Limit {
        let last = self.steps.last().map_or(Limit::ZERO, |step| step.up_to);
        self.further.as_ref().map_or(last, |further| further.up_to)
    }

    /// The price of the first step, in the first zone where it has zones.
    pub(crate) fn first(&self) -> Decimal {
        self.steps.first().and_then(|step| step.prices.first()).copied().unwrap_or_default()
    }

    /// The price for so many picograms in a zone, which an unzoned ladder does not look at; nothing beyond its heaviest.
    pub(crate) fn price(&self, picograms: u64, zone: usize) -> Option<Decimal> {
        let zone = if self.zoned { zone } else { 0 };
        let at = self.steps.partition_point(|step| step.up_to.picograms() < picograms);
        if let Some(step) = self.steps.get(at) {
            return step.prices.get(zone).copied();
        }
        let (last, further) = (self.steps.last()?, self.further.as_ref()?);
        if picograms > further.up_to.picograms() {
            return None;
        }
        let times = (picograms - last.up_to.picograms()).div_ceil(further.every.picograms());
        let more = further.prices.get(zone)?.checked_mul(Decimal::from(times))?;
        last.prices.get(zone)?.checked_add(more)
    }

    /// Every weight at which a step ends.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits: Vec<Limit> = self.steps.iter().map(|step| step.up_to).collect();
        if let (Some(last), Some(further)) = (self.steps.last(), &self.further) {
            let span = further.up_to.picograms() - last.up_to.picograms();
            let times = span.div_ceil(further.every.picograms());
            limits.extend((1..=times).map(|times| last.up_to.plus(further.every, times, further.up_to)));
        }
        limits
    }

    /// The lowest price, which is one of the first step.
    pub(crate) fn lowest(&self) -> Decimal {
        self.steps.first().and_then(|step| step.prices.iter().min()).copied().unwrap_or_default()
    }

    /// Prices at a limit, one or one for each zone.
    pub(crate) fn prices(&self, limit: Limit) -> Vec<Decimal> {
        let zones = self.steps.first().map_or(0, |step| step.prices.len());
        (0..zones).filter_map(|zone| self.price(limit.picograms(), zone)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap()
    }

    fn ladder() -> Ladder {
        let step = |up_to, mills| Step { up_to: limit(up_to), prices: vec![Decimal::new(mills, 3)] };
        let further = Further { every: limit("1 oz"), up_to: limit("3.5 oz"), prices: vec![Decimal::new(290, 3)] };
        Ladder::new(vec![step("0.5 oz", 500), step("1 oz", 780)], Some(further), false)
    }

    #[test]
    fn a_step_ends_with_its_limit() {
        let ladder = ladder();
        let price = |text: &str| ladder.price(limit(text).picograms(), 7).map(|price| price.to_string());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(price("0.001 g"), is("0.500"));
        assert_eq!((price("0.5 oz"), price("0.501 oz")), (is("0.500"), is("0.780")));
        assert_eq!((price("1 oz"), price("1.001 oz"), price("2 oz")), (is("0.780"), is("1.070"), is("1.070")));
        assert_eq!((price("3 oz"), price("3.001 oz"), price("3.5 oz")), (is("1.360"), is("1.650"), is("1.650")));
        assert_eq!(price("3.501 oz"), None);
        let ends: Vec<String> = ladder.limits().iter().map(Limit::to_string).collect();
        assert_eq!(ends, ["0.5 oz", "1 oz", "2 oz", "3 oz", "3.5 oz"]);
        assert_eq!(ladder.heaviest(), limit("3.5 oz"));
    }

    #[test]
    fn a_step_ends_to_the_picogram() {
        let (ladder, ounce) = (ladder(), limit("1 oz").picograms());
        let price = |picograms| ladder.price(picograms, 0).unwrap();
        assert!(price(ounce) < price(ounce + 1));
        assert_eq!(price(2 * ounce), price(ounce + 1));
        assert!(price(2 * ounce) < price(2 * ounce + 1));
    }
}
