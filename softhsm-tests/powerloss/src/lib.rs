//! Power loss at a SIGKILL: what a process did not sync is gone when its test restores the directory.
//!
//! The crate is two things. As a shared object it is preloaded (`LD_PRELOAD`) into the process under test and journals what
//! became durable of the files below one directory. As a library it gives the test [`journal::restore`], which after the kill
//! turns the directory into what a disk would hold had the power failed at that moment. Nothing shipped uses either.
//!
//! # The model
//!
//! Nothing is durable until it is synced, and all that is not synced is lost. A real disk may keep any part of it; this model
//! keeps none, since a test wants the worst.
//!
//! * File content is durable by `fsync` or `fdatasync` of any descriptor of the file. `sync_file_range`, `sync` and `syncfs`
//!   make nothing durable.
//! * The first sync of a file in a process makes all of its content durable, whoever wrote it: a process killed before leaves
//!   unsynced pages in the page cache, and the kernel writes those as well. What another process writes at the same time is
//!   durable by that other process's sync only.
//! * A new file's name is durable when its directory *or*, as on ext4, the file itself is synced, under the name it was created
//!   with. Renames and unlinks are durable only when the directory is synced. Sub-directories are taken as durable.
//! * Files that exist when the journal begins are durable as they are then.
//! * Files ending in `-shm` (SQLite's shared memory) are not tracked, and removed by a restore.
//!
//! # Environment
//!
//! * `POWERLOSS_DIR`: the directory; must exist when the process starts. `POWERLOSS_JOURNAL`: the journal, outside of it.
//!   Without these two the shim is inert.
//! * `POWERLOSS_IGNORE_SYNC=1`: syncs succeed and make nothing durable, to show that a test would notice a missing sync.
//! * `POWERLOSS_FAIL_SYNC_AFTER=N`: the Nth and every later sync of a tracked file in the process fails with EIO.
//! * `POWERLOSS_FAIL_WRITE_AFTER_BYTES=N`: once N bytes are written to tracked files by the process, writes fail with ENOSPC; the
//!   write that crosses the limit is short, as on a full disk.
//!
//! # What it refuses
//!
//! Ways to change a file that it cannot follow are refused, loudly on stderr: shared writable mappings, `O_SYNC`, `O_TMPFILE`,
//! hard links, renames of directories or across the directory's edge, `truncate` by path, exotic `fallocate`. In-kernel copies
//! (`copy_file_range`, `sendfile`, `splice`) are refused as unsupported, whereupon callers fall back to writes. It does not see
//! C stdio (`FILE *`), io_uring and raw system calls; a sync of a file that it did not see opened aborts the process.
#![allow(
    clippy::as_conversions,
    reason = "the C interface fixes the integer types; none of the casts here can lose bits on a 64-bit target"
)]

pub mod journal;
mod ranges;
// In the crate's own unit tests the hooks would take the place of libc's functions for no purpose.
#[cfg(not(test))]
mod shim;

use std::path::PathBuf;

/// The shim's shared object from the build that the running test belongs to; `None` outside of a cargo build.
///
/// A crate that depends on this one has it built beside its own tests, in `deps`; an example or binary finds it there too.
pub fn built_shim() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let near = exe.ancestors().skip(1).take(2);
    near.flat_map(|dir| [dir.join("deps"), dir.to_path_buf()])
        .map(|dir| dir.join("libpowerloss.so"))
        .find(|path| path.is_file())
}
