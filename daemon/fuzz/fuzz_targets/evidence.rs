//! What a reader of the log is given: receipts and names of tiles have one encoding, bundles are taken apart without a rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_wire::receipt::Receipt;
use psdd_wire::tlog::{TilePath, records_of};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.encode(), bytes);
        assert!(receipt.verify(bytes, bytes).is_err());
    }
    if let Ok(path) = std::str::from_utf8(bytes) {
        let segments: Vec<&str> = path.split('/').collect();
        if let Some(tile) = TilePath::parse(&segments) {
            assert_eq!(tile.to_string(), format!("/log/tile/{path}"));
        }
    }
    for width in [0, 1, 2, 256] {
        if let Some(records) = records_of(bytes, width) {
            assert_eq!(records.iter().map(|record| record.len() + 2).sum::<usize>(), bytes.len());
        }
    }
});
