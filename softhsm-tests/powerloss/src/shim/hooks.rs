//! The functions that take the place of libc's.
//!
//! Each passes on what does not concern the tracked directory. On 64-bit Linux the plain and the `64` variants are the same
//! functions under two names. Variadic C functions are defined with their optional argument, which the ABIs of x86-64 and
//! AArch64 pass as if it were declared.
#![allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "every function has the contract of the C function it is named for"
)]

use std::ffi::{c_char, c_int, c_uint, c_void};

use libc::{AT_FDCWD, iovec, off_t, size_t, ssize_t};

use super::paths::{Last, resolve};
use super::track::{Sync, Truncates, is_tracked};
use super::{give_up, real, refuse, tracker};

/// Defines a hook under several names.
macro_rules! hook {
    (@one $name:ident ($($arg:ident: $ty:ty),*) $ret:ty, $body:block) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> $ret $body
    };
    ($($name:ident),+ => fn $args:tt -> $ret:ty $body:block) => {
        $(hook!(@one $name $args $ret, $body);)+
    };
}

fn fail(errno: c_int) -> c_int {
    // SAFETY: __errno_location gives the calling thread's own errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

// --- opening and closing

hook!(open, open64 => fn (path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's contract is that of open.
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
});

hook!(openat, openat64 => fn (dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's contract is that of openat.
    unsafe { open_at(dir, path, flags, mode) }
});

// What C code compiled with _FORTIFY_SOURCE calls in place of open without a mode.
hook!(__open_2, __open64_2 => fn (path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's contract is that of open.
    unsafe { open_at(AT_FDCWD, path, flags, 0) }
});

hook!(__openat_2, __openat64_2 => fn (dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's contract is that of openat.
    unsafe { open_at(dir, path, flags, 0) }
});

hook!(creat, creat64 => fn (path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the caller's contract is that of creat, which is this open.
    unsafe { open_at(AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
});

unsafe fn open_at(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the arguments are those of an open.
    let plain = || unsafe { real::openat(dir, path, flags, mode) };
    let Some(tracker) = tracker() else {
        return plain();
    };
    if flags & libc::O_PATH != 0 {
        return plain();
    }
    // SAFETY: path is the caller's string.
    let Some(full) = (unsafe { resolve(dir, path, Last::Followed) }) else {
        return plain();
    };
    if flags & libc::O_TMPFILE == libc::O_TMPFILE {
        return match tracker.relative(&full.join("any")) {
            Some(_) => fail(refuse(format_args!("O_TMPFILE in {}", full.display()), libc::EOPNOTSUPP)),
            None => plain(),
        };
    }
    let Some(relative) = tracker.relative(&full) else {
        return plain();
    };
    let old = full.metadata().ok();
    let regular = old.as_ref().map_or(flags & libc::O_CREAT != 0, |old| old.is_file());
    if !regular || flags & libc::O_DIRECTORY != 0 {
        return plain();
    }
    let truncates = if flags & libc::O_TRUNC != 0 { Truncates::Yes } else { Truncates::No };
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || truncates == Truncates::Yes;
    if writes && flags & (libc::O_SYNC | libc::O_DSYNC) != 0 {
        return fail(refuse(format_args!("O_SYNC on {}", full.display()), libc::EINVAL));
    }
    tracker.open(&relative, &full, mode, writes.then_some(truncates), plain)
}

hook!(close => fn (fd: c_int) -> c_int {
    if is_tracked(fd) && let Some(tracker) = tracker() {
        tracker.closing(fd);
    }
    // SAFETY: as for close.
    unsafe { real::close(fd) }
});

hook!(dup => fn (fd: c_int) -> c_int {
    // SAFETY: as for dup.
    duplicated(fd, unsafe { real::dup(fd) })
});

hook!(dup2 => fn (fd: c_int, to: c_int) -> c_int {
    replacing(fd, to);
    // SAFETY: as for dup2.
    duplicated(fd, unsafe { real::dup2(fd, to) })
});

hook!(dup3 => fn (fd: c_int, to: c_int, flags: c_int) -> c_int {
    replacing(fd, to);
    // SAFETY: as for dup3.
    duplicated(fd, unsafe { real::dup3(fd, to, flags) })
});

hook!(fcntl, fcntl64 => fn (fd: c_int, command: c_int, argument: usize) -> c_int {
    // SAFETY: as for fcntl; a command without an argument ignores it.
    let rc = unsafe { real::fcntl(fd, command, argument) };
    if command == libc::F_DUPFD || command == libc::F_DUPFD_CLOEXEC {
        return duplicated(fd, rc);
    }
    rc
});

fn replacing(fd: c_int, to: c_int) {
    if fd != to
        && is_tracked(to)
        && let Some(tracker) = tracker()
    {
        tracker.closing(to);
    }
}

fn duplicated(fd: c_int, to: c_int) -> c_int {
    if to >= 0
        && is_tracked(fd)
        && let Some(tracker) = tracker()
    {
        tracker.duplicated(fd, to);
    }
    to
}

// --- writing

hook!(write => fn (fd: c_int, buffer: *const c_void, len: size_t) -> ssize_t {
    // SAFETY: as for write; it is never given more than the caller's length.
    writing(fd, len, Place::Current, |len| unsafe { real::write(fd, buffer, len) })
});

hook!(pwrite, pwrite64 => fn (fd: c_int, buffer: *const c_void, len: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as for pwrite; it is never given more than the caller's length.
    writing(fd, len, Place::At(offset), |len| unsafe { real::pwrite(fd, buffer, len, offset) })
});

hook!(writev => fn (fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: as for writev.
    vectored(fd, vectors, count, Place::Current, || unsafe { real::writev(fd, vectors, count) })
});

hook!(pwritev, pwritev64 => fn (fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: as for pwritev.
    vectored(fd, vectors, count, Place::At(offset), || unsafe { real::pwritev(fd, vectors, count, offset) })
});

enum Place {
    Current,
    At(off_t),
}

fn vectored(fd: c_int, vectors: *const iovec, count: c_int, place: Place, write: impl FnOnce() -> ssize_t) -> ssize_t {
    if !is_tracked(fd) {
        return write();
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: by the contract of writev, so many vectors are there.
    let total = (0..count).map(|index| unsafe { (*vectors.add(index)).iov_len }).sum();
    // A full disk lets the whole call fail: shortening the vectors is not worth its code.
    let whole = tracker().is_none_or(|tracker| tracker.room_for(total as u64) == Some(total as u64));
    if !whole {
        return fail(libc::ENOSPC) as ssize_t;
    }
    writing(fd, total, place, |_| write())
}

fn writing(fd: c_int, len: size_t, place: Place, write: impl FnOnce(size_t) -> ssize_t) -> ssize_t {
    let tracked = is_tracked(fd).then(tracker).flatten();
    let Some((tracker, file)) = tracked.and_then(|tracker| Some((tracker, tracker.file(fd)?))) else {
        return write(len);
    };
    let Some(room) = tracker.room_for(len as u64) else {
        return fail(libc::ENOSPC) as ssize_t;
    };
    let written = write(room as size_t);
    if written > 0 {
        let start = match place {
            Place::At(offset) => offset,
            // After the write, since O_APPEND moves to the end first.
            // SAFETY: lseek to the current place changes nothing.
            Place::Current => unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) - written as off_t },
        };
        tracker.written(&file, start as u64, written as u64);
    }
    written
}

hook!(copy_file_range => fn (from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, len: size_t, flags: c_uint) -> ssize_t {
    if is_tracked(to) {
        return fail(libc::EXDEV) as ssize_t;
    }
    // SAFETY: as for copy_file_range.
    unsafe { real::copy_file_range(from, from_at, to, to_at, len, flags) }
});

hook!(sendfile, sendfile64 => fn (to: c_int, from: c_int, offset: *mut off_t, len: size_t) -> ssize_t {
    if is_tracked(to) {
        return fail(libc::EINVAL) as ssize_t;
    }
    // SAFETY: as for sendfile.
    unsafe { real::sendfile(to, from, offset, len) }
});

hook!(splice => fn (from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, len: size_t, flags: c_uint) -> ssize_t {
    if is_tracked(to) {
        return fail(libc::EINVAL) as ssize_t;
    }
    // SAFETY: as for splice.
    unsafe { real::splice(from, from_at, to, to_at, len, flags) }
});

// --- lengths

hook!(ftruncate, ftruncate64 => fn (fd: c_int, len: off_t) -> c_int {
    // SAFETY: as for ftruncate.
    let rc = unsafe { real::ftruncate(fd, len) };
    if rc == 0 && is_tracked(fd) && let Some(tracker) = tracker() && let Some(file) = tracker.file(fd) {
        tracker.resized(&file, len as u64);
    }
    rc
});

hook!(truncate, truncate64 => fn (path: *const c_char, len: off_t) -> c_int {
    // SAFETY: path is the caller's string.
    let full = tracker().zip(unsafe { resolve(AT_FDCWD, path, Last::Followed) });
    if let Some((tracker, full)) = full && tracker.relative(&full).is_some() {
        return fail(refuse(format_args!("truncate of {} by path", full.display()), libc::EACCES));
    }
    // SAFETY: as for truncate.
    unsafe { real::truncate(path, len) }
});

hook!(fallocate, fallocate64 => fn (fd: c_int, mode: c_int, offset: off_t, len: off_t) -> c_int {
    match allocation(fd, mode) {
        0 => {
            // SAFETY: as for fallocate.
            unsafe { real::fallocate(fd, mode, offset, len) }
        }
        errno => fail(errno),
    }
});

hook!(posix_fallocate, posix_fallocate64 => fn (fd: c_int, offset: off_t, len: off_t) -> c_int {
    match allocation(fd, 0) {
        0 => {
            // SAFETY: as for posix_fallocate.
            unsafe { real::posix_fallocate(fd, offset, len) }
        }
        errno => errno,
    }
});

/// The errno to refuse an allocation with, or 0. A plain one adds zeros at the end at most, which the length at the sync tells.
fn allocation(fd: c_int, mode: c_int) -> c_int {
    if !is_tracked(fd) {
        return 0;
    }
    if mode & !libc::FALLOC_FL_KEEP_SIZE != 0 {
        return refuse(format_args!("fallocate with mode {mode:#x}"), libc::EOPNOTSUPP);
    }
    let is_full = tracker().is_some_and(|tracker| tracker.room_for(1).is_none());
    if is_full { libc::ENOSPC } else { 0 }
}

// --- syncs

hook!(fsync => fn (fd: c_int) -> c_int {
    // SAFETY: as for fsync.
    syncing(fd, || unsafe { real::fsync(fd) })
});

hook!(fdatasync => fn (fd: c_int) -> c_int {
    // SAFETY: as for fdatasync.
    syncing(fd, || unsafe { real::fdatasync(fd) })
});

hook!(sync_file_range => fn (fd: c_int, _offset: off_t, _len: off_t, _flags: c_uint) -> c_int {
    // It makes nothing durable that a crash could not take, by its manual, so it is the same as doing nothing.
    if is_tracked(fd) { 0 } else { syncing(fd, || 0) }
});

fn syncing(fd: c_int, sync: impl FnOnce() -> c_int) -> c_int {
    match tracker().map_or(Sync::Untracked, |tracker| tracker.sync(fd)) {
        Sync::Untracked => sync(),
        Sync::Ignored => 0,
        Sync::Failed => fail(libc::EIO),
        // The journal has it as durable already: a kill in between finds more durable than was promised, as on a real disk.
        Sync::Recorded => match sync() {
            0 => 0,
            _ => give_up(format_args!("a real sync failed: {}", std::io::Error::last_os_error())),
        },
    }
}

// --- names

hook!(rename => fn (from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's contract is that of rename.
    unsafe { rename_at(AT_FDCWD, from, AT_FDCWD, to, 0) }
});

hook!(renameat => fn (from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char) -> c_int {
    // SAFETY: the caller's contract is that of renameat.
    unsafe { rename_at(from_dir, from, to_dir, to, 0) }
});

hook!(renameat2 => fn (from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_uint) -> c_int {
    // SAFETY: the caller's contract is that of renameat2.
    unsafe { rename_at(from_dir, from, to_dir, to, flags) }
});

unsafe fn rename_at(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_uint) -> c_int {
    // SAFETY: the arguments are those of a rename.
    let plain = || unsafe { real::renameat2(from_dir, from, to_dir, to, flags) };
    let Some(tracker) = tracker() else {
        return plain();
    };
    // SAFETY: both are the caller's strings.
    let paths = unsafe { (resolve(from_dir, from, Last::Kept), resolve(to_dir, to, Last::Kept)) };
    let (Some(from_full), Some(to_full)) = paths else {
        return plain();
    };
    let (from, to) = match (tracker.relative(&from_full), tracker.relative(&to_full)) {
        (None, None) => return plain(),
        (Some(from), Some(to)) => (from, to),
        _ => {
            let what = format_args!("rename of {} to {}, in and out", from_full.display(), to_full.display());
            return fail(refuse(what, libc::EXDEV));
        }
    };
    if from_full.is_dir() || flags & !libc::RENAME_NOREPLACE != 0 {
        let what = format_args!("rename of {} with flags {flags:#x}", from_full.display());
        return fail(refuse(what, libc::EINVAL));
    }
    tracker.rename((&from, &from_full), (&to, &to_full), plain)
}

hook!(unlink => fn (path: *const c_char) -> c_int {
    // SAFETY: the caller's contract is that of unlink.
    unsafe { unlink_at(AT_FDCWD, path, 0) }
});

hook!(unlinkat => fn (dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's contract is that of unlinkat.
    unsafe { unlink_at(dir, path, flags) }
});

// libc's own remove calls its unlink without passing by here.
hook!(remove => fn (path: *const c_char) -> c_int {
    // SAFETY: path is the caller's string.
    let is_dir = unsafe { resolve(AT_FDCWD, path, Last::Kept) }.is_some_and(|full| full.is_dir() && !full.is_symlink());
    // SAFETY: the caller's contract is that of remove, which is one of these two.
    unsafe { unlink_at(AT_FDCWD, path, if is_dir { libc::AT_REMOVEDIR } else { 0 }) }
});

unsafe fn unlink_at(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the arguments are those of an unlinkat.
    let plain = || unsafe { real::unlinkat(dir, path, flags) };
    let Some(tracker) = tracker() else {
        return plain();
    };
    // SAFETY: path is the caller's string.
    let Some(full) = (unsafe { resolve(dir, path, Last::Kept) }) else {
        return plain();
    };
    match tracker.relative(&full) {
        Some(relative) if flags & libc::AT_REMOVEDIR == 0 && full.is_file() && !full.is_symlink() => {
            tracker.unlink(&relative, &full, plain)
        }
        _ => plain(),
    }
}

hook!(link => fn (from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's contract is that of link.
    unsafe { link_at(AT_FDCWD, from, AT_FDCWD, to, 0) }
});

hook!(linkat => fn (from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's contract is that of linkat.
    unsafe { link_at(from_dir, from, to_dir, to, flags) }
});

unsafe fn link_at(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_int) -> c_int {
    if let Some(tracker) = tracker() {
        // SAFETY: both are the caller's strings.
        let ends = unsafe { [resolve(from_dir, from, Last::Kept), resolve(to_dir, to, Last::Kept)] };
        if let Some(full) = ends.iter().flatten().find(|full| tracker.relative(full).is_some()) {
            return fail(refuse(format_args!("hard link of {}", full.display()), libc::EPERM));
        }
    }
    // SAFETY: the arguments are those of a linkat.
    unsafe { real::linkat(from_dir, from, to_dir, to, flags) }
}

// --- mappings

hook!(mmap, mmap64 => fn (address: *mut c_void, len: size_t, protection: c_int, flags: c_int, fd: c_int, offset: off_t) -> *mut c_void {
    let shared = matches!(flags & libc::MAP_TYPE, libc::MAP_SHARED | libc::MAP_SHARED_VALIDATE);
    if shared && protection & libc::PROT_WRITE != 0 && is_tracked(fd) {
        fail(refuse(format_args!("a writable shared mapping of descriptor {fd}"), libc::EACCES));
        return libc::MAP_FAILED;
    }
    // SAFETY: as for mmap.
    unsafe { real::mmap(address, len, protection, flags, fd, offset) }
});
