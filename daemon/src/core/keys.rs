//! Idempotency keys: which are surely new, which are in flight, which were committed since the oldest look-up.
//!
//! Keys rise with time, so in an ordered set those of now are neighbours, in the cache as well.
//!
//! A request enters with a tag, the number of commits at that time. As long as it is in the core, every key committed after its
//! tag stays in `recent`, so that what a look-up could not yet see is never taken for new.

use super::ChunkId;
use psd::{PieceKey, TenantName};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// A tenant, by the order in which it was first met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct TenantIndex(pub(super) usize);

/// A key that is prepared and not yet durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) digest: [u8; 32],
    pub(super) chunk: ChunkId,
    pub(super) slot: usize,
}

/// What is known of a key without the disk.
#[derive(Debug)]
pub(super) enum KeyState {
    /// Not in flight, not recent.
    Unseen,
    /// Prepared.
    InFlight(InFlight),
    /// Committed after the oldest look-up began: the disk knows.
    Recent,
}

/// Prepared keys remembered, of all tenants together. Requests of one client overtake each other, so a key that is new is often
/// not the greatest; as long as those around it are remembered, the disk need not be asked. About 70 bytes each.
const REMEMBERED: usize = 32_768;

#[derive(Default)]
pub(super) struct KeyBook {
    tenants: HashMap<TenantName, TenantIndex>,
    names: Vec<TenantName>,
    /// Per tenant, the greatest key that was ever prepared and is not in `remembered`: of those above it, all are.
    horizon: Vec<Option<PieceKey>>,
    remembered: BTreeSet<(TenantIndex, PieceKey)>,
    /// The same keys, those first prepared first.
    remembered_order: VecDeque<(TenantIndex, PieceKey)>,
    in_flight: BTreeMap<(TenantIndex, PieceKey), InFlight>,
    recent: HashMap<(TenantIndex, PieceKey), u64>,
    recent_order: VecDeque<(u64, TenantIndex, PieceKey)>,
    tags: BTreeMap<u64, usize>,
    commits: u64,
}

impl KeyBook {
    pub(super) fn new(greatest: Vec<(TenantName, PieceKey)>) -> Self {
        let mut book = Self::default();
        for (tenant, key) in greatest {
            let index = book.tenant(&tenant);
            book.horizon[index.0] = Some(key);
        }
        book
    }

    pub(super) fn tenant(&mut self, name: &TenantName) -> TenantIndex {
        if let Some(index) = self.tenants.get(name) {
            return *index;
        }
        let index = TenantIndex(self.names.len());
        self.names.push(name.clone());
        self.horizon.push(None);
        self.tenants.insert(name.clone(), index);
        index
    }

    pub(super) fn name(&self, tenant: TenantIndex) -> &TenantName {
        &self.names[tenant.0]
    }

    /// Whether the disk must be asked about a key.
    pub(super) fn needs_look_up(&self, tenant: TenantIndex, key: &PieceKey) -> bool {
        self.horizon[tenant.0].is_some_and(|horizon| *key <= horizon) || self.remembered.contains(&(tenant, *key))
    }

    pub(super) fn state(&self, tenant: TenantIndex, key: &PieceKey) -> KeyState {
        match self.in_flight.get(&(tenant, *key)) {
            Some(found) => KeyState::InFlight(*found),
            None if !self.recent.is_empty() && self.recent.contains_key(&(tenant, *key)) => KeyState::Recent,
            None => KeyState::Unseen,
        }
    }

    pub(super) fn prepared(&mut self, tenant: TenantIndex, key: PieceKey, in_flight: InFlight) {
        self.remember(tenant, key);
        self.in_flight.insert((tenant, key), in_flight);
    }

    fn remember(&mut self, tenant: TenantIndex, key: PieceKey) {
        if !self.remembered.insert((tenant, key)) {
            return;
        }
        self.remembered_order.push_back((tenant, key));
        if self.remembered_order.len() > REMEMBERED
            && let Some((tenant, key)) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&(tenant, key));
            let horizon = &mut self.horizon[tenant.0];
            *horizon = (*horizon).max(Some(key));
        }
    }

    /// The key was prepared in vain. It stays remembered: that only ever costs a look-up.
    pub(super) fn dropped(&mut self, tenant: TenantIndex, key: &PieceKey) {
        self.in_flight.remove(&(tenant, *key));
    }

    /// Counts a commit; its keys are noted with [`KeyBook::committed`].
    pub(super) fn count_commit(&mut self) {
        self.commits += 1;
    }

    pub(super) fn committed(&mut self, tenant: TenantIndex, key: &PieceKey) {
        self.in_flight.remove(&(tenant, *key));
        if !self.tags.is_empty() {
            self.recent.insert((tenant, *key), self.commits);
            self.recent_order.push_back((self.commits, tenant, *key));
        }
    }

    /// A request enters; what is committed from now on is kept for it.
    pub(super) fn enter(&mut self) -> u64 {
        *self.tags.entry(self.commits).or_default() += 1;
        self.commits
    }

    /// A request leaves.
    pub(super) fn leave(&mut self, tag: u64) {
        if let Some(count) = self.tags.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                self.tags.remove(&tag);
            }
        }
        let oldest = self.tags.keys().next().copied().unwrap_or(u64::MAX);
        while self.recent_order.front().is_some_and(|(commit, ..)| *commit <= oldest) {
            if let Some((commit, tenant, key)) = self.recent_order.pop_front()
                && self.recent.get(&(tenant, key)) == Some(&commit)
            {
                self.recent.remove(&(tenant, key));
            }
        }
    }

    /// Keys in flight, keys kept for look-ups, requests with a tag.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        debug_assert_eq!(self.recent.len(), self.recent_order.len());
        (self.in_flight.len(), self.recent.len(), self.tags.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::shell::key;

    fn in_flight() -> InFlight {
        InFlight { digest: [0; 32], chunk: ChunkId(1), slot: 0 }
    }

    #[test]
    fn a_key_that_was_prepared_is_looked_up_for_ever_and_no_other_within_memory() {
        let name = |name: &str| name.parse::<TenantName>().unwrap();
        let mut book = KeyBook::new(vec![(name("old"), key(10))]);
        let (old, new) = (book.tenant(&name("old")), book.tenant(&name("new")));
        assert!(book.needs_look_up(old, &key(10)) && book.needs_look_up(old, &key(9)), "the disk knows up to here");
        assert!(!book.needs_look_up(old, &key(11)) && !book.needs_look_up(new, &key(9)));

        let most = u64::try_from(REMEMBERED).unwrap();
        let even = |n: u64| key(2 * n + 100);
        for n in 0..most {
            book.prepared(new, even(n), in_flight());
            book.committed(new, &even(n));
        }
        assert!((0..most).all(|n| book.needs_look_up(new, &even(n))), "prepared before");
        assert!((0..most).all(|n| !book.needs_look_up(new, &key(2 * n + 101))), "overtaken, and never prepared");

        // Those prepared first are forgotten, and with them what lies below.
        for n in most..most + 5 {
            book.prepared(new, even(n), in_flight());
        }
        assert!((0..most + 5).all(|n| book.needs_look_up(new, &even(n))), "no key that was prepared passes for new");
        assert!(book.needs_look_up(new, &key(2 * 4 + 99)), "below what was forgotten");
        assert!(!book.needs_look_up(new, &key(2 * 4 + 101)), "above it");
        assert_eq!(book.remembered.len(), REMEMBERED);
        assert!(!book.needs_look_up(old, &key(11)), "each tenant by itself");
    }
}
