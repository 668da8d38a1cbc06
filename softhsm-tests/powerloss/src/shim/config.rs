//! The shim's environment, read once.

use std::ffi::{CStr, OsString};
use std::path::PathBuf;

use super::give_up;

/// What the environment asks for.
pub struct Config {
    /// The tracked directory, canonical.
    pub dir: PathBuf,
    /// The journal.
    pub journal: PathBuf,
    /// Syncs succeed and do nothing.
    pub ignore_sync: bool,
    /// From this sync on, counted from 1, they fail.
    pub fail_sync_after: Option<u64>,
    /// So many bytes can be written.
    pub fail_write_after_bytes: Option<u64>,
}

impl Config {
    /// The configuration; `None` if the shim is not preloaded or not told a directory and a journal.
    pub fn from_env() -> Option<Self> {
        let dir = PathBuf::from(std::env::var_os("POWERLOSS_DIR")?);
        let journal = PathBuf::from(std::env::var_os("POWERLOSS_JOURNAL")?);
        if !is_preloaded() {
            return None;
        }
        let dir = dir
            .canonicalize()
            .unwrap_or_else(|error| give_up(format_args!("POWERLOSS_DIR {}: {error}", dir.display())));
        if journal.parent().and_then(|parent| parent.canonicalize().ok()).is_none_or(|parent| parent.starts_with(&dir))
        {
            give_up(format_args!(
                "POWERLOSS_JOURNAL {} must lie in a directory that exists, outside of POWERLOSS_DIR",
                journal.display()
            ));
        }
        let ignore_sync = match std::env::var_os("POWERLOSS_IGNORE_SYNC") {
            None => false,
            Some(value) if value == "1" => true,
            Some(value) => give_up(format_args!("POWERLOSS_IGNORE_SYNC={} is not 1", value.display())),
        };
        Some(Self {
            dir,
            journal,
            ignore_sync,
            fail_sync_after: number("POWERLOSS_FAIL_SYNC_AFTER"),
            fail_write_after_bytes: number("POWERLOSS_FAIL_WRITE_AFTER_BYTES"),
        })
    }
}

fn number(name: &str) -> Option<u64> {
    let value: OsString = std::env::var_os(name)?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| give_up(format_args!("{name}={} is no number", value.display()))))
}

/// Whether this code runs from the shared object, not from a test binary that the rlib was linked into.
fn is_preloaded() -> bool {
    // SAFETY: an all-zero Dl_info is a valid value of that plain C struct.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here = is_preloaded as fn() -> bool as *const libc::c_void;
    // SAFETY: info is a valid out-pointer, and dladdr takes any address.
    if unsafe { libc::dladdr(here, &raw mut info) } == 0 || info.dli_fname.is_null() {
        return false;
    }
    // SAFETY: dladdr succeeded, so the name is a NUL-terminated string that lives as long as the object is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    name.to_string_lossy().contains("libpowerloss")
}
