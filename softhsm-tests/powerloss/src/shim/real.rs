//! The functions of libc behind the hooks: the next definition after the shim's in the order of loading.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use libc::{iovec, off_t, size_t, ssize_t};

macro_rules! next {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        $(
            /// libc's function of this name.
            ///
            /// # Safety
            ///
            /// As for the function itself.
            pub unsafe fn $name($($arg: $ty),*) -> $ret {
                static NEXT: OnceLock<unsafe extern "C" fn($($ty),*) -> $ret> = OnceLock::new();
                let next = NEXT.get_or_init(|| {
                    let symbol = resolve(concat!(stringify!($name), "\0"));
                    // SAFETY: the symbol of this name has this type. Those declared variadic in C are called alike with their
                    // optional argument given, on the Linux ABIs of x86-64 and AArch64.
                    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($ty),*) -> $ret>(symbol) }
                });
                // SAFETY: the caller keeps the function's contract.
                unsafe { next($($arg),*) }
            }
        )*
    };
}

fn resolve(name: &'static str) -> *mut c_void {
    let name = CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or_default();
    // SAFETY: name is NUL-terminated.
    let symbol = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if symbol.is_null() {
        super::give_up(format_args!("libc has no {name:?}"));
    }
    symbol
}

next! {
    open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int;
    openat(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int;
    close(fd: c_int) -> c_int;
    dup(fd: c_int) -> c_int;
    dup2(fd: c_int, to: c_int) -> c_int;
    dup3(fd: c_int, to: c_int, flags: c_int) -> c_int;
    fcntl(fd: c_int, command: c_int, argument: usize) -> c_int;
    write(fd: c_int, buffer: *const c_void, len: size_t) -> ssize_t;
    pwrite(fd: c_int, buffer: *const c_void, len: size_t, offset: off_t) -> ssize_t;
    writev(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t;
    pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t;
    copy_file_range(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, len: size_t, flags: c_uint) -> ssize_t;
    sendfile(to: c_int, from: c_int, offset: *mut off_t, len: size_t) -> ssize_t;
    splice(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, len: size_t, flags: c_uint) -> ssize_t;
    ftruncate(fd: c_int, len: off_t) -> c_int;
    truncate(path: *const c_char, len: off_t) -> c_int;
    fallocate(fd: c_int, mode: c_int, offset: off_t, len: off_t) -> c_int;
    posix_fallocate(fd: c_int, offset: off_t, len: off_t) -> c_int;
    fsync(fd: c_int) -> c_int;
    fdatasync(fd: c_int) -> c_int;
    renameat2(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_uint) -> c_int;
    unlinkat(dir: c_int, path: *const c_char, flags: c_int) -> c_int;
    linkat(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char, flags: c_int) -> c_int;
    mmap(address: *mut c_void, len: size_t, protection: c_int, flags: c_int, fd: c_int, offset: off_t) -> *mut c_void;
}
