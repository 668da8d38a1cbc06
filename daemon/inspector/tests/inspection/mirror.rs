//! Witness and mirror.

use crate::log::{MemoryLog, bundled, digits};
use crate::world::{Key, World};
use psdd_inspector::{Directory, Mirror, Source, UpdateError, Witnessed};
use std::collections::BTreeMap;
use std::path::Path;

/// A world whose log has so many entries; what the entries after its own say does not matter here.
fn world_of(size: usize) -> World {
    let mut world = World::born(0);
    grow(&mut world, size, "entry");
    world
}

fn grow(world: &mut World, size: usize, word: &str) {
    for n in world.entries.len()..size {
        world.entries.push(format!("{word} {n}").into_bytes());
    }
}

/// Files of a mirror but for `incoming/` and `evidence/`.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().into_string().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), &format!("{name}/"), files),
                false => drop(files.insert(name, std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, "", &mut found);
    found.retain(|name, _| !name.starts_with("incoming/") && !name.starts_with("evidence/"));
    found
}

/// A mirror of that log before it grew.
fn mirrored(world: &World) -> (tempfile::TempDir, Mirror) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = world.log();
    let mut mirror = Mirror::create(dir.path(), &world.trust(), &mut log).unwrap();
    mirror.update(&mut log).unwrap();
    (dir, mirror)
}

/// The update fails in this way, leaves everything as it was, and an honest log is followed afterwards.
fn refused(mirror: &mut Mirror, dir: &Path, liar: &mut MemoryLog, honest: &World) -> UpdateError {
    let before = (files(dir), mirror.checkpoint().cloned());
    let error = mirror.update(liar).unwrap_err();
    assert_eq!((files(dir), mirror.checkpoint().cloned()), before, "{error}");
    assert_eq!(mirror.update(&mut honest.log()).unwrap().to, honest.size());
    error
}

fn evidence(error: &UpdateError) -> String {
    let path = match error {
        UpdateError::Forked { evidence, .. }
        | UpdateError::RolledBack { evidence, .. }
        | UpdateError::TilesDiffer { evidence, .. }
        | UpdateError::Edited { evidence, .. } => evidence,
        _ => panic!("no evidence: {error}"),
    };
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_mirror_grows_with_its_log_and_can_be_served_as_it_lies() {
    let mut world = world_of(3);
    let (dir, mut mirror) = mirrored(&world);
    for size in [4, 256, 257, 300, 512, 65_535, 65_537, 66_000] {
        grow(&mut world, size, "entry");
        let update = mirror.update(&mut world.log()).unwrap();
        assert_eq!(update.to, world.size());
        drop(mirror);
        mirror = Mirror::open(dir.path()).unwrap();
        for leaf in [0, size / 2, size - 1] {
            assert_eq!(
                mirror.entry(u64::try_from(leaf).unwrap()).unwrap(),
                world.entries[leaf],
                "leaf {leaf} of {size}"
            );
        }
        assert!(matches!(mirror.entry(world.size()), Err(UpdateError::NoLeaf { .. })));
    }
    // Not a file more nor less than the log has.
    let mut served = files(dir.path());
    served.retain(|name, _| name != "pin" && name != "lock" && name != "checkpoint");
    let mut expected: BTreeMap<_, _> = world.log().files.into_iter().collect();
    // Another signature over the same text.
    expected.remove("checkpoint");
    assert!(served.keys().eq(expected.keys()), "{:?}", served.keys().collect::<Vec<_>>());
    assert!(served == expected, "the bytes of a tile or bundle differ");
    let second = tempfile::tempdir().unwrap();
    let mut from = Directory(dir.path().to_owned());
    let mut copy = Mirror::create(second.path(), &world.trust(), &mut from).unwrap();
    assert_eq!(copy.update(&mut from).unwrap().to, 66_000);
}

#[test]
fn only_what_is_new_is_fetched() {
    let mut world = world_of(5_000);
    let (_dir, mut mirror) = mirrored(&world);
    grow(&mut world, 6_000, "entry");
    let mut log = world.log();
    let update = mirror.update(&mut log).unwrap();
    assert_eq!(update.bytes, log.bytes_asked());
    // The bundle that was not full comes again: 136 entries and their hashes, beside what is new.
    let new: u64 = world.entries[4_864..].iter().map(|entry| u64::try_from(entry.len()).unwrap() + 2 + 32).sum();
    assert!(update.bytes < new + 400, "{} bytes for {new} of new leaves", update.bytes);
    let mut again = world.log();
    assert_eq!(mirror.update(&mut again).unwrap().from, 6_000);
    assert_eq!(again.asked, ["checkpoint"]);
}

#[test]
fn a_rollback_is_told_and_proven() {
    let world = world_of(700);
    let mut liar = world.log_of(&world.entries[..600]);
    let (dir, mut mirror) = mirrored(&world);
    let error = refused(&mut mirror, dir.path(), &mut liar, &world);
    assert!(matches!(error, UpdateError::RolledBack { told: 600, seen: 700, .. }), "{error}");
    let text = evidence(&error);
    assert_eq!(text.matches("psdd.log/test-1\n").count(), 2, "both notes: {text}");
}

#[test]
fn a_fork_is_told_and_proven_at_the_same_size_and_beyond() {
    for beyond in [700, 701, 1_500] {
        let mut world = world_of(700);
        let (dir, mut mirror) = mirrored(&world);
        // Another history by the same key: leaf 650 is another.
        let kept = world.entries.clone();
        world.entries[650] = b"another".to_vec();
        grow(&mut world, beyond, "entry");
        let mut liar = world.log();
        world.entries = kept;
        grow(&mut world, 1_600, "entry");
        let error = refused(&mut mirror, dir.path(), &mut liar, &world);
        assert!(matches!(error, UpdateError::Forked { seen: 700, .. }), "{beyond}: {error}");
        let text = evidence(&error);
        assert_eq!(text.matches("psdd.log/test-1\n").count(), 2, "both notes: {text}");
    }
}

#[test]
fn a_checkpoint_that_somebody_else_was_shown_proves_a_fork() {
    let mut world = world_of(66_000);
    let (dir, mut mirror) = mirrored(&world);
    let note = |log: &MemoryLog| String::from_utf8(log.files["checkpoint"].clone()).unwrap();
    for size in [1, 255, 256, 257, 700, 65_535, 65_536, 65_537, 66_000] {
        let shown = note(&world.log_of(&world.entries[..size]));
        assert_eq!(mirror.witness(&shown).unwrap(), Witnessed::Same, "size {size}");
        let mut other = world.entries[..size].to_vec();
        other[size / 2] = b"another".to_vec();
        let error = mirror.witness(&note(&world.log_of(&other))).unwrap_err();
        assert!(matches!(error, UpdateError::Forked { .. }), "size {size}: {error}");
        assert_eq!(evidence(&error).matches("psdd.log/test-1\n").count(), 2);
    }
    grow(&mut world, 66_100, "entry");
    let newer = note(&world.log());
    assert_eq!(mirror.witness(&newer).unwrap(), Witnessed::Ahead);
    mirror.update(&mut world.log()).unwrap();
    assert_eq!(mirror.witness(&newer).unwrap(), Witnessed::Same);
    drop(dir);
}

#[test]
fn tiles_that_lead_nowhere_prove_no_fork_and_are_not_believed() {
    let mut world = world_of(700);
    let (dir, mut mirror) = mirrored(&world);
    grow(&mut world, 1_500, "entry");
    let mut liar = world.log();
    liar.files.get_mut("tile/0/003").unwrap()[40] ^= 1;
    let error = refused(&mut mirror, dir.path(), &mut liar, &world);
    assert!(matches!(error, UpdateError::TilesDiffer { told: 1_500, .. }), "{error}");
}

#[test]
fn an_edited_record_is_named() {
    for edited in [699usize, 700, 1_023, 1_499] {
        let mut world = world_of(700);
        let (dir, mut mirror) = mirrored(&world);
        grow(&mut world, 1_500, "entry");
        let mut liar = world.log();
        let number = edited / 256;
        let mut entries = world.entries[number * 256..(number * 256 + 256).min(1_500)].to_vec();
        entries[edited % 256] = b"edited afterwards".to_vec();
        let path = format!("tile/entries/{}", digits(u64::try_from(number).unwrap()));
        let path = if entries.len() < 256 { format!("{path}.p/{}", entries.len()) } else { path };
        liar.files.insert(path, bundled(&entries));
        let error = refused(&mut mirror, dir.path(), &mut liar, &world);
        assert!(
            matches!(error, UpdateError::Edited { leaf, .. } if leaf == u64::try_from(edited).unwrap()),
            "{edited}: {error}"
        );
        assert!(evidence(&error).contains("edited") || evidence(&error).contains("Edited"));
    }
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let mut world = world_of(700);
    let (dir, mut mirror) = mirrored(&world);
    grow(&mut world, 1_500, "entry");
    let paths = ["checkpoint", "tile/0/003", "tile/entries/004", "tile/0/005.p/220", "tile/entries/005.p/220"];
    for path in paths {
        let before = files(dir.path());
        let mut liar = world.log();
        liar.files.remove(path);
        let error = mirror.update(&mut liar).unwrap_err();
        assert!(matches!(&error, UpdateError::Missing { path: named } if named == path), "{path}: {error}");
        let mut liar = world.log();
        let bytes = liar.files.get_mut(path).unwrap();
        // A note ends with a newline, which is none of its signature.
        bytes.truncate(bytes.len() - 3);
        let error = mirror.update(&mut liar).unwrap_err();
        match (path, &error) {
            ("checkpoint", UpdateError::Checkpoint(_) | UpdateError::Malformed { .. }) => {}
            (_, UpdateError::Malformed { path: named, .. }) => assert_eq!(named, path),
            _ => panic!("{path}: {error}"),
        }
        assert_eq!(files(dir.path()), before);
    }
    assert_eq!(mirror.update(&mut world.log()).unwrap().to, 1_500);
}

#[test]
fn what_a_failed_update_fetched_is_not_fetched_again() {
    let mut world = world_of(700);
    let (_dir, mut mirror) = mirrored(&world);
    grow(&mut world, 1_500, "entry");
    let mut broken = world.log();
    broken.files.remove("tile/entries/005.p/220");
    mirror.update(&mut broken).unwrap_err();
    let mut log = world.log();
    mirror.update(&mut log).unwrap();
    let bundles: Vec<_> = log.asked.iter().filter(|path| path.starts_with("tile/entries/")).collect();
    assert_eq!(bundles, ["tile/entries/005.p/220"]);
}

#[test]
fn a_checkpoint_of_another_key_is_not_believed() {
    let mut world = world_of(700);
    let (dir, mut mirror) = mirrored(&world);
    let right = std::mem::replace(&mut world.log_key, Key::new());
    grow(&mut world, 900, "entry");
    let mut liar = world.log();
    world.log_key = right;
    let error = refused(&mut mirror, dir.path(), &mut liar, &world);
    assert!(matches!(error, UpdateError::Checkpoint(_)), "{error}");
}

#[test]
fn a_mirror_that_was_tampered_with_on_the_disk_is_not_believed() {
    let world = world_of(700);
    let (dir, mirror) = mirrored(&world);
    drop(mirror);
    let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = dir.path().join(name);
        let kept = std::fs::read(&path).unwrap();
        let mut bytes = kept.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        kept
    };
    let kept = change("tile/0/002.p/188", &|bytes| bytes[0] ^= 1);
    assert!(matches!(Mirror::open(dir.path()), Err(UpdateError::Damaged { .. })));
    std::fs::write(dir.path().join("tile/0/002.p/188"), kept).unwrap();
    change("tile/entries/001", &|bytes| *bytes.last_mut().unwrap() ^= 1);
    let mut mirror = Mirror::open(dir.path()).unwrap();
    let error = mirror.entry(300).unwrap_err();
    assert!(matches!(error, UpdateError::Damaged { .. }), "it is the disk and not the log: {error}");
    assert!(mirror.entry(10).is_ok());
    assert!(matches!(Mirror::open(dir.path()), Err(UpdateError::InUse { .. })), "one process at a time");
    let mut served = Directory(dir.path().to_owned());
    assert!(served.fetch("tile/0/009").is_err());
    drop(mirror);
    for change_to in [&b""[..], b"psdd.log/test-1\n"] {
        let kept = change("checkpoint", &|bytes| *bytes = change_to.to_vec());
        let error = Mirror::open(dir.path()).unwrap_err();
        assert!(matches!(error, UpdateError::Damaged { .. }), "{error}");
        std::fs::write(dir.path().join("checkpoint"), kept).unwrap();
    }
}

/// Pinned anew it would believe whoever serves the log now, and forget what it saw.
#[test]
fn what_is_left_of_a_mirror_is_not_pinned_anew() {
    let world = world_of(700);
    let (dir, mirror) = mirrored(&world);
    drop(mirror);
    std::fs::remove_file(dir.path().join("pin")).unwrap();
    let error = Mirror::create(dir.path(), &world.trust(), &mut world.log()).unwrap_err();
    assert!(matches!(error, UpdateError::Unpinned { .. }) && error.to_string().contains("elsewhere"), "{error}");
}

/// An update that is killed after it has put everything into place but the checkpoint.
#[test]
fn what_a_killed_update_left_behind_goes_with_the_next() {
    let mut world = world_of(700);
    let (dir, mut mirror) = mirrored(&world);
    let kept = std::fs::read(dir.path().join("checkpoint")).unwrap();
    let before = dir.path().join("before");
    std::fs::create_dir(&before).unwrap();
    for name in ["tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        std::fs::copy(dir.path().join(name), before.join(name.replace('/', "-"))).unwrap();
    }
    grow(&mut world, 1_100, "entry");
    mirror.update(&mut world.log()).unwrap();
    drop(mirror);
    for name in ["tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::rename(before.join(name.replace('/', "-")), dir.path().join(name)).unwrap();
    }
    std::fs::remove_dir(&before).unwrap();
    std::fs::write(dir.path().join("checkpoint"), kept).unwrap();
    let mut mirror = Mirror::open(dir.path()).unwrap();
    assert_eq!(mirror.size(), 700);
    grow(&mut world, 2_000, "entry");
    assert_eq!(mirror.update(&mut world.log()).unwrap().to, 2_000);
    let partial: Vec<String> = files(dir.path()).into_keys().filter(|name| name.contains(".p/")).collect();
    assert_eq!(partial, ["tile/0/007.p/208", "tile/1/000.p/7", "tile/entries/007.p/208"]);
}

#[test]
fn another_log_at_the_same_address_is_named() {
    let world = world_of(700);
    let (_dir, mut mirror) = mirrored(&world);
    let mut log = world.log();
    let note = String::from_utf8(log.files["checkpoint"].clone()).unwrap();
    log.files.insert("checkpoint".to_owned(), note.replace("psdd.log/test-1", "psdd.log/test-2").into_bytes());
    let error = mirror.update(&mut log).unwrap_err().to_string();
    assert!(
        error.contains("test-2") && error.contains("of \"psdd.log/test-1\"") && error.contains("of its own"),
        "{error}"
    );
}
