//! Plain files under the shim: which contents and names survive, and what is refused.
//!
//! Each case runs in a process of its own (this test binary again, with `CASE` set) that kills itself at its end.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use powerloss::journal::{Restored, restore};

const CASE: &str = "POWERLOSS_TEST_CASE";

/// Runs a case over `before`, loses power, and gives what is left.
fn after(case: &str, before: &[(&str, &str)]) -> (Restored, BTreeMap<String, String>) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (dir, journal) = (root.path().join("state"), root.path().join("journal"));
    fs::create_dir_all(dir.join("sub")).expect("the directory to lose");
    for (name, content) in before {
        fs::write(dir.join(name), content).expect("a file from before");
    }
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "process_under_test", "--nocapture"])
        .env(CASE, case)
        .env("LD_PRELOAD", powerloss::built_shim().expect("cargo builds the shim before its tests"))
        .env("POWERLOSS_DIR", &dir)
        .env("POWERLOSS_JOURNAL", &journal)
        .output()
        .expect("the test binary runs");
    use std::os::unix::process::ExitStatusExt;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{case}: {stderr}");
    let restored = restore(&journal, &dir).expect("restored");
    let mut left = BTreeMap::new();
    for parent in ["", "sub/"] {
        for entry in fs::read_dir(dir.join(parent)).expect("the directory") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                let name = format!("{parent}{}", entry.file_name().display());
                left.insert(name, fs::read_to_string(entry.path()).expect("text"));
            }
        }
    }
    (restored, left)
}

fn left(case: &str, before: &[(&str, &str)]) -> Vec<(String, String)> {
    after(case, before).1.into_iter().collect()
}

fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

#[test]
fn unsynced_content_and_names_vanish() {
    let (restored, left) = after("create", &[("old", "before"), ("untouched", "same")]);
    let expected = [("old", "before"), ("sub/synced", "there"), ("synced", "there"), ("untouched", "same")];
    assert_eq!(left.into_iter().collect::<Vec<_>>(), files(&expected));
    assert_eq!(restored, Restored { rewritten: 3, removed: 2, recreated: 0 });
}

#[test]
fn every_way_to_write_is_followed() {
    assert_eq!(left("ways", &[("old", "0123456789")]), files(&[("old", "01ABC5xyzPQnew\0\0")]));
}

#[test]
fn a_rename_or_unlink_needs_its_directory_synced() {
    let before = [("a", "old"), ("b", "doomed")];
    assert_eq!(left("rename", &before), files(&[("a", "old"), ("a.new", "new"), ("b", "doomed")]));
    assert_eq!(left("rename and sync", &before), files(&[("a", "new")]));
}

#[test]
fn a_duplicate_descriptor_writes_the_same_file() {
    assert_eq!(left("duplicate", &[]), files(&[("a", "onetwo")]));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    assert_eq!(left("refusals", &[("a", "old")]), files(&[("a", "old")]));
}

/// Not a test of its own: what runs under the shim.
#[test]
fn process_under_test() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let dir = PathBuf::from(std::env::var_os("POWERLOSS_DIR").expect("set by the parent"));
    match case.as_str() {
        "create" => create(&dir),
        "ways" => ways(&dir),
        "rename" => rename(&dir),
        "rename and sync" => {
            rename(&dir);
            File::open(&dir).expect("the directory").sync_all().expect("synced");
        }
        "duplicate" => duplicate(&dir),
        "refusals" => refusals(&dir),
        other => panic!("no case {other}"),
    }
    // SAFETY: ends this very process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

fn create(dir: &Path) {
    fs::write(dir.join("unsynced"), "lost").expect("written");
    fs::write(dir.join("sub/unsynced"), "lost").expect("written");
    fs::write(dir.join("old"), "overwritten").expect("written");
    for name in ["synced", "sub/synced"] {
        let mut file = File::create(dir.join(name)).expect("created");
        file.write_all(b"there").expect("written");
        file.sync_data().expect("synced");
        file.write_all(b" and more").expect("written");
    }
}

fn ways(dir: &Path) {
    let path = dir.join("old");
    let mut file = OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    file.sync_all().expect("the first sync, of the whole file");
    file.write_all_at(b"ABC", 2).expect("pwrite");
    file.seek(SeekFrom::Start(6)).expect("seek");
    let slices = [IoSlice::new(b"x"), IoSlice::new(b"yz")];
    assert_eq!(file.write_vectored(&slices).expect("writev"), 3);
    file.write_all(b"PQRS").expect("write");
    file.set_len(11).expect("ftruncate");
    let mut append = OpenOptions::new().append(true).open(&path).expect("opened");
    append.write_all(b"new").expect("append");
    file.set_len(16).expect("ftruncate");
    // By a descriptor that can only read.
    File::open(&path).expect("opened").sync_data().expect("synced");
    file.write_all_at(b"lost", 0).expect("pwrite");
}

fn rename(dir: &Path) {
    let fresh = dir.join("a.new");
    let mut file = File::create(&fresh).expect("created");
    file.write_all(b"new").expect("written");
    file.sync_all().expect("synced");
    fs::rename(&fresh, dir.join("a")).expect("renamed");
    fs::remove_file(dir.join("b")).expect("unlinked");
    assert_eq!(fs::read_to_string(dir.join("a")).expect("read"), "new");
}

fn duplicate(dir: &Path) {
    let mut file = File::create(dir.join("a")).expect("created");
    file.write_all(b"one").expect("written");
    file.sync_all().expect("synced");
    let mut twin = file.try_clone().expect("duplicated");
    drop(file);
    twin.write_all(b"two").expect("written");
    twin.sync_all().expect("synced");
    twin.write_all(b"three").expect("written");
}

fn refusals(dir: &Path) {
    let path = dir.join("a");
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    let map = |protection| {
        // SAFETY: a fresh mapping at a place of the kernel's choice, never read or written.
        unsafe { libc::mmap(std::ptr::null_mut(), 3, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) }
    };
    assert_eq!(map(libc::PROT_READ | libc::PROT_WRITE), libc::MAP_FAILED);
    assert_ne!(map(libc::PROT_READ), libc::MAP_FAILED);
    let errno = |outcome: std::io::Result<()>| outcome.expect_err("refused").raw_os_error();
    let synced = OpenOptions::new().write(true).custom_flags(libc::O_DSYNC).open(&path);
    assert_eq!(errno(synced.map(drop)), Some(libc::EINVAL));
    let nameless = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(dir);
    assert_eq!(errno(nameless.map(drop)), Some(libc::EOPNOTSUPP));
    assert_eq!(errno(fs::hard_link(&path, dir.join("b"))), Some(libc::EPERM));
    assert_eq!(errno(fs::rename(&path, dir.with_extension("out"))), Some(libc::EXDEV));
    assert_eq!(errno(fs::rename(dir.join("sub"), dir.join("other"))), Some(libc::EINVAL));
    // The in-kernel ways are refused, and the standard library falls back to writes that are followed, and lost.
    fs::copy(&path, dir.join("copy")).expect("copied");
}
