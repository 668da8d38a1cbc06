//! Which wrapped keys are unwrapped: a bounded number, the least recently used of which leave.
//!
//! Owns the list of them. Refuses to take a key from a session that signs with it. Nothing here is on the way of a
//! frame but one counter: a key that is unwrapped is found in the key itself.

use super::fault::Fault;
use super::keys::{Key, Working};
use cryptoki::object::ObjectHandle;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a cache holds.
pub trait Unwrapped {
    /// What is destroyed when it leaves.
    type Object;

    /// The number of its last use.
    fn last_use(&self) -> u64;

    /// Gives what it signs with, if there is any, and has it no more; none at all when a session signs with it.
    fn let_go(&self) -> Option<Option<Self::Object>>;
}

impl Unwrapped for Key {
    type Object = ObjectHandle;

    fn last_use(&self) -> u64 {
        Key::last_use(self)
    }

    fn let_go(&self) -> Option<Option<ObjectHandle>> {
        let mut working = self.try_working_mut()?;
        match *working {
            Working::Ready(handle) => {
                *working = Working::Absent;
                Some(Some(handle))
            }
            Working::Absent | Working::Destroyed => Some(None),
        }
    }
}

/// The unwrapped keys.
pub struct Cache<K = Key> {
    capacity: usize,
    uses: AtomicU64,
    unwrapped: Mutex<Vec<Arc<K>>>,
}

impl<K: Unwrapped> Cache<K> {
    /// Room for so many keys, and for those that sessions sign with when there is no room.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), uses: AtomicU64::new(1), unwrapped: Mutex::new(Vec::new()) }
    }

    /// The number of the next use of a key.
    pub fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes room for one more: when there is none, a sixteenth of all leave, so that the choice of whom costs little for
    /// each.
    ///
    /// # Errors
    ///
    /// As `destroy`; nobody leaves after that.
    pub fn make_room(&self, destroy: impl Fn(K::Object) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut unwrapped = self.lock();
        if unwrapped.len() < self.capacity {
            return Ok(());
        }
        let leaving = unwrapped.len() - self.capacity + (self.capacity / 16).max(1);
        unwrapped.sort_by_cached_key(|key| std::cmp::Reverse(key.last_use()));
        let mut kept = Vec::new();
        let mut outcome = Ok(());
        for _ in 0..leaving {
            let Some(key) = unwrapped.pop() else { break };
            match key.let_go() {
                Some(object) => outcome = object.map_or(Ok(()), &destroy),
                // A session signs with it.
                None => kept.push(key),
            }
            if outcome.is_err() {
                break;
            }
        }
        unwrapped.append(&mut kept);
        outcome
    }

    /// Enters a key that was unwrapped.
    pub fn enter(&self, key: &Arc<K>) {
        self.lock().push(Arc::clone(key));
    }

    /// Takes a key out that is destroyed.
    pub fn leave(&self, key: &Arc<K>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, key));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<K>>> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsm_profiles::ErrorClass;
    use std::cell::RefCell;
    use std::sync::atomic::AtomicBool;

    struct Fake {
        last_use: u64,
        busy: AtomicBool,
    }

    impl Unwrapped for Fake {
        type Object = u64;

        fn last_use(&self) -> u64 {
            self.last_use
        }

        fn let_go(&self) -> Option<Option<u64>> {
            (!self.busy.load(Ordering::Relaxed)).then_some(Some(self.last_use))
        }
    }

    fn fake(last_use: u64) -> Arc<Fake> {
        Arc::new(Fake { last_use, busy: AtomicBool::new(false) })
    }

    fn full(capacity: usize, uses: impl IntoIterator<Item = u64>) -> Cache<Fake> {
        let cache = Cache::new(capacity);
        uses.into_iter().for_each(|last_use| cache.enter(&fake(last_use)));
        cache
    }

    #[test]
    fn there_are_never_more_than_its_capacity_and_the_least_recently_used_leave_first() {
        for capacity in [1, 2, 16, 100] {
            let cache = full(capacity, []);
            let left = RefCell::new(vec![]);
            let destroy = |object| {
                left.borrow_mut().push(object);
                Ok(())
            };
            for last_use in 0..1000 {
                cache.make_room(destroy).expect("room");
                cache.enter(&fake(last_use));
                assert!(cache.lock().len() <= capacity);
            }
            let mut left = left.into_inner();
            let gone = u64::try_from(left.len()).expect("few");
            left.sort_unstable();
            assert_eq!(left, (0..gone).collect::<Vec<_>>(), "those used last are there");
        }
    }

    #[test]
    fn a_key_that_signs_stays_and_leaves_later() {
        let cache = full(2, [7]);
        let busy = fake(3);
        busy.busy.store(true, Ordering::Relaxed);
        cache.enter(&busy);
        cache.make_room(|object| panic!("{object} was to stay")).expect("room");
        assert_eq!(cache.lock().len(), 2, "the one that could have left is not the least recently used");
        cache.enter(&fake(9));
        busy.busy.store(false, Ordering::Relaxed);
        let left = RefCell::new(vec![]);
        let destroy = |object| {
            left.borrow_mut().push(object);
            Ok(())
        };
        cache.make_room(destroy).expect("room");
        assert_eq!(left.into_inner(), [3, 7], "and there is room for one again");
    }

    #[test]
    fn a_key_that_cannot_be_destroyed_ends_it() {
        let cache = full(2, [1, 2]);
        let fault = Fault {
            class: ErrorClass::Module,
            code: "CKR_GENERAL_ERROR".to_owned(),
            step: "C_DestroyObject".to_owned(),
            retryable: true,
        };
        assert_eq!(cache.make_room(|_| Err(fault.clone())), Err(fault.clone()));
        assert_eq!(cache.lock().len(), 1);
    }
}
