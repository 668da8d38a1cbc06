//! The journal's file as a process with the shim sees it: appends of one write each, and the records of other processes.

use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{give_up, real};
use crate::journal::{Record, decode};

/// The open journal.
pub struct JournalFile {
    path: PathBuf,
    fd: c_int,
    inode: u64,
    // How far its records are known.
    known: u64,
}

impl JournalFile {
    /// Opens or creates the journal.
    pub fn open(path: PathBuf) -> Self {
        let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
            give_up(format_args!("POWERLOSS_JOURNAL holds a NUL byte"));
        };
        let flags = libc::O_RDWR | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
        // SAFETY: name is NUL-terminated.
        let fd = unsafe { real::open(name.as_ptr(), flags, 0o644) };
        if fd < 0 {
            give_up(format_args!("{}: {}", path.display(), std::io::Error::last_os_error()));
        }
        let inode = stat(fd).map_or(0, |stat| stat.st_ino);
        Self { path, fd, inode, known: 0 }
    }

    /// Appends a record.
    pub fn append(&mut self, record: &Record<'_>) {
        let bytes = record.encode();
        self.locked(|journal| {
            let end = journal.len();
            // SAFETY: bytes is a live buffer of that length.
            let written = unsafe { real::write(journal.fd, bytes.as_ptr().cast(), bytes.len()) };
            if written != bytes.len() as isize {
                journal.fail("append");
            }
            if journal.known == end {
                journal.known = end + bytes.len() as u64;
            }
        });
    }

    /// Shows the records that were not seen before, other processes' and killed ones' among them, and drops a torn end.
    pub fn catch_up(&mut self, mut see: impl FnMut(&Record<'_>)) {
        self.locked(|journal| {
            let len = journal.len();
            if len <= journal.known {
                // A restore emptied it under a living process, or nothing is new.
                if len < journal.known {
                    give_up(format_args!("{} shrank while in use", journal.path.display()));
                }
                return;
            }
            let Some(bytes) = read_at(journal.fd, journal.known, len - journal.known) else {
                journal.fail("read");
            };
            let decoded =
                decode(&bytes).unwrap_or_else(|error| give_up(format_args!("{}: {error}", journal.path.display())));
            decoded.records.iter().for_each(&mut see);
            journal.known += decoded.end as u64;
            // The lock is ours, so a torn record is not one being written but one whose writer was killed.
            // SAFETY: the descriptor is the journal's.
            if journal.known < len && unsafe { real::ftruncate(journal.fd, journal.known as i64) } != 0 {
                journal.fail("truncate");
            }
        });
    }

    fn locked(&mut self, act: impl FnOnce(&mut Self)) {
        // A daemon that closes all descriptors it does not know closes this one as well.
        if stat(self.fd).is_none_or(|stat| stat.st_ino != self.inode) {
            let known = self.known;
            *self = Self { known, ..Self::open(self.path.clone()) };
        }
        // SAFETY: flock takes any descriptor.
        while unsafe { libc::flock(self.fd, libc::LOCK_EX) } != 0 {
            if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                self.fail("lock");
            }
        }
        act(self);
        // SAFETY: as above.
        if unsafe { libc::flock(self.fd, libc::LOCK_UN) } != 0 {
            self.fail("unlock");
        }
    }

    fn len(&self) -> u64 {
        stat(self.fd).map_or_else(|| self.fail("stat"), |stat| stat.st_size as u64)
    }

    fn fail(&self, what: &str) -> ! {
        give_up(format_args!("cannot {what} {}: {}", self.path.display(), std::io::Error::last_os_error()))
    }
}

/// What `fstat` says of a descriptor.
pub fn stat(fd: c_int) -> Option<libc::stat64> {
    // SAFETY: an all-zero stat64 is a valid value of that plain C struct.
    let mut stat = unsafe { std::mem::zeroed() };
    // SAFETY: stat is a valid out-pointer.
    (unsafe { libc::fstat64(fd, &raw mut stat) } == 0).then_some(stat)
}

/// Up to `len` bytes from `offset`; fewer if the file ends before. `None` on an error.
pub fn read_at(fd: c_int, offset: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: rest is a live buffer of that length.
        let read = unsafe { libc::pread64(fd, rest.as_mut_ptr().cast(), rest.len(), (offset + filled as u64) as i64) };
        match usize::try_from(read) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(_negative) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(_negative) => return None,
        }
    }
    bytes.truncate(filled);
    Some(bytes)
}
