//! The newest signed checkpoint, and when the next is due.

use arc_swap::ArcSwapOption;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Notes remembered: clients with requests on their way give back one that was the newest a moment ago.
const REMEMBERED: usize = 16;

/// The newest signed checkpoint, read by every response.
#[derive(Default)]
pub struct Newest {
    published: ArcSwapOption<Published>,
    /// Its size, for those who wait for it.
    size: watch::Sender<u64>,
}

struct Published {
    size: u64,
    /// The newest first, never empty.
    notes: VecDeque<Arc<str>>,
}

impl Newest {
    /// One that begins with what the ledger holds.
    pub fn starting_with(checkpoint: Option<(u64, &str)>) -> Self {
        let newest = Self::default();
        if let Some((size, note)) = checkpoint {
            newest.publish(size, note);
        }
        newest
    }

    /// Publishes a checkpoint that is durable, as its leaves are.
    pub(super) fn publish(&self, size: u64, note: &str) {
        let before = self.published.load();
        let earlier = before.iter().flat_map(|published| published.notes.iter().take(REMEMBERED - 1).cloned());
        let notes = std::iter::once(note.into()).chain(earlier).collect();
        self.published.store(Some(Arc::new(Published { size, notes })));
        self.size.send_replace(size);
    }

    /// Waits until a checkpoint of at least this size is published; gives up after so long. Whether there is one.
    pub async fn reaches(&self, size: u64, patience: Duration) -> bool {
        let mut published = self.size.subscribe();
        let reached = published.wait_for(|published| *published >= size);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// The note.
    pub fn note(&self) -> Option<String> {
        Some(self.published.load().as_ref()?.notes.front()?.to_string())
    }

    /// Whether this note is, to the letter, one of the newest that were published.
    pub fn knows(&self, note: &str) -> bool {
        self.published.load().as_ref().is_some_and(|published| published.notes.iter().any(|known| **known == *note))
    }

    /// Size and root.
    pub fn head(&self) -> Option<(u64, [u8; 32])> {
        let newest = self.published.load();
        let Published { size, notes } = newest.as_deref()?;
        Some((*size, psdd_wire::checkpoint::root_in(notes.front()?)?))
    }

    /// The size it covers.
    pub fn size(&self) -> u64 {
        self.published.load().as_ref().map_or(0, |published| published.size)
    }
}

/// When to have the log signed (DESIGN.md §5: off the hot path, covering all commits since the last, within a bound).
pub(super) struct Pace {
    shortest: Duration,
    bound: Duration,
    /// Size asked to be signed, and when.
    asked: Option<(u64, Instant)>,
    signed_size: u64,
    /// Somebody waits for a checkpoint of this size.
    wanted: u64,
    last_asked: Option<Instant>,
    /// Since when there have been leaves without a signature.
    behind_since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(shortest: Duration, bound: Duration, signed_size: u64) -> Self {
        Self { shortest, bound, asked: None, signed_size, wanted: 0, last_asked: None, behind_since: None }
    }

    /// Receipts wait for a checkpoint of this size: it is asked for as soon as the one before is signed.
    pub(super) fn want(&mut self, size: u64) {
        self.wanted = self.wanted.max(size);
    }

    /// Whether a checkpoint over this size should be asked for now.
    pub(super) fn due(&mut self, size: u64, now: Instant) -> bool {
        if size <= self.signed_size {
            self.behind_since = None;
            return false;
        }
        self.behind_since.get_or_insert(now);
        let hurry = self.wanted > self.signed_size;
        self.asked.is_none() && self.last_asked.is_none_or(|at| hurry || now.duration_since(at) >= self.shortest)
    }

    pub(super) fn asked(&mut self, size: u64, now: Instant) {
        self.asked = Some((size, now));
        self.last_asked = Some(now);
    }

    pub(super) fn signed(&mut self, size: u64) {
        self.signed_size = self.signed_size.max(size);
        // What came after it waits since it was asked for.
        self.behind_since = self.asked.take().map(|(_, at)| at);
    }

    pub(super) fn failed(&mut self) {
        self.asked = None;
        // Whoever waits, waits for the pace from here on: a key that fails is not asked as fast as it can fail.
        self.wanted = 0;
    }

    /// Whether leaves have been without a signature for longer than the bound.
    pub(super) fn overdue(&self, now: Instant) -> bool {
        self.behind_since.is_some_and(|since| now.duration_since(since) > self.bound)
    }

    /// How long to wait for commits before looking again.
    pub(super) fn patience(&self) -> Duration {
        self.shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_known_to_the_letter_for_a_while() {
        let newest = Newest::default();
        assert!(!newest.knows(""));
        for size in 1..=20 {
            newest.publish(size, &format!("note {size}"));
        }
        assert_eq!((newest.size(), newest.note().as_deref()), (20, Some("note 20")));
        let known: Vec<u64> = (0..=21).filter(|size| newest.knows(&format!("note {size}"))).collect();
        assert_eq!(known, (5..=20).collect::<Vec<u64>>());
        assert!(!newest.knows("note 2"), "a part of a note is none");
    }

    #[test]
    fn who_waits_for_a_receipt_waits_for_no_pace() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(1), 5);
        pace.asked(6, at(0));
        pace.want(7);
        assert!(!pace.due(7, at(1)), "one at a time");
        pace.signed(6);
        assert!(pace.due(7, at(1)));
        pace.asked(8, at(1));
        pace.signed(8);
        assert!(!pace.due(9, at(2)), "nobody waits for it");
        pace.want(9);
        assert!(pace.due(9, at(2)));
        pace.asked(9, at(2));
        pace.failed();
        assert!(!pace.due(9, at(3)) && pace.due(9, at(102)), "a failure is not repeated in a hurry");
        pace.asked(9, at(102));
        pace.signed(9);
        assert!(!pace.due(9, at(500)));
    }

    #[tokio::test]
    async fn who_waits_for_a_checkpoint_is_told_when_it_is_there() {
        let newest = Newest::default();
        assert!(!newest.reaches(1, Duration::from_millis(1)).await);
        newest.publish(3, "note 3");
        assert!(newest.reaches(3, Duration::ZERO).await && !newest.reaches(4, Duration::from_millis(1)).await);
    }

    #[test]
    fn a_log_key_that_stays_away_is_overdue_after_the_bound() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(1), 5);
        assert!(!pace.due(5, at(0)), "nothing new");
        assert!(pace.due(6, at(0)));
        pace.asked(6, at(0));
        assert!(!pace.due(9, at(500)), "one at a time");
        pace.failed();
        assert!(pace.due(9, at(900)));
        pace.asked(9, at(900));
        assert!(!pace.overdue(at(1_000)));
        assert!(pace.overdue(at(1_001)));
        pace.signed(9);
        assert!(!pace.due(9, at(1_100)));
        assert!(!pace.overdue(at(5_000)), "nothing is behind");
    }
}
