//! The real module: loaded once, on the first use, and never unloaded.
//!
//! Owns its function list and the copy with the wrappers that the application gets. Called by [`crate::wrap`].

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use cryptoki_sys::{CK_C_GetFunctionList, CK_FUNCTION_LIST, CKR_OK};

use crate::{refuse, wrap};

/// Names the real module's shared object.
const REAL: &str = "FAULTY_PKCS11_REAL";

/// The real module's functions and the wrapped ones.
pub struct Modules {
    /// What the real module exports.
    pub real: CK_FUNCTION_LIST,
    /// What the application is given.
    pub wrapped: CK_FUNCTION_LIST,
}

/// The modules, loading the real one on the first call. Aborts the process if it cannot be loaded.
pub fn modules() -> &'static Modules {
    static MODULES: OnceLock<Modules> = OnceLock::new();
    MODULES.get_or_init(|| {
        let real = load();
        Modules { real, wrapped: wrap::wrapped(&real) }
    })
}

fn load() -> CK_FUNCTION_LIST {
    let Some(path) = std::env::var_os(REAL) else {
        refuse(format_args!("{REAL} is not set"));
    };
    let Ok(c_path) = CString::new(path.as_bytes()) else {
        refuse(format_args!("{REAL} holds a NUL byte"));
    };
    // RTLD_LOCAL keeps the real module's C_* symbols from being bound in place of ours, and the other way round.
    // SAFETY: c_path is a NUL-terminated string; the module's initialisers are trusted as far as any PKCS#11 module is.
    let handle = unsafe { libc::dlopen(c_path.as_ptr(), libc::RTLD_LOCAL | libc::RTLD_NOW) };
    if handle.is_null() {
        refuse(format_args!("cannot load {}: {}", path.display(), dl_error()));
    }
    // SAFETY: handle is a live handle and the name is NUL-terminated.
    let symbol = unsafe { libc::dlsym(handle, c"C_GetFunctionList".as_ptr()) };
    // SAFETY: PKCS#11 fixes the type of the symbol of this name; a null pointer becomes None.
    let get = unsafe { std::mem::transmute::<*mut c_void, CK_C_GetFunctionList>(symbol) };
    let Some(get) = get else {
        refuse(format_args!("{} exports no C_GetFunctionList", path.display()));
    };
    let mut list = std::ptr::null_mut();
    // SAFETY: get is the module's function and list a valid out-pointer.
    let rv = unsafe { get(&raw mut list) };
    if rv != CKR_OK || list.is_null() {
        refuse(format_args!("{}: C_GetFunctionList returned {rv:#x}", path.display()));
    }
    // SAFETY: the module returned CKR_OK, so list points to its function list, which lives as long as the module.
    let list = unsafe { *list };
    if list.version.major != 2 {
        refuse(format_args!(
            "{}: function list {}.{}, only 2.x can be wrapped",
            path.display(),
            list.version.major,
            list.version.minor
        ));
    }
    list
}

fn dl_error() -> String {
    // SAFETY: dlerror has no precondition.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return "unknown reason".to_owned();
    }
    // SAFETY: dlerror returned a NUL-terminated string that lives until the thread's next dl call.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}
