//! A ceremony, its operators and their keys.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use psdd_wire::ceremony::{Operator, OperatorKey, P256PublicKey, SignError};

pub const HEAD: &str = "appliance = \"post-1\"\n\
    genesis = \"0101010101010101010101010101010101010101010101010101010101010101\"\nnumber = 7\n\
    nonce = \"000102030405060708090a0b0c0d0e0f\"\nnot_before = 2026-11-20T12:00:00Z\nnot_after = 2026-11-21T12:00:00Z\n";
pub const ACTIVE: &str = "expected = { state = \"active\", locks = [] }\n";
/// 2026-11-20T12:00:00Z.
pub const NOON: u64 = 1_795_176_000_000;

/// A key in memory.
pub struct MemoryKey {
    pair: EcdsaKeyPair,
    public: P256PublicKey,
}

impl MemoryKey {
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let mut spki: Vec<u8> =
            (0..prefix.len()).step_by(2).map(|i| u8::from_str_radix(&prefix[i..i + 2], 16).unwrap()).collect();
        spki.extend_from_slice(pair.public_key().as_ref());
        Self { pair, public: P256PublicKey::from_spki(&spki).unwrap() }
    }
}

impl OperatorKey for MemoryKey {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        Ok(signature.as_ref().try_into().unwrap())
    }
}

pub fn operator(name: &str, key: &MemoryKey, revoked: bool) -> Operator {
    Operator { name: name.parse().unwrap(), key: key.public_key().clone(), revoked }
}

pub fn lock_file() -> String {
    format!("{HEAD}[lock]\npsd = \"PS010000001\"\n{ACTIVE}")
}
