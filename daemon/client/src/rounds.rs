//! Requests of many items: one after the other, and what may pass later once more.

use crate::error::InputError;
use crate::item::Outcome;
use crate::retry::Retries;
use psd::PieceKey;
use psdd_wire::MOST_ITEMS;
use psdd_wire::problem::Problem;
use std::collections::HashMap;
use std::slice::Chunks;

/// The items of each request.
pub(crate) fn parts<T>(
    items: &[T],
    key: impl Fn(&T) -> PieceKey,
    all_or_none: bool,
) -> Result<Chunks<'_, T>, InputError> {
    if all_or_none && items.len() > MOST_ITEMS {
        return Err(InputError::TooManyForAllOrNone { items: items.len() });
    }
    keys_differ(items.iter().map(key))?;
    Ok(items.chunks(MOST_ITEMS))
}

/// One request, and its repetitions: items with a retryable refusal are asked for again, alone or all together.
pub(crate) struct Rounds<'i, T, P> {
    items: &'i [T],
    all_or_none: bool,
    outcomes: Vec<Option<Outcome<P>>>,
    open: Vec<usize>,
    retries: Retries,
}

impl<'i, T, P: Clone> Rounds<'i, T, P> {
    pub(crate) fn of(items: &'i [T], all_or_none: bool, most_retries: u32) -> Self {
        let (outcomes, open) = (vec![None; items.len()], (0..items.len()).collect());
        Self { items, all_or_none, outcomes, open, retries: Retries::new(most_retries) }
    }

    /// What to ask for now.
    pub(crate) fn asked(&self) -> Vec<&'i T> {
        self.open.iter().map(|index| &self.items[*index]).collect()
    }

    /// Takes the outcomes of what was asked for. Waits, where another round is worth it; otherwise gives all outcomes, in the order of the items.
    pub(crate) async fn told(&mut self, told: Vec<Outcome<P>>) -> Option<Vec<Outcome<P>>> {
        let (again, hint_ms) = to_repeat(&told, self.all_or_none);
        for (index, outcome) in self.open.iter().zip(told) {
            self.outcomes[*index] = Some(outcome);
        }
        self.open = again.into_iter().map(|position| self.open[position]).collect();
        let pause = if self.open.is_empty() { None } else { self.retries.next_pause(hint_ms) };
        let Some(pause) = pause else { return Some(self.outcomes.drain(..).flatten().collect()) };
        tracing::debug!(items = self.open.len(), ?pause, "items to repeat");
        tokio::time::sleep(pause).await;
        None
    }
}

/// Positions of what is worth repeating: the items with passing problems, or all of them where they stand and fall together; and after how
/// many milliseconds at the earliest, where that was told.
fn to_repeat<P>(told: &[Outcome<P>], all_or_none: bool) -> (Vec<usize>, Option<u64>) {
    let hint_ms = told.iter().filter_map(passing).filter_map(|problem| problem.facts.retry_after_ms).max();
    let passing: Vec<usize> = (0..told.len()).filter(|index| passing(&told[*index]).is_some()).collect();
    let again = if all_or_none && !passing.is_empty() { (0..told.len()).collect() } else { passing };
    (again, hint_ms)
}

fn passing<P>(outcome: &Outcome<P>) -> Option<&Problem> {
    match outcome {
        Outcome::Refused(problem) if problem.facts.retry => Some(problem),
        Outcome::Refused(_) | Outcome::Signed(_) => None,
    }
}

fn keys_differ(keys: impl ExactSizeIterator<Item = PieceKey>) -> Result<(), InputError> {
    let mut seen = HashMap::with_capacity(keys.len());
    for (second, key) in keys.enumerate() {
        if let Some(first) = seen.insert(key, second) {
            return Err(InputError::SameKey { first, second });
        }
    }
    Ok(())
}
