//! The tracked files and descriptors of this process.
//!
//! Owns what is written and not yet synced, and the names as the process sees them. Called by the hooks only, which hold the
//! locks never longer than one of these methods. Lock order: names and descriptors, then one file, then the journal.

use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::append::{JournalFile, read_at, stat};
use super::config::Config;
use super::{give_up, paths, real};
use crate::journal::{FileId, Record};
use crate::ranges::Ranges;

/// Descriptors above this are not expected in a test.
const DESCRIPTORS: usize = 1 << 16;

// Looked at without a lock on every call, also in a child between fork and exec, where a lock may be held for ever.
static IS_TRACKED: [AtomicBool; DESCRIPTORS] = [const { AtomicBool::new(false) }; DESCRIPTORS];

/// Everything the shim knows.
pub struct Tracker {
    config: Config,
    journal: Mutex<JournalFile>,
    names: Mutex<Names>,
    syncs: AtomicU64,
    written: AtomicU64,
}

#[derive(Default)]
struct Names {
    by_path: HashMap<PathBuf, FileId>,
    by_inode: HashMap<Inode, Arc<File>>,
    by_fd: HashMap<c_int, Arc<File>>,
}

type Inode = (u64, u64);

/// A file some descriptor of this process was opened on.
pub struct File {
    inode: Inode,
    path: PathBuf,
    // For reading what a write-only descriptor wrote. Open as long as the file has a name or a descriptor: closing any
    // descriptor of a file drops the process's POSIX locks on it, and SQLite's locks are such.
    reader: c_int,
    state: Mutex<FileState>,
}

struct FileState {
    // None for an older file as long as it is only read.
    id: Option<FileId>,
    dirty: Ranges,
    // The least length since the last sync.
    kept: u64,
    // Whether this process synced it before.
    synced: bool,
}

/// What a sync of a descriptor is to do.
pub enum Sync {
    /// Not ours.
    Untracked,
    /// Succeed without doing anything.
    Ignored,
    /// Fail.
    Failed,
    /// The journal has it; the kernel must do it too.
    Recorded,
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the reader is this file's own descriptor. Nothing can be done about an error of close.
        unsafe { real::close(self.reader) };
    }
}

impl Tracker {
    /// Opens the journal and learns the names that earlier processes gave.
    pub fn new(config: Config) -> Self {
        let tracker = Self {
            journal: Mutex::new(JournalFile::open(config.journal.clone())),
            config,
            names: Mutex::default(),
            syncs: AtomicU64::new(0),
            written: AtomicU64::new(0),
        };
        tracker.catch_up(&mut lock(&tracker.names));
        tracker
    }

    /// The path below the tracked directory; `None` if it is not there or is shared memory.
    pub fn relative(&self, full: &Path) -> Option<PathBuf> {
        let relative = full.strip_prefix(&self.config.dir).ok()?;
        (relative != Path::new("") && !paths::is_shared_memory(relative)).then(|| relative.to_path_buf())
    }

    /// Opens `path`, a regular file or none yet, by `open`; `writes` says whether content may change through the descriptor.
    pub fn open(
        &self,
        path: &Path,
        full: &Path,
        mode: u32,
        writes: Option<Truncates>,
        open: impl FnOnce() -> c_int,
    ) -> c_int {
        let mut names = lock(&self.names);
        let before = full.metadata().is_ok();
        // What an older file holds must be recorded before it can change.
        let file = before.then(|| {
            let file = names.file(path, full);
            if writes.is_some() {
                self.identify(&mut names, &file);
            }
            file
        });
        let fd = open();
        if fd < 0 {
            return fd;
        }
        let file = file.unwrap_or_else(|| self.created(&mut names, path, full, mode));
        if stat(fd).is_none_or(|stat| (stat.st_dev, stat.st_ino) != file.inode) {
            give_up(format_args!("{} was replaced while it was opened", full.display()));
        }
        if writes == Some(Truncates::Yes) {
            lock(&file.state).cut(0);
        }
        names.track(fd, file);
        fd
    }

    fn created(&self, names: &mut Names, path: &Path, full: &Path, mode: u32) -> Arc<File> {
        let id = new_id();
        self.append(&Record::Created { id, path, mode });
        names.by_path.insert(path.to_path_buf(), id);
        let file = Arc::new(File::new(path, full));
        lock(&file.state).id = Some(id);
        // In place of a file that had the same inode number before.
        names.by_inode.insert(file.inode, Arc::clone(&file));
        file
    }

    /// Gives the file its id, and if no process did so before, records its content as durable.
    fn identify(&self, names: &mut Names, file: &File) -> FileId {
        let mut state = lock(&file.state);
        if let Some(id) = state.id {
            return id;
        }
        if !names.by_path.contains_key(&file.path) {
            self.catch_up(names);
        }
        let id = names.by_path.get(&file.path).copied().unwrap_or_else(|| {
            let (id, stat) = (new_id(), file.stat());
            let content = file.read(0, stat.st_size as u64);
            let mode = stat.st_mode & 0o7777;
            self.append(&Record::Base { id, path: &file.path, mode, content: &content });
            names.by_path.insert(file.path.clone(), id);
            id
        });
        state.id = Some(id);
        id
    }

    /// Removes the name `path` by `unlink`.
    pub fn unlink(&self, path: &Path, full: &Path, unlink: impl FnOnce() -> c_int) -> c_int {
        let mut names = lock(&self.names);
        self.known(&mut names, path, full);
        let inode = inode_of(full);
        let rc = unlink();
        if rc == 0 {
            self.append(&Record::Unlinked { path });
            names.forget(path, inode);
        }
        rc
    }

    /// Renames `from` to `to` by `rename`.
    pub fn rename(&self, from: (&Path, &Path), to: (&Path, &Path), rename: impl FnOnce() -> c_int) -> c_int {
        let mut names = lock(&self.names);
        self.known(&mut names, from.0, from.1);
        self.known(&mut names, to.0, to.1);
        let replaced = inode_of(to.1);
        let same = replaced.is_some() && replaced == inode_of(from.1);
        let rc = rename();
        if rc == 0 && !same {
            self.append(&Record::Renamed { from: from.0, to: to.0 });
            names.forget(to.0, replaced);
            if let Some(id) = names.by_path.remove(from.0) {
                names.by_path.insert(to.0.to_path_buf(), id);
            }
        }
        rc
    }

    // A name can only be taken away from a file the journal knows.
    fn known(&self, names: &mut Names, path: &Path, full: &Path) {
        if full.is_file() {
            let file = names.file(path, full);
            self.identify(names, &file);
        }
    }

    /// The file behind a descriptor.
    pub fn file(&self, fd: c_int) -> Option<Arc<File>> {
        if !is_tracked(fd) {
            return None;
        }
        let mut names = lock(&self.names);
        let file = names.by_fd.get(&fd).cloned()?;
        // The number may have been closed in a way that is not seen (close_range) and given to something else.
        if stat(fd).is_none_or(|stat| (stat.st_dev, stat.st_ino) != file.inode) {
            names.untrack(fd);
            return None;
        }
        Some(file)
    }

    /// Notes that `to` now means what `from` does.
    pub fn duplicated(&self, from: c_int, to: c_int) {
        if let Some(file) = self.file(from) {
            lock(&self.names).track(to, file);
        }
    }

    /// Forgets a descriptor; to be called before its number can be used again.
    pub fn closing(&self, fd: c_int) {
        if is_tracked(fd) {
            lock(&self.names).untrack(fd);
        }
    }

    /// How many of `len` bytes may be written to tracked files; `None` if the simulated disk is full.
    pub fn room_for(&self, len: u64) -> Option<u64> {
        let Some(limit) = self.config.fail_write_after_bytes else {
            return Some(len);
        };
        let left = limit.saturating_sub(self.written.load(Ordering::Relaxed));
        (left > 0 || len == 0).then_some(left.min(len))
    }

    /// Counts bytes written to tracked files, and notes where.
    pub fn written(&self, file: &File, offset: u64, len: u64) {
        self.written.fetch_add(len, Ordering::Relaxed);
        lock(&file.state).dirty.insert(offset..offset + len);
    }

    /// Notes a new length.
    pub fn resized(&self, file: &File, len: u64) {
        lock(&file.state).cut(len);
    }

    /// Journals what a sync of `fd` makes durable.
    pub fn sync(&self, fd: c_int) -> Sync {
        let Some(file) = self.file(fd) else {
            return self.sync_directory(fd);
        };
        if self.config.ignore_sync {
            return Sync::Ignored;
        }
        let nth = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        if self.config.fail_sync_after.is_some_and(|first| nth >= first) {
            return Sync::Failed;
        }
        let id = self.identify(&mut lock(&self.names), &file);
        // Held until the record is appended, so that two syncs of a file are journaled in the order of what they read.
        let mut state = lock(&file.state);
        let len = file.stat().st_size as u64;
        let dirty = std::mem::take(&mut state.dirty);
        let kept = std::mem::replace(&mut state.kept, u64::MAX);
        let whole = !std::mem::replace(&mut state.synced, true);
        let spans: Vec<(u64, Vec<u8>)> = if whole {
            vec![(0, file.read(0, len))]
        } else {
            dirty.iter().map(|span| (span.start, file.read(span.start, span.end - span.start))).collect()
        };
        self.append(&Record::FileSynced {
            id,
            kept: if whole { 0 } else { kept },
            // A write under way elsewhere may have made the file longer since.
            len: spans.iter().map(|(start, bytes)| start + bytes.len() as u64).fold(len, u64::max),
            ranges: spans.iter().map(|(start, bytes)| (*start, bytes.as_slice())).collect(),
        });
        Sync::Recorded
    }

    fn sync_directory(&self, fd: c_int) -> Sync {
        let Some(path) = paths::descriptor_path(fd) else {
            return Sync::Untracked;
        };
        let Ok(relative) = path.strip_prefix(&self.config.dir) else {
            return Sync::Untracked;
        };
        let kind = stat(fd).map_or(0, |stat| stat.st_mode & libc::S_IFMT);
        if kind == libc::S_IFREG && !paths::is_shared_memory(relative) {
            give_up(format_args!("{} is synced, but was not opened through the shim", path.display()));
        }
        if kind != libc::S_IFDIR {
            return Sync::Untracked;
        }
        if self.config.ignore_sync {
            return Sync::Ignored;
        }
        // Under the lock, so that no rename or unlink after the sync began is journaled before it.
        let _names = lock(&self.names);
        self.append(&Record::DirSynced { path: relative });
        Sync::Recorded
    }

    fn append(&self, record: &Record<'_>) {
        lock(&self.journal).append(record);
    }

    fn catch_up(&self, names: &mut Names) {
        lock(&self.journal).catch_up(|record| match record {
            Record::Base { id, path, .. } | Record::Created { id, path, .. } => {
                names.by_path.insert(path.to_path_buf(), *id);
            }
            Record::Renamed { from, to } => {
                if let Some(id) = names.by_path.remove(*from) {
                    names.by_path.insert(to.to_path_buf(), id);
                }
            }
            Record::Unlinked { path } => {
                names.by_path.remove(*path);
            }
            Record::FileSynced { .. } | Record::DirSynced { .. } => {}
        });
    }
}

/// Whether an open for writing empties the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Truncates {
    /// O_TRUNC.
    Yes,
    /// Not.
    No,
}

impl Names {
    fn file(&mut self, path: &Path, full: &Path) -> Arc<File> {
        if let Some(file) = inode_of(full).and_then(|inode| self.by_inode.get(&inode)) {
            return Arc::clone(file);
        }
        let file = Arc::new(File::new(path, full));
        self.by_inode.insert(file.inode, Arc::clone(&file));
        file
    }

    fn track(&mut self, fd: c_int, file: Arc<File>) {
        let Some(flag) = flag(fd) else {
            give_up(format_args!("descriptor {fd} is out of the shim's range"));
        };
        self.by_fd.insert(fd, file);
        flag.store(true, Ordering::Release);
    }

    fn untrack(&mut self, fd: c_int) {
        self.by_fd.remove(&fd);
        if let Some(flag) = flag(fd) {
            flag.store(false, Ordering::Release);
        }
    }

    fn forget(&mut self, path: &Path, inode: Option<Inode>) {
        self.by_path.remove(path);
        if let Some(inode) = inode {
            self.by_inode.remove(&inode);
        }
    }
}

impl File {
    fn new(path: &Path, full: &Path) -> Self {
        let name = CString::new(full.as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: name is NUL-terminated.
        let reader = unsafe { real::open(name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC, 0) };
        let Some(stat) = stat(reader) else {
            give_up(format_args!("{} cannot be read by its own process", full.display()));
        };
        Self {
            inode: (stat.st_dev, stat.st_ino),
            path: path.to_path_buf(),
            reader,
            state: Mutex::new(FileState { id: None, dirty: Ranges::default(), kept: u64::MAX, synced: false }),
        }
    }

    fn stat(&self) -> libc::stat64 {
        stat(self.reader)
            .filter(|stat| (stat.st_dev, stat.st_ino) == self.inode)
            .unwrap_or_else(|| give_up(format_args!("the shim's descriptor of {} was closed", self.path.display())))
    }

    fn read(&self, offset: u64, len: u64) -> Vec<u8> {
        read_at(self.reader, offset, len)
            .unwrap_or_else(|| give_up(format_args!("{} cannot be read", self.path.display())))
    }
}

impl FileState {
    fn cut(&mut self, len: u64) {
        self.kept = self.kept.min(len);
        self.dirty.cut(len);
    }
}

/// Whether the descriptor may be of a tracked file.
pub fn is_tracked(fd: c_int) -> bool {
    flag(fd).is_some_and(|flag| flag.load(Ordering::Acquire))
}

fn flag(fd: c_int) -> Option<&'static AtomicBool> {
    IS_TRACKED.get(usize::try_from(fd).ok()?)
}

fn inode_of(full: &Path) -> Option<Inode> {
    use std::os::unix::fs::MetadataExt;
    let metadata = full.symlink_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn new_id() -> FileId {
    let mut id = [0; 8];
    // SAFETY: id is a live buffer of that length. Up to 256 bytes are given whole or not at all.
    if unsafe { libc::getrandom(id.as_mut_ptr().cast(), id.len(), 0) } != 8 {
        give_up(format_args!("no random numbers"));
    }
    FileId::from_ne_bytes(id)
}

// A panic aborts at the boundary of the hook, so a poisoned lock is never seen.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
