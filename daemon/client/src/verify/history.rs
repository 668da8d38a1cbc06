//! The memory of debits: registers move from record to record by the postage and by nothing else.
//!
//! Bounded: the newest debits of all PSDs together, and the last one of each.

use super::VerificationError;
use psd::{PieceKey, PostageAmount, PsdId, Registers};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Debits remembered, of all PSDs together.
const MOST_DEBITS: usize = 65_536;

/// One debit as told and verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Debit {
    pub(crate) psd: PsdId,
    pub(crate) sequence: u64,
    pub(crate) leaf: u64,
    pub(crate) key: PieceKey,
    pub(crate) postage: PostageAmount,
    pub(crate) registers: Registers,
}

/// What was told so far.
pub(crate) struct History {
    chains: HashMap<PsdId, Chain>,
    /// Keys rise with time, so in an ordered map those of now are neighbours, in the cache as well.
    sequence_of: BTreeMap<PieceKey, (PsdId, u64)>,
    /// All debits remembered, those told first first.
    order: VecDeque<(PsdId, u64)>,
}

/// Debits of one PSD.
struct Chain {
    /// Those remembered, by sequence: the next one nearly always belongs at the end.
    debits: VecDeque<Debit>,
    /// That of the greatest sequence, never forgotten.
    last: Debit,
}

impl Chain {
    /// Where a sequence stands or would stand.
    fn position(&self, sequence: u64) -> usize {
        match self.debits.back() {
            Some(back) if back.sequence >= sequence => self.debits.partition_point(|debit| debit.sequence < sequence),
            Some(_) | None => self.debits.len(),
        }
    }
}

impl History {
    pub(crate) fn new() -> Self {
        Self { chains: HashMap::new(), sequence_of: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Judges a debit against all that is remembered, then remembers it.
    pub(crate) fn judge(&mut self, debit: &Debit) -> Result<(), VerificationError> {
        let at = (debit.psd, debit.sequence);
        let chain = self.chains.get(&debit.psd);
        let position = chain.map_or(0, |chain| chain.position(debit.sequence));
        let told = chain.into_iter().flat_map(|chain| chain.debits.get(position).into_iter().chain([&chain.last]));
        if let Some(before) = told.into_iter().find(|told| told.sequence == debit.sequence) {
            if before.key != debit.key {
                let (psd, sequence) = at;
                return Err(VerificationError::Replayed { psd, sequence, before: before.key, now: debit.key });
            }
            return if before == debit { Ok(()) } else { Err(VerificationError::Changed { key: debit.key }) };
        }
        if self.sequence_of.get(&debit.key).is_some_and(|told| *told != at) {
            return Err(VerificationError::Changed { key: debit.key });
        }
        if let Some(Chain { debits, last }) = chain {
            let neighbours = [position.checked_sub(1).and_then(|before| debits.get(before)), debits.get(position)];
            for other in neighbours.into_iter().flatten().chain([last]) {
                if other.sequence < debit.sequence {
                    moved(other, debit)?;
                } else {
                    moved(debit, other)?;
                }
            }
        }
        self.remember(*debit, position);
        Ok(())
    }

    fn remember(&mut self, debit: Debit, position: usize) {
        let chain = self.chains.entry(debit.psd).or_insert_with(|| Chain { debits: VecDeque::new(), last: debit });
        chain.debits.insert(position, debit);
        if debit.sequence > chain.last.sequence {
            chain.last = debit;
        }
        self.order.push_back((debit.psd, debit.sequence));
        self.sequence_of.insert(debit.key, (debit.psd, debit.sequence));
        if self.order.len() > MOST_DEBITS
            && let Some((psd, sequence)) = self.order.pop_front()
            && let Some(chain) = self.chains.get_mut(&psd)
            && let Some(gone) = chain.debits.remove(chain.position(sequence))
        {
            self.sequence_of.remove(&gone.key);
        }
    }
}

/// Whether the registers can have moved from the earlier debit to the later one. Between neighbours exactly by the later one's
/// postage; where other records lie between, at least by it.
fn moved(earlier: &Debit, later: &Debit) -> Result<(), VerificationError> {
    let refused = |what| {
        let (psd, from, to) = (later.psd, earlier.sequence, later.sequence);
        Err(VerificationError::Movement { psd, from, to, what })
    };
    let (before, after) = (earlier.registers, later.registers);
    if later.leaf <= earlier.leaf {
        return refused("the index in the log does not rise with the sequence");
    }
    if later.sequence == earlier.sequence + 1 {
        return match before.debited(later.postage) {
            Ok(expected) if expected == after => Ok(()),
            Ok(_) | Err(_) => refused("they did not move by exactly the postage of the piece"),
        };
    }
    let Some(used) = after.ascending().checked_sub(before.ascending()) else {
        return refused("the ascending register fell");
    };
    if used < later.postage {
        return refused("the ascending register rose by less than the postage of the piece");
    }
    if after.control_total() < before.control_total() {
        return refused("the control total fell");
    }
    let records = later.sequence - earlier.sequence;
    match after.piece_count().checked_sub(before.piece_count()) {
        Some(pieces) if (1..=records).contains(&pieces) => Ok(()),
        Some(_) | None => refused("the piece count does not fit the number of records between"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::new_key;

    const PSD: &str = "PS010000001";

    fn mills(mills: u64) -> PostageAmount {
        PostageAmount::from_mills(mills).unwrap()
    }

    fn debit(sequence: u64, used: u64, pieces: u64, postage: u64) -> Debit {
        let registers = Registers::from_parts(mills(used), mills(100_000 - used), mills(100_000), pieces).unwrap();
        let key = new_key();
        Debit { psd: PSD.parse().unwrap(), sequence, leaf: sequence * 3, key, postage: mills(postage), registers }
    }

    fn judged(debits: &[Debit]) -> Result<(), VerificationError> {
        let mut history = History::new();
        debits.iter().try_for_each(|debit| history.judge(debit))
    }

    #[test]
    fn debits_that_follow_each_other_are_taken_in_any_order() {
        let debits =
            [debit(10, 730, 1, 730), debit(11, 1_460, 2, 730), debit(12, 1_461, 3, 1), debit(20, 5_000, 9, 100)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            judged(&order.map(|i| debits[i])).unwrap();
        }
        judged(&[debits[0], debits[1], debits[0], debits[1]]).unwrap();
    }

    #[test]
    fn each_wrong_movement_is_named() {
        let first = debit(10, 730, 1, 730);
        let mut early_leaf = debit(12, 5_000, 3, 730);
        early_leaf.leaf = 1;
        let loaded = Registers::from_parts(mills(5_000), mills(1), mills(5_001), 3).unwrap();
        let shrunk = Debit { registers: loaded, ..debit(12, 5_000, 3, 730) };
        let cases = [
            (debit(11, 1_461, 2, 730), "exactly the postage"),
            (debit(11, 1_460, 3, 730), "exactly the postage"),
            (debit(12, 729, 2, 1), "ascending register fell"),
            (debit(12, 740, 2, 11), "less than the postage"),
            (debit(12, 5_000, 4, 730), "piece count"),
            (debit(12, 5_000, 1, 730), "piece count"),
            (early_leaf, "index in the log"),
            (shrunk, "control total fell"),
        ];
        for (second, expected) in cases {
            for order in [[first, second], [second, first]] {
                let error = judged(&order).unwrap_err().to_string();
                assert!(error.contains(expected), "{error} instead of {expected}");
            }
        }
    }

    #[test]
    fn a_debit_belongs_to_one_piece() {
        let first = debit(10, 730, 1, 730);
        let replay = Debit { key: new_key(), ..first };
        assert!(matches!(judged(&[first, replay]), Err(VerificationError::Replayed { sequence: 10, .. })));
        let again = Debit { key: first.key, ..debit(11, 1_460, 2, 730) };
        assert!(matches!(judged(&[first, again]), Err(VerificationError::Changed { .. })));
        let other = Debit { leaf: 31, ..first };
        assert!(matches!(judged(&[first, other]), Err(VerificationError::Changed { .. })));
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::new();
        let bound = u64::try_from(MOST_DEBITS).unwrap();
        let registers = |n: u64| Registers::from_parts(mills(n), mills(0), mills(n), n).unwrap();
        for n in 1..=bound + 10 {
            let debit = Debit { registers: registers(n), ..debit(2 * n, 0, n, 1) };
            history.judge(&debit).unwrap();
        }
        assert_eq!(history.chains.values().map(|chain| chain.debits.len()).sum::<usize>(), MOST_DEBITS);
        assert_eq!(history.sequence_of.len(), MOST_DEBITS);

        // The last debit of a PSD can be told again long after it was forgotten.
        let quiet = Debit { psd: "PS010000002".parse().unwrap(), ..debit(1, 0, 1, 1) };
        history.judge(&quiet).unwrap();
        for n in bound + 11..=2 * bound + 20 {
            history.judge(&Debit { registers: registers(n), ..debit(2 * n, 0, n, 1) }).unwrap();
        }
        assert!(!history.sequence_of.contains_key(&quiet.key), "forgotten");
        history.judge(&quiet).unwrap();
    }
}
