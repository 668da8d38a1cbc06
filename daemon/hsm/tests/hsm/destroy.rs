//! A key that was destroyed never signs again, and nothing of it is left.

use crate::foreign_keys::log_in;
use crate::rig::{PATIENCE, Rig, sig_structure};
use crate::wrapped::{message_of, rig_directory, signs};
use cryptoki::object::{Attribute, ObjectClass};
use psdd_hsm::link::{CallError, LinkEvent};
use psdd_hsm::protocol::{FaultClass, Form};
use psdd_hsm::role::{Algorithm, Role};

fn unknown() -> Result<(), String> {
    Err("unknown-key".to_owned())
}

#[test]
fn a_destroyed_key_never_signs_again_wherever_it_was() {
    for session_copy in [true, false] {
        let rig = Rig::new();
        rig.configure(Some(&rig.serial), &format!("session_copy = {session_copy}"));
        let keeper = rig.keeper();
        let link = rig.link();
        link.up();
        let calls = link.link.blocking();
        let kept = link.generate(Role::Device, Algorithm::EcdsaP256, "kept");
        let keys = [
            link.generate(Role::Device, Algorithm::EcdsaP256, "signed"),
            link.generate(Role::Device, Algorithm::EcdsaP256, "never used"),
            link.generate(Role::Certification, Algorithm::EcdsaP384, "longer"),
            link.generate(Role::TokenMac, Algorithm::HmacSha256, "secret"),
            link.generate_wrapped(Role::Indicium, Algorithm::EcdsaP256, "wrapped"),
            link.generate_wrapped(Role::Indicium, Algorithm::EcdsaP256, "wrapped, never used"),
            link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "wrapped secret"),
        ];
        for key in &keys {
            if !key.key_id.ends_with(b"never used") {
                assert_eq!(signs(&link, key), Ok(()));
            }
            assert_eq!(calls.destroy(&key.key_id, PATIENCE), Ok(()));
            assert_eq!(signs(&link, key), unknown());
            assert_eq!(calls.destroy(&key.key_id, PATIENCE), Ok(()), "done is done");
            assert_eq!(signs(&link, key), unknown());
            rig.token_has_none_of(key);
            assert_eq!(signs(&link, &kept), Ok(()));
        }
        keeper.kill_worker();
        assert_eq!(link.up().keys.len(), 1, "the kept key only");
        for key in &keys {
            assert_eq!(signs(&link, key), unknown(), "nor in another worker");
            assert_eq!(calls.destroy(&key.key_id, PATIENCE), Ok(()));
        }
        assert_eq!(signs(&link, &kept), Ok(()));
    }
}

#[test]
fn a_key_is_destroyed_by_a_worker_that_never_used_it() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let resident = link.generate(Role::Device, Algorithm::EcdsaP256, "resident");
    let wrapped = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "wrapped");
    keeper.kill_worker();
    link.up();
    for key in [resident, wrapped] {
        assert_eq!(link.link.blocking().destroy(&key.key_id, PATIENCE), Ok(()));
        assert_eq!(signs(&link, &key), unknown());
        rig.token_has_none_of(&key);
    }
}

#[test]
fn a_key_that_is_signing_is_busy() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let keys = [
        link.generate(Role::Device, Algorithm::EcdsaP256, "resident"),
        link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "wrapped"),
    ];
    for key in keys {
        let message = sig_structure(b"busy");
        let frame = key.frame(Form::CoseSign1, 0, &vec![message.clone(); 4000]);
        let sent = [link.link.sign(&frame).expect("taken"), link.link.sign(&frame).expect("taken")];
        match link.link.blocking().destroy(&key.key_id, PATIENCE) {
            Err(CallError::Failed(fault)) => {
                assert_eq!(fault.code, "key-busy");
                assert_eq!((fault.class, fault.retryable), (FaultClass::Refused, true));
            }
            other => panic!("{other:?}"),
        }
        for request in sent {
            let signatures = link.answer(request).expect("signed to the end");
            assert!(signatures.chunks(64).all(|signature| key.verifies(&message, signature)));
        }
        assert_eq!(link.link.blocking().destroy(&key.key_id, PATIENCE), Ok(()));
        assert_eq!(signs(&link, &key), unknown());
    }
    assert!(link.events.is_empty());
}

#[test]
fn a_key_may_be_made_again_under_the_name_of_one_destroyed() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let first = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    assert_eq!(link.link.blocking().destroy(&first.key_id, PATIENCE), Ok(()));
    let second = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "k");
    assert_eq!((&first.key_id, first.spki == second.spki), (&second.key_id, false));
    assert_eq!(signs(&link, &second), Ok(()));
}

/// Not a test: a data object with the CKA_ID of a key, as certificates have it; and a key of nobody's role.
#[test]
#[ignore = "run by only_keys_of_the_name_are_destroyed"]
fn count_or_make_bystander() {
    let Some(directory) = rig_directory() else { return };
    let (_pkcs11, session) = log_in();
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Label(b"bystander".to_vec()),
        Attribute::ObjectId(b"\x04k".to_vec()),
    ];
    if directory.join("made").exists() {
        assert_eq!(session.find_objects(&template).expect("found").len(), 1);
    } else {
        session.create_object(&template).expect("created");
        std::fs::write(directory.join("made"), "").expect("written");
    }
}

#[test]
fn only_keys_of_the_name_are_destroyed() {
    let rig = Rig::new();
    rig.helper("destroy::count_or_make_bystander");
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    let longer = link.generate(Role::Device, Algorithm::EcdsaP256, "kk");
    assert_eq!(link.link.blocking().destroy(&key.key_id, PATIENCE), Ok(()));
    assert_eq!(signs(&link, &longer), Ok(()));
    rig.helper("destroy::count_or_make_bystander");
    let code = |key_id: &[u8]| match link.link.blocking().destroy(key_id, PATIENCE) {
        Err(CallError::Failed(fault)) => fault.code,
        other => panic!("{other:?}"),
    };
    for nobodys in [b"\x00x".as_slice(), b"\x99x", b""] {
        assert_eq!(code(nobodys), "role-mismatch");
    }
    assert_eq!(link.link.blocking().destroy(b"\x04never made", PATIENCE), Ok(()));
}

#[test]
fn a_blob_that_outlives_its_key_is_the_ledger_s_to_erase() {
    // Who kept the blob and gives it to the link again has the key again: the token has forgotten that it was destroyed.
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate_wrapped(Role::Indicium, Algorithm::EcdsaP256, "k");
    assert_eq!(link.link.blocking().destroy(&key.key_id, PATIENCE), Ok(()));
    let (form, message) = message_of(key.role);
    let sent = link.link.sign(&key.frame(form, 0, &[message])).expect("taken");
    assert!(matches!(link.next(), LinkEvent::Failed { request, .. } if request == sent));
    link.link.adopt(key.adoption());
    assert_eq!(signs(&link, &key), Ok(()));
}
