//! Idempotency keys: which are surely new, which are in flight, which were committed since the oldest look-up.
//!
//! A request enters with a tag, the number of commits at that time. As long as it is in the core, every key committed after its
//! tag stays in `recent`, so that what a look-up could not yet see is never taken for new.

use super::ChunkId;
use psd::{PieceKey, TenantName};
use std::collections::{BTreeMap, HashMap, VecDeque};

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

#[derive(Default)]
pub(super) struct KeyBook {
    tenants: HashMap<TenantName, TenantIndex>,
    names: Vec<TenantName>,
    /// Greatest key prepared or committed, per tenant; a greater one is new.
    greatest: Vec<Option<PieceKey>>,
    in_flight: HashMap<(TenantIndex, PieceKey), InFlight>,
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
            book.greatest[index.0] = Some(key);
        }
        book
    }

    pub(super) fn tenant(&mut self, name: &TenantName) -> TenantIndex {
        if let Some(index) = self.tenants.get(name) {
            return *index;
        }
        let index = TenantIndex(self.names.len());
        self.names.push(name.clone());
        self.greatest.push(None);
        self.tenants.insert(name.clone(), index);
        index
    }

    pub(super) fn name(&self, tenant: TenantIndex) -> &TenantName {
        &self.names[tenant.0]
    }

    /// Whether the disk must be asked about a key.
    pub(super) fn needs_look_up(&self, tenant: TenantIndex, key: &PieceKey) -> bool {
        self.greatest[tenant.0].is_some_and(|greatest| *key <= greatest)
    }

    pub(super) fn state(&self, tenant: TenantIndex, key: &PieceKey) -> KeyState {
        match self.in_flight.get(&(tenant, *key)) {
            Some(found) => KeyState::InFlight(*found),
            None if !self.recent.is_empty() && self.recent.contains_key(&(tenant, *key)) => KeyState::Recent,
            None => KeyState::Unseen,
        }
    }

    pub(super) fn prepared(&mut self, tenant: TenantIndex, key: PieceKey, in_flight: InFlight) {
        let greatest = &mut self.greatest[tenant.0];
        *greatest = (*greatest).max(Some(key));
        self.in_flight.insert((tenant, key), in_flight);
    }

    /// The key was prepared in vain. `greatest` stays: it only ever costs a look-up.
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
