//! Keys that are not as the profile demands are reported and never used.

use crate::rig::{PATIENCE, PIN, Rig, TestKey, sig_structure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use psdd_hsm::link::{CallError, SignFrame};
use psdd_hsm::protocol::{Form, KEY_EXISTS};
use psdd_hsm::role::{Algorithm, Residence, Role};

pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Logs in to the only initialised token there is.
pub fn log_in() -> (Pkcs11, Session) {
    let pkcs11 = Pkcs11::new(MODULE).expect("module");
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("initialised");
    let slots = pkcs11.get_slots_with_initialized_token().expect("slots");
    let session = pkcs11.open_rw_session(slots[0]).expect("session");
    session.login(UserType::User, Some(&AuthPin::from(PIN))).expect("logged in");
    (pkcs11, session)
}

fn make(session: &Session, id: &[u8], extractable: bool, sensitive: bool) {
    let public = [
        Attribute::Token(true),
        Attribute::EcParams(P256.to_vec()),
        Attribute::Verify(true),
        Attribute::Id(id.to_vec()),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sign(true),
        Attribute::Sensitive(sensitive),
        Attribute::Extractable(extractable),
        Attribute::Modifiable(true),
        Attribute::Id(id.to_vec()),
    ];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).expect("generated");
}

/// Not a test: run in a process of its own, because only one may load the module at a time.
#[test]
#[ignore = "run by keys_that_depart_from_the_profile_are_unusable"]
fn make_foreign_keys() {
    if std::env::var_os("SOFTHSM2_CONF").is_none() {
        return;
    }
    let (_pkcs11, session) = log_in();
    make(&session, b"\x04good", false, true);
    make(&session, b"\x04extractable", true, true);
    make(&session, b"\x04plain", false, false);
    make(&session, b"\x04twice", false, true);
    make(&session, b"\x04twice", false, true);
    make(&session, b"\x03mac", false, true);
    make(&session, b"\x99nobody", false, true);
    // What a worker leaves that is killed in C_GenerateKeyPair.
    make(&session, b"\x04half", false, true);
    let half = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(b"\x04half".to_vec())];
    let half = session.find_objects(&half).expect("searched");
    session.destroy_object(half[0]).expect("destroyed");
}

#[test]
fn keys_that_depart_from_the_profile_are_unusable() {
    let rig = Rig::new();
    rig.helper("foreign_keys::make_foreign_keys");
    let _keeper = rig.keeper();
    let link = rig.link();
    let found = link.up();
    let rows: [(&[u8], Option<&str>); 5] = [
        (b"\x03mac", Some("not a key pair")),
        (b"\x04extractable", Some("Extractable(false)")),
        (b"\x04good", None),
        (b"\x04plain", Some("Sensitive(true)")),
        (b"\x04twice", Some("2 private keys have this CKA_ID")),
    ];
    assert_eq!(found.keys.len(), rows.len(), "keys of nobody's role are left alone");
    for (key, (key_id, reason)) in found.keys.iter().zip(rows) {
        assert_eq!(key.key_id, key_id);
        match (&key.unusable, reason) {
            (None, None) => {}
            (Some(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, expected) => panic!("{said:?}, not {expected:?}"),
        }
        let messages = [sig_structure(b"x").as_slice()].into_iter().collect();
        let frame = SignFrame { key_id: key_id.into(), role: Role::Device, form: Form::CoseSign1, floor: 0, messages };
        let outcome = link.sign(&frame).map(|signature| signature.len());
        assert_eq!(outcome, if reason.is_none() { Ok(64) } else { Err("key-unusable".to_owned()) });
    }
}

#[test]
fn a_key_that_came_after_the_sweep_is_never_made_again_and_is_found_when_asked_for() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    assert!(link.up().keys.is_empty());
    rig.helper("foreign_keys::make_foreign_keys");
    let calls = link.link.blocking();
    let again = calls.generate(Role::Device, Algorithm::EcdsaP256, b"\x04good", "x", Residence::Resident, PATIENCE);
    match again {
        Err(CallError::Failed(fault)) => assert_eq!(fault.code, KEY_EXISTS),
        other => panic!("{other:?}"),
    }
    let good = calls.find(b"\x04good", PATIENCE).expect("searched").expect("it is there");
    assert_eq!((good.entry.role, good.entry.algorithm), (Role::Device, Algorithm::EcdsaP256));
    assert_eq!((good.entry.unusable, good.label.as_str()), (None, ""));
    let key = TestKey {
        key_id: good.entry.key_id.as_slice().into(),
        role: Role::Device,
        algorithm: Algorithm::EcdsaP256,
        spki: good.entry.spki,
        wrapped: Vec::new(),
    };
    let message = sig_structure(b"found");
    let signature = link.sign(&key.frame(Form::CoseSign1, 0, std::slice::from_ref(&message))).expect("it signs");
    assert!(key.verifies(&message, &signature));
    for (key_id, reason) in [(&b"\x04extractable"[..], "Extractable(false)"), (b"\x04twice", "2 private keys")] {
        let found = calls.find(key_id, PATIENCE).expect("searched").expect("it is there");
        assert!(found.entry.unusable.is_some_and(|why| why.contains(reason)), "{reason}");
    }
    assert_eq!(calls.find(b"\x04none", PATIENCE), Ok(None));
    assert_eq!(calls.find(b"\x99nobody", PATIENCE), Ok(None), "keys of nobody's role are left alone");

    assert_eq!(calls.find(b"\x04half", PATIENCE), Ok(None), "a public half alone is no key");
    calls
        .generate(Role::Device, Algorithm::EcdsaP256, b"\x04half", "whole", Residence::Resident, PATIENCE)
        .expect("made");
    let whole = calls.find(b"\x04half", PATIENCE).expect("searched").expect("it is there");
    assert_eq!(whole.entry.unusable, None, "and does not spoil one that is made in its place");

    let made = link.generate(Role::Log, Algorithm::EcdsaP256, "labelled");
    let found = calls.find(&made.key_id, PATIENCE).expect("searched").expect("it is there");
    assert_eq!((found.entry.spki, found.label.as_str()), (made.spki, "log labelled"));
}
