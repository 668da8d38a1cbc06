//! Public halves of keys: how a token gives them, how psdd has them, and whether a signature verifies under one.
//!
//! Owns the curves. Refuses points that are not on one of ours. A MAC key has no public half: the MAC of
//! [`KEY_CHECK`] stands for it.

use crate::protocol::KEY_CHECK;
use crate::role::Algorithm;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519 as VERIFY_ED25519, UnparsedPublicKey,
};
use cryptoki::object::{Attribute, KeyType};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is signed to prove a key: of no form, so worth nothing to anybody; a MAC key is proven by its check value.
pub const TEST: &[u8] = b"psdd-hsm: a test of a key, of no form";

/// The curve of an algorithm of key pairs, its point's length in bytes and its key type.
fn curve_of(algorithm: Algorithm) -> Option<(&'static ObjectIdentifier, usize, KeyType)> {
    match algorithm {
        Algorithm::EcdsaP256 => Some((&P256, 65, KeyType::EC)),
        Algorithm::EcdsaP384 => Some((&P384, 97, KeyType::EC)),
        Algorithm::Ed25519 => Some((&ED25519, 32, KeyType::EC_EDWARDS)),
        Algorithm::HmacSha256 => None,
    }
}

/// CKA_EC_PARAMS of an algorithm of key pairs: its curve's name.
pub fn ec_params(algorithm: Algorithm) -> Option<Vec<u8>> {
    let (curve, ..) = curve_of(algorithm)?;
    Some(curve.to_der().expect("an object identifier has a DER form"))
}

/// CKA_KEY_TYPE of an algorithm.
pub fn key_type(algorithm: Algorithm) -> KeyType {
    curve_of(algorithm).map_or(KeyType::GENERIC_SECRET, |(.., key_type)| key_type)
}

/// The algorithm and the SubjectPublicKeyInfo of a public key, if it is on a curve of ours.
pub fn spki_of(attributes: &[Attribute]) -> Option<(Algorithm, Vec<u8>)> {
    let found = attributes.iter().find_map(|attribute| match attribute {
        Attribute::KeyType(key_type) => Some(*key_type),
        _ => None,
    })?;
    let point = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) => Some(point.as_slice()),
        _ => None,
    })?;
    let params = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcParams(params) => Some(params.as_slice()),
        _ => None,
    })?;
    // Tokens that follow an older text name the Edwards curve as a PrintableString.
    let named = |algorithm| algorithm == Algorithm::Ed25519 && params.ends_with(b"edwards25519");
    let ours = [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Ed25519].into_iter().find(|algorithm| {
        key_type(*algorithm) == found && (ec_params(*algorithm).is_some_and(|own| own == params) || named(*algorithm))
    });
    let algorithm = ours?;
    let (curve, length, key_type) = curve_of(algorithm)?;
    let identifier = if key_type == KeyType::EC_EDWARDS {
        AlgorithmIdentifier { oid: *curve, parameters: None }
    } else {
        AlgorithmIdentifier { oid: EC_PUBLIC_KEY, parameters: Some(AnyRef::from(curve)) }
    };
    // PKCS#11 wraps the point in an OCTET STRING; some tokens give it bare.
    let bare = if point.len() == length { point } else { <&OctetStringRef>::from_der(point).ok()?.as_bytes() };
    if bare.len() != length {
        return None;
    }
    let subject_public_key = BitStringRef::from_bytes(bare).ok()?;
    let spki = SubjectPublicKeyInfo { algorithm: identifier, subject_public_key }.to_der().ok()?;
    Some((algorithm, spki))
}

/// What a key of this algorithm signs to prove itself.
pub fn proof_of(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::Ed25519 => TEST,
        Algorithm::HmacSha256 => KEY_CHECK,
    }
}

/// Whether the signature of [`proof_of`] is one of the key with this public half. The module had no part in it.
pub fn proves(algorithm: Algorithm, spki: &[u8], signature: &[u8]) -> bool {
    let point = || SubjectPublicKeyInfoRef::from_der(spki).ok().map(|info| info.subject_public_key.raw_bytes());
    let rule: &'static dyn aws_lc_rs::signature::VerificationAlgorithm = match algorithm {
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Ed25519 => &VERIFY_ED25519,
        Algorithm::HmacSha256 => return !spki.is_empty() && spki == signature,
    };
    point().is_some_and(|point| UnparsedPublicKey::new(rule, point).verify(TEST, signature).is_ok())
}
