//! Keys and values of fixed length on disk, exact, in bounded memory.
//!
//! Sorted runs of entries (key, then value), each in a file that is written once. A new run is merged with the one before it while that is
//! not more than twice as long, so that there are few; in memory is the first key of every 64th entry. Look-ups come in sorted batches,
//! which read each block once. The keys stand there whole, so nothing is taken for something else.

use crate::durable::{AtPath, DiskError};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Entries of a block: what one look-up reads.
const BLOCK: u64 = 64;

/// A run, as it is noted in what is saved beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RunName {
    number: u64,
    entries: u64,
    /// SHA-256 of the file.
    digest: [u8; 32],
}

#[derive(Debug)]
struct Run<const K: usize, const V: usize> {
    name: RunName,
    file: File,
    /// First key of each block.
    fences: Vec<[u8; K]>,
}

/// An index of keys of `K` bytes and values of `V`.
#[derive(Debug)]
pub(crate) struct Index<const K: usize, const V: usize> {
    directory: PathBuf,
    runs: Vec<Run<K, V>>,
    next: u64,
}

pub(crate) type Entry<const K: usize, const V: usize> = ([u8; K], [u8; V]);

impl<const K: usize, const V: usize> Index<K, V> {
    /// The index of these runs in a directory of its own, each read whole and held against its digest. Other runs there are removed: nobody noted
    /// them.
    ///
    /// # Errors
    ///
    /// The disk; a run that is missing or is not what was written is [`ErrorKind::NotFound`] or [`ErrorKind::InvalidData`].
    pub(crate) fn open(directory: &Path, names: &[RunName]) -> Result<Self, DiskError> {
        std::fs::create_dir_all(directory).at(directory)?;
        let mut index = Self { directory: directory.to_owned(), runs: Vec::new(), next: 0 };
        for name in names {
            let path = index.path(name.number);
            let file = File::open(&path).at(&path)?;
            let run = Run { name: *name, fences: fences::<K, V>(&file, name).at(&path)?, file };
            index.next = index.next.max(name.number + 1);
            index.runs.push(run);
        }
        index.remove_unnoted()?;
        Ok(index)
    }

    /// The runs there are, to be noted.
    pub(crate) fn names(&self) -> Vec<RunName> {
        self.runs.iter().map(|run| run.name).collect()
    }

    /// Removes runs that were merged into others, once it is noted that they are not needed.
    pub(crate) fn remove_unnoted(&self) -> Result<(), DiskError> {
        for entry in std::fs::read_dir(&self.directory).at(&self.directory)? {
            let path = entry.at(&self.directory)?.path();
            if !self.runs.iter().any(|run| self.path(run.name.number) == path) {
                crate::durable::remove(&path)?;
            }
        }
        Ok(())
    }

    /// The value of each key; the keys are sorted.
    pub(crate) fn look_up(&self, keys: &[[u8; K]]) -> Result<Vec<Option<[u8; V]>>, DiskError> {
        let mut found = vec![None; keys.len()];
        for run in &self.runs {
            run.look_up(keys, &mut found).at(&self.path(run.name.number))?;
        }
        Ok(found)
    }

    /// Takes in entries that are sorted by key; none of the keys is there yet, and none twice.
    pub(crate) fn insert(&mut self, entries: &[Entry<K, V>]) -> Result<(), DiskError> {
        if entries.is_empty() {
            return Ok(());
        }
        let run = self.written(entries.iter().map(|entry| Ok(*entry)))?;
        self.runs.push(run);
        while let [.., before, last] = self.runs.as_slice()
            && before.name.entries <= last.name.entries.saturating_mul(2)
        {
            let (a, b) = (self.entries_of(before)?, self.entries_of(last)?);
            let merged = self.written(Merged { a: a.peekable(), b: b.peekable() })?;
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(merged);
        }
        Ok(())
    }

    /// Makes all runs durable; then they may be noted.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        for run in &self.runs {
            run.file.sync_all().at(&self.path(run.name.number))?;
        }
        crate::durable::sync_directory(&self.directory)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:010}"))
    }

    fn entries_of(&self, run: &Run<K, V>) -> Result<Entries<K, V>, DiskError> {
        let path = self.path(run.name.number);
        let file = File::open(&path).at(&path)?;
        Ok(Entries { reader: BufReader::with_capacity(1 << 16, file), left: run.name.entries, path })
    }

    fn written(
        &mut self,
        entries: impl Iterator<Item = Result<Entry<K, V>, DiskError>>,
    ) -> Result<Run<K, V>, DiskError> {
        let number = self.next;
        self.next += 1;
        let path = self.path(number);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).at(&path)?;
        let mut writer = BufWriter::with_capacity(1 << 16, &file);
        let mut name = RunName { number, entries: 0, digest: [0; 32] };
        let (mut fences, mut digest) = (Vec::new(), Context::new(&SHA256));
        for entry in entries {
            let (key, value) = entry?;
            if name.entries.is_multiple_of(BLOCK) {
                fences.push(key);
            }
            writer.write_all(&key).and_then(|()| writer.write_all(&value)).at(&path)?;
            digest.update(&key);
            digest.update(&value);
            name.entries += 1;
        }
        writer.flush().at(&path)?;
        drop(writer);
        name.digest.copy_from_slice(digest.finish().as_ref());
        Ok(Run { name, file, fences })
    }
}

impl<const K: usize, const V: usize> Run<K, V> {
    fn look_up(&self, keys: &[[u8; K]], found: &mut [Option<[u8; V]>]) -> std::io::Result<()> {
        let mut block: (Option<usize>, Vec<u8>) = (None, Vec::new());
        for (key, found) in keys.iter().zip(found) {
            let Some(number) = self.fences.partition_point(|fence| fence <= key).checked_sub(1) else { continue };
            if block.0 != Some(number) {
                block.0 = Some(number);
                self.read_block(number, &mut block.1)?;
            }
            if let Some(value) = find(&block.1, key) {
                *found = Some(value);
            }
        }
        Ok(())
    }

    fn read_block(&self, number: usize, bytes: &mut Vec<u8>) -> std::io::Result<()> {
        let first = wide(number).saturating_mul(BLOCK);
        let count = self.name.entries.saturating_sub(first).min(BLOCK);
        bytes.resize(usize::try_from(count).unwrap_or(0) * (K + V), 0);
        self.file.read_exact_at(bytes, first.saturating_mul(wide(K + V)))
    }
}

fn find<const K: usize, const V: usize>(block: &[u8], key: &[u8; K]) -> Option<[u8; V]> {
    let entry = |at: usize| block.get(at * (K + V)..(at + 1) * (K + V))?.split_first_chunk::<K>();
    let (mut low, mut high) = (0, block.len() / (K + V));
    while low < high {
        let middle = low.midpoint(high);
        let (other, value) = entry(middle)?;
        match other.cmp(key) {
            std::cmp::Ordering::Equal => return value.try_into().ok(),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// The first key of each block of a run that is as it was written.
fn fences<const K: usize, const V: usize>(file: &File, name: &RunName) -> std::io::Result<Vec<[u8; K]>> {
    let (mut fences, mut digest) = (Vec::new(), Context::new(&SHA256));
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut entry = vec![0; K + V];
    for number in 0..name.entries {
        match reader.read_exact(&mut entry) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(ErrorKind::InvalidData.into()),
            read => read?,
        }
        digest.update(&entry);
        if let Some(key) = entry.first_chunk::<K>().filter(|_| number.is_multiple_of(BLOCK)) {
            fences.push(*key);
        }
    }
    let ends = reader.read(&mut [0])? == 0;
    let written = digest.finish().as_ref() == name.digest;
    if ends && written { Ok(fences) } else { Err(ErrorKind::InvalidData.into()) }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The entries of a run, in order.
struct Entries<const K: usize, const V: usize> {
    reader: BufReader<File>,
    left: u64,
    path: PathBuf,
}

impl<const K: usize, const V: usize> Iterator for Entries<K, V> {
    type Item = Result<Entry<K, V>, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (mut key, mut value) = ([0; K], [0; V]);
        let read = self.reader.read_exact(&mut key).and_then(|()| self.reader.read_exact(&mut value));
        Some(read.at(&self.path).map(|()| (key, value)))
    }
}

struct Merged<const K: usize, const V: usize> {
    a: std::iter::Peekable<Entries<K, V>>,
    b: std::iter::Peekable<Entries<K, V>>,
}

impl<const K: usize, const V: usize> Iterator for Merged<K, V> {
    type Item = Result<Entry<K, V>, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.a.peek(), self.b.peek()) {
            (Some(Ok((a, _))), Some(Ok((b, _)))) if b < a => self.b.next(),
            (None, _) | (Some(_), Some(Err(_))) => self.b.next(),
            (Some(_), _) => self.a.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in an order that is none.
    fn key(n: u64) -> [u8; 16] {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut key = [0; 16];
        key[..8].copy_from_slice(&mixed.to_be_bytes());
        key
    }

    #[test]
    fn every_key_is_found_after_every_batch_and_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::<16, 8>::open(dir.path(), &[]).unwrap();
        let mut made = 0;
        for batch in [1u64, 700, 3, 256, 255, 5_000, 1, 1, 40] {
            let mut entries: Vec<_> = (made..made + batch).map(|n| (key(n), n.to_be_bytes())).collect();
            entries.sort_unstable();
            index.insert(&entries).unwrap();
            made += batch;
            let mut keys: Vec<_> = (0..made + 50).map(|n| (key(n), n)).collect();
            keys.sort_unstable();
            let found = index.look_up(&keys.iter().map(|(key, _)| *key).collect::<Vec<_>>()).unwrap();
            for ((_, n), found) in keys.iter().zip(found) {
                assert_eq!(found, Some(n.to_be_bytes()).filter(|_| *n < made), "{n} of {made}");
            }
        }
        assert!(index.runs.len() <= 4, "{} runs", index.runs.len());
        index.sync().unwrap();
        let names = index.names();
        index.insert(&[(key(made), made.to_be_bytes())]).unwrap();
        drop(index);
        let index = Index::<16, 8>::open(dir.path(), &names).unwrap();
        assert_eq!(index.look_up(&[key(7)]).unwrap(), [Some(7u64.to_be_bytes())]);
        assert_eq!(index.look_up(&[key(made)]).unwrap(), [None], "it was not noted");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), names.len());
    }
}
