//! Checkpoint notes: nothing verifies under a key that signed nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psd::key::Algorithm;
use psdd_wire::checkpoint::{Checkpoint, LogKey, root_in};

fuzz_target!(|note: &str| {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = LogKey { algorithm, spki: note.as_bytes().to_vec() };
        assert!(Checkpoint::verified(note, "psdd.log/fuzz", &key).is_err());
    }
    assert!(root_in(note).is_none_or(|root| root.len() == 32));
});
