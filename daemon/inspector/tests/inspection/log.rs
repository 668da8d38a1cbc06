//! A log in memory, as a source that can lie.

use psd::tree::{Tree, leaf_hash};
use psdd_inspector::{FetchError, Source};
use psdd_wire::checkpoint::{Checkpoint, LogKey};
use std::collections::HashMap;

pub fn digits(number: u64) -> String {
    match number {
        0..1_000 => format!("{number:03}"),
        _ => format!("x{:03}/{:03}", number / 1_000, number % 1_000),
    }
}

/// Everything that a log serves, by path.
#[derive(Clone)]
pub struct MemoryLog {
    pub files: HashMap<String, Vec<u8>>,
    /// What was asked for.
    pub asked: Vec<String>,
}

impl MemoryLog {
    /// The log of these entries, signed.
    pub fn of(entries: &[Vec<u8>], origin: &str, key: &LogKey, sign: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let mut files = HashMap::new();
        let (mut tree, mut full) = (Tree::default(), Vec::new());
        entries.iter().for_each(|entry| tree.append(leaf_hash(entry), &mut full));
        for tile in full {
            files.insert(format!("tile/{}/{}", tile.level, digits(tile.number)), tile.hashes);
        }
        for (level, number, hashes) in tree.partial_tiles() {
            files.insert(format!("tile/{level}/{}.p/{}", digits(number), hashes.len() / 32), hashes.to_vec());
        }
        for (number, bundle) in (0..).zip(entries.chunks(256)) {
            let partial = if bundle.len() < 256 { format!(".p/{}", bundle.len()) } else { String::new() };
            files.insert(format!("tile/entries/{}{partial}", digits(number)), bundled(bundle));
        }
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: tree.size(), root: tree.root() };
        let note = checkpoint.note(key, &sign(checkpoint.body().as_bytes()));
        files.insert("checkpoint".to_owned(), note.into_bytes());
        Self { files, asked: Vec::new() }
    }

    pub fn bytes_asked(&self) -> u64 {
        self.asked
            .iter()
            .map(|path| self.files.get(path).map_or(0, Vec::len))
            .map(|len| u64::try_from(len).unwrap())
            .sum()
    }
}

pub fn bundled(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap().to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    bundle
}

impl Source for MemoryLog {
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, FetchError> {
        self.asked.push(path.to_owned());
        self.files.get(path).cloned().ok_or(FetchError::NotFound)
    }
}
