//! What changed from one table to another.

use crate::table::{Charge, Class, Discount, Table};
use crate::weight::Limit;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// What is stated beside prices, old and new: `rounding`, `currency`, counts that qualify.
    pub rules: Vec<Change<String>>,
    /// Prices, in the order of the tables.
    pub prices: Vec<PriceChange>,
}

/// One thing before and after; nothing where it was not there or is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change<T> {
    /// What.
    pub what: String,
    /// Before.
    pub old: Option<T>,
    /// After.
    pub new: Option<T>,
}

/// One price before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceChange {
    /// The class with its discount, or the surcharge.
    pub what: String,
    /// Up to which weight, in which zone; empty for a surcharge.
    pub at: String,
    /// Before; nothing for what is new.
    pub old: Option<Decimal>,
    /// After; nothing for what is gone.
    pub new: Option<Decimal>,
}

impl PriceChange {
    /// How much more it is now; nothing for what is new or gone.
    pub fn difference(&self) -> Option<Decimal> {
        self.new?.checked_sub(self.old?).map(|difference| difference.normalize())
    }

    /// The same in percent of the old price, to a tenth, halves away from zero; nothing where that was zero.
    pub fn percent(&self) -> Option<Decimal> {
        let part = self.difference()?.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(self.old?)?;
        let mut tenths = part.round_dp_with_strategy(1, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        tenths.rescale(1);
        Some(tenths)
    }
}

/// Compares two tables, by the names of what is in them.
pub fn diff(old: &Table, new: &Table) -> Diff {
    let mut diff = Diff::default();
    diff.rule("name", old.name().to_owned(), new.name().to_owned());
    diff.rule("currency", old.currency().to_string(), new.currency().to_string());
    diff.rule("rounding", old.rounding().to_string(), new.rounding().to_string());
    diff.rule("zones", old.zones().join(", "), new.zones().join(", "));
    if old.zones() == new.zones() && old.zones != new.zones {
        diff.rule("areas", "as before".to_owned(), "others between which the zones lie".to_owned());
    }
    let zones = (old.zones(), new.zones());
    for (name, before, after) in paired(&old.classes, &new.classes, |class| &class.name) {
        diff.prices(name, (before, after), None, zones);
        let (before_discounts, after_discounts) = (discounts(before), discounts(after));
        for (discount, was, is) in paired(before_discounts, after_discounts, |discount| &discount.name) {
            let what = format!("{name}, {discount}");
            if let (Some(was), Some(is)) = (was, is) {
                diff.rule(&what, counts(was), counts(is));
            }
            diff.prices(
                &what,
                (before.filter(|_| was.is_some()), after.filter(|_| is.is_some())),
                Some((was, is)),
                zones,
            );
        }
    }
    for (name, before, after) in paired(&old.surcharges, &new.surcharges, |surcharge| &surcharge.name) {
        diff.charge(name, before.map(|surcharge| surcharge.charge), after.map(|surcharge| surcharge.charge));
    }
    diff
}

/// What each name stands for on either side: those of the new one in their order, then what is gone.
fn paired<'t, T>(old: &'t [T], new: &'t [T], name: fn(&T) -> &String) -> Vec<(&'t str, Option<&'t T>, Option<&'t T>)> {
    let in_old = |wanted: &str| old.iter().find(|item| name(item) == wanted);
    let mut pairs: Vec<_> = new.iter().map(|item| (name(item).as_str(), in_old(name(item)), Some(item))).collect();
    let gone = old.iter().filter(|item| !new.iter().any(|other| name(other) == name(item)));
    pairs.extend(gone.map(|item| (name(item).as_str(), Some(item), None)));
    pairs
}

fn discounts(class: Option<&Class>) -> &[Discount] {
    class.map_or(&[], |class| &class.discounts)
}

fn counts(discount: &Discount) -> String {
    let Discount { sorting, level, pieces, run, .. } = discount;
    format!("{sorting}, {level}, {pieces} in a group, {run} in the run")
}

/// The price of a class up to a limit in a zone, under a discount where there is one.
fn price(class: &Class, discount: Option<&Discount>, limit: Limit, zone: usize) -> Option<Decimal> {
    let full = class.ladder.price(limit.picograms(), zone)?;
    match discount {
        Some(discount) => discount.reduction.price(full, limit.picograms(), zone),
        None => Some(full),
    }
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.prices.is_empty()
    }

    fn rule(&mut self, what: &str, old: String, new: String) {
        if old != new {
            self.rules.push(Change { what: what.to_owned(), old: Some(old), new: Some(new) });
        }
    }

    /// Every price that differs, at every weight where one of the two changes, in every zone of either by its name.
    fn prices(
        &mut self,
        what: &str,
        (old, new): (Option<&Class>, Option<&Class>),
        discounts: Option<(Option<&Discount>, Option<&Discount>)>,
        zones: (&[String], &[String]),
    ) {
        let (was, is) = discounts.unwrap_or((None, None));
        let both = [old, new].into_iter().flatten();
        let limits: BTreeSet<Limit> = both.clone().flat_map(|class| class.ladder.limits()).collect();
        let mut names: Vec<Option<&String>> = Vec::new();
        for (class, zones) in [(old, zones.0), (new, zones.1)] {
            let Some(class) = class else { continue };
            let of: Vec<Option<&String>> =
                if class.ladder.zoned() { zones.iter().map(Some).collect() } else { vec![None] };
            for name in of.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>() {
                names.push(name);
            }
        }
        for limit in limits {
            for name in &names {
                let at = |class: Option<&Class>, discount: Option<&Discount>, zones: &[String]| {
                    let class = class?;
                    let zone = match name {
                        Some(name) if class.ladder.zoned() => zones.iter().position(|zone| zone == *name)?,
                        None if !class.ladder.zoned() => 0,
                        _ => return None,
                    };
                    price(class, discount, limit, zone).map(|price| price.normalize())
                };
                let (old, new) = (at(old, was, zones.0), at(new, is, zones.1));
                if old != new {
                    let zone = name.map(|name| format!(", zone {name}")).unwrap_or_default();
                    self.prices.push(PriceChange {
                        what: what.to_owned(),
                        at: format!("up to {limit}{zone}"),
                        old,
                        new,
                    });
                }
            }
        }
    }

    fn charge(&mut self, name: &str, old: Option<Charge>, new: Option<Charge>) {
        if old == new {
            return;
        }
        let amount = |charge: Option<Charge>| match charge {
            Some(Charge::Amount(amount)) => Some(amount.normalize()),
            Some(Charge::Percent(_)) | None => None,
        };
        let told = |charge: Option<Charge>| {
            charge.map(|charge| match charge {
                Charge::Amount(amount) => amount.normalize().to_string(),
                Charge::Percent(percent) => format!("{percent} %"),
            })
        };
        let percent = [old, new].iter().any(|charge| matches!(charge, Some(Charge::Percent(_))));
        if percent {
            self.rules.push(Change { what: format!("surcharge {name}"), old: told(old), new: told(new) });
        } else {
            let what = format!("surcharge {name}");
            self.prices.push(PriceChange { what, at: String::new(), old: amount(old), new: amount(new) });
        }
    }
}
