//! Readings of scales: their claims, and whose are believed.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use psdd_wire::cose::{CoseError, Sign1};
use psdd_wire::encode;
use psdd_wire::scale::{ReadingClaims, SCALE_READING};
use psdd_wire::spki::KeyKind;

fn claims(full: bool) -> ReadingClaims {
    let weight = if full { 28_350 } else { -1 };
    ReadingClaims { time: 1_795_176_000_000, scale: "dock-1".parse().expect("a scale"), weight }
}

pub fn messages(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    vec![("scale-reading-claims", encode(&claims(full)))]
}

/// A key of each kind that scales have: its SPKI, and how it signs.
type Key = (Vec<u8>, Box<dyn Fn(&[u8]) -> Vec<u8>>);

fn keys() -> [Key; 2] {
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let ed25519 = Ed25519KeyPair::generate().expect("a key");
    let of = |der: PublicKeyX509Der<'_>| der.as_ref().to_vec();
    let spkis = [of(p256.public_key().as_der().expect("SPKI")), of(ed25519.public_key().as_der().expect("SPKI"))];
    let [first, second] = spkis;
    let ecdsa = move |message: &[u8]| {
        p256.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()).expect("a signature")
    };
    [(first, Box::new(ecdsa)), (second, Box::new(move |message: &[u8]| ed25519.sign(message).as_ref().to_vec()))]
}

#[test]
fn a_reading_is_believed_from_its_scales_key_only() {
    let keys = keys();
    for (index, (spki, sign)) in keys.iter().enumerate() {
        let message = claims(true).unsigned(spki).expect("a kind that signs");
        let signature = sign(&message.to_be_signed());
        let reading = message.with_signature(&signature);
        assert_eq!(ReadingClaims::signed_by(&reading, spki).expect("a reading"), claims(true));
        assert_eq!(ReadingClaims::claimed(&reading).expect("a reading"), claims(true));
        let other = ReadingClaims::signed_by(&reading, &keys[1 - index].0);
        assert!(matches!(other, Err(CoseError::Signature)), "{other:?}");
        for at in 0..reading.len() {
            let mut altered = reading.clone();
            altered[at] ^= 1;
            assert!(ReadingClaims::signed_by(&altered, spki).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_reading_has_one_form() {
    let (spki, sign) = &keys()[1];
    let signed = |content_type, certificate: Option<&[u8]>, payload: Vec<u8>| {
        let message = Sign1::unsigned_by(KeyKind::Ed25519, content_type, certificate, payload);
        let signature = sign(&message.to_be_signed());
        ReadingClaims::signed_by(&message.with_signature(&signature), spki)
    };
    let plain = encode(&claims(true));
    assert!(signed(SCALE_READING, None, plain.clone()).is_ok());
    let refused = signed("application/psdd-instruction+cbor", None, plain.clone());
    assert!(matches!(refused, Err(CoseError::ContentType(_))), "{refused:?}");
    assert!(matches!(signed(SCALE_READING, Some(&[0x30]), plain.clone()), Err(CoseError::Form(_))));
    // The same claims as an indefinite map, and with one more.
    let indefinite = [&[0xbf], &plain[1..], &[0xff]].concat();
    assert!(matches!(signed(SCALE_READING, None, indefinite), Err(CoseError::Form(_))));
    let more = [&[0xa4], &plain[1..], &[0x66], b"weigh2".as_slice(), &[0]].concat();
    assert!(matches!(signed(SCALE_READING, None, more), Err(CoseError::Payload(_))));
}
