//! What may be used but once, idempotency keys and indicia that pay for certifications: which are surely new, which are in flight, which were
//! committed since the oldest look-up.
//!
//! Keys rise with time, and the indicia of a PSD with its ascending register, so in an ordered set those of now are neighbours, in the
//! cache as well.
//!
//! A request enters with a tag, the number of commits at that time. As long as it is in the core, all that was committed after its
//! tag stays in `recent`, so that what a look-up could not yet see is never taken for new.

use super::ChunkId;
use psd::certification::MarkId;
use psd::{PieceKey, PostageAmount, PsdId, TenantName};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

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

/// What is known without the disk of a key, or of an indicium.
#[derive(Debug)]
pub(super) enum Use<F> {
    /// Not in flight, not recent.
    Unseen,
    /// Prepared.
    InFlight(F),
    /// Committed after the oldest look-up began: the disk knows.
    Recent,
}

/// What is known of a key.
pub(super) type KeyState = Use<InFlight>;

/// Prepared keys remembered, of all tenants together. Requests of one client overtake each other, so a key that is new is often
/// not the greatest; as long as those around it are remembered, the disk need not be asked. About 70 bytes each.
const REMEMBERED: usize = 32_768;

/// Things of one kind that may be used but once, each `K` within its scope `S`.
struct Once<S, K, F> {
    /// Per scope, the greatest that was ever prepared and is not in `remembered`: of those above it, all are.
    horizon: BTreeMap<S, K>,
    remembered: BTreeSet<(S, K)>,
    /// The same, those first prepared first.
    remembered_order: VecDeque<(S, K)>,
    in_flight: BTreeMap<(S, K), F>,
    recent: HashMap<(S, K), u64>,
    recent_order: VecDeque<(u64, S, K)>,
}

impl<S, K, F> Default for Once<S, K, F> {
    fn default() -> Self {
        Self {
            horizon: BTreeMap::new(),
            remembered: BTreeSet::new(),
            remembered_order: VecDeque::new(),
            in_flight: BTreeMap::new(),
            recent: HashMap::new(),
            recent_order: VecDeque::new(),
        }
    }
}

impl<S: Copy + Ord + Hash, K: Copy + Ord + Hash, F: Copy> Once<S, K, F> {
    fn needs_look_up(&self, scope: S, key: K) -> bool {
        self.horizon.get(&scope).is_some_and(|horizon| key <= *horizon) || self.remembered.contains(&(scope, key))
    }

    fn state(&self, scope: S, key: K) -> Use<F> {
        match self.in_flight.get(&(scope, key)) {
            Some(found) => Use::InFlight(*found),
            None if !self.recent.is_empty() && self.recent.contains_key(&(scope, key)) => Use::Recent,
            None => Use::Unseen,
        }
    }

    fn prepared(&mut self, scope: S, key: K, in_flight: F) {
        self.remember(scope, key);
        self.in_flight.insert((scope, key), in_flight);
    }

    fn remember(&mut self, scope: S, key: K) {
        if !self.remembered.insert((scope, key)) {
            return;
        }
        self.remembered_order.push_back((scope, key));
        if self.remembered_order.len() > REMEMBERED
            && let Some((scope, key)) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&(scope, key));
            let horizon = self.horizon.entry(scope).or_insert(key);
            *horizon = (*horizon).max(key);
        }
    }

    fn dropped(&mut self, scope: S, key: K) {
        self.in_flight.remove(&(scope, key));
    }

    fn committed(&mut self, scope: S, key: K, in_commit: Option<u64>) {
        self.in_flight.remove(&(scope, key));
        if let Some(commit) = in_commit {
            self.recent.insert((scope, key), commit);
            self.recent_order.push_back((commit, scope, key));
        }
    }

    /// Forgets what was committed up to then.
    fn forget(&mut self, oldest: u64) {
        while self.recent_order.front().is_some_and(|(commit, ..)| *commit <= oldest) {
            if let Some((commit, scope, key)) = self.recent_order.pop_front()
                && self.recent.get(&(scope, key)) == Some(&commit)
            {
                self.recent.remove(&(scope, key));
            }
        }
    }
}

/// All of them, and who waits for the disk.
#[derive(Default)]
pub(super) struct KeyBook {
    tenants: HashMap<TenantName, TenantIndex>,
    names: Vec<TenantName>,
    pieces: Once<TenantIndex, PieceKey, InFlight>,
    marks: Once<PsdId, PostageAmount, ChunkId>,
    tags: BTreeMap<u64, usize>,
    commits: u64,
}

impl KeyBook {
    /// With the greatest key of each tenant and, of each PSD, the greatest of its indicia that paid for a certification.
    pub(super) fn new(greatest: Vec<(TenantName, PieceKey)>, marks: Vec<MarkId>) -> Self {
        let mut book = Self::default();
        for (tenant, key) in greatest {
            let index = book.tenant(&tenant);
            book.pieces.horizon.insert(index, key);
        }
        book.marks.horizon = marks.into_iter().map(|mark| (mark.psd, mark.ascending)).collect();
        book
    }

    pub(super) fn tenant(&mut self, name: &TenantName) -> TenantIndex {
        if let Some(index) = self.tenants.get(name) {
            return *index;
        }
        let index = TenantIndex(self.names.len());
        self.names.push(name.clone());
        self.tenants.insert(name.clone(), index);
        index
    }

    pub(super) fn name(&self, tenant: TenantIndex) -> &TenantName {
        &self.names[tenant.0]
    }

    /// Whether the disk must be asked about a key, or about the indicium that is to pay.
    pub(super) fn needs_look_up(&self, tenant: TenantIndex, key: &PieceKey, mark: Option<MarkId>) -> bool {
        self.pieces.needs_look_up(tenant, *key)
            || mark.is_some_and(|mark| self.marks.needs_look_up(mark.psd, mark.ascending))
    }

    pub(super) fn state(&self, tenant: TenantIndex, key: &PieceKey) -> KeyState {
        self.pieces.state(tenant, *key)
    }

    pub(super) fn mark_state(&self, mark: MarkId) -> Use<ChunkId> {
        self.marks.state(mark.psd, mark.ascending)
    }

    pub(super) fn prepared(&mut self, tenant: TenantIndex, key: PieceKey, mark: Option<MarkId>, in_flight: InFlight) {
        self.pieces.prepared(tenant, key, in_flight);
        if let Some(MarkId { psd, ascending }) = mark {
            self.marks.prepared(psd, ascending, in_flight.chunk);
        }
    }

    /// The postage of an indicium is being asked back: it pays for nothing as long as that is not durable. Afterwards the state of its PSD says so.
    pub(super) fn reserve(&mut self, mark: MarkId, on: ChunkId) {
        self.marks.in_flight.insert((mark.psd, mark.ascending), on);
    }

    /// Whatever became of it.
    pub(super) fn release(&mut self, mark: Option<MarkId>) {
        if let Some(MarkId { psd, ascending }) = mark {
            self.marks.dropped(psd, ascending);
        }
    }

    /// They were prepared in vain. They stay remembered: that only ever costs a look-up.
    pub(super) fn dropped(&mut self, tenant: TenantIndex, key: &PieceKey, mark: Option<MarkId>) {
        self.pieces.dropped(tenant, *key);
        if let Some(MarkId { psd, ascending }) = mark {
            self.marks.dropped(psd, ascending);
        }
    }

    /// Counts a commit; what was in it is noted with [`KeyBook::committed`].
    pub(super) fn count_commit(&mut self) {
        self.commits += 1;
    }

    pub(super) fn committed(&mut self, tenant: TenantIndex, key: &PieceKey, mark: Option<MarkId>) {
        let commit = (!self.tags.is_empty()).then_some(self.commits);
        self.pieces.committed(tenant, *key, commit);
        if let Some(MarkId { psd, ascending }) = mark {
            self.marks.committed(psd, ascending, commit);
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
        self.pieces.forget(oldest);
        self.marks.forget(oldest);
    }

    /// Keys in flight, keys kept for look-ups, requests with a tag.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        debug_assert_eq!(self.pieces.recent.len(), self.pieces.recent_order.len());
        debug_assert_eq!(self.marks.recent.len(), self.marks.recent_order.len());
        (
            self.pieces.in_flight.len() + self.marks.in_flight.len(),
            self.pieces.recent.len() + self.marks.recent.len(),
            self.tags.values().sum(),
        )
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
        let mut book = KeyBook::new(vec![(name("old"), key(10))], Vec::new());
        let (old, new) = (book.tenant(&name("old")), book.tenant(&name("new")));
        assert!(
            book.needs_look_up(old, &key(10), None) && book.needs_look_up(old, &key(9), None),
            "the disk knows up to here"
        );
        assert!(!book.needs_look_up(old, &key(11), None) && !book.needs_look_up(new, &key(9), None));

        let most = u64::try_from(REMEMBERED).unwrap();
        let even = |n: u64| key(2 * n + 100);
        for n in 0..most {
            book.prepared(new, even(n), None, in_flight());
            book.committed(new, &even(n), None);
        }
        assert!((0..most).all(|n| book.needs_look_up(new, &even(n), None)), "prepared before");
        assert!((0..most).all(|n| !book.needs_look_up(new, &key(2 * n + 101), None)), "overtaken, and never prepared");

        // Those prepared first are forgotten, and with them what lies below.
        for n in most..most + 5 {
            book.prepared(new, even(n), None, in_flight());
        }
        assert!(
            (0..most + 5).all(|n| book.needs_look_up(new, &even(n), None)),
            "no key that was prepared passes for new"
        );
        assert!(book.needs_look_up(new, &key(2 * 4 + 99), None), "below what was forgotten");
        assert!(!book.needs_look_up(new, &key(2 * 4 + 101), None), "above it");
        assert_eq!(book.pieces.remembered.len(), REMEMBERED);
        assert!(!book.needs_look_up(old, &key(11), None), "each tenant by itself");
    }
}
