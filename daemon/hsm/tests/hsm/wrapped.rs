//! Keys that are kept wrapped: made, adopted, unwrapped when they sign, and nowhere in the token otherwise.

use crate::foreign_keys::log_in;
use crate::rig::{PATIENCE, Rig, TestKey, TestLink, checkpoint, indicium, sig_structure};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use psd::PostageAmount;
use psd::digital_token::{AddressCode, DigitalToken, Lengths, Party, TokenData};
use psdd_hsm::link::LinkEvent;
use psdd_hsm::protocol::{Form, KEY_CHECK, TOKEN_MAC_DOMAIN};
use psdd_hsm::role::{Algorithm, Role};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One key of every kind that can be wrapped, and what it signs.
const KINDS: [(Role, Algorithm); 7] = [
    (Role::Indicium, Algorithm::EcdsaP256),
    (Role::Certification, Algorithm::EcdsaP256),
    (Role::Certification, Algorithm::EcdsaP384),
    (Role::TokenMac, Algorithm::HmacSha256),
    (Role::PostalMac, Algorithm::HmacSha256),
    (Role::Device, Algorithm::EcdsaP256),
    (Role::Log, Algorithm::EcdsaP256),
];

/// A message that a key of the role signs.
pub fn message_of(role: Role) -> (Form, Vec<u8>) {
    match role {
        Role::Indicium => (Form::Indicium, indicium(11)),
        Role::Certification => (Form::CoseSign1, sig_structure(b"certified")),
        Role::TokenMac => (Form::TokenMac, [TOKEN_MAC_DOMAIN, b"piece"].concat()),
        Role::PostalMac => (Form::TokenMac, token_data().message(Party::Postal)),
        Role::Device => (Form::CoseSign1, sig_structure(b"audit")),
        Role::Log => (Form::Checkpoint, checkpoint()),
    }
}

/// Of the piece that the vectors of digital tokens begin with.
fn token_data() -> TokenData {
    TokenData::new(
        ("PS010000000001".parse().expect("a PSD"), 7),
        PostageAmount::from_mills(730).expect("an amount"),
        "2026-11-20".parse().expect("a day"),
        "20500-0003".parse().expect("a destination"),
        AddressCode::of_address("1 Main St, Springfield").expect("an address"),
    )
    .expect("data")
}

/// Signs a message of the key's role and verifies what came.
pub fn signs(link: &TestLink, key: &TestKey) -> Result<(), String> {
    let (form, message) = message_of(key.role);
    let signature = link.sign(&key.frame(form, 0, std::slice::from_ref(&message)))?;
    assert_eq!(signature.len(), key.algorithm.signature_len());
    assert!(key.verifies(&message, &signature), "{} {}", key.role, key.algorithm);
    Ok(())
}

/// The directory of the rig that runs this process; none when nobody does.
pub fn rig_directory() -> Option<PathBuf> {
    PathBuf::from(std::env::var_os("SOFTHSM2_CONF")?).parent().map(PathBuf::from)
}

/// How many objects of the token, and of this process, have the CKA_ID in the file `key-id`.
fn objects_of(session: &Session) -> usize {
    let key_id = std::fs::read(rig_directory().expect("a rig").join("key-id")).expect("read");
    session.find_objects(&[Attribute::Id(key_id)]).expect("found").len()
}

/// The wrapping key.
pub fn wrapping_key(session: &Session) -> ObjectHandle {
    let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(b"psdd-wrapping".to_vec())];
    let found = session.find_objects(&wanted).expect("found");
    assert_eq!(found.len(), 1, "the wrapping key");
    found[0]
}

/// Not a test: fails when the token has any object of the CKA_ID.
#[test]
#[ignore = "run by other tests"]
fn token_has_none_of_the_key() {
    if rig_directory().is_some() {
        let (_pkcs11, session) = log_in();
        assert_eq!(objects_of(&session), 0);
    }
}

impl Rig {
    /// Fails when the token has any object of the key.
    pub fn token_has_none_of(&self, key: &TestKey) {
        std::fs::write(self.path("key-id"), &key.key_id).expect("written");
        self.helper("wrapped::token_has_none_of_the_key");
    }
}

#[test]
fn every_kind_of_key_signs_wrapped_and_is_no_object_of_the_token() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    let link = rig.link();
    let welcome = link.up();
    assert_eq!(welcome.profile.wrapping_problem, None);
    let keys = KINDS.map(|(role, algorithm)| link.generate_wrapped(role, algorithm, &algorithm.to_string()));
    for key in &keys {
        assert!(!key.wrapped.is_empty());
        assert_eq!(signs(&link, key), Ok(()));
        assert_eq!(link.link.blocking().test_sign(&key.key_id, PATIENCE), Ok(()));
        rig.token_has_none_of(key);
    }
    assert!(keeper.stop().success());

    let _keeper = rig.keeper();
    assert!(link.up().keys.is_empty(), "nothing was left in the token");
    for key in &keys {
        rig.token_has_none_of(key);
        assert_eq!(signs(&link, key), Ok(()), "after another start, without being adopted again");
    }
}

#[test]
fn a_wrapped_key_that_nobody_adopted_is_unknown() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "k");
    link.link.forget(&key.key_id);
    assert_eq!(signs(&link, &key), Err("unknown-key".to_owned()));
    link.link.adopt(key.adoption());
    assert_eq!(signs(&link, &key), Ok(()));
}

#[test]
fn after_a_worker_is_killed_its_wrapped_keys_sign_again_by_themselves() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    let mut incarnation = link.up().incarnation;
    let wrapped = link.generate_wrapped(Role::Indicium, Algorithm::EcdsaP256, "wrapped");
    let resident = link.generate(Role::Indicium, Algorithm::EcdsaP256, "resident");
    for _ in 0..3 {
        assert_eq!(signs(&link, &wrapped), Ok(()));
        keeper.kill_worker();
        let next = link.up();
        assert_ne!(next.incarnation, incarnation);
        incarnation = next.incarnation;
        assert_eq!(next.keys.len(), 1, "the resident key only");
        assert_eq!(signs(&link, &resident), Ok(()));
    }
    assert_eq!(signs(&link, &wrapped), Ok(()));
    rig.token_has_none_of(&wrapped);
}

#[test]
fn another_connection_tells_the_same_worker_again() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "k");
    assert_eq!(signs(&link, &key), Ok(()));
    drop(link);
    let link = rig.link();
    link.up();
    link.link.adopt(key.adoption());
    assert_eq!(signs(&link, &key), Ok(()));
}

#[test]
fn more_keys_than_the_cache_holds_all_sign() {
    let rig = Rig::new();
    rig.change_profile(|profile| profile.replace("cached_keys = 40000", "cached_keys = 2"));
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let keys: Vec<TestKey> =
        (0..5).map(|n| link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, &n.to_string())).collect();
    for _ in 0..3 {
        for key in &keys {
            assert_eq!(signs(&link, key), Ok(()));
        }
    }
    // All at once: sessions take keys from one another between one chunk and the next.
    let message = sig_structure(b"together");
    let mut sent = BTreeMap::new();
    for _ in 0..8 {
        for key in &keys {
            let frame = key.frame(Form::CoseSign1, 0, &vec![message.clone(); 32]);
            sent.insert(link.link.sign(&frame).expect("taken"), key);
        }
    }
    while !sent.is_empty() {
        match link.next() {
            LinkEvent::Signed { request, signatures } => {
                let key = sent.remove(&request).expect("asked for");
                assert_eq!(signatures.len(), 32);
                assert!(signatures.iter().all(|signature| key.verifies(&message, signature)));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Not a test: unwraps the blob as the worker does, and as the worker never would.
#[test]
#[ignore = "run by an_unwrapped_key_cannot_leave_the_token"]
fn unwrap_by_hand() {
    let Some(directory) = rig_directory() else { return };
    let blob = std::fs::read(directory.join("blob")).expect("read");
    let (_pkcs11, session) = log_in();
    let wrapping = wrapping_key(&session);
    let template = |extractable: bool| {
        vec![
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(!extractable),
            Attribute::Extractable(extractable),
            Attribute::Sign(true),
        ]
    };
    let unwrap = |extractable| session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &blob, &template(extractable));

    let key = unwrap(false).expect("unwrapped");
    let wanted = [AttributeType::Extractable, AttributeType::Sensitive, AttributeType::Local];
    let says = session.get_attributes(key, &wanted).expect("read");
    for attribute in [Attribute::Extractable(false), Attribute::Sensitive(true), Attribute::Local(false)] {
        assert!(says.contains(&attribute), "{attribute:?} in {says:?}");
    }
    assert!(session.get_attributes(key, &[AttributeType::Value]).expect("read").is_empty(), "it gives no value");
    let rewrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, key);
    assert!(matches!(rewrapped, Err(Error::Pkcs11(RvError::KeyUnextractable, _))), "{rewrapped:?}");
    assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());
    // Nor can the wrapping key be made to decrypt, or a copy of it.
    assert!(session.update_attributes(wrapping, &[Attribute::Decrypt(true)]).is_err());
    let copy = session.copy_object(wrapping, &[Attribute::Token(false), Attribute::Decrypt(true)]);
    assert!(copy.is_err(), "{copy:?}");
    let value = session.get_attributes(wrapping, &[AttributeType::Value]).expect("read");
    assert!(value.is_empty(), "the wrapping key gives no value");

    // The limit that docs/threat-model.md states: who has the PIN and the blob is not held to the worker's template.
    let key = unwrap(true).expect("unwrapped");
    let value = session.get_attributes(key, &[AttributeType::Value]).expect("read");
    assert!(matches!(value.as_slice(), [Attribute::Value(bytes)] if !bytes.is_empty()));
}

#[test]
fn an_unwrapped_key_cannot_leave_the_token() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate_wrapped(Role::Device, Algorithm::EcdsaP256, "k");
    std::fs::write(rig.path("blob"), &key.wrapped).expect("written");
    rig.helper("wrapped::unwrap_by_hand");
}

/// The post's of the vectors, which the independent checker makes (`daemon/certification/tests/vectors.json`).
const KNOWN_SECRET: [u8; 32] = [0x22; 32];

/// Not a test: wraps a secret that the test knows.
#[test]
#[ignore = "run by a_token_mac_is_hmac_sha256_and_of_its_domain_only"]
fn wrap_a_known_secret() {
    let Some(directory) = rig_directory() else { return };
    let (_pkcs11, session) = log_in();
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Extractable(true),
        Attribute::Sensitive(false),
        Attribute::Sign(true),
        Attribute::Value(KNOWN_SECRET.to_vec()),
    ];
    let secret = session.create_object(&template).expect("created");
    let blob = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping_key(&session), secret).expect("wrapped");
    std::fs::write(directory.join("blob"), blob).expect("written");
}

#[test]
fn a_token_mac_is_hmac_sha256_and_of_its_domain_only() {
    use aws_lc_rs::hmac;
    let rig = Rig::new();
    rig.helper("wrapped::wrap_a_known_secret");
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    // Computed without the token, from the same secret.
    let independent =
        |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KNOWN_SECRET), message).as_ref().to_vec();
    let known = TestKey {
        key_id: [&[Role::TokenMac.number()], b"known".as_slice()].concat().into(),
        role: Role::TokenMac,
        algorithm: Algorithm::HmacSha256,
        spki: independent(KEY_CHECK),
        wrapped: std::fs::read(rig.path("blob")).expect("read"),
    };
    link.link.adopt(known.adoption());
    let (_, message) = message_of(Role::TokenMac);
    let mac = |key: &TestKey, message: &[u8]| link.sign(&key.frame(Form::TokenMac, 0, &[message.to_vec()]));
    assert_eq!(mac(&known, &message), Ok(independent(&message)));

    // A half of a digital token, digit for digit that of the vectors.
    let post = TestKey {
        key_id: [&[Role::PostalMac.number()], b"known".as_slice()].concat().into(),
        role: Role::PostalMac,
        ..known.clone()
    };
    link.link.adopt(post.adoption());
    let data = TokenData::new(
        ("PS010000000001".parse().expect("a PSD"), 1),
        PostageAmount::from_mills(730).expect("an amount"),
        "2026-11-20".parse().expect("a day"),
        "20500-0003-12".parse().expect("a destination"),
        AddressCode::of_delivery_point("20500-0003-12").expect("a code"),
    )
    .expect("data");
    let made = mac(&post, &data.message(Party::Postal)).expect("a MAC");
    let token = DigitalToken::of_macs(&[0; 32], made.as_slice().try_into().expect("32 bytes"), Lengths::default());
    assert_eq!(token.half(Party::Postal).to_string(), "41065", "the token of the first vector is 70541 41065 5");
    assert_eq!(mac(&post, &data.message(Party::Vendor)), Err("form-mismatch".to_owned()));

    let resident = link.generate(Role::TokenMac, Algorithm::HmacSha256, "resident");
    let wrapped = link.generate_wrapped(Role::TokenMac, Algorithm::HmacSha256, "wrapped");
    let mut macs = vec![];
    for key in [&known, &resident, &wrapped] {
        let first = mac(key, &message).expect("signed");
        assert_eq!(mac(key, &message).as_ref(), Ok(&first), "a MAC is the same each time");
        let mut longer = message.clone();
        longer.push(b'!');
        macs.extend([first, mac(key, &longer).expect("signed"), key.spki.clone()]);
        let without = message.strip_prefix(TOKEN_MAC_DOMAIN).expect("the domain");
        for bad in [without, &message[1..], &message[..TOKEN_MAC_DOMAIN.len()], KEY_CHECK, b""] {
            assert_eq!(mac(key, bad), Err("form-mismatch".to_owned()));
        }
        let frame = key.frame(Form::CoseSign1, 0, &[sig_structure(b"x")]);
        assert_eq!(link.sign(&frame), Err("role-mismatch".to_owned()));
    }
    macs.sort();
    macs.dedup();
    assert_eq!(macs.len(), 9, "every key and every message has a MAC of its own");
}
