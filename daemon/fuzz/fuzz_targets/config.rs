//! The configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| drop(hsm_profiles::parse_toml::<psdd::config::Config>("fuzz", text)));
