//! Keys that are not as the profile demands are reported and never used.

use crate::rig::{PIN, Rig, sig_structure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::Form;
use psdd_hsm::role::Role;

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
