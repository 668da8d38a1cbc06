//! What a journal adds up to: the files a disk would hold. Pure; the model is in the crate's documentation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::record::{FileId, JournalError, Record, decode};

/// The durable state at the end of a journal.
#[derive(Debug, Default)]
pub struct Durable {
    files: HashMap<FileId, DurableFile>,
    // The names as the processes saw them, and as the disk has them.
    seen: BTreeMap<PathBuf, FileId>,
    durable: BTreeMap<PathBuf, FileId>,
    // Files whose creation is not durable yet, with the names they were created under.
    pending: HashMap<FileId, PathBuf>,
    mentioned: BTreeSet<PathBuf>,
}

/// A file's durable content.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DurableFile {
    /// The permissions to recreate it with.
    pub mode: u32,
    /// The bytes.
    pub content: Vec<u8>,
}

/// Replays a journal from its beginning.
pub fn replay(journal: &[u8]) -> Result<Durable, JournalError> {
    let mut durable = Durable::default();
    for record in &decode(journal)?.records {
        durable.apply(record);
    }
    Ok(durable)
}

impl Durable {
    /// The file durable under this name.
    pub fn file(&self, path: &Path) -> Option<&DurableFile> {
        self.files.get(self.durable.get(path)?)
    }

    /// All durable files by name.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &DurableFile)> {
        self.durable.iter().filter_map(|(path, id)| Some((path.as_path(), self.files.get(id)?)))
    }

    /// Whether any record names this path. One that none names is as it was before the journal.
    pub fn mentions(&self, path: &Path) -> bool {
        self.mentioned.contains(path)
    }

    fn apply(&mut self, record: &Record<'_>) {
        match record {
            Record::Base { id, path, mode, content } => {
                let file = DurableFile { mode: *mode, content: content.to_vec() };
                self.files.insert(*id, file);
                self.name(path, *id);
                self.durable.insert(path.to_path_buf(), *id);
            }
            Record::Created { id, path, mode } => {
                let file = DurableFile { mode: *mode, content: Vec::new() };
                self.files.insert(*id, file);
                self.pending.insert(*id, path.to_path_buf());
                self.name(path, *id);
            }
            Record::Renamed { from, to } => {
                if let Some(id) = self.seen.remove(*from) {
                    self.name(to, id);
                }
            }
            Record::Unlinked { path } => {
                if let Some(id) = self.seen.remove(*path) {
                    // A later sync of the nameless file does not bring its name back.
                    self.pending.remove(&id);
                }
            }
            Record::FileSynced { id, kept, len, ranges } => {
                self.files.entry(*id).or_default().sync(*kept, *len, ranges);
                if let Some(path) = self.pending.remove(id) {
                    self.durable.insert(path, *id);
                }
            }
            Record::DirSynced { path } => self.sync_dir(path),
        }
    }

    fn name(&mut self, path: &Path, id: FileId) {
        self.seen.insert(path.to_path_buf(), id);
        self.mentioned.insert(path.to_path_buf());
    }

    fn sync_dir(&mut self, dir: &Path) {
        let within = |path: &Path| path.parent() == Some(dir);
        self.durable.retain(|path, _| !within(path));
        let now = self.seen.iter().filter(|(path, _)| within(path));
        self.durable.extend(now.map(|(path, id)| (path.clone(), *id)));
        self.pending.retain(|_, path| !within(path));
    }
}

impl DurableFile {
    fn sync(&mut self, kept: u64, len: u64, ranges: &[(u64, &[u8])]) {
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        self.content.truncate(kept);
        self.content.resize(len as usize, 0);
        for (offset, bytes) in ranges {
            let start = *offset as usize;
            self.content[start..start + bytes.len()].copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(records: &[Record<'_>]) -> Vec<(String, Vec<u8>)> {
        let journal: Vec<u8> = records.iter().flat_map(Record::encode).collect();
        let durable = replay(&journal).expect("a sound journal");
        durable.files().map(|(path, file)| (path.display().to_string(), file.content.clone())).collect()
    }

    fn holds(path: &str, content: &[u8]) -> (String, Vec<u8>) {
        (path.to_owned(), content.to_vec())
    }

    fn created(id: FileId, path: &str) -> Record<'_> {
        Record::Created { id, path: Path::new(path), mode: 0o600 }
    }

    fn synced(id: FileId, content: &[u8]) -> Record<'_> {
        Record::FileSynced { id, kept: 0, len: content.len() as u64, ranges: vec![(0, content)] }
    }

    fn base(path: &str) -> Record<'_> {
        Record::Base { id: 9, path: Path::new(path), mode: 0o600, content: b"old" }
    }

    fn dir_synced(path: &str) -> Record<'_> {
        Record::DirSynced { path: Path::new(path) }
    }

    #[test]
    fn a_new_file_is_durable_by_its_own_sync_or_empty_by_its_directorys() {
        assert_eq!(after(&[created(1, "a")]), []);
        assert_eq!(after(&[created(1, "a"), synced(1, b"x")]), [holds("a", b"x")]);
        assert_eq!(after(&[created(1, "a"), dir_synced("")]), [holds("a", b"")]);
        assert_eq!(after(&[created(1, "d/a"), dir_synced("")]), []);
        assert_eq!(after(&[created(1, "d/a"), dir_synced("d")]), [holds("d/a", b"")]);
    }

    #[test]
    fn a_rename_is_durable_by_its_directorys_sync_only() {
        let rename = Record::Renamed { from: Path::new("new"), to: Path::new("a") };
        let mut records = vec![base("a"), created(1, "new"), synced(1, b"x"), rename, synced(1, b"x")];
        assert_eq!(after(&records), [holds("a", b"old"), holds("new", b"x")]);
        records.push(dir_synced(""));
        assert_eq!(after(&records), [holds("a", b"x")]);
    }

    #[test]
    fn an_unlink_is_durable_by_its_directorys_sync_only() {
        let unlink = Record::Unlinked { path: Path::new("a") };
        let mut records = vec![base("a"), unlink.clone()];
        assert_eq!(after(&records), [holds("a", b"old")]);
        records.push(dir_synced(""));
        assert_eq!(after(&records), []);
        // A file unlinked before its first sync has no name to become durable.
        assert_eq!(after(&[created(1, "a"), unlink, synced(1, b"x")]), []);
    }

    #[test]
    fn a_sync_cuts_extends_and_overwrites() {
        let sync = Record::FileSynced { id: 9, kept: 1, len: 5, ranges: vec![(4, b"!")] };
        assert_eq!(after(&[base("a"), sync]), [holds("a", b"o\0\0\0!")]);
        let sync = Record::FileSynced { id: 9, kept: u64::MAX, len: 3, ranges: vec![(1, b"!")] };
        assert_eq!(after(&[base("a"), sync]), [holds("a", b"o!d")]);
    }
}
