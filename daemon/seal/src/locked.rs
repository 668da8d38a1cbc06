//! Secret bytes in a page of memory that is locked, and zeroised when it is dropped.
//!
//! Refuses Debug and Clone, and never moves its bytes, so that no copy is left behind in the heap.

use zeroize::Zeroize;

/// The most bytes one [`LockedBytes`] holds.
pub const LOCKED_CAPACITY: usize = 4096;

/// A page of its own, so that locking and unlocking it touches nothing else.
#[repr(align(4096))]
struct Page([u8; LOCKED_CAPACITY]);

/// Up to [`LOCKED_CAPACITY`] secret bytes.
pub struct LockedBytes {
    page: Box<Page>,
    length: usize,
    _locked: region::LockGuard,
}

/// Why bytes could not be held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The memory cannot be locked; a secret must not reach the swap.
    #[error("cannot lock memory for a secret (see RLIMIT_MEMLOCK)")]
    Lock(#[source] region::Error),
    /// They are more than [`LOCKED_CAPACITY`].
    #[error("{0} bytes are more than the {LOCKED_CAPACITY} that a locked page holds")]
    TooLong(usize),
}

impl LockedBytes {
    /// No bytes, with room for [`LOCKED_CAPACITY`].
    ///
    /// # Errors
    ///
    /// When the memory cannot be locked.
    pub fn empty() -> Result<Self, LockError> {
        let page = Box::new(Page([0; LOCKED_CAPACITY]));
        let locked = region::lock(page.0.as_ptr(), page.0.len()).map_err(LockError::Lock)?;
        Ok(Self { page, length: 0, _locked: locked })
    }

    /// A copy of these bytes; whoever has the original answers for it.
    ///
    /// # Errors
    ///
    /// When the memory cannot be locked, or the bytes are too many.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, LockError> {
        let mut locked = Self::empty()?;
        let room = locked.page.0.get_mut(..bytes.len()).ok_or(LockError::TooLong(bytes.len()))?;
        room.copy_from_slice(bytes);
        locked.length = bytes.len();
        Ok(locked)
    }

    /// The bytes; whoever copies them answers for the copy.
    pub fn as_bytes(&self) -> &[u8] {
        &self.page.0[..self.length]
    }

    /// The whole page, to be written into; [`LockedBytes::set_length`] then says how much of it counts.
    pub fn page_mut(&mut self) -> &mut [u8] {
        &mut self.page.0
    }

    /// Says how many bytes of the page count.
    ///
    /// # Panics
    ///
    /// When they are more than the page has.
    pub fn set_length(&mut self, length: usize) {
        assert!(length <= LOCKED_CAPACITY, "a page has {LOCKED_CAPACITY} bytes, not {length}");
        self.length = length;
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(LockedBytes: std::fmt::Debug, Clone);

    #[test]
    fn bytes_come_back_and_too_many_are_refused() {
        let locked = LockedBytes::copy_of(b"secret").expect("locked");
        assert_eq!(locked.as_bytes(), b"secret");
        let long = vec![0; LOCKED_CAPACITY + 1];
        assert!(matches!(LockedBytes::copy_of(&long), Err(LockError::TooLong(n)) if n == LOCKED_CAPACITY + 1));
    }

    #[test]
    fn the_page_is_locked_in_memory() {
        let before = locked_kib();
        let held: Vec<LockedBytes> = (0..64).map(|_| LockedBytes::empty().expect("locked")).collect();
        assert!(locked_kib() >= before + 128, "64 pages of 4 KiB are locked, but for what other tests let go");
        drop(held);
    }

    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("VmLck");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}
