//! Which tariff holds for each destination of a run.
//!
//! Discounts of one kind are gone through from the finest level to the coarsest, and at one level from the greatest count down. Pieces that
//! one of them has taken count for no later one: they lie in trays or bundles of their own. What no discount takes pays the second tariff, the
//! full prices.

use crate::counts::Counts;
use crate::manifest::{Manifest, ManifestError};
use crate::names::{Level, Sorting};
use crate::table::{Discount, Table};
use crate::tariff::{ClassId, Tariff};
use crate::zone::Zip;

/// What a run qualified for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qualified {
    class: ClassId,
    /// Places of the discounts claimed, presort before bundle, each in the order they are gone through.
    pub(crate) claims: Vec<u8>,
    /// Ascending by ZIP.
    tariffs: Vec<(Zip, Tariff)>,
    /// Of the same ZIPs.
    pieces: Vec<u64>,
    groups: Vec<Group>,
    total: u64,
}

/// The pieces that were counted together for a discount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// The discount, by its place in the class.
    pub discount: u8,
    /// How they belong together.
    pub level: Level,
    /// Which of the groups at this level.
    pub(crate) number: u32,
    /// How many they are.
    pub pieces: u64,
    /// Whether they, and the run, are enough.
    pub reached: bool,
}

/// A destination that the run has no piece for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the manifest has no piece for {0}")]
pub struct NotInRun(pub Zip);

/// Judges a manifest.
///
/// # Errors
///
/// When it names what the table has not, or its counts do not add up.
pub fn qualify(table: &Table, manifest: &Manifest) -> Result<Qualified, ManifestError> {
    let class = table.class_named(&manifest.class)?;
    let (counted, stated) = (manifest.counts.total(), manifest.total);
    if counted != stated {
        return Err(ManifestError::Total { counted, stated });
    }
    if counted == 0 {
        return Err(ManifestError::Empty);
    }
    let mut claims = Vec::new();
    for name in &manifest.claims {
        let (place, _) = table.discount_named(class, name)?;
        if claims.contains(&place) {
            return Err(ManifestError::Twice(name.clone()));
        }
        claims.push(place);
    }
    let order = |place: &u8| {
        let discount = table.discount_at(class, *place);
        discount.map(|Discount { sorting, level, pieces, .. }| (*sorting, *level, std::cmp::Reverse(*pieces)))
    };
    claims.sort_by_key(order);
    counted_as(table, class, claims, &manifest.counts)
}

/// What these counts qualify for under claims that are in order.
pub(crate) fn counted_as(
    table: &Table,
    class: ClassId,
    claims: Vec<u8>,
    counts: &Counts,
) -> Result<Qualified, ManifestError> {
    if let Some(zones) = &table.zones
        && let Some((zip, _)) = counts.iter().find(|(zip, _)| !zones.knows(*zip))
    {
        return Err(ManifestError::UnknownZip { zip, table: table.label() });
    }
    let pieces: Vec<(Zip, u64)> = counts.iter().collect();
    let mut tariffs: Vec<(Zip, Tariff)> = pieces.iter().map(|(zip, _)| (*zip, Tariff::full(class))).collect();
    let mut groups = Vec::new();
    for place in &claims {
        let Some(discount) = table.discount_at(class, *place) else { continue };
        take(discount, *place, counts.total(), &pieces, &mut tariffs, &mut groups);
    }
    let pieces = pieces.into_iter().map(|(_, pieces)| pieces).collect();
    Ok(Qualified { class, claims, tariffs, pieces, groups, total: counts.total() })
}

/// Goes through the groups of one discount. ZIPs ascend, so the pieces of a group stand side by side.
fn take(
    discount: &Discount,
    place: u8,
    total: u64,
    pieces: &[(Zip, u64)],
    tariffs: &mut [(Zip, Tariff)],
    groups: &mut Vec<Group>,
) {
    let level = discount.level;
    let number = |zip: Zip| level.group(zip.number());
    let mut begin = 0;
    while let Some((first, _)) = pieces.get(begin) {
        let group = number(*first);
        let length = pieces[begin..].iter().take_while(|(zip, _)| number(*zip) == group).count();
        let here = begin..begin + length;
        begin += length;
        let left = |(_, tariff): &(Zip, Tariff)| slot(*tariff, discount.sorting).is_none();
        let counted = here.clone().filter(|at| left(&tariffs[*at])).map(|at| pieces[at].1).sum::<u64>();
        if counted == 0 {
            continue;
        }
        let reached = counted >= discount.pieces && total >= discount.run;
        groups.push(Group { discount: place, level, number: group, pieces: counted, reached });
        for (_, tariff) in tariffs[here].iter_mut().filter(|entry| reached && left(entry)) {
            match discount.sorting {
                Sorting::Presort => tariff.presort = Some(place),
                Sorting::Bundle => tariff.bundle = Some(place),
            }
        }
    }
}

fn slot(tariff: Tariff, sorting: Sorting) -> Option<u8> {
    match sorting {
        Sorting::Presort => tariff.presort,
        Sorting::Bundle => tariff.bundle,
    }
}

impl Qualified {
    /// The class of the run.
    pub const fn class(&self) -> ClassId {
        self.class
    }

    /// The tariff that holds for a destination.
    pub fn tariff(&self, destination: Zip) -> Result<Tariff, NotInRun> {
        let at = self.tariffs.binary_search_by_key(&destination, |(zip, _)| *zip);
        at.ok().map(|at| self.tariffs[at].1).ok_or(NotInRun(destination))
    }

    /// Every destination with its tariff, ascending.
    pub fn tariffs(&self) -> &[(Zip, Tariff)] {
        &self.tariffs
    }

    /// The same with the pieces for each.
    pub fn destinations(&self) -> impl Iterator<Item = (Zip, Tariff, u64)> + '_ {
        self.tariffs.iter().zip(&self.pieces).map(|((zip, tariff), pieces)| (*zip, *tariff, *pieces))
    }

    /// What was counted together, in the order it was.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All pieces.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

impl Group {
    /// `10001`, `100xx` or `all`.
    pub fn name(&self) -> String {
        self.level.group_name(self.number)
    }
}
