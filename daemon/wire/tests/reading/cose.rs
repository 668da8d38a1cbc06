//! COSE_Sign1 against coset, which shares no code with it; and every form but the documented one refused.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use coset::iana::Algorithm;
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable};
use psdd_wire::cose::{CoseError, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST};
use psdd_wire::spki::KeyKind;

fn key() -> (EcdsaKeyPair, Vec<u8>) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let spki = AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec();
    (key, spki)
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

/// Signs a message.
type SignWith = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key of each kind as aws-lc-rs has it, with coset's name of its algorithm.
struct Signer {
    kind: KeyKind,
    algorithm: Algorithm,
    spki: Vec<u8>,
    sign: SignWith,
}

fn signers() -> [Signer; 3] {
    let (p256, spki) = key();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let p384_spki = AsDer::as_der(p384.public_key()).unwrap().as_ref().to_vec();
    let ed25519_spki = AsDer::as_der(ed25519.public_key()).unwrap().as_ref().to_vec();
    [
        Signer { kind: KeyKind::P256, algorithm: Algorithm::ES256, spki, sign: Box::new(move |m| sign(&p256, m)) },
        Signer {
            kind: KeyKind::P384,
            algorithm: Algorithm::ES384,
            spki: p384_spki,
            sign: Box::new(move |m| sign(&p384, m)),
        },
        Signer {
            kind: KeyKind::Ed25519,
            algorithm: Algorithm::EdDSA,
            spki: ed25519_spki,
            sign: Box::new(move |m| ed25519.sign(m).as_ref().to_vec()),
        },
    ]
}

#[test]
fn each_key_signs_with_its_own_algorithm_and_no_other() {
    let signers = signers();
    for signer in &signers {
        let ours = Sign1::unsigned_by(signer.kind, VALUE_AUTHORISATION, None, b"payload".to_vec());
        let theirs = |signature: &[u8]| of_algorithm(signer.algorithm, None, b"payload", signature);
        assert_eq!(ours.to_be_signed(), theirs(b"").tbs_data(b""));
        let signature = (signer.sign)(&ours.to_be_signed());
        assert_eq!(signature.len(), signer.kind.signature_length());
        let bytes = ours.with_signature(&signature);
        assert_eq!(bytes, theirs(&signature).to_tagged_vec().unwrap());
        let parsed = Sign1::parse(&bytes).unwrap();
        assert_eq!(parsed.kind, signer.kind);
        for other in &signers {
            let verdict = parsed.verify(VALUE_AUTHORISATION, &other.spki);
            assert_eq!(verdict.is_ok(), other.kind == signer.kind, "{:?} under {:?}", signer.kind, other.kind);
        }
        // The algorithm is under the signature: a message cannot be given another one.
        for other in signers.iter().filter(|other| other.kind != signer.kind) {
            let renamed = of_algorithm(other.algorithm, None, b"payload", &signature).to_tagged_vec().unwrap();
            let renamed = Sign1::parse(&renamed).unwrap();
            assert!(matches!(renamed.verify(VALUE_AUTHORISATION, &signer.spki), Err(CoseError::Signature)));
        }
    }
}

/// What coset makes of the same parts.
fn by_coset(certificate: Option<&[u8]>, payload: &[u8], signature: &[u8]) -> CoseSign1 {
    of_algorithm(Algorithm::ES256, certificate, payload, signature)
}

fn of_algorithm(algorithm: Algorithm, certificate: Option<&[u8]>, payload: &[u8], signature: &[u8]) -> CoseSign1 {
    let mut header = HeaderBuilder::new().algorithm(algorithm).content_type(VALUE_AUTHORISATION.to_owned());
    if let Some(certificate) = certificate {
        header = header.value(33, certificate.to_vec().into());
    }
    CoseSign1Builder::new().protected(header.build()).payload(payload.to_vec()).signature(signature.to_vec()).build()
}

#[test]
fn bytes_and_signed_structure_are_those_of_coset() {
    let (key, spki) = key();
    for certificate in [None, Some(&b"a certificate"[..])] {
        for payload in [&b""[..], b"payload", &[7; 70_000]] {
            let ours = Sign1::unsigned(VALUE_AUTHORISATION, certificate, payload.to_vec());
            assert_eq!(ours.to_be_signed(), by_coset(certificate, payload, b"").tbs_data(b""));
            let signature = sign(&key, &ours.to_be_signed());
            let bytes = ours.with_signature(&signature);
            assert_eq!(bytes, by_coset(certificate, payload, &signature).to_tagged_vec().unwrap());
            let parsed = Sign1::parse(&bytes).unwrap();
            assert_eq!((parsed.certificate.as_deref(), &parsed.payload[..]), (certificate, payload));
            parsed.verify(VALUE_AUTHORISATION, &spki).unwrap();
            assert!(matches!(parsed.verify(VALUE_REQUEST, &spki), Err(CoseError::ContentType(_))));
        }
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let (key, spki) = key();
    let unsigned = Sign1::unsigned(VALUE_AUTHORISATION, Some(b"cert"), b"payload".to_vec());
    let signature = sign(&key, &unsigned.to_be_signed());
    let bytes = unsigned.with_signature(&signature);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let verdict = Sign1::parse(&changed).and_then(|message| message.verify(VALUE_AUTHORISATION, &spki));
        assert!(verdict.is_err(), "bit {bit}");
    }
    let (_, other) = self::key();
    let message = Sign1::parse(&bytes).unwrap();
    assert!(matches!(message.verify(VALUE_AUTHORISATION, &other), Err(CoseError::Signature)));
    assert!(matches!(message.verify(VALUE_AUTHORISATION, &[]), Err(CoseError::Signature)));
}

#[test]
fn other_forms_of_cose_are_refused() {
    let header = || HeaderBuilder::new().algorithm(Algorithm::ES256).content_type(VALUE_REQUEST.to_owned());
    let message = |protected: coset::Header, unprotected: coset::Header| {
        CoseSign1Builder::new().protected(protected).unprotected(unprotected).payload(vec![1]).signature(vec![2; 64])
    };
    let plain = || message(header().build(), coset::Header::default());
    let tagged = |message: CoseSign1| message.to_tagged_vec().unwrap();
    assert!(Sign1::parse(&tagged(plain().build())).is_ok());
    let es512 = HeaderBuilder::new().algorithm(Algorithm::ES512).content_type(VALUE_REQUEST.to_owned()).build();
    let detached = CoseSign1Builder::new().protected(header().build()).signature(vec![2; 64]).build();
    let rows = [
        ("untagged", plain().build().to_vec().unwrap()),
        ("another algorithm", tagged(message(es512, coset::Header::default()).build())),
        ("no algorithm", tagged(message(coset::Header::default(), coset::Header::default()).build())),
        ("a detached payload", tagged(detached)),
        ("something unprotected", tagged(message(header().build(), header().build()).build())),
        ("a key id", tagged(message(header().key_id(vec![1]).build(), coset::Header::default()).build())),
        ("two certificates", {
            let chain = ciborium::Value::Array(vec![vec![1u8].into(), vec![2u8].into()]);
            tagged(message(header().value(33, chain).build(), coset::Header::default()).build())
        }),
        ("bytes after it", [tagged(plain().build()), vec![0]].concat()),
    ];
    for (name, bytes) in rows {
        assert!(matches!(Sign1::parse(&bytes), Err(CoseError::Form(_))), "{name}");
    }
}
