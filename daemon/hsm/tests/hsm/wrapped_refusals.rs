//! Blobs that are not what they should be, and wrapping keys that are not there: each refused under its code, and nobody
//! else is disturbed.

use crate::foreign_keys::log_in;
use crate::rig::{PATIENCE, Rig, TestKey};
use crate::wrapped::{rig_directory, signs, wrapping_key};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use psdd_hsm::link::{CallError, Link};
use psdd_hsm::role::{Algorithm, Residence, Role};

fn refused(code: &str) -> Result<(), String> {
    Err(code.to_owned())
}

#[test]
fn a_blob_that_is_not_the_key_s_is_refused_and_disturbs_nobody() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let worker = keeper.worker();
    let victim = link.generate_wrapped(Role::Certification, Algorithm::EcdsaP256, "victim");
    let other = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "other");
    let longer = link.generate_wrapped(Role::Certification, Algorithm::EcdsaP384, "longer");
    let secret = link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "secret");
    let resident = link.generate(Role::Device, Algorithm::EcdsaP256, "resident");

    let flipped = |at: usize| {
        let mut blob = victim.wrapped.clone();
        blob[at] ^= 1;
        blob
    };
    let short = victim.wrapped[..victim.wrapped.len() - 8].to_vec();
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "wrapped-key-invalid"),
        ("a byte", vec![7], "wrapped-key-invalid"),
        ("zeros", vec![0; victim.wrapped.len()], "wrapped-key-invalid"),
        ("noise of an odd length", vec![0xa5; 77], "wrapped-key-invalid"),
        ("more than any key has", vec![0xa5; 100_000], "wrapped-key-invalid"),
        ("the first bit flipped", flipped(0), "wrapped-key-invalid"),
        ("a bit in the middle flipped", flipped(victim.wrapped.len() / 2), "wrapped-key-invalid"),
        ("the last bit flipped", flipped(victim.wrapped.len() - 1), "wrapped-key-invalid"),
        ("the end cut off", short, "wrapped-key-invalid"),
        ("another key of the curve", other.wrapped.clone(), "wrapped-key-mismatch"),
        ("a key of another curve", longer.wrapped.clone(), "wrapped-key-mismatch"),
        ("a secret", secret.wrapped.clone(), "wrapped-key-invalid"),
    ];
    for (what, blob, code) in rows {
        link.link.adopt(TestKey { wrapped: blob, ..victim.clone() }.adoption());
        for _ in 0..2 {
            assert_eq!(signs(&link, &victim), refused(code), "{what}");
        }
        for key in [&other, &longer, &secret, &resident] {
            assert_eq!(signs(&link, key), Ok(()), "{} after {what}", key.role);
        }
    }
    link.link.adopt(victim.adoption());
    assert_eq!(signs(&link, &victim), Ok(()), "with its own blob again");
    assert_eq!(keeper.worker(), worker, "the worker lives on");
}

#[test]
fn every_single_bit_of_a_blob_counts() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let worker = keeper.worker();
    let key = link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "k");
    for bit in 0..key.wrapped.len() * 8 {
        let mut blob = key.wrapped.clone();
        blob[bit / 8] ^= 1 << (bit % 8);
        link.link.adopt(TestKey { wrapped: blob, ..key.clone() }.adoption());
        assert_eq!(signs(&link, &key), refused("wrapped-key-invalid"), "bit {bit}");
    }
    assert_eq!(keeper.worker(), worker, "the worker lives on");
}

#[test]
fn a_secret_s_blob_for_another_secret_is_refused() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let one = link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "one");
    let two = link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "two");
    link.link.adopt(TestKey { wrapped: two.wrapped.clone(), ..one.clone() }.adoption());
    assert_eq!(signs(&link, &one), refused("wrapped-key-mismatch"));
    assert_eq!(signs(&link, &two), Ok(()));
}

#[test]
fn two_keys_of_one_name_do_not_sign() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let resident = link.generate(Role::Device, Algorithm::EcdsaP256, "resident");
    let wrapped = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "wrapped");
    assert_eq!(signs(&link, &wrapped), Ok(()));
    let other = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "other");
    for key in [&resident, &wrapped] {
        link.link.adopt(TestKey { key_id: key.key_id.clone(), ..other.clone() }.adoption());
        assert_eq!(signs(&link, key), refused("key-conflict"));
    }
    assert_eq!(signs(&link, &other), Ok(()));
}

/// Not a test.
#[test]
#[ignore = "run by other tests"]
fn destroy_wrapping_key() {
    if rig_directory().is_some() {
        let (_pkcs11, session) = log_in();
        session.destroy_object(wrapping_key(&session)).expect("destroyed");
    }
}

/// Not a test: a second wrapping key, one that decrypts.
#[test]
#[ignore = "run by other tests"]
fn make_loose_wrapping_key() {
    if rig_directory().is_some() {
        let (_pkcs11, session) = log_in();
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(b"psdd-wrapping".to_vec()),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Decrypt(true),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).expect("generated");
    }
}

fn generation(link: &Link, role: Role, algorithm: Algorithm) -> String {
    let key_id = [role.number(), 200];
    let made = link.blocking().generate(role, algorithm, &key_id, "refused", Residence::Wrapped, PATIENCE);
    match made {
        Err(CallError::Failed(fault)) => fault.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_its_wrapping_key_a_token_signs_with_resident_keys_only() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    let link = rig.link();
    assert_eq!(link.up().profile.wrapping_problem, None);
    let wrapped = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "wrapped");
    let resident = link.generate(Role::Device, Algorithm::EcdsaP256, "resident");
    assert!(keeper.stop().success());
    let restart = |code: &str| {
        let mut keeper = rig.keeper();
        let problem = link.up().profile.wrapping_problem.clone().expect("a problem");
        let worker = keeper.worker();
        assert_eq!(signs(&link, &wrapped), refused(code), "{problem}");
        assert_eq!(generation(&link.link, Role::Device, Algorithm::EcdsaP256), code);
        assert_eq!(signs(&link, &resident), Ok(()));
        assert_eq!(keeper.worker(), worker, "the worker lives on");
        assert!(keeper.stop().success());
    };

    rig.helper("wrapped_refusals::make_loose_wrapping_key");
    restart("wrapping-key-ambiguous");
    // Now both go.
    rig.helper("wrapped_refusals::destroy_all_wrapping_keys");
    restart("wrapping-key-missing");
    rig.helper("wrapped_refusals::make_loose_wrapping_key");
    restart("wrapping-key-unfit");
    rig.helper("wrapped_refusals::destroy_wrapping_key");
    rig.change_profile(|profile| {
        let (before, section) = profile.split_once("[wrapping]\n").expect("a section");
        let (_, after) = section.split_once("cached_keys = 40000\n").expect("its last field");
        [before, after].concat()
    });
    restart("wrapping-not-offered");
}

/// Not a test.
#[test]
#[ignore = "run by without_its_wrapping_key_a_token_signs_with_resident_keys_only"]
fn destroy_all_wrapping_keys() {
    if rig_directory().is_some() {
        let (_pkcs11, session) = log_in();
        for key in session.find_objects(&[Attribute::Label(b"psdd-wrapping".to_vec())]).expect("found") {
            session.destroy_object(key).expect("destroyed");
        }
    }
}

#[test]
fn a_key_that_the_family_cannot_wrap_is_not_made() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    assert_eq!(generation(&link.link, Role::Log, Algorithm::Ed25519), "algorithm-not-offered");
    assert_eq!(generation(&link.link, Role::Indicium, Algorithm::EcdsaP384), "algorithm-not-offered");
}

#[test]
fn a_wrapping_key_that_goes_while_the_worker_runs_is_not_blamed_on_the_blob() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let known = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "known");
    let late = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "late");
    assert_eq!(signs(&link, &known), Ok(()));
    rig.helper("wrapped_refusals::destroy_wrapping_key");
    let fault = signs(&link, &late).expect_err("no wrapping key");
    assert_ne!(fault, "wrapped-key-invalid");
    // A fresh worker looks for the wrapping key again, and says what is wrong.
    assert!(link.up().profile.wrapping_problem.is_some());
    assert_eq!(signs(&link, &late), refused("wrapping-key-missing"));
}
