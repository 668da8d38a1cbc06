//! The rows of `live` that a state has.

use crate::rows::LiveRow;
use psd::digest::StateFacts;

/// The rows for these facts, in their order.
pub(crate) fn live_rows(facts: &StateFacts) -> impl Iterator<Item = LiveRow> {
    // The order of device IDs is that of their texts, and that of no name comes first.
    let psds = facts.psds.iter().map(|(psd, facts)| (psd.to_string(), facts));
    [(String::new(), &facts.appliance)].into_iter().chain(psds).flat_map(|(name, facts)| {
        let row = move |(slot, leaf): (&String, &u64)| LiveRow { name: name.clone(), slot: slot.clone(), leaf: *leaf };
        facts.live.iter().map(row)
    })
}

/// Whether this is a row for these facts.
pub(crate) fn has_row(facts: &StateFacts, row: &LiveRow) -> bool {
    let facts = match row.name.parse() {
        Ok(psd) => facts.psds.get(&psd),
        Err(_) => row.name.is_empty().then_some(&facts.appliance),
    };
    facts.is_some_and(|facts| facts.live.get(&row.slot) == Some(&row.leaf))
}
