//! The keys the worker signs with, by their CKA_ID: those of the token, and those that were adopted wrapped.
//!
//! Owns the table of keys, their floors, and the objects that sign for them. Refuses a CKA_ID that another key has.
//!
//! The first byte of CKA_ID is the number of the key's role. CKA_ID is what every token lets one search by and what
//! survives a change of label, so the role stands there; CKA_LABEL is for people.

use super::pool::refused;
use crate::protocol::{HsmFault, KeyEntry};
use cryptoki::object::ObjectHandle;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// The most wrapped keys one worker knows of; about 400 bytes each.
const MAX_ADOPTED: usize = 1_000_000;

/// A key.
pub struct Key {
    /// What psdd is told of it.
    pub entry: KeyEntry,
    /// Where it is kept.
    pub home: Home,
    /// The highest ascending register psdd said is committed.
    floor: AtomicU64,
    /// The object that signs.
    working: RwLock<Working>,
    /// Frames that are queued for it or being signed.
    queued: AtomicUsize,
    /// The number of its last use.
    last_use: AtomicU64,
    /// Why it must not be used, as it turned out later.
    conflict: Mutex<Option<HsmFault>>,
}

/// Where a key is kept.
pub enum Home {
    /// On the token: its private or secret object.
    Token(ObjectHandle),
    /// In psdd's ledger: this blob.
    Wrapped(Mutex<Arc<[u8]>>),
}

/// The object that signs for a key: itself, its session copy, or what was unwrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Working {
    /// There is none yet, or no longer.
    Absent,
    /// This one.
    Ready(ObjectHandle),
    /// There will be none any more.
    Destroyed,
}

impl Key {
    fn new(entry: KeyEntry, home: Home) -> Self {
        Self {
            entry,
            home,
            floor: AtomicU64::new(0),
            working: RwLock::new(Working::Absent),
            queued: AtomicUsize::new(0),
            last_use: AtomicU64::new(0),
            conflict: Mutex::new(None),
        }
    }

    /// The floor.
    pub fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Raises the floor to this, if it is not above it already, and gives it.
    pub fn raise_floor(&self, floor: u64) -> u64 {
        self.floor.fetch_max(floor, Ordering::AcqRel).max(floor)
    }

    /// The object that signs; it stays while this is held.
    pub fn working(&self) -> RwLockReadGuard<'_, Working> {
        self.working.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object that signs, to be made or destroyed; waits for the sessions that use it.
    pub fn working_mut(&self) -> RwLockWriteGuard<'_, Working> {
        self.working.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Key::working_mut`], but none when a session uses it.
    pub fn try_working_mut(&self) -> Option<RwLockWriteGuard<'_, Working>> {
        match self.working.try_write() {
            Ok(working) => Some(working),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Notes a use.
    pub fn used(&self, number: u64) {
        self.last_use.store(number, Ordering::Relaxed);
    }

    /// The number of its last use.
    pub fn last_use(&self) -> u64 {
        self.last_use.load(Ordering::Relaxed)
    }

    /// Why it must not be used, if it must not.
    pub fn problem(&self) -> Option<HsmFault> {
        if let Some(reason) = &self.entry.unusable {
            return Some(refused("key-unusable", reason.clone()));
        }
        self.conflict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A frame's hold on its key: while there is one, the key is not destroyed.
pub struct Hold(Arc<Key>);

impl Hold {
    /// The key.
    pub fn key(&self) -> &Arc<Key> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All keys the worker knows.
#[derive(Default)]
pub struct Keys {
    by_id: RwLock<HashMap<Vec<u8>, Arc<Key>>>,
}

impl Keys {
    /// The key of this CKA_ID.
    pub fn find(&self, key_id: &[u8]) -> Option<Arc<Key>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    /// The key of this CKA_ID, held for a frame.
    pub fn hold(&self, key_id: &[u8]) -> Option<Hold> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let key = by_id.get(key_id)?;
        // Under the lock that take() has for itself, so that no frame slips in behind it.
        key.queued.fetch_add(1, Ordering::AcqRel);
        Some(Hold(Arc::clone(key)))
    }

    /// Takes a key out, to be destroyed; none when it is not there.
    ///
    /// # Errors
    ///
    /// When a frame of it is queued; the key stays.
    pub fn take(&self, key_id: &[u8]) -> Result<Option<Arc<Key>>, HsmFault> {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let queued = by_id.get(key_id).map_or(0, |key| key.queued.load(Ordering::Acquire));
        if queued > 0 {
            let step = format!("{queued} frames of key {} are queued", hex(key_id));
            return Err(HsmFault { retryable: true, ..refused("key-busy", step) });
        }
        Ok(by_id.remove(key_id))
    }

    /// Puts back a key that could not be destroyed.
    pub fn put_back(&self, key: Arc<Key>) {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(key.entry.key_id.clone(), key);
    }

    /// Enters a key of the token.
    pub fn insert(&self, entry: KeyEntry, object: ObjectHandle) {
        let key_id = entry.key_id.clone();
        let key = Arc::new(Key::new(entry, Home::Token(object)));
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(key_id, key);
    }

    /// Enters a wrapped key. One that is known already gets this blob; one that is known as another key is refused from
    /// now on, because nobody can tell which of the two is meant.
    pub fn adopt(&self, entry: KeyEntry, blob: Vec<u8>) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        match by_id.get(&entry.key_id) {
            None if by_id.len() >= MAX_ADOPTED => {
                tracing::error!(key_id = %hex(&entry.key_id), "not adopted: {MAX_ADOPTED} keys are known already");
            }
            None => {
                let key_id = entry.key_id.clone();
                by_id.insert(key_id, Arc::new(Key::new(entry, Home::Wrapped(Mutex::new(blob.into())))));
            }
            Some(known) => match &known.home {
                Home::Wrapped(old) if known.entry == entry => {
                    *old.lock().unwrap_or_else(PoisonError::into_inner) = blob.into();
                }
                Home::Wrapped(_) | Home::Token(_) => {
                    let problem = "another key has its CKA_ID: resident in the token, or with another public half";
                    tracing::error!(key_id = %hex(&entry.key_id), "a wrapped key is not adopted: {problem}");
                    *known.conflict.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(refused("key-conflict", problem));
                }
            },
        }
    }

    /// What psdd is told of all keys of the token, by CKA_ID.
    pub fn entries(&self) -> Vec<KeyEntry> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let resident = by_id.values().filter(|key| matches!(key.home, Home::Token(_)));
        let mut entries: Vec<KeyEntry> = resident.map(|key| key.entry.clone()).collect();
        entries.sort_unstable_by(|a, b| a.key_id.cmp(&b.key_id));
        entries
    }
}

/// Lower-case hexadecimal, for the log.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    })
}
