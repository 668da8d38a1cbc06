//! The Merkle tree of RFC 9162 §2.1, growing at its right edge.
//!
//! Owns the frontier (the roots of the perfect subtrees of the present size) and the hash tiles in the making. Pure.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// Hashes in a full tile (C2SP tlog-tiles).
pub const TILE: usize = 256;

/// A full tile, to be stored with the leaves that completed it.
#[derive(Debug, PartialEq, Eq)]
pub struct FullTile {
    /// 0 for leaf hashes; one more for each 256-fold.
    pub level: u8,
    /// From the left.
    pub number: u64,
    /// 256 hashes, concatenated.
    pub hashes: Vec<u8>,
}

/// A growing tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the perfect subtrees, largest first: one for each bit set in `size`.
    frontier: Vec<Hash>,
    /// For each level the tile that is not full yet.
    partial: Vec<Vec<u8>>,
}

/// Hash of a leaf.
pub fn leaf_hash(record: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(record);
    hasher.finalize().into()
}

/// Hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

impl Tree {
    /// A tree resumed at a size: the frontier and, for each level, the hashes of its unfinished tile.
    pub fn resume(size: u64, frontier: Vec<Hash>, partial: Vec<Vec<u8>>) -> Self {
        Self { size, frontier, partial }
    }

    /// A tree resumed from the unfinished tiles of its levels, the lowest first; `None` where they are not those of a tree of this size.
    pub fn of_partial(size: u64, partial: Vec<Vec<u8>>) -> Option<Self> {
        let mut frontier = Vec::new();
        for (level, tile) in partial.iter().enumerate().rev() {
            let width = size.checked_shr(u32::try_from(level).ok()? * 8)? % 256;
            let hashes = hashes_of(tile)?;
            if u64::try_from(hashes.len()).ok()? != width {
                return None;
            }
            let mut rest = hashes.as_slice();
            for bit in (0..8).rev().filter(|bit| width >> bit & 1 == 1) {
                let (subtree, behind) = rest.split_at_checked(1 << bit)?;
                frontier.push(perfect_root(subtree.to_vec())?);
                rest = behind;
            }
        }
        let levels = u32::try_from(partial.len()).ok()?;
        let complete = size.checked_shr(levels * 8).unwrap_or(0) == 0;
        complete.then_some(Self { size, frontier, partial })
    }

    /// The unfinished tiles: level, number and hashes of each that has any.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (u8, u64, &[u8])> {
        let numbered = (0u8..).zip(&self.partial).filter(|(_, hashes)| !hashes.is_empty());
        numbered.map(|(level, hashes)| (level, self.size >> (8 * u32::from(level)) >> 8, hashes.as_slice()))
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn frontier(&self) -> &[Hash] {
        &self.frontier
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; tiles that became full are put into `full`.
    pub fn append(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        let mut node = leaf;
        let mut index = self.size;
        let mut height = 0u8;
        self.extend_tile(0, index, &node, full);
        while index & 1 == 1 {
            // The frontier has a subtree for every bit set, so there is a left sibling.
            if let Some(left) = self.frontier.pop() {
                node = node_hash(&left, &node);
            }
            index >>= 1;
            height += 1;
            if height.is_multiple_of(8) {
                self.extend_tile(height / 8, index, &node, full);
            }
        }
        self.frontier.push(node);
        self.size += 1;
    }

    /// The root; of the empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut hashes = self.frontier.iter().rev();
        let Some(last) = hashes.next() else { return Sha256::digest([]).into() };
        hashes.fold(*last, |right, left| node_hash(left, &right))
    }

    fn extend_tile(&mut self, level: u8, index: u64, hash: &Hash, full: &mut Vec<FullTile>) {
        let at = usize::from(level);
        if self.partial.len() <= at {
            self.partial.resize_with(at + 1, || Vec::with_capacity(TILE * 32));
        }
        let tile = &mut self.partial[at];
        tile.extend_from_slice(hash);
        if tile.len() == TILE * 32 {
            let hashes = std::mem::replace(tile, Vec::with_capacity(TILE * 32));
            full.push(FullTile { level, number: index / 256, hashes });
        }
    }
}

/// The hashes that stand in a tile; `None` where its length is none of a tile.
pub fn hashes_of(tile: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = tile.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// The root over a number of hashes that is a power of two; `None` of none.
pub fn perfect_root(mut row: Vec<Hash>) -> Option<Hash> {
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.pop()
}

/// The root that an inclusion path leads to (RFC 9162 §2.1.3.2); `None` where the path does not fit leaf and size.
pub fn root_of_path(leaf: u64, leaf_hash: Hash, size: u64, path: &[Hash]) -> Option<Hash> {
    if leaf >= size {
        return None;
    }
    let (mut node, mut last) = (leaf, size - 1);
    let mut root = leaf_hash;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MTH as RFC 9162 §2.1.1 writes it: the oracle.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(&mth(&many[..k]), &mth(&many[k..]))
            }
        }
    }

    fn leaves(n: u32) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_root_is_that_of_the_rfc_at_every_size() {
        let all = leaves(600);
        let mut tree = Tree::default();
        let mut full = Vec::new();
        assert_eq!(tree.root(), mth(&[]));
        for n in 0..all.len() {
            tree.append(all[n], &mut full);
            assert_eq!(tree.root(), mth(&all[..=n]), "size {}", n + 1);
        }
        assert_eq!(full.len(), 2);
        assert_eq!(full[1].number, 1);
        assert_eq!(full[1].hashes, all[256..512].concat());
    }

    #[test]
    fn upper_tiles_hold_the_roots_of_lower_ones() {
        let all = leaves(65_536 + 300);
        let (mut tree, mut full) = (Tree::default(), Vec::new());
        all.iter().for_each(|leaf| tree.append(*leaf, &mut full));
        let upper: Vec<_> = full.iter().filter(|tile| tile.level == 1).collect();
        assert_eq!(upper.len(), 1);
        assert_eq!(upper[0].hashes[..32], mth(&all[..256]));
        assert_eq!(upper[0].hashes[255 * 32..], mth(&all[255 * 256..65_536]));
    }

    #[test]
    fn a_tree_goes_on_from_its_unfinished_tiles() {
        let all = leaves(66_000);
        let (mut tree, mut full) = (Tree::default(), Vec::new());
        for (size, leaf) in all.iter().enumerate() {
            if matches!(size, 0 | 1 | 255 | 256 | 257 | 511 | 65_535 | 65_536 | 65_537) {
                let levels = if size < 256 {
                    1
                } else if size < 65_536 {
                    2
                } else {
                    3
                };
                let mut partial = vec![Vec::new(); levels];
                tree.partial_tiles().for_each(|(level, _, hashes)| partial[usize::from(level)] = hashes.to_vec());
                let resumed = Tree::of_partial(u64::try_from(size).unwrap(), partial.clone()).unwrap();
                assert_eq!((resumed.frontier(), resumed.root()), (tree.frontier(), tree.root()), "size {size}");
                assert!(Tree::of_partial(u64::try_from(size).unwrap() + 1, partial).is_none(), "size {size}");
                tree = resumed;
            }
            tree.append(*leaf, &mut full);
        }
        assert_eq!(tree.root(), mth(&all));
    }

    proptest! {
        #[test]
        fn a_wrong_path_leads_elsewhere(size in 2u64..200, leaf in 0u64..200, flip in 0usize..8) {
            let leaf = leaf % size;
            let all = leaves(u32::try_from(size).unwrap());
            fn path(m: usize, d: &[Hash]) -> Vec<Hash> {
                if d.len() == 1 { return vec![]; }
                let k = d.len().next_power_of_two() / 2;
                if m < k { let mut p = path(m, &d[..k]); p.push(mth(&d[k..])); p }
                else { let mut p = path(m - k, &d[k..]); p.push(mth(&d[..k])); p }
            }
            let index = usize::try_from(leaf).unwrap();
            let mut good = path(index, &all);
            prop_assert_eq!(root_of_path(leaf, all[index], size, &good), Some(mth(&all)));
            let at = flip % good.len();
            good[at][0] ^= 1;
            prop_assert_ne!(root_of_path(leaf, all[index], size, &good), Some(mth(&all)));
            prop_assert_eq!(root_of_path(leaf, all[index], size, &good[1..]).filter(|r| *r == mth(&all)), None);
        }
    }
}
