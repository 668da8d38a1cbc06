//! Which paths lie in the tracked directory.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether a path's last component is followed if it is a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// As `open` does.
    Followed,
    /// As `rename` and `unlink` do.
    Kept,
}

/// The canonical path that a system call with these arguments means; `None` if its directory does not exist.
///
/// # Safety
///
/// `path` is null or NUL-terminated.
pub unsafe fn resolve(dir: c_int, path: *const c_char, last: Last) -> Option<PathBuf> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the string.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    let full = if path.is_absolute() {
        path.to_path_buf()
    } else if dir == libc::AT_FDCWD {
        std::env::current_dir().ok()?.join(path)
    } else {
        descriptor_path(dir)?.join(path)
    };
    let Some(name) = full.file_name() else {
        return full.canonicalize().ok();
    };
    let named = full.parent()?.canonicalize().ok()?.join(name);
    match (last, named.is_symlink()) {
        (Last::Followed, true) => named.canonicalize().ok(),
        _ => Some(named),
    }
}

/// The path the kernel knows an open descriptor by.
pub fn descriptor_path(fd: c_int) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

/// Whether a file is left untracked: shared memory, which SQLite rebuilds after a crash.
pub fn is_shared_memory(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"-shm")
}
