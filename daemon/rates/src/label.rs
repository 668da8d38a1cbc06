//! Tariffs by name, as certifications and the records of runs have them: `full`, `5-digit`, `5-digit.pallet`.

use crate::qualify::Qualified;
use crate::table::Table;
use crate::tariff::{ClassId, NameError, Tariff};

/// The prices of a class without any discount.
pub const FULL: &str = "full";
/// Between the names of two discounts; no name has it.
const BETWEEN: char = '.';

impl Table {
    /// The name of a tariff within its class: its discounts, presort before bundle.
    pub fn tariff_label(&self, tariff: Tariff) -> String {
        let discounts = [tariff.presort, tariff.bundle].into_iter().flatten();
        let names = discounts.filter_map(|place| self.discount_at(tariff.class, place).map(|d| d.name.as_str()));
        let names: Vec<&str> = names.collect();
        if names.is_empty() { FULL.to_owned() } else { names.join(&BETWEEN.to_string()) }
    }

    /// The tariff of this name.
    pub fn tariff_labelled(&self, class: ClassId, label: &str) -> Result<Tariff, NameError> {
        self.tariff(class, &discounts_of(label).collect::<Vec<_>>())
    }
}

/// The discounts in the name of a tariff.
pub fn discounts_of(label: &str) -> impl Iterator<Item = &str> {
    label.split(BETWEEN).filter(|name| *name != FULL)
}

impl Qualified {
    /// Every tariff that a piece of the run can have, by whatever count: the full one first, then those of the discounts claimed, each with each
    /// of the other kind.
    pub fn every_tariff(&self, table: &Table) -> Vec<Tariff> {
        let full = Tariff::full(self.class());
        let mut every = vec![full];
        for place in &self.claims {
            let Some(discount) = table.discount_at(self.class(), *place) else { continue };
            let with = |tariff: &Tariff| match discount.sorting {
                crate::Sorting::Presort => Tariff { presort: Some(*place), ..*tariff },
                crate::Sorting::Bundle => Tariff { bundle: Some(*place), ..*tariff },
            };
            let free = |tariff: &&Tariff| match discount.sorting {
                crate::Sorting::Presort => tariff.presort.is_none(),
                crate::Sorting::Bundle => tariff.bundle.is_none(),
            };
            let more: Vec<Tariff> = every.iter().filter(free).map(with).collect();
            every.extend(more);
        }
        every
    }
}
