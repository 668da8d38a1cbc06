//! What a run lost against its manifest once its pieces were counted.

use crate::counts::Counts;
use crate::manifest::ManifestError;
use crate::qualify::{Group, Qualified, counted_as};
use crate::table::Table;
use crate::zone::Zip;

/// What was claimed against what was counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortfall {
    /// Groups that had a discount by the manifest and have it not by the count, in the order they are gone through.
    pub lost: Vec<LostGroup>,
    /// Destinations that the manifest has no piece for, with their pieces, ascending.
    pub unannounced: Vec<(Zip, u64)>,
    /// What the run qualifies for by the count, under the same claims. The price of every piece by its tariff, summed up, is what the run
    /// costs: a group whose pieces fell back may bring a coarser one up to its count.
    pub counted: Qualified,
}

/// A group that has its discount no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostGroup {
    /// The discount.
    pub discount: String,
    /// The group: `10001`, `100xx` or `all`.
    pub group: String,
    /// Its pieces by the manifest.
    pub claimed: u64,
    /// Its pieces by the count.
    pub counted: u64,
    /// How many more it takes; zero where the group has enough and the run has not.
    pub lacking: u64,
    /// How many more the whole run takes.
    pub run_lacking: u64,
}

/// Compares what was claimed with the count of all pieces of the run.
///
/// # Errors
///
/// When pieces were counted for a ZIP that the table does not know.
pub fn shortfall(table: &Table, claimed: &Qualified, counts: &Counts) -> Result<Shortfall, ManifestError> {
    let counted = counted_as(table, claimed.class(), claimed.claims.clone(), counts)?;
    let key = |group: &Group| (group.discount, group.number);
    let mut found: Vec<&Group> = counted.groups().iter().collect();
    found.sort_unstable_by_key(|group| key(group));
    let mut lost = Vec::new();
    for group in claimed.groups().iter().filter(|group| group.reached) {
        let now = found.binary_search_by_key(&key(group), |group| key(group)).ok().map(|at| found[at]);
        if now.is_some_and(|now| now.reached) {
            continue;
        }
        let Some(discount) = table.discount_at(claimed.class(), group.discount) else { continue };
        let pieces = now.map_or(0, |now| now.pieces);
        lost.push(LostGroup {
            discount: discount.name.clone(),
            group: group.name(),
            claimed: group.pieces,
            counted: pieces,
            lacking: discount.pieces.saturating_sub(pieces),
            run_lacking: discount.run.saturating_sub(counts.total()),
        });
    }
    let unannounced = counts.iter().filter(|(zip, _)| claimed.tariff(*zip).is_err()).collect();
    Ok(Shortfall { lost, unannounced, counted })
}
