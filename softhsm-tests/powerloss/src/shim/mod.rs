//! The preloaded half: takes the place of libc's file functions and journals what becomes durable.
//!
//! [`hooks`] are the exported functions, [`track`] the files and descriptors, [`append`] the journal's file, [`config`] the
//! environment, [`real`] the functions of libc. Since the crate is also an rlib, a test binary that calls `restore` gets the
//! hooks linked in as well; there they are inert, for [`config`] looks whether the code is in the shared object.

mod append;
mod config;
mod hooks;
mod paths;
mod real;
mod track;

use std::sync::OnceLock;

use track::Tracker;

/// The tracker; `None` where the shim is inert.
fn tracker() -> Option<&'static Tracker> {
    static TRACKER: OnceLock<Option<Tracker>> = OnceLock::new();
    TRACKER.get_or_init(|| config::Config::from_env().map(Tracker::new)).as_ref()
}

/// Says on stderr what the shim will not let happen, and gives the errno to fail with.
fn refuse(what: std::fmt::Arguments<'_>, errno: libc::c_int) -> libc::c_int {
    eprintln!("powerloss: refused: {what}");
    errno
}

/// The test's set-up is wrong, or the process escaped the shim: nothing it shows would be worth anything.
fn give_up(why: std::fmt::Arguments<'_>) -> ! {
    eprintln!("powerloss: {why}");
    std::process::abort()
}
