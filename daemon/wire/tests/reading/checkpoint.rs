//! Checkpoints as C2SP signed notes: a published vector, both algorithms, and every other form refused.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::key::Algorithm;
use psdd_wire::checkpoint::{Checkpoint, CheckpointError, LogKey, origin, root_in};

const ORIGIN: &str = "psdd.log/test-1";
/// DER of an Ed25519 SPKI up to the key (RFC 8410 §4).
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 20_852_163, root: [7; 32] }
}

fn p256() -> (LogKey, impl Fn(&[u8]) -> Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
    let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    (LogKey { algorithm: Algorithm::EcdsaP256, spki }, sign)
}

fn ed25519() -> (LogKey, impl Fn(&[u8]) -> Vec<u8>) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let spki = [&ED25519, pair.public_key().as_ref()].concat();
    let sign = move |message: &[u8]| pair.sign(message).as_ref().to_vec();
    (LogKey { algorithm: Algorithm::Ed25519, spki }, sign)
}

/// From the documentation of golang.org/x/mod/sumdb/note: verifier key `PeterNeumann+c74f20a3+ARpc2QcU…`.
#[test]
fn the_key_id_is_that_of_the_published_vector() {
    let key = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    assert_eq!(key[0], 1, "Ed25519");
    let log_key = LogKey { algorithm: Algorithm::Ed25519, spki: [&ED25519, &key[1..]].concat() };
    let note = Checkpoint { origin: "PeterNeumann".to_owned(), ..checkpoint() }.note(&log_key, &[0; 64]);
    let line = note.lines().last().unwrap();
    let blob = STANDARD.decode(line.strip_prefix("\u{2014} PeterNeumann ").unwrap()).unwrap();
    assert_eq!(blob[..4], [0xc7, 0x4f, 0x20, 0xa3]);
}

#[test]
fn the_text_is_that_of_the_specification() {
    let root = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    assert_eq!(checkpoint().body(), format!("psdd.log/test-1\n20852163\n{root}\n"));
    assert_eq!(origin(&"test-1".parse().unwrap()), ORIGIN);
}

#[test]
fn notes_of_both_algorithms_are_read_back() {
    let (p256, sign_p256) = p256();
    let (ed25519, sign_ed25519) = ed25519();
    let body = checkpoint().body();
    let signed = [(&p256, sign_p256(body.as_bytes())), (&ed25519, sign_ed25519(body.as_bytes()))];
    for (key, signature) in &signed {
        let note = checkpoint().note(key, signature);
        assert_eq!(Checkpoint::verified(&note, ORIGIN, key), Ok(checkpoint()));
        assert_eq!(root_in(&note), Some([7; 32]));
        // A witness's line before or after ours changes nothing.
        let witness = "\u{2014} witness.example AAAAAAAA\n";
        let (text, ours) = note.split_once("\n\n").unwrap();
        for lines in [format!("{witness}{ours}"), format!("{ours}{witness}")] {
            assert_eq!(Checkpoint::verified(&format!("{text}\n\n{lines}"), ORIGIN, key), Ok(checkpoint()));
        }
        let other = signed.iter().find(|(other, _)| other.algorithm != key.algorithm).unwrap();
        assert_eq!(Checkpoint::verified(&note, ORIGIN, other.0), Err(CheckpointError::Signature));
    }
}

#[test]
fn every_other_note_is_refused() {
    let (key, sign) = ed25519();
    let signed = |body: &str, name: &str| {
        let checkpoint = Checkpoint { origin: name.to_owned(), ..checkpoint() };
        let line = checkpoint.note(&key, &sign(body.as_bytes()));
        format!("{body}\n{}\n", line.lines().last().unwrap())
    };
    let good = checkpoint().body();
    assert!(Checkpoint::verified(&signed(&good, ORIGIN), ORIGIN, &key).is_ok());
    let root = good.lines().nth(2).unwrap();
    let of_other_log = good.replace("test-1", "test-2");
    let rows = [
        (signed(&of_other_log, ORIGIN), CheckpointError::Origin("psdd.log/test-2".to_owned())),
        (signed(&good, "psdd.log/test-2"), CheckpointError::Signature),
        (good.clone(), CheckpointError::Form),
        (String::new(), CheckpointError::Form),
        (signed(&format!("{good}an extension\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n1\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n+1\n{root}\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n01\n{root}\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n-1\n{root}\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n1\r\n{root}\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n1\nAAAA\n"), ORIGIN), CheckpointError::Form),
        (signed(&format!("{ORIGIN}\n1\n{}\n", root.trim_end_matches('=')), ORIGIN), CheckpointError::Form),
    ];
    for (number, (note, wanted)) in rows.into_iter().enumerate() {
        assert_eq!(Checkpoint::verified(&note, ORIGIN, &key), Err(wanted), "row {number}: {note}");
    }
    let note = signed(&good, ORIGIN);
    for bit in 0..note.len() * 8 {
        let mut changed = note.clone().into_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = String::from_utf8(changed) else { continue };
        let verdict = Checkpoint::verified(&changed, ORIGIN, &key);
        // The last newline is the only byte that no rule needs; base64 has no spare bits in 68 bytes.
        assert!(verdict.is_err() || changed.trim_end() == note.trim_end(), "bit {bit}: {changed}");
    }
}
