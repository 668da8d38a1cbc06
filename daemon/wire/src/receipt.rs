//! Receipts: COSE Receipts (RFC 9942) that a record is in an appliance's log, to be kept and shown without a connection.
//!
//! COSE_Sign1 by the log key in one fixed form: protected header {1: algorithm, 395: 1} (RFC9162_SHA256), unprotected header
//! {396: {-1: [<<[size, leaf, path]>>]}}, the root of the tree of that size as detached payload. So one signature serves every leaf
//! below it.

use crate::spki::{KeyKind, PublicKey};
use crate::tlog::{Hash, leaf_hash, root_of_inclusion};
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

const SIGN1: u64 = 18;
const ALGORITHM: u8 = 1;
/// Verifiable data structure (RFC 9942 §5.1), protected.
const STRUCTURE: u16 = 395;
const RFC9162_SHA256: u8 = 1;
/// Its proofs, unprotected.
const PROOFS: u16 = 396;
const INCLUSION: i8 = -1;

/// Where a leaf is in a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InclusionProof {
    /// Leaves of the tree.
    pub size: u64,
    /// The leaf.
    pub leaf: u64,
    /// Lowest sibling first.
    pub path: Vec<Hash>,
}

/// A receipt taken apart. Nothing in it is proven until [`Receipt::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    kind: KeyKind,
    /// What it proves.
    pub proof: InclusionProof,
    signature: Vec<u8>,
}

/// Why bytes are no receipt for a record.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not the fixed form.
    #[error("not a COSE receipt of the form documented: {0}")]
    Form(#[from] minicbor::decode::Error),
    /// The path does not fit leaf and size.
    #[error("the inclusion path does not fit leaf and size")]
    Path,
    /// Not signed by this key over the root that record and path lead to.
    #[error(
        "the log key did not sign the root that this record and the receipt's path lead to: another record, another log, or a changed receipt"
    )]
    Signature,
}

fn protected(kind: KeyKind) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let written = (|| {
        encoder.map(2)?.u8(ALGORITHM)?.i8(crate::cose::label(kind))?.u16(STRUCTURE)?.u8(RFC9162_SHA256)?;
        Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
    })();
    debug_assert!(written.is_ok());
    encoder.into_writer()
}

/// The Sig_structure (RFC 9052 §4.4) over a root, which a log key of this kind signs.
pub fn to_be_signed(kind: KeyKind, root: &Hash) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(64));
    let written = (|| {
        encoder.array(4)?.str("Signature1")?.bytes(&protected(kind))?.bytes(&[])?.bytes(root)?;
        Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
    })();
    debug_assert!(written.is_ok());
    encoder.into_writer()
}

impl Receipt {
    /// Of a proof, with the signature of a key of this kind over [`to_be_signed`].
    pub fn new(kind: KeyKind, proof: InclusionProof, signature: &[u8]) -> Self {
        Self { kind, proof, signature: signature.to_vec() }
    }

    /// Its one encoding, which is deterministic.
    pub fn encode(&self) -> Vec<u8> {
        let InclusionProof { size, leaf, path } = &self.proof;
        let mut proof = Encoder::new(Vec::with_capacity(24 + 34 * path.len()));
        let mut encoder = Encoder::new(Vec::with_capacity(160 + 34 * path.len()));
        let written = (|| {
            proof.array(3)?.u64(*size)?.u64(*leaf)?.array(u64::try_from(path.len()).unwrap_or(u64::MAX))?;
            for hash in path {
                proof.bytes(hash)?;
            }
            encoder.tag(Tag::new(SIGN1))?.array(4)?.bytes(&protected(self.kind))?;
            encoder.map(1)?.u16(PROOFS)?.map(1)?.i8(INCLUSION)?.array(1)?.bytes(proof.writer())?;
            encoder.null()?.bytes(&self.signature)?;
            Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
        })();
        debug_assert!(written.is_ok());
        encoder.into_writer()
    }

    /// Takes a receipt apart, strictly: only the form that [`Receipt::encode`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let form = |what: &'static str| ReceiptError::Form(minicbor::decode::Error::message(what));
        let mut decoder = Decoder::new(bytes);
        if decoder.tag()? != Tag::new(SIGN1) || decoder.array()? != Some(4) {
            return Err(form("tag 18 and four elements"));
        }
        let mut header = Decoder::new(decoder.bytes()?);
        let kind = match (header.map()?, header.u8()?) {
            (Some(2), ALGORITHM) => crate::cose::kind_labelled(header.i8()?),
            _ => None,
        };
        let kind = kind.ok_or_else(|| form("the protected header must be ES256, EdDSA or ES384 and RFC9162_SHA256"))?;
        let one_proof = decoder.map()? == Some(1)
            && decoder.u16()? == PROOFS
            && decoder.map()? == Some(1)
            && decoder.i8()? == INCLUSION
            && decoder.array()? == Some(1);
        if !one_proof {
            return Err(form("the unprotected header must hold one inclusion proof"));
        }
        let mut inner = Decoder::new(decoder.bytes()?);
        if inner.array()? != Some(3) {
            return Err(form("a proof is [size, leaf, path]"));
        }
        let (size, leaf, count) = (inner.u64()?, inner.u64()?, inner.array()?);
        let count = count.filter(|count| *count <= 64).ok_or_else(|| form("a path has at most 64 hashes"))?;
        let mut path = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        for _ in 0..count {
            path.push(inner.bytes()?.try_into().ok().ok_or_else(|| form("a hash has 32 bytes"))?);
        }
        decoder.null()?;
        let receipt = Self::new(kind, InclusionProof { size, leaf, path }, decoder.bytes()?);
        // Whatever was left over or written in another way shows in the comparison.
        if receipt.encode() != bytes {
            return Err(form("the encoding is not the deterministic one"));
        }
        Ok(receipt)
    }

    /// Verifies that the record is at the receipt's leaf of the log whose key (SPKI, DER; key 14 of leaf 0) this is. Gives the root.
    pub fn verify(&self, record: &[u8], log_spki: &[u8]) -> Result<Hash, ReceiptError> {
        Verifier::of_log(log_spki).ok_or(ReceiptError::Signature)?.verify(self, record)
    }
}

/// Roots that a verifier remembers: a client has some requests in flight, each proven by a root of its own.
const ROOTS: usize = 32;

/// Verifies receipts of one log, from any thread. Many have their root in common: its signature is verified once.
pub struct Verifier {
    spki: Vec<u8>,
    kind: KeyKind,
    /// Roots that were found signed, the newest last, each with its signature.
    signed: Mutex<VecDeque<(Hash, Vec<u8>)>>,
}

impl Verifier {
    /// For the log with this key (SPKI, DER; key 14 of leaf 0); `None` where it is no key.
    pub fn of_log(log_spki: &[u8]) -> Option<Self> {
        let kind = PublicKey::of_spki(log_spki)?.kind();
        Some(Self { spki: log_spki.to_vec(), kind, signed: Mutex::default() })
    }

    /// Verifies that the record is at the receipt's leaf of the log. Gives the root.
    ///
    /// # Errors
    ///
    /// As [`Receipt::verify`].
    pub fn verify(&self, receipt: &Receipt, record: &[u8]) -> Result<Hash, ReceiptError> {
        let InclusionProof { size, leaf, path } = &receipt.proof;
        let root = root_of_inclusion(*leaf, *size, leaf_hash(record), path).ok_or(ReceiptError::Path)?;
        if receipt.kind != self.kind {
            return Err(ReceiptError::Signature);
        }
        if !self.knows(&root, &receipt.signature) {
            let key = PublicKey::of_spki(&self.spki);
            if !key.is_some_and(|key| key.signed(&to_be_signed(receipt.kind, &root), &receipt.signature)) {
                return Err(ReceiptError::Signature);
            }
            let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
            if signed.len() == ROOTS {
                signed.pop_front();
            }
            signed.push_back((root, receipt.signature.clone()));
        }
        Ok(root)
    }

    fn knows(&self, root: &Hash, signature: &[u8]) -> bool {
        let signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.iter().rev().any(|(of, by)| of == root && by == signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::node_hash;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
    use coset::{CborSerializable, CoseSign1, Label, TaggedCborSerializable};
    use proptest::prelude::*;
    use rcgen::{KeyPair, PublicKeyData};

    const RECORD: &[u8] = b"a record";

    fn signed(ed25519: bool) -> (Vec<u8>, Vec<u8>, Hash) {
        let path = vec![[7; 32], [9; 32]];
        let root = node_hash(&path[1], &node_hash(&path[0], &leaf_hash(RECORD)));
        let proof = InclusionProof { size: 4, leaf: 3, path };
        let algorithm = if ed25519 { &rcgen::PKCS_ED25519 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let kind = if ed25519 { KeyKind::Ed25519 } else { KeyKind::P256 };
        let message = to_be_signed(kind, &root);
        let der = pair.serialize_der();
        let signature = if ed25519 {
            Ed25519KeyPair::from_pkcs8(&der).unwrap().sign(&message).as_ref().to_vec()
        } else {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
            key.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec()
        };
        (Receipt::new(kind, proof, &signature).encode(), pair.subject_public_key_info(), root)
    }

    #[test]
    fn a_receipt_verifies_for_its_record_and_key_alone() {
        for ed25519 in [false, true] {
            let (bytes, spki, root) = signed(ed25519);
            let receipt = Receipt::parse(&bytes).unwrap();
            assert_eq!(receipt.verify(RECORD, &spki).unwrap(), root);
            assert!(matches!(receipt.verify(b"another", &spki), Err(ReceiptError::Signature)));
            let (_, other, _) = signed(ed25519);
            assert!(matches!(receipt.verify(RECORD, &other), Err(ReceiptError::Signature)));
            let (_, other, _) = signed(!ed25519);
            assert!(matches!(receipt.verify(RECORD, &other), Err(ReceiptError::Signature)));
            let mut moved = receipt.clone();
            moved.proof.leaf = 2;
            assert!(moved.verify(RECORD, &spki).is_err());
            moved.proof.leaf = 4;
            assert!(matches!(moved.verify(RECORD, &spki), Err(ReceiptError::Path)));
        }
    }

    #[test]
    fn a_signature_that_was_verified_once_vouches_for_its_root_alone() {
        let (bytes, spki, root) = signed(true);
        let receipt = Receipt::parse(&bytes).unwrap();
        let verifier = Verifier::of_log(&spki).unwrap();
        assert_eq!(verifier.verify(&receipt, RECORD).unwrap(), root);
        assert_eq!(verifier.verify(&receipt, RECORD).unwrap(), root);
        assert!(verifier.verify(&receipt, b"another").is_err(), "another record leads to another root");
        let other_kind = Receipt { kind: KeyKind::P256, ..receipt.clone() };
        assert!(verifier.verify(&other_kind, RECORD).is_err(), "another algorithm in its header");
        let mut forged = receipt.clone();
        forged.signature[0] ^= 1;
        assert!(verifier.verify(&forged, RECORD).is_err(), "another signature over the same root");
        let mut longer = receipt.clone();
        longer.proof.path.push([1; 32]);
        assert!(verifier.verify(&longer, RECORD).is_err());
        assert!(Verifier::of_log(b"no key").is_none());
    }

    /// A general COSE library is the oracle of the form.
    #[test]
    fn it_is_a_cose_receipt() {
        let (bytes, _, root) = signed(false);
        let message = CoseSign1::from_tagged_slice(&bytes).unwrap();
        assert_eq!(message.payload, None, "detached");
        let header = message.protected.header.clone();
        assert_eq!(header.alg, Some(coset::Algorithm::Assigned(coset::iana::Algorithm::ES256)));
        assert_eq!(header.rest, [(Label::Int(395), coset::cbor::Value::from(1))]);
        let [(Label::Int(396), proofs)] = &message.unprotected.rest[..] else { panic!("{:?}", message.unprotected) };
        let (label, list) = &proofs.as_map().unwrap()[0];
        assert_eq!(label, &coset::cbor::Value::from(-1));
        let proof = coset::cbor::Value::from_slice(list.as_array().unwrap()[0].as_bytes().unwrap()).unwrap();
        let hash = |byte| coset::cbor::Value::Bytes(vec![byte; 32]);
        let path = coset::cbor::Value::Array(vec![hash(7), hash(9)]);
        assert_eq!(proof, coset::cbor::Value::Array(vec![4.into(), 3.into(), path]));
        assert_eq!(message.tbs_detached_data(&root, &[]), to_be_signed(KeyKind::P256, &root));
    }

    proptest! {
        #[test]
        fn no_changed_bit_is_believed(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
            let (mut bytes, spki, _) = signed(true);
            *at.get_mut(&mut bytes) ^= 1 << bit;
            if cut {
                bytes.pop();
            }
            let believed = Receipt::parse(&bytes).is_ok_and(|receipt| receipt.verify(RECORD, &spki).is_ok());
            prop_assert!(!believed);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Receipt::parse(&bytes));
        }
    }
}
