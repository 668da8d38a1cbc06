//! The parts of a file written since its last sync. Pure; the shim keeps one per file.
#![cfg_attr(test, allow(dead_code, reason = "its caller, the shim, is left out of unit tests"))]

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint byte ranges; touching ones are merged.
#[derive(Debug, Default)]
pub struct Ranges {
    // Start to end.
    spans: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds a range.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((&before, &until)) = self.spans.range(..=end).next_back() {
            if until < start {
                break;
            }
            self.spans.remove(&before);
            start = start.min(before);
            end = end.max(until);
        }
        self.spans.insert(start, end);
    }

    /// Forgets everything from `len` on.
    pub fn cut(&mut self, len: u64) {
        self.spans.split_off(&len);
        if let Some((_, end)) = self.spans.iter_mut().next_back() {
            *end = (*end).min(len);
        }
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.spans.iter().map(|(&start, &end)| start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[(u64, u64)]) -> Ranges {
        let mut all = Ranges::default();
        for (start, end) in spans {
            all.insert(*start..*end);
        }
        all
    }

    fn list(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn overlapping_and_touching_ranges_merge() {
        assert_eq!(list(&of(&[(0, 4), (8, 12)])), [(0, 4), (8, 12)]);
        assert_eq!(list(&of(&[(0, 4), (4, 8)])), [(0, 8)]);
        assert_eq!(list(&of(&[(4, 8), (0, 4)])), [(0, 8)]);
        assert_eq!(list(&of(&[(0, 2), (4, 6), (8, 10), (1, 9)])), [(0, 10)]);
        assert_eq!(list(&of(&[(0, 10), (2, 4)])), [(0, 10)]);
        assert_eq!(list(&of(&[(5, 5)])), []);
    }

    #[test]
    fn a_cut_shortens_and_drops() {
        let mut ranges = of(&[(0, 4), (8, 12), (20, 30)]);
        ranges.cut(10);
        assert_eq!(list(&ranges), [(0, 4), (8, 10)]);
        ranges.cut(8);
        assert_eq!(list(&ranges), [(0, 4)]);
        ranges.cut(0);
        assert_eq!(list(&ranges), []);
    }
}
