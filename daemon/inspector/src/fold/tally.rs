//! What is counted of a PSD, and of the appliance: bounded, by day and hour of UTC.

use psd::device::Spoiled;
use psd::record::{Applied, Event, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days that are kept of a PSD, counted among those on which something happened.
pub const MOST_DAYS: usize = 120;
/// Hours that are kept of it.
pub const MOST_HOURS: usize = 192;
/// Refunds that are kept of it.
pub const MOST_REFUNDS: usize = 1_024;

const HOUR_MS: u64 = 3_600_000;

/// What happened on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Day {
    pub(crate) first_leaf: u64,
    pub(crate) last_leaf: u64,
    pub(crate) pieces: u64,
    /// For people: no PSD's registers hold as much as would not fit, and whoever makes a fleet claim it is told the largest number.
    pub(crate) postage_mills: u64,
    /// The largest error bound of the clock, with its leaf.
    pub(crate) error_ms: u32,
    pub(crate) error_leaf: u64,
}

/// A movement of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Movement {
    pub(crate) leaf: u64,
    pub(crate) time_ms: u64,
    pub(crate) mills: u64,
    /// Number of the download, or leaf of the mark that was refunded.
    pub(crate) of: u64,
}

/// The counts of a PSD or, without movements of value, of the appliance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// By day since 1970.
    pub(crate) days: BTreeMap<u64, Day>,
    /// Pieces by hour since 1970.
    pub(crate) hours: BTreeMap<u64, u64>,
    pub(crate) last_leaf: u64,
    pub(crate) last_time_ms: u64,
    pub(crate) last_download: Option<Movement>,
    pub(crate) downloads: u64,
    pub(crate) refunded: u64,
    pub(crate) refunded_mills: u64,
    /// The newest.
    pub(crate) refunds: Vec<Movement>,
}

impl Tally {
    pub(crate) fn note(&mut self, leaf: u64, record: &Record) {
        let time_ms = record.at.time.0;
        let hour = time_ms / HOUR_MS;
        let day = self.days.entry(hour / 24).or_insert(Day { first_leaf: leaf, ..Day::default() });
        day.last_leaf = leaf;
        if record.at.error_ms >= day.error_ms {
            (day.error_ms, day.error_leaf) = (record.at.error_ms, leaf);
        }
        (self.last_leaf, self.last_time_ms) = (leaf, time_ms);
        match &record.event {
            Event::ValueApplied { amount, value_sequence, applied: Applied::Download { .. }, .. } => {
                self.downloads += 1;
                self.last_download = Some(Movement { leaf, time_ms, mills: amount.mills(), of: *value_sequence });
            }
            Event::ValueApplied { amount, applied: Applied::Refund(Spoiled { leaf: mark, .. }), .. } => {
                self.refunded += 1;
                self.refunded_mills = self.refunded_mills.saturating_add(amount.mills());
                self.refunds.push(Movement { leaf, time_ms, mills: amount.mills(), of: *mark });
            }
            event => {
                if let Some(debit) = event.debit() {
                    day.pieces += 1;
                    day.postage_mills = day.postage_mills.saturating_add(debit.amount.mills());
                    *self.hours.entry(hour).or_default() += 1;
                }
            }
        }
        self.prune();
    }

    fn prune(&mut self) {
        while self.days.len() > MOST_DAYS {
            self.days.pop_first();
        }
        while self.hours.len() > MOST_HOURS {
            self.hours.pop_first();
        }
        if self.refunds.len() > 2 * MOST_REFUNDS {
            self.refunds.drain(..MOST_REFUNDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::clock::{ClockReading, ClockSource};
    use psd::record::Stamp;
    use psd::{PostageAmount, Registers, UnixMillis};
    use std::sync::Arc;

    #[test]
    fn what_is_kept_is_bounded_and_the_newest() {
        let mut tally = Tally::default();
        let stamp = Stamp { psd: "PS010000001".parse().unwrap(), sequence: 1, registers: Registers::default() };
        let applied = |leaf| Event::ValueApplied {
            stamp,
            tenant: "acme".parse().unwrap(),
            value_sequence: leaf,
            amount: PostageAmount::from_mills(1).unwrap(),
            authorisation: Arc::from([]),
            applied: Applied::Refund(Spoiled { leaf, ascending: PostageAmount::from_mills(leaf).unwrap() }),
        };
        for leaf in 0..5_000 {
            let time = UnixMillis(leaf * 24 * HOUR_MS);
            let at = ClockReading { time, source: ClockSource::Host, error_ms: 1, epoch: 1 };
            tally.note(leaf, &Record { at, event: applied(leaf) });
        }
        assert_eq!(tally.days.len(), MOST_DAYS);
        assert_eq!(tally.days.last_key_value().map(|(day, _)| *day), Some(4_999));
        assert!(tally.refunds.len() >= MOST_REFUNDS && tally.refunds.len() <= 2 * MOST_REFUNDS);
        assert_eq!(tally.refunds.last().map(|refund| refund.leaf), Some(4_999));
        assert_eq!((tally.refunded, tally.refunded_mills), (5_000, 5_000));
    }
}
