//! Rate tables: what is read as one prices every piece it says it prices.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_rates::{Piece, Table, Tariff, Weight, diff};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(table) = Table::parse(text) else { return };
    assert!(diff(&table, &table).is_empty());
    for (id, class) in table.classes() {
        for limit in class.ladder.limits() {
            let Ok(weight) = Weight::from_milligrams(limit.picograms() / 1_000_000_000) else { continue };
            drop(table.quote(&Piece::of(weight), &Tariff::full(id)));
        }
    }
});
