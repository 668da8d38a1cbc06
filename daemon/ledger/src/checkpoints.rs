//! Which signed checkpoints stay in the ledger: the newest, and for every state digest the first that covers it.

/// What stands in the table `checkpoint`, as far as the next one needs it, and which one waits for the next commit.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    newest: u64,
    /// Whether the newest must stay when the next one comes.
    newest_stays: bool,
    /// Leaves of state digests that no stored checkpoint covers.
    uncovered: Vec<u64>,
    waiting: Option<(u64, String)>,
}

/// What to do to the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Size of a checkpoint no longer needed.
    pub(crate) delete: Option<u64>,
    /// Size and note of the new one.
    pub(crate) insert: (u64, String),
}

impl Checkpoints {
    /// After a start: which digests the older ones cover is not known, so the newest stays.
    pub(crate) fn resume(newest: u64, last_digest_leaf: Option<u64>) -> Self {
        let uncovered = last_digest_leaf.filter(|leaf| *leaf >= newest).into_iter().collect();
        Self { newest, newest_stays: newest > 0, uncovered, waiting: None }
    }

    /// Size of the newest, stored or waiting.
    pub(crate) fn size(&self) -> u64 {
        self.waiting.as_ref().map_or(self.newest, |(size, _)| *size)
    }

    /// Takes a checkpoint to be stored; one that is not newer than what is here has nothing to add.
    pub(crate) fn offer(&mut self, size: u64, note: String) {
        if size > self.size() {
            self.waiting = Some((size, note));
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// A state digest was written at this leaf.
    pub(crate) fn note_digest(&mut self, leaf: u64) {
        self.uncovered.push(leaf);
    }

    /// What storing the waiting checkpoint means.
    pub(crate) fn take(&mut self) -> Option<Change> {
        let (size, note) = self.waiting.take()?;
        let delete = (self.newest > 0 && !self.newest_stays).then_some(self.newest);
        let before = self.uncovered.len();
        self.uncovered.retain(|leaf| *leaf >= size);
        self.newest_stays = self.uncovered.len() < before;
        self.newest = size;
        Some(Change { delete, insert: (size, note) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// At every step: the newest is there, and so is the first ever stored that covers each digest.
        #[test]
        fn the_newest_and_the_first_over_each_digest_stay(steps in prop::collection::vec((1u64..5, any::<bool>(), any::<bool>()), 1..60)) {
            let mut checkpoints = Checkpoints::resume(0, None);
            let (mut stored, mut table, mut digests) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
            let mut size = 0;
            for (grow, digest, sign) in steps {
                // As in the journal: a checkpoint over what is durable is stored with the next commit.
                if sign && size > 0 {
                    checkpoints.offer(size, String::new());
                }
                size += grow;
                if digest {
                    checkpoints.note_digest(size - 1);
                    digests.push(size - 1);
                }
                if let Some(change) = checkpoints.take() {
                    if let Some(old) = change.delete {
                        prop_assert!(table.remove(&old));
                    }
                    prop_assert!(stored.insert(change.insert.0));
                    table.insert(change.insert.0);
                }
                let firsts = digests.iter().filter_map(|leaf| stored.range(leaf + 1..).next());
                let wanted: BTreeSet<u64> = firsts.chain(stored.last()).copied().collect();
                prop_assert_eq!(&table, &wanted);
            }
        }
    }

    #[test]
    fn an_older_checkpoint_adds_nothing() {
        let mut checkpoints = Checkpoints::resume(7, Some(6));
        checkpoints.offer(7, String::new());
        checkpoints.offer(3, String::new());
        assert_eq!(checkpoints.take(), None);
        checkpoints.offer(9, "n".to_owned());
        assert_eq!(checkpoints.size(), 9);
        assert_eq!(checkpoints.take(), Some(Change { delete: None, insert: (9, "n".to_owned()) }));
        checkpoints.offer(12, "n".to_owned());
        assert_eq!(checkpoints.take(), Some(Change { delete: Some(9), insert: (12, "n".to_owned()) }));
    }
}
