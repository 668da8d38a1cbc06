//! Scales and rate tables as they are shown, against their records.

use super::Evidence;
use super::tables::Cells;
use super::verify::{ReportError, record};
use crate::certifying::{RatesView, ScaleView};
use psd::UnixMillis;
use psd::record::Event;
use std::collections::BTreeMap;

/// Every scale and every table is what a record in the file says. What was certified by them, and whether later records changed them, the file cannot prove.
pub(super) fn certifying(evidence: &Evidence, records: &BTreeMap<u64, &[u8]>) -> Result<(), ReportError> {
    let (view, now) = (&evidence.view, UnixMillis(evidence.view.inspected_ms));
    for shown in &view.scales {
        let given = record(records, shown.leaf)?.and_then(|record| match record.event {
            Event::ScaleRegistered(scale) => Some(ScaleView {
                certifications: shown.certifications,
                weight_mg: shown.weight_mg,
                last_reading_ms: shown.last_reading_ms,
                ..ScaleView::of(&scale, shown.leaf, &evidence.rules, now)
            }),
            _ => None,
        });
        Cells(&shown.scale).same("the scale", &Some(shown.clone()), &given)?;
    }
    for shown in &view.rates {
        let given = record(records, shown.leaf)?.and_then(|record| match record.event {
            Event::RatesTaken(table) => {
                Some(RatesView { pieces: shown.pieces, ..RatesView::of(&table, shown.leaf, &shown.state) })
            }
            _ => None,
        });
        Cells(&shown.name).same("the rate table", &Some(shown.clone()), &given)?;
    }
    Ok(())
}
