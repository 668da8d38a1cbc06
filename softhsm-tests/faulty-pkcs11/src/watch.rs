//! Publishes the script in force, and notices when its file changes.
//!
//! Owns the file's last known state. The path of a call reads two atomics and takes no lock; the one thread that finds the
//! check due (at most every 5 ms) looks at the file, while the others go on under the script they have.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use std::os::unix::fs::MetadataExt;

use crate::refuse;
use crate::script::Script;
use crate::wrap::NAMES;

/// Names the script file.
const SCRIPT: &str = "FAULTY_PKCS11_SCRIPT";

/// How long a look at the file is trusted, in microseconds.
const TRUSTED_US: u64 = 5_000;

// Within this time of the last change a second one may carry the same timestamp, so the content itself is compared.
const RACY: Duration = Duration::from_millis(50);

// A file emptied this recently is one being rewritten in place.
const REWRITE: Duration = Duration::from_millis(10);

static IN_FORCE: AtomicPtr<Script> = AtomicPtr::new(std::ptr::null_mut());
static NEXT_LOOK_US: AtomicU64 = AtomicU64::new(0);

struct ScriptFile {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    stamp: Option<Stamp>,
    text: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: SystemTime,
}

/// The script in force now.
pub fn current() -> &'static Script {
    if let Some(file) = script_file() {
        let now = monotonic_us();
        let due = NEXT_LOOK_US.load(Ordering::Relaxed);
        if now >= due
            && NEXT_LOOK_US.compare_exchange(due, now + TRUSTED_US, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            file.look();
        }
    }
    in_force().unwrap_or_else(|| {
        // The first calls of several threads may come together: all wait for the first look, none runs unscripted.
        if let Some(file) = script_file() {
            file.look_once();
        } else {
            publish(Script::empty(NAMES.len()));
        }
        current()
    })
}

fn in_force() -> Option<&'static Script> {
    let script = IN_FORCE.load(Ordering::Acquire);
    // SAFETY: the pointer is null or comes from Box::leak in publish, and what it points to is never freed or written.
    unsafe { script.as_ref() }
}

// A replaced script is leaked: calls may still look at it, and a test changes its script a handful of times.
fn publish(script: Script) {
    IN_FORCE.store(Box::leak(Box::new(script)), Ordering::Release);
}

fn script_file() -> Option<&'static ScriptFile> {
    static FILE: OnceLock<Option<ScriptFile>> = OnceLock::new();
    FILE.get_or_init(|| Some(ScriptFile { path: PathBuf::from(std::env::var_os(SCRIPT)?), seen: Mutex::default() }))
        .as_ref()
}

impl ScriptFile {
    fn look(&self) {
        // A panic while the lock was held cannot leave more than a stale stamp.
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.look_into(&mut seen);
    }

    fn look_once(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if seen.text.is_none() {
            self.look_into(&mut seen);
        }
    }

    fn look_into(&self, seen: &mut Seen) {
        let stamp = stamp_of(&self.path);
        let age = stamp.modified.elapsed().unwrap_or_default();
        if seen.stamp == Some(stamp) && age > RACY {
            return;
        }
        if stamp.size == 0 && age < REWRITE && seen.text.is_some() {
            return;
        }
        let text = std::fs::read_to_string(&self.path)
            .unwrap_or_else(|error| refuse(format_args!("{}: {error}", self.path.display())));
        seen.stamp = Some(stamp);
        if seen.text.as_deref() == Some(text.as_str()) {
            return;
        }
        match Script::parse(&text, NAMES) {
            Ok(script) => publish(script),
            Err(error) => refuse(format_args!("{}: {error}", self.path.display())),
        }
        seen.text = Some(text);
    }
}

fn stamp_of(path: &Path) -> Stamp {
    let read = || {
        let metadata = std::fs::metadata(path)?;
        Ok::<_, std::io::Error>(Stamp { inode: metadata.ino(), size: metadata.size(), modified: metadata.modified()? })
    };
    read().unwrap_or_else(|error| refuse(format_args!("{}: {error}", path.display())))
}

fn monotonic_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: now is a valid out-pointer; CLOCK_MONOTONIC always exists on Linux, so there is no error to see.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}
