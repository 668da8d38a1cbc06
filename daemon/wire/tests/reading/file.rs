//! Files that people review: what is read of them, and of what is no such file.

use psdd_wire::reviewed_file::{bytes, is_line};
use std::io::ErrorKind;
use std::process::Command;

#[test]
fn a_file_is_read_up_to_its_bound_and_nothing_else_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, [b'x'; 100]).expect("a file");
    assert_eq!(bytes(&file, 100).expect("a file within the bound").len(), 100);
    let kind = |path: &std::path::Path| bytes(path, 99).map_err(|error| error.kind()).expect_err("no such file");
    assert_eq!(kind(&file), ErrorKind::FileTooLarge);
    let sparse = dir.path().join("sparse");
    std::fs::File::create(&sparse).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    assert_eq!(kind(&sparse), ErrorKind::FileTooLarge, "a terabyte is not read");
    // Whoever opens a pipe that nobody writes to waits for ever.
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    assert_eq!(kind(&pipe), ErrorKind::InvalidInput);
    assert_eq!(kind(dir.path()), ErrorKind::InvalidInput);
    assert_eq!(kind(&dir.path().join("none")), ErrorKind::NotFound);
}

#[test]
fn a_line_shows_all_that_it_holds() {
    for line in ["Dock 1, Springfield", "Zürich", &"x".repeat(80)] {
        assert!(is_line(line), "{line}");
    }
    for line in ["", "  ", "a\nb", "\u{1b}[2J", "safe\u{202e}txt", "a\u{200b}b", &"x".repeat(81)] {
        assert!(!is_line(line), "{line:?}");
    }
}
