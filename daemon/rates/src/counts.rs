//! How many pieces go to each ZIP.

use crate::zone::Zip;
use std::collections::BTreeMap;

/// Pieces by ZIP. Takes the memory of its distinct ZIPs, however many pieces there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    by_zip: BTreeMap<Zip, u64>,
    total: u64,
}

/// More pieces than can be counted; nothing was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more pieces than can be counted")]
pub struct CountError;

impl Counts {
    /// No piece.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds pieces for a ZIP.
    pub fn add(&mut self, zip: Zip, pieces: u64) -> Result<(), CountError> {
        // The total is never below the count of one ZIP, so where it holds the sum that one does.
        self.total = self.total.checked_add(pieces).ok_or(CountError)?;
        if pieces > 0 {
            *self.by_zip.entry(zip).or_default() += pieces;
        }
        Ok(())
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) -> Result<(), CountError> {
        self.total.checked_add(other.total).ok_or(CountError)?;
        other.iter().try_for_each(|(zip, pieces)| self.add(zip, pieces))
    }

    /// Pieces for a ZIP.
    pub fn of(&self, zip: Zip) -> u64 {
        self.by_zip.get(&zip).copied().unwrap_or_default()
    }

    /// All pieces.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Distinct ZIPs.
    pub fn zips(&self) -> usize {
        self.by_zip.len()
    }

    /// ZIPs with their pieces, ascending; none with zero.
    pub fn iter(&self) -> impl Iterator<Item = (Zip, u64)> + '_ {
        self.by_zip.iter().map(|(zip, pieces)| (*zip, *pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_or_stay_as_they_were() {
        let zip = |number| Zip::from_number(number).unwrap();
        let mut counts = Counts::new();
        counts.add(zip(501), 3).unwrap();
        counts.add(zip(10_001), 0).unwrap();
        counts.add(zip(501), 4).unwrap();
        assert_eq!((counts.of(zip(501)), counts.of(zip(10_001)), counts.total(), counts.zips()), (7, 0, 7, 1));
        let mut other = Counts::new();
        other.add(zip(501), 1).unwrap();
        other.add(zip(90_001), 2).unwrap();
        counts.merge(&other).unwrap();
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(zip(501), 8), (zip(90_001), 2)]);
        let before = counts.clone();
        assert_eq!(counts.add(zip(1), u64::MAX), Err(CountError));
        let mut most = Counts::new();
        most.add(zip(2), u64::MAX).unwrap();
        assert_eq!(counts.merge(&most), Err(CountError));
        assert_eq!(counts, before);
    }
}
