//! The log as others read it: names of its resources (C2SP tlog-tiles), and proofs (RFC 9162) as a reader judges them.
//!
//! Owns what a path may look like, one form for each resource, and the verifier's half of the proofs, written apart from the ledger that
//! makes them. Refuses to fetch. Called by the authority door, the SDK and whoever keeps a copy of the log.

use aws_lc_rs::digest::{Context, SHA256};
use std::fmt;
use std::num::NonZeroU8;

/// SHA-256.
pub type Hash = [u8; 32];

/// Hashes in a full tile, and records in a full bundle.
pub const FULL: u16 = 256;
/// Longest hash tile, bytes.
pub const LONGEST_TILE: usize = 256 * 32;
/// Longest bundle: 256 records of 65,535 bytes, each behind its length.
pub const LONGEST_BUNDLE: usize = 256 * (2 + 65_535);
/// Longest path of a proof: sizes are below 2^63.
const LONGEST_PATH: usize = 63;
/// Tiles above this level hold nothing: eight levels of 256 are more leaves than there are numbers for.
const HIGHEST_LEVEL: u8 = 7;

/// What is below `/log/tile/`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TilePath {
    /// Hashes of a level, or records.
    pub of: TileOf,
    /// From the left.
    pub number: u64,
    /// How many of its first entries; `None` for a full one.
    pub partial: Option<NonZeroU8>,
}

/// What a tile holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TileOf {
    /// Hashes: 0 for those of leaves, one more for each 256-fold.
    Hashes(u8),
    /// Records.
    Entries,
}

impl TilePath {
    /// The path segments behind `tile`. Only the one form that `Display` writes.
    pub fn parse(segments: &[&str]) -> Option<Self> {
        let (of, place) = segments.split_first()?;
        let of = match *of {
            "entries" => TileOf::Entries,
            level => TileOf::Hashes(decimal(level).filter(|level| *level <= HIGHEST_LEVEL)?),
        };
        let (place, partial) = match place {
            [place @ .., last, width] if last.ends_with(".p") => {
                let width = decimal(width).and_then(NonZeroU8::new)?;
                ([place, &[last.strip_suffix(".p")?]].concat(), Some(width))
            }
            place => (place.to_vec(), None),
        };
        let (last, before) = place.split_last()?;
        let mut number: u64 = 0;
        for part in before.iter().map(|part| part.strip_prefix('x')).chain([Some(*last)]) {
            let digits = part.filter(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            number = number.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
        }
        // A number has as few parts as it needs.
        if before.first() == Some(&"x000") {
            return None;
        }
        Some(Self { of, number, partial })
    }

    /// Entries in it.
    pub fn width(&self) -> u16 {
        self.partial.map_or(FULL, |width| u16::from(width.get()))
    }

    /// Whether a tree of this size has all of it.
    pub fn lies_within(&self, size: u64) -> bool {
        let level = match self.of {
            TileOf::Hashes(level) => level,
            TileOf::Entries => 0,
        };
        let entries = size.checked_shr(u32::from(level) * 8).unwrap_or(0);
        let end = self.number.checked_mul(256).and_then(|first| first.checked_add(u64::from(self.width())));
        end.is_some_and(|end| end <= entries)
    }

    /// The longest it can be, bytes.
    pub fn longest(&self) -> usize {
        match self.of {
            TileOf::Hashes(_) => usize::from(self.width()) * 32,
            TileOf::Entries => usize::from(self.width()) * (2 + 65_535),
        }
    }
}

/// The path of the resource at the door.
impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            TileOf::Hashes(level) => write!(f, "/log/tile/{level}")?,
            TileOf::Entries => f.write_str("/log/tile/entries")?,
        }
        let (mut parts, mut rest) = (vec![self.number % 1_000], self.number / 1_000);
        while rest > 0 {
            parts.push(rest % 1_000);
            rest /= 1_000;
        }
        while let Some(part) = parts.pop() {
            write!(f, "/{}{part:03}", if parts.is_empty() { "" } else { "x" })?;
        }
        self.partial.map_or(Ok(()), |width| write!(f, ".p/{width}"))
    }
}

/// A decimal number up to 255 without zeros in front.
fn decimal(text: &str) -> Option<u8> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

/// The records of a bundle; `None` where its bytes are not exactly so many.
pub fn records_of(bundle: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let (mut records, mut rest) = (Vec::with_capacity(usize::from(width)), bundle);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (record, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        records.push(record);
        rest = behind;
    }
    (records.len() == usize::from(width)).then_some(records)
}

/// Hash of a leaf.
pub fn leaf_hash(record: &[u8]) -> Hash {
    hash(&[&[0], record])
}

/// Hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The root that an inclusion path leads to (RFC 9162 §2.1.3.2); `None` where the path does not fit leaf and size.
pub fn root_of_inclusion(leaf: u64, size: u64, leaf_hash: Hash, path: &[Hash]) -> Option<Hash> {
    if leaf >= size || path.len() > LONGEST_PATH {
        return None;
    }
    let (mut node, mut last, mut root) = (leaf, size - 1, leaf_hash);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Whether a path shows that the log of `to` leaves and this root begins with that of `from` leaves and that root (RFC 9162 §2.1.4.2).
///
/// A log is consistent with itself without a path; the empty log is not asked about.
#[must_use]
pub fn is_consistent((from, first): (u64, Hash), (to, second): (u64, Hash), path: &[Hash]) -> bool {
    if from == 0 || from > to || path.len() > LONGEST_PATH {
        return false;
    }
    if from == to {
        return path.is_empty() && first == second;
    }
    // Where the older tree is perfect, its root is the first step and is not sent.
    let begin = if from.is_power_of_two() { Some(first) } else { None };
    let mut steps = begin.into_iter().chain(path.iter().copied());
    let Some(start) = steps.next().filter(|_| !path.is_empty()) else { return false };
    let (mut node, mut last) = (from - 1, to - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old, mut new) = (start, start);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (old, new) = (node_hash(&step, &old), node_hash(&step, &new));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, &step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old == first && new == second
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(path: &str) -> Option<TilePath> {
        let segments: Vec<&str> = path.strip_prefix("/log/tile/")?.split('/').collect();
        TilePath::parse(&segments)
    }

    #[test]
    fn a_tile_has_one_name() {
        let good = [
            ("/log/tile/0/000", TileOf::Hashes(0), 0, None),
            ("/log/tile/7/x001/x234/067", TileOf::Hashes(7), 1_234_067, None),
            ("/log/tile/entries/x001/000.p/255", TileOf::Entries, 1_000, NonZeroU8::new(255)),
            ("/log/tile/1/999.p/1", TileOf::Hashes(1), 999, NonZeroU8::new(1)),
        ];
        for (path, of, number, partial) in good {
            let tile = TilePath { of, number, partial };
            assert_eq!(parse(path), Some(tile), "{path}");
            assert_eq!(tile.to_string(), path);
        }
        for path in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/0000",
            "0/x000/001",
            "0/001/002",
            "0/x01/002",
            "0/x001",
            "00/001",
            "8/000",
            "-1/000",
            "+1/000",
            "entries",
            "entries/00a",
            "0/000.p",
            "0/000.p/",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/1/2",
            "0/000/1",
            "0/+01",
            "0/٠٠٠",
            "0/000.p/+1",
            "../0/000",
            "0/../000",
            "0//000",
            "0/x001.p/5",
            "Entries/000",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(parse(&format!("/log/tile/{path}")), None, "{path}");
        }
    }

    #[test]
    fn a_tile_lies_within_a_tree_that_has_all_of_it() {
        let rows = [
            ("0/000", 256, 255),
            ("0/001.p/3", 259, 258),
            ("entries/001.p/3", 259, 258),
            ("1/000.p/2", 512, 511),
            ("1/001", 131_072, 131_071),
        ];
        for (path, enough, short) in rows {
            let tile = parse(&format!("/log/tile/{path}")).unwrap();
            assert!(tile.lies_within(enough) && !tile.lies_within(short), "{path}");
        }
        let last = TilePath { of: TileOf::Hashes(0), number: u64::MAX, partial: None };
        assert!(!last.lies_within(u64::MAX));
    }

    #[test]
    fn a_bundle_is_taken_apart_exactly() {
        let bundle = [0, 1, 7, 0, 0, 0, 2, 8, 9];
        let expected: [&[u8]; 3] = [&[7], &[], &[8, 9]];
        assert_eq!(records_of(&bundle, 3).unwrap(), expected);
        assert_eq!(
            (records_of(&bundle, 2), records_of(&bundle[..8], 3), records_of(&bundle[..6], 3)),
            (None, None, None)
        );
    }

    /// MTH, PATH and SUBPROOF as RFC 9162 §2.1 writes them: the oracle.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [one] => *one,
            many => {
                let half = many.len().next_power_of_two() / 2;
                node_hash(&mth(&many[..half]), &mth(&many[half..]))
            }
        }
    }

    fn inclusion(leaf: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return vec![];
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (mut path, sibling) = match leaf < half {
            true => (inclusion(leaf, &leaves[..half]), &leaves[half..]),
            false => (inclusion(leaf - half, &leaves[half..]), &leaves[..half]),
        };
        path.push(mth(sibling));
        path
    }

    fn consistency(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if from == leaves.len() {
            return if known { vec![] } else { vec![mth(leaves)] };
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (mut path, sibling) = match from <= half {
            true => (consistency(from, &leaves[..half], known), &leaves[half..]),
            false => (consistency(from - half, &leaves[half..], false), &leaves[..half]),
        };
        path.push(mth(sibling));
        path
    }

    fn size(count: usize) -> u64 {
        u64::try_from(count).unwrap()
    }

    #[test]
    fn every_proof_of_small_trees_holds() {
        let leaves: Vec<Hash> = (0..40u8).map(|n| leaf_hash(&[n])).collect();
        for to in 1..=leaves.len() {
            let root = mth(&leaves[..to]);
            for leaf in 0..to {
                let path = inclusion(leaf, &leaves[..to]);
                assert_eq!(root_of_inclusion(size(leaf), size(to), leaves[leaf], &path), Some(root), "{leaf} of {to}");
                assert_eq!(root_of_inclusion(size(leaf), size(leaf), leaves[leaf], &path), None);
            }
            for from in 1..=to {
                let path = consistency(from, &leaves[..to], true);
                let old = (size(from), mth(&leaves[..from]));
                assert!(is_consistent(old, (size(to), root), &path), "{from} to {to}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_other_proof_holds(to in 2usize..120, from in 1usize..120, at in any::<prop::sample::Index>(), bit in 0usize..256) {
            let from = 1 + from % (to - 1);
            let leaves: Vec<Hash> = (0..to).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let (old, new) = ((size(from), mth(&leaves[..from])), (size(to), mth(&leaves)));
            let good = consistency(from, &leaves, true);
            let mut bad = good.clone();
            at.get_mut(&mut bad)[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_consistent(old, new, &bad));
            prop_assert!(!is_consistent(old, new, &good[1..]));
            prop_assert!(!is_consistent(old, new, &[&good[..], &good[..1]].concat()));
            let mut forked = old;
            forked.1[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_consistent(forked, new, &good));
            prop_assert!(!is_consistent(new, old, &good));

            let path = inclusion(from, &leaves);
            let mut bad = path.clone();
            at.get_mut(&mut bad)[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_inclusion(size(from), size(to), leaves[from], &bad), Some(new.1));
            prop_assert_ne!(root_of_inclusion(size(from - 1), size(to), leaves[from], &path), Some(new.1));
        }

        #[test]
        fn names_are_read_as_they_are_written(level in 0u8..=8, number in any::<u64>(), shift in 0u32..64, width in any::<u8>()) {
            let of = if level == 8 { TileOf::Entries } else { TileOf::Hashes(level) };
            let tile = TilePath { of, number: number >> shift, partial: NonZeroU8::new(width) };
            prop_assert_eq!(parse(&tile.to_string()), Some(tile));
        }

        #[test]
        fn no_path_makes_the_reader_panic(path in "[/0-9xp.a-e]{0,40}") {
            if let Some(tile) = parse(&format!("/log/tile/{path}")) {
                prop_assert_eq!(tile.to_string(), format!("/log/tile/{path}"));
            }
        }
    }
}
