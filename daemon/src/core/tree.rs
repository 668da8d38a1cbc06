//! What the members of a licence can spend, in a segment tree: the next one that can pay, or the richest, in O(log n).
//!
//! Pure. [`super::pool`] keeps it in step with the registers.

use std::ops::Range;

/// Over members in a fixed order: one changing number of each, and the greatest of every stretch of them.
pub(super) struct Tree {
    /// A power of two; the node above 2n and 2n + 1 is n, leaves begin at this index.
    leaves: usize,
    most: Vec<u64>,
    /// Of each stretch the greatest last ZIP, which never changes.
    reach: Vec<u32>,
}

/// What is sought.
#[derive(Clone, Copy)]
pub(super) struct Sought {
    /// At least this number.
    pub(super) least: u64,
    /// A last ZIP that is not below this one.
    pub(super) reach: u32,
}

impl Tree {
    /// All numbers zero.
    pub(super) fn new(last_zips: impl ExactSizeIterator<Item = u32>) -> Self {
        let leaves = last_zips.len().next_power_of_two();
        let (most, mut reach) = (vec![0; 2 * leaves], vec![0; 2 * leaves]);
        reach.iter_mut().skip(leaves).zip(last_zips).for_each(|(leaf, zip)| *leaf = zip);
        for node in (1..leaves).rev() {
            reach[node] = reach[2 * node].max(reach[2 * node + 1]);
        }
        Self { leaves, most, reach }
    }

    pub(super) fn get(&self, member: usize) -> u64 {
        self.most[self.leaves + member]
    }

    pub(super) fn set(&mut self, member: usize, number: u64) {
        let mut node = self.leaves + member;
        self.most[node] = number;
        while node > 1 {
            node /= 2;
            let most = self.most[2 * node].max(self.most[2 * node + 1]);
            if std::mem::replace(&mut self.most[node], most) == most {
                return;
            }
        }
    }

    /// The first member within that has what is sought. Where what is sought is one thing only, the cost is O(log n); where number
    /// and reach are both sought, it is that as long as last ZIPs rise or are all the same within.
    pub(super) fn next(&self, within: &Range<usize>, sought: Sought) -> Option<usize> {
        self.descend(1, 0..self.leaves, within, sought)
    }

    fn descend(&self, node: usize, covers: Range<usize>, within: &Range<usize>, sought: Sought) -> Option<usize> {
        let apart = covers.end <= within.start || within.end <= covers.start;
        if apart || self.most[node] < sought.least || self.reach[node] < sought.reach {
            return None;
        }
        if node >= self.leaves {
            return Some(covers.start);
        }
        let middle = covers.start.midpoint(covers.end);
        self.descend(2 * node, covers.start..middle, within, sought)
            .or_else(|| self.descend(2 * node + 1, middle..covers.end, within, sought))
    }

    /// The greatest number within among members that reach so far, and the first member that has it; `None` where all are zero.
    pub(super) fn most(&self, within: &Range<usize>, reach: u32) -> Option<(u64, usize)> {
        let mut found = None;
        self.climb(1, 0..self.leaves, within, reach, &mut found);
        found
    }

    fn climb(
        &self,
        node: usize,
        covers: Range<usize>,
        within: &Range<usize>,
        reach: u32,
        found: &mut Option<(u64, usize)>,
    ) {
        let apart = covers.end <= within.start || within.end <= covers.start;
        if apart || self.most[node] <= found.map_or(0, |(most, _)| most) || self.reach[node] < reach {
            return;
        }
        if node >= self.leaves {
            *found = Some((self.most[node], covers.start));
            return;
        }
        let middle = covers.start.midpoint(covers.end);
        // The richer half first, so that the other one need not be looked into.
        let halves = [(2 * node, covers.start..middle), (2 * node + 1, middle..covers.end)];
        let swap = self.most[2 * node] < self.most[2 * node + 1];
        let [first, second] = halves;
        let (first, second) = if swap { (second, first) } else { (first, second) };
        self.climb(first.0, first.1, within, reach, found);
        self.climb(second.0, second.1, within, reach, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against looking at every member.
        #[test]
        fn it_finds_what_a_walk_finds(
            members in prop::collection::vec((0u32..6, prop::collection::vec(0u64..5, 1..4)), 1..40),
            ends in (0usize..45, 0usize..45),
            sought in (1u64..5, 0u32..6),
        ) {
            let mut tree = Tree::new(members.iter().map(|(reach, _)| *reach));
            for round in 0..3 {
                for (member, (_, numbers)) in members.iter().enumerate() {
                    if let Some(number) = numbers.get(round) {
                        tree.set(member, *number);
                    }
                }
            }
            let numbers: Vec<u64> = members.iter().map(|(_, numbers)| *numbers.last().unwrap()).collect();
            let within = ends.0.min(ends.1)..ends.0.max(ends.1);
            let fits = |member: &usize| within.contains(member) && members[*member].0 >= sought.1;
            let next = (0..members.len()).find(|member| fits(member) && numbers[*member] >= sought.0);
            prop_assert_eq!(tree.next(&within, Sought { least: sought.0, reach: sought.1 }), next);
            let most = (0..members.len()).filter(fits).map(|member| numbers[member]).max().filter(|most| *most > 0);
            let found = tree.most(&within, sought.1);
            prop_assert_eq!(found.map(|(most, _)| most), most);
            prop_assert!(found.is_none_or(|(most, member)| fits(&member) && numbers[member] == most));
            prop_assert!((0..members.len()).all(|member| tree.get(member) == numbers[member]));
        }
    }
}
