//! Indicia of every layout.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psd::indicium::{FORMATS, committed_ascending, decode, resembles_indicium};

fuzz_target!(|bytes: &[u8]| {
    for format in FORMATS {
        if let Ok(decoded) = format.decode(bytes) {
            let symbol = [format.join(&decoded.signed, &decoded.signature), decoded.special].concat();
            assert_eq!(symbol, bytes);
            let parts = format.parts(bytes).expect("what is decoded can be taken apart");
            assert_eq!(parts.iter().map(|part| part.length).sum::<usize>(), bytes.len());
        }
    }
    drop(decode(bytes));
    if committed_ascending(bytes).is_some() {
        assert!(resembles_indicium(bytes), "no key of another role signs what the worker takes for an indicium");
    }
});
