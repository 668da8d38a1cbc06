//! Keys are made, found again, and sign what their role signs.

use crate::rig::{PATIENCE, Rig, checkpoint, indicium, sig_structure};
use psdd_hsm::link::{CallError, Generated};
use psdd_hsm::protocol::{FaultClass, Form, KEYS_PER_FRAME, TOKEN_MAC_DOMAIN};
use psdd_hsm::role::{Algorithm, Residence, Role};
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::request::{CertReqInfo, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

#[test]
fn init_token_makes_a_token_once() {
    let rig = Rig::new();
    let again = rig.init_token();
    assert!(!again.status.success());
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(message.contains("exists already") && message.contains(&rig.serial), "{message}");
}

#[test]
fn every_role_signs_its_form_with_and_without_copies() {
    for session_copy in [true, false] {
        let rig = Rig::new();
        rig.configure(Some(&rig.serial), &format!("session_copy = {session_copy}"));
        let _keeper = rig.keeper();
        let link = rig.link();
        let welcome = link.up();
        assert_eq!((welcome.token.label.as_str(), welcome.token.serial.as_str()), ("psdd-one", rig.serial.as_str()));
        assert_eq!((welcome.profile.validated.as_str(), welcome.profile.hardware), ("software", false));
        assert!(welcome.keys.is_empty());

        let rows = [
            (Role::Indicium, Algorithm::EcdsaP256, Form::Indicium, indicium(11)),
            (Role::Certification, Algorithm::EcdsaP256, Form::CoseSign1, sig_structure(b"certified")),
            (Role::Certification, Algorithm::EcdsaP384, Form::CoseSign1, sig_structure(b"certified")),
            (Role::TokenMac, Algorithm::HmacSha256, Form::TokenMac, [TOKEN_MAC_DOMAIN, b"piece"].concat()),
            (Role::Device, Algorithm::EcdsaP256, Form::CoseSign1, sig_structure(b"audit")),
            (Role::Log, Algorithm::Ed25519, Form::Checkpoint, checkpoint()),
            (Role::Log, Algorithm::EcdsaP256, Form::Checkpoint, checkpoint()),
        ];
        for (role, algorithm, form, message) in rows {
            let key = link.generate(role, algorithm, &format!("{algorithm:?}"));
            let messages: Vec<Vec<u8>> = match form {
                Form::Indicium => (11..200).map(indicium).collect(),
                _ => vec![message; 3],
            };
            let signatures = link.sign(&key.frame(form, 10, &messages)).expect("signed");
            assert_eq!(signatures.len(), messages.len() * algorithm.signature_len());
            for (message, signature) in messages.iter().zip(signatures.chunks(algorithm.signature_len())) {
                assert!(key.verifies(message, signature), "{role} {algorithm:?}");
            }
            assert_eq!(link.link.blocking().test_sign(&key.key_id, PATIENCE), Ok(()));
        }
    }
}

#[test]
fn keys_are_found_again_by_another_worker() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "kept");
    assert!(keeper.stop().success());

    let _keeper = rig.keeper();
    let found = link.up();
    assert_eq!(found.keys.len(), 1);
    assert_eq!((found.keys[0].key_id.as_slice(), &found.keys[0].spki), (&*key.key_id, &key.spki));
    assert_eq!((found.keys[0].role, &found.keys[0].unusable), (Role::Device, &None));
    let message = sig_structure(b"again");
    let signature = link.sign(&key.frame(Form::CoseSign1, 0, std::slice::from_ref(&message))).expect("signed");
    assert!(key.verifies(&message, &signature));
}

#[test]
fn more_keys_than_a_frame_holds_are_all_told() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let count = KEYS_PER_FRAME + 5;
    let mut made: Vec<Vec<u8>> = (0..count)
        .map(|n| link.generate(Role::Indicium, Algorithm::EcdsaP256, &format!("{n:04}")).key_id.to_vec())
        .collect();
    made.sort();
    drop(link);
    let told: Vec<Vec<u8>> = rig.link().up().keys.iter().map(|key| key.key_id.clone()).collect();
    assert_eq!(told, made);
}

#[test]
fn a_key_signs_a_certification_request_for_itself_only() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let own = link.generate(Role::Indicium, Algorithm::EcdsaP256, "own");
    let other = link.generate(Role::Device, Algorithm::EcdsaP256, "other");
    let request = |spki: &[u8]| {
        let info = CertReqInfo {
            version: Version::V1,
            subject: Name::default(),
            public_key: SubjectPublicKeyInfoOwned::from_der(spki).expect("SPKI"),
            attributes: Default::default(),
        };
        info.to_der().expect("DER")
    };
    let message = request(&own.spki);
    let frame = own.frame(Form::CertificationRequest, 0, std::slice::from_ref(&message));
    let signature = link.link.blocking().sign(&frame, PATIENCE).expect("signed").into_bytes();
    assert!(own.verifies(&message, &signature));
    let frame = own.frame(Form::CertificationRequest, 0, &[request(&other.spki)]);
    assert_eq!(link.sign(&frame), Err("form-mismatch".to_owned()));
}

#[test]
fn data_objects_are_written_in_place_and_read_back() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let calls = link.link.blocking();
    assert_eq!(calls.read_object("anchor", PATIENCE), Ok(None));
    for value in [b"one".as_slice(), &[7; 5000], b""] {
        calls.write_object("anchor", value, PATIENCE).expect("written");
        assert_eq!(calls.read_object("anchor", PATIENCE), Ok(Some(value.to_vec())));
    }
    calls.write_object("anchor", b"last", PATIENCE).expect("written");
    calls.write_object("fence", b"epoch", PATIENCE).expect("written");
    assert_eq!(calls.clock(PATIENCE), Ok(None), "SoftHSM2 has no clock");
    assert!(keeper.stop().success());

    let _keeper = rig.keeper();
    link.up();
    assert_eq!(calls.read_object("anchor", PATIENCE), Ok(Some(b"last".to_vec())));
    assert_eq!(calls.read_object("fence", PATIENCE), Ok(Some(b"epoch".to_vec())));
}

#[test]
fn a_key_is_never_made_over_another_or_with_another_role_s_id() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let calls = link.link.blocking();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "a");
    let code = |outcome: Result<Generated, CallError>| match outcome {
        Err(CallError::Failed(fault)) => {
            assert_eq!((fault.class, fault.retryable), (FaultClass::Refused, false));
            fault.code
        }
        other => panic!("{other:?}"),
    };
    let again = calls.generate(Role::Device, Algorithm::EcdsaP256, &key.key_id, "x", Residence::Resident, PATIENCE);
    assert_eq!(code(again), "key-exists");
    let wrong_id = calls.generate(Role::Log, Algorithm::Ed25519, &[4, 9], "x", Residence::Resident, PATIENCE);
    assert_eq!(code(wrong_id), "role-mismatch");
    let wrong_algorithm =
        calls.generate(Role::Indicium, Algorithm::Ed25519, &[1, 9], "x", Residence::Resident, PATIENCE);
    assert_eq!(code(wrong_algorithm), "algorithm-not-offered");
    let mac = calls.generate(Role::TokenMac, Algorithm::EcdsaP256, &[3, 9], "x", Residence::Resident, PATIENCE);
    assert_eq!(code(mac), "algorithm-not-offered");
}
