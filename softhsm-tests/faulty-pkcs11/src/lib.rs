//! A PKCS#11 module that stands in front of a real one and misbehaves as a script tells it to.
//!
//! It owns the table of functions handed to the application and the faults injected there. It knows no token of its own:
//! every call a rule does not stop reaches the real module unchanged. It is loaded by the worker under test in place of the
//! vendor's module, and never by anything that is shipped.
//!
//! Environment:
//!
//! * `FAULTY_PKCS11_REAL`: path of the real module. Required.
//! * `FAULTY_PKCS11_SCRIPT`: path of the script (grammar in [`script`]). Without it nothing is injected. The file may change
//!   while the module runs; a change is seen within about 5 ms of the next call. Replace it by rename where it matters that no
//!   call sees a state in between.
//!
//! A missing variable, module or script, and a script that does not parse, abort the process: a fault test whose faults were
//! silently not injected would pass for the wrong reason.
#![allow(
    clippy::as_conversions,
    reason = "the C interface fixes the integer types; none of the casts here can lose bits on a 64-bit target"
)]

mod codes;
mod real;
mod script;
mod watch;
mod wrap;

use std::path::PathBuf;

/// The shared object of this crate from the build that the running test belongs to; `None` outside of a cargo build.
///
/// A crate that depends on this one has it built beside its own tests, in `deps`; an example or binary finds it there too.
pub fn built_module() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let near = exe.ancestors().skip(1).take(2);
    near.flat_map(|dir| [dir.join("deps"), dir.to_path_buf()])
        .map(|dir| dir.join("libfaulty_pkcs11.so"))
        .find(|path| path.is_file())
}

/// Reports why the test set-up is wrong and aborts the process.
fn refuse(reason: std::fmt::Arguments<'_>) -> ! {
    eprintln!("faulty-pkcs11: {reason}");
    std::process::abort();
}
