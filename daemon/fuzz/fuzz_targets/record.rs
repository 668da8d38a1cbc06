//! Records: what is decoded has exactly these bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psd::record::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
});
