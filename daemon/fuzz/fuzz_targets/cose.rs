//! COSE_Sign1: what is taken has one encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_wire::cose::Sign1;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Sign1::parse(bytes) {
        assert_eq!(message.clone().with_signature(&message.signature), bytes);
        assert!(message.verify(&message.content_type, bytes).is_err());
    }
});
