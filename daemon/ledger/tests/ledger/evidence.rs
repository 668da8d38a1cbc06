//! Tiles, bundles and proofs, at every size of a tree whose roots are computed from the records alone.

use crate::world::*;
use psd::tree::{leaf_hash, node_hash, root_of_path};
use psdd_ledger::{Hash, LogReader, Rules};

/// MTH as RFC 9162 §2.1.1 writes it: the oracle.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        many => {
            let half = many.len().next_power_of_two() / 2;
            node_hash(&mth(&many[..half]), &mth(&many[half..]))
        }
    }
}

/// PROOF and SUBPROOF as RFC 9162 §2.1.4.1 writes them: the oracle.
fn proof(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if known { vec![] } else { vec![mth(leaves)] };
    }
    let half = leaves.len().next_power_of_two() / 2;
    if from <= half {
        let mut path = proof(from, &leaves[..half], known);
        path.push(mth(&leaves[half..]));
        path
    } else {
        let mut path = proof(from - half, &leaves[half..], false);
        path.push(mth(&leaves[..half]));
        path
    }
}

fn at(index: usize) -> u64 {
    u64::try_from(index).unwrap()
}

#[test]
fn what_is_read_hashes_to_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    world.commit_pieces(800);
    let log = LogReader::open(dir.path()).unwrap();
    let size = usize::try_from(number(dir.path(), "SELECT size FROM head")).unwrap();
    assert!(size > 3 * 256 && !size.is_multiple_of(256));
    let records: Vec<Vec<u8>> = (0..size).map(|leaf| log.record(at(leaf)).unwrap()).collect();
    let leaves: Vec<Hash> = records.iter().map(|record| leaf_hash(record)).collect();

    for (width, first) in [(256, 0), (256, 256), (1, 0), (255, 256), (7, 768), (size % 256, 768)] {
        let number = at(first / 256);
        let hashes = log.hashes(0, number, u16::try_from(width).unwrap()).unwrap();
        assert_eq!(hashes, leaves[first..first + width].concat(), "{width} hashes from {first}");
        let bundle = log.bundle(number, u16::try_from(width).unwrap()).unwrap();
        let framed = records[first..first + width].iter().map(|record| {
            let length = u16::try_from(record.len()).unwrap();
            [&length.to_be_bytes(), &**record].concat()
        });
        assert_eq!(bundle, framed.collect::<Vec<_>>().concat(), "{width} records from {first}");
    }
    // The upper tile is not full: it follows from the full ones below.
    let upper: Vec<u8> = (0..3).flat_map(|tile| mth(&leaves[tile * 256..(tile + 1) * 256])).collect();
    assert_eq!(log.hashes(1, 0, 3).unwrap(), upper);
    assert_eq!(log.hashes(1, 0, 3).unwrap(), upper, "as it is remembered");

    for to in [1, 2, 3, 255, 256, 257, 511, 512, 700, 768, 769, size] {
        let root = mth(&leaves[..to]);
        for leaf in [0, 1, 2, 254, 255, 256, 511, 512, 699, 767, 768, size - 1].into_iter().filter(|leaf| *leaf < to) {
            let path = log.inclusion_path(at(leaf), at(to)).unwrap();
            assert_eq!(root_of_path(at(leaf), leaves[leaf], at(to), &path), Some(root), "{leaf} of {to}");
        }
        // Many at once, in any order and with repetitions, are the same as one by one.
        let many: Vec<u64> = (0..at(to)).chain([0, at(to) - 1]).collect();
        let paths = log.inclusion_paths(&many, at(to)).unwrap();
        assert!(
            many.iter().zip(paths).all(|(leaf, (hash, path))| {
                hash == leaves[usize::try_from(*leaf).unwrap()] && path == log.inclusion_path(*leaf, at(to)).unwrap()
            }),
            "{to}"
        );
        for from in (1..=to).filter(|from| from % 61 == 1 || [255, 256, 512, to].contains(from)) {
            let path = log.consistency_path(at(from), at(to)).unwrap();
            assert_eq!(path, proof(from, &leaves[..to], true), "{from} to {to}");
        }
    }
}

#[test]
fn a_record_that_is_gone_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    world.commit_pieces(20);
    let log = LogReader::open(dir.path()).unwrap();
    assert!(log.bundle(0, 20).is_ok());
    let told = log.bundle(0, 200).unwrap_err().to_string();
    assert!(told.starts_with("record ") && told.ends_with(" is missing"), "{told}");
    database(dir.path()).execute("DELETE FROM entry WHERE leaf = 7", []).unwrap();
    assert!(log.bundle(0, 7).is_ok());
    let told = [log.bundle(0, 8).unwrap_err(), log.hashes(0, 0, 8).unwrap_err(), log.record(7).unwrap_err()];
    assert!(told.iter().all(|error| error.to_string() == "record 7 is missing"), "{told:?}");
}
