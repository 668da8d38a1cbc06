//! Indicia of every layout.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psd::indicium::{FORMATS, committed_ascending};

fuzz_target!(|bytes: &[u8]| {
    for format in FORMATS {
        if let Ok(decoded) = format.decode(bytes) {
            let symbol = [format.join(&decoded.signed, &decoded.signature), decoded.special].concat();
            assert_eq!(symbol, bytes);
        }
    }
    drop(committed_ascending(bytes));
});
