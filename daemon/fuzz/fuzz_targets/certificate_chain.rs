//! Certificate chains: the bytes are cut in three by their first two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_wire::certificate::{AuthorityRoot, verify_chain, verify_end_entity};

fuzz_target!(|bytes: &[u8]| {
    let [first, second, rest @ ..] = bytes else { return };
    let (root, rest) = rest.split_at(usize::from(*first).saturating_mul(8).min(rest.len()));
    let (leaf, issuer) = rest.split_at(usize::from(*second).saturating_mul(8).min(rest.len()));
    let at = psd::UnixMillis(1_795_176_000_000);
    drop(AuthorityRoot::from_der(root));
    drop(verify_chain(&[leaf], root, at));
    drop(verify_chain(&[leaf, issuer], root, at));
    drop(verify_end_entity(&[leaf, issuer], root, at));
});
