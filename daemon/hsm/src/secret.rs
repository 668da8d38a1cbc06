//! A PIN in memory that is locked, and zeroised when it is dropped.
//!
//! Refuses Debug and Clone. The keeper holds one per token for as long as it lives; a worker holds its own until it
//! has logged in.

use psdd_seal::{LockError, LockedBytes};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest PIN, in bytes.
pub const MAX_PIN: usize = psdd_seal::MAX_SECRET;

/// A PIN.
pub struct Pin(LockedBytes);

/// Why a PIN could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("cannot read the PIN from {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The pipe from the keeper ended early.
    #[error("cannot read the PIN from the keeper")]
    Pipe(#[source] io::Error),
    /// The memory cannot be locked; a PIN must not reach the swap.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It is not on this host.
    #[error("the PIN is sealed: operators give it in shares, and it is in no file")]
    Sealed,
    /// There is nothing in it, or more than [`MAX_PIN`] bytes.
    #[error("a PIN has 1 to {MAX_PIN} bytes")]
    Length,
}

impl Pin {
    /// Reads a file; one newline at its end does not count.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the memory not be locked.
    pub fn read_file(path: &Path) -> Result<Self, PinError> {
        let failed = |source| PinError::Read { path: path.to_owned(), source };
        let mut bytes = LockedBytes::empty()?;
        let mut length = 0;
        let mut file = File::open(path).map_err(failed)?;
        loop {
            match file.read(&mut bytes.page_mut()[length..]).map_err(failed)? {
                0 => break,
                read => length += read,
            }
        }
        bytes.set_length(length);
        if bytes.as_bytes().ends_with(b"\n") {
            bytes.set_length(length - 1);
        }
        Self(bytes).checked()
    }

    /// Reads a PIN of so many bytes from the keeper's pipe.
    ///
    /// # Errors
    ///
    /// When the pipe ends before, or the memory cannot be locked.
    pub fn read_exact(pipe: &mut impl Read, length: usize) -> Result<Self, PinError> {
        if length > MAX_PIN {
            return Err(PinError::Length);
        }
        let mut bytes = LockedBytes::empty()?;
        pipe.read_exact(&mut bytes.page_mut()[..length]).map_err(PinError::Pipe)?;
        bytes.set_length(length);
        Self(bytes).checked()
    }

    /// The PIN that operators' shares gave.
    ///
    /// # Errors
    ///
    /// When it is empty or too long.
    pub fn rebuilt(bytes: LockedBytes) -> Result<Self, PinError> {
        Self(bytes).checked()
    }

    fn checked(self) -> Result<Self, PinError> {
        if self.as_bytes().is_empty() || self.as_bytes().len() > MAX_PIN {
            return Err(PinError::Length);
        }
        Ok(self)
    }

    /// The PIN; whoever copies it answers for the copy.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Forbids core files and the reading of this process's memory by others of the same user.
///
/// # Errors
///
/// As the system calls.
pub fn harden_process() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(Pin: std::fmt::Debug, Clone);

    #[test]
    fn a_newline_at_the_end_of_a_pin_file_does_not_count() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("pin");
        std::fs::write(&path, "12 34\n").expect("written");
        assert_eq!(Pin::read_file(&path).expect("a PIN").as_bytes(), b"12 34");
    }

    #[test]
    fn a_pin_that_is_empty_or_endless_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("pin");
        for content in [Vec::new(), b"\n".to_vec(), vec![b'1'; MAX_PIN + 2], vec![b'1'; 10_000]] {
            std::fs::write(&path, content).expect("written");
            assert!(matches!(Pin::read_file(&path), Err(PinError::Length)));
        }
    }
}
