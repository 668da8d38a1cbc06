//! What the fuzz targets do (daemon/fuzz), in short: arbitrary bytes and changed messages make no reader panic.

use super::strict::{cbor, request};
use proptest::prelude::*;
use psdd_wire::certificate::verify_chain;
use psdd_wire::checkpoint::{Checkpoint, LogKey, root_in};
use psdd_wire::cose::{Sign1, VALUE_REQUEST};
use psdd_wire::message::{SignRequest, ValueAuthorisation, ValueAuthorisationClaims, ValueRequest, ValueRequestClaims};
use psdd_wire::{encode, item, read};

fn read_all(bytes: &[u8]) {
    if let Ok(request) = read::<SignRequest<'_>>(bytes) {
        for item in &request.items {
            let piece = item::piece_of(&request.target, item);
            assert!(piece.is_ok() || !piece.unwrap_err().code().is_empty());
        }
        // What was read is read again from its own encoding.
        let again = encode(&request);
        let again: SignRequest<'_> = read(&again).unwrap();
        assert_eq!(format!("{request:?}"), format!("{again:?}"));
    }
    drop((read::<ValueRequest<'_>>(bytes), read::<ValueAuthorisation>(bytes)));
    drop((read::<ValueRequestClaims>(bytes), read::<ValueAuthorisationClaims>(bytes)));
    if let Ok(message) = Sign1::parse(bytes) {
        assert_eq!(message.clone().with_signature(&message.signature), bytes, "one message, one encoding");
        assert!(message.verify(&message.content_type, bytes).is_err());
    }
    let text = String::from_utf8_lossy(bytes);
    let key = LogKey { algorithm: psd::key::Algorithm::Ed25519, spki: bytes.to_vec() };
    assert!(Checkpoint::verified(&text, "psdd.log/test-1", &key).is_err());
    let key = LogKey { algorithm: psd::key::Algorithm::EcdsaP256, spki: bytes.to_vec() };
    assert!(Checkpoint::verified(&text, "psdd.log/test-1", &key).is_err());
    assert!(root_in(&text).is_none_or(|root| root.len() == 32));
    assert!(verify_chain(&[bytes, bytes], bytes, psd::UnixMillis(0)).is_err());
}

/// Valid messages of every kind, to be changed.
fn seeds() -> Vec<Vec<u8>> {
    let certificate = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.der().to_vec();
    let message = Sign1::unsigned(VALUE_REQUEST, Some(&certificate), b"payload".to_vec()).with_signature(&[1; 64]);
    let checkpoint = Checkpoint { origin: "psdd.log/test-1".to_owned(), size: 1, root: [7; 32] };
    let key = LogKey { algorithm: psd::key::Algorithm::Ed25519, spki: vec![1; 44] };
    vec![
        cbor(&request()),
        b"\xa1\x66amount\x6412.5".to_vec(),
        encode(&ValueAuthorisation { authorisation: message.clone() }),
        message,
        checkpoint.note(&key, &[1; 64]).into_bytes(),
        certificate,
    ]
}

/// A cut, an insertion or some bytes set.
#[derive(Clone, Debug)]
enum Change {
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Set(prop::sample::Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<prop::sample::Index>();
    prop_oneof![
        1 => at().prop_map(Change::Cut),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        5 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        match change {
            Change::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Change::Insert(at, new) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Set(..) => {}
        }
    }
    bytes
}

#[test]
fn the_seeds_are_valid() {
    let seeds = seeds();
    assert!(read::<SignRequest<'_>>(&seeds[0]).is_ok() && read::<ValueRequest<'_>>(&seeds[1]).is_ok());
    assert!(read::<ValueAuthorisation>(&seeds[2]).is_ok() && Sign1::parse(&seeds[3]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_make_nobody_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn changed_messages_make_nobody_panic(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        thread_local!(static SEEDS: Vec<Vec<u8>> = seeds());
        let bytes = SEEDS.with(|seeds| changed(seed.get(seeds).clone(), &changes));
        read_all(&bytes);
    }
}
