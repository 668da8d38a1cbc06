//! A rate table that is in order: everything in it was checked when it was read.

use crate::build;
use crate::condition::Condition;
use crate::error::TableError;
use crate::ladder::Ladder;
use crate::length::{Length, Size};
use crate::names::{Level, Sorting};
use crate::piece::Surcharges;
use crate::rounding::Rounding;
use crate::tariff::{ClassId, NameError, Tariff};
use crate::zone::Zones;
use psd::indicium::RateCategory;
use psd::{Currency, MailingDate};
use rust_decimal::Decimal;

/// A rate table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) currency: Currency,
    pub(crate) from: MailingDate,
    pub(crate) until: Option<MailingDate>,
    pub(crate) rounding: Rounding,
    pub(crate) zones: Option<Zones>,
    pub(crate) classes: Vec<Class>,
    pub(crate) surcharges: Vec<Surcharge>,
    pub(crate) digest: [u8; 32],
}

/// Mail of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Class {
    /// Its name in the table.
    pub name: String,
    /// For people.
    pub title: String,
    /// What indicia of it carry.
    pub category: RateCategory,
    /// What a piece of it may measure.
    pub shape: Option<Shape>,
    /// Over how many cubic inches bulk counts as weight, and how many of them as a pound.
    pub dimensional: Option<(u32, u32)>,
    /// Its full prices.
    pub ladder: Ladder,
    /// What sorted mail of it costs less.
    pub discounts: Vec<Discount>,
}

/// What a piece may measure. Sides are compared in order: the longest with the longest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// Its name in the table.
    pub name: String,
    /// Least length, height and thickness.
    pub least: [Option<Length>; 3],
    /// Most length, height and thickness.
    pub most: [Option<Length>; 3],
    /// Most length and girth together.
    pub most_around: Option<Length>,
}

/// What sorted mail costs less, and what a run must have for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discount {
    /// Its name in the class.
    pub name: String,
    /// What indicia with it carry; the class's where it has none of its own.
    pub category: Option<RateCategory>,
    /// Why it costs less.
    pub sorting: Sorting,
    /// Which pieces are counted together.
    pub level: Level,
    /// So many of them it takes.
    pub pieces: u64,
    /// So many pieces of the class the whole run must have.
    pub run: u64,
    /// What it costs less.
    pub reduction: Reduction,
}

/// How a discount is stated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// So much less.
    Off(Decimal),
    /// So many percent less.
    Percent(Decimal),
    /// Prices of its own, over the weights of the class; for presort only.
    Prices(Ladder),
}

/// What a piece costs more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Surcharge {
    /// Its name in the table.
    pub name: String,
    /// For people.
    pub title: String,
    /// The classes that have it, ascending.
    pub classes: Vec<ClassId>,
    /// How much.
    pub charge: Charge,
    /// What must be asked for together with it.
    pub needs: Surcharges,
    /// When it is due; nothing where it is asked for.
    pub condition: Option<Condition>,
}

/// How a surcharge is stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
    /// So much.
    Amount(Decimal),
    /// So many percent of the price before surcharges.
    Percent(Decimal),
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    ///
    /// With everything that contradicts itself in it, or with the first thing that is no part of a table; each with line and place.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        build::table(text)
    }

    /// Its name, by which its versions belong together.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, from 1; rises.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Name and version: `us-domestic 3`.
    pub fn label(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// What it is, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What its amounts are of.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The first day it is in force.
    pub const fn from(&self) -> MailingDate {
        self.from
    }

    /// The last day it is in force; nothing where that is open.
    pub const fn until(&self) -> Option<MailingDate> {
        self.until
    }

    /// How amounts are rounded.
    pub const fn rounding(&self) -> Rounding {
        self.rounding
    }

    /// SHA-256 of the bytes it was read from.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Its zones, the nearest first; none where it has none.
    pub fn zones(&self) -> &[String] {
        self.zones.as_ref().map_or(&[], |zones| &zones.names)
    }

    /// Its classes, in the order of the file.
    pub fn classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        (0..).map(ClassId).zip(&self.classes)
    }

    /// Its surcharges, in the order of the file.
    pub fn all_surcharges(&self) -> &[Surcharge] {
        &self.surcharges
    }

    /// A class.
    pub fn class(&self, class: ClassId) -> Option<&Class> {
        self.classes.get(class.index())
    }

    /// The class of this name.
    pub fn class_named(&self, name: &str) -> Result<ClassId, NameError> {
        let found = self.classes().find(|(_, class)| class.name == name).map(|(id, _)| id);
        found.ok_or_else(|| NameError::Class {
            table: self.label(),
            name: name.to_owned(),
            known: listed(self.classes.iter().map(|class| class.name.as_str())),
        })
    }

    /// The tariff that an indicium's rate category stands for; nothing where the table has none.
    pub fn tariff_of(&self, category: RateCategory) -> Option<Tariff> {
        self.classes().find_map(|(id, class)| {
            if class.category == category {
                return Some(Tariff::full(id));
            }
            let at = class.discounts.iter().position(|discount| discount.category == Some(category))?;
            let place = u8::try_from(at).ok();
            Some(match class.discounts[at].sorting {
                Sorting::Presort => Tariff { class: id, presort: place, bundle: None },
                Sorting::Bundle => Tariff { class: id, presort: None, bundle: place },
            })
        })
    }

    /// The tariff of a class with these discounts, whether or not a run qualifies for them.
    pub fn tariff(&self, class: ClassId, discounts: &[&str]) -> Result<Tariff, NameError> {
        let mut tariff = Tariff::full(class);
        for name in discounts {
            let (place, discount) = self.discount_named(class, name)?;
            let slot = match discount.sorting {
                Sorting::Presort => &mut tariff.presort,
                Sorting::Bundle => &mut tariff.bundle,
            };
            if let Some(other) = slot.filter(|other| *other != place) {
                let (class, other) = (self.class_name(class), self.discount_at(class, other));
                let (first, second) = (other.map(|d| d.name.clone()).unwrap_or_default(), (*name).to_owned());
                return Err(NameError::Both { class, first, second, sorting: discount.sorting });
            }
            *slot = Some(place);
        }
        Ok(tariff)
    }

    /// The surcharges of these names, of those that are asked for.
    pub fn surcharges(&self, names: &[&str]) -> Result<Surcharges, NameError> {
        names.iter().try_fold(Surcharges::default(), |set, name| {
            let asked = |surcharge: &&Surcharge| surcharge.condition.is_none();
            let at = self.surcharges.iter().position(|surcharge| asked(&surcharge) && surcharge.name == *name);
            let at = at.ok_or_else(|| NameError::Surcharge {
                table: self.label(),
                name: (*name).to_owned(),
                known: listed(self.surcharges.iter().filter(asked).map(|surcharge| surcharge.name.as_str())),
            })?;
            Ok(set.with(at))
        })
    }

    /// A tariff for people: `letter-metered`, or `flat, 5-digit + 5-digit-bundle`.
    pub fn tariff_name(&self, tariff: Tariff) -> String {
        let discounts = [tariff.presort, tariff.bundle].into_iter().flatten();
        let names = discounts.filter_map(|place| self.discount_at(tariff.class, place).map(|d| d.name.as_str()));
        let names: Vec<&str> = names.collect();
        let class = self.class_name(tariff.class);
        if names.is_empty() { class } else { format!("{class}, {}", names.join(" + ")) }
    }

    /// A discount of a class, with its place.
    pub(crate) fn discount_named(&self, class: ClassId, name: &str) -> Result<(u8, &Discount), NameError> {
        let discounts = self.class(class).map_or(&[][..], |class| &class.discounts);
        let found = (0..).zip(discounts).find(|(_, discount)| discount.name == name);
        found.ok_or_else(|| NameError::Discount {
            class: self.class_name(class),
            name: name.to_owned(),
            known: listed(discounts.iter().map(|discount| discount.name.as_str())),
        })
    }

    /// The discount at a place of a class.
    pub(crate) fn discount_at(&self, class: ClassId, place: u8) -> Option<&Discount> {
        self.class(class)?.discounts.get(usize::from(place))
    }

    pub(crate) fn class_name(&self, class: ClassId) -> String {
        self.class(class).map(|class| class.name.clone()).unwrap_or_default()
    }
}

impl Shape {
    /// What of a size does not fit, where anything does not: the side, what it is and what it may be.
    pub(crate) fn misfit(&self, size: &Size) -> Option<Misfit> {
        let sides = ["length", "height", "thickness"].into_iter().zip(size.sides());
        for ((side, found), (least, most)) in sides.zip(self.least.iter().zip(&self.most)) {
            if let Some(limit) = least.filter(|least| found < *least) {
                return Some((side, found, "at least", limit));
            }
            if let Some(limit) = most.filter(|most| found > *most) {
                return Some((side, found, "at most", limit));
            }
        }
        let around = size.length_and_girth();
        self.most_around.filter(|most| around > *most).map(|limit| ("length and girth", around, "at most", limit))
    }
}

/// Which measure, what it is, `at least` or `at most`, and what.
pub(crate) type Misfit = (&'static str, Length, &'static str, Length);

/// Names for people.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
