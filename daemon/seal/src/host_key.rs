//! The identity of a host: an ECDSA P-256 key whose public half is pinned at genesis.
//!
//! It signs unsealing offers and nothing else; a prefix keeps its signatures from meaning anything else.

use crate::gather::hex;
use crate::hpke::P256_SPKI;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

const PREFIX: &[u8] = b"psdd unsealing offer 1\0";
const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Why a key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// Not PEM.
    #[error("not PEM: {0}")]
    Pem(pem_rfc7468::Error),
    /// Not a private key of P-256.
    #[error("not a private key of ECDSA P-256 (PKCS#8): {0}")]
    Private(#[from] aws_lc_rs::error::KeyRejected),
    /// Not a public key of P-256.
    #[error("not a public key of ECDSA P-256 (SubjectPublicKeyInfo)")]
    Public,
    /// The library failed.
    #[error("cannot make or use the host identity key")]
    Crypto(#[from] aws_lc_rs::error::Unspecified),
}

/// The private half; no Debug, no Clone.
pub struct HostKey {
    pair: EcdsaKeyPair,
    public: HostPublicKey,
}

impl HostKey {
    /// Makes a key; gives its file, PEM of PKCS#8, which is secret.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub fn generate() -> Result<Zeroizing<String>, HostKeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        let pem = pem_rfc7468::encode_string(PRIVATE_LABEL, LineEnding::LF, document.as_ref());
        pem.map(Zeroizing::new).map_err(HostKeyError::Pem)
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it does not hold a key of P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HostKeyError> {
        let (_, der) = pem_rfc7468::decode_vec(pem).map_err(HostKeyError::Pem)?;
        let der = Zeroizing::new(der);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
        let public = HostPublicKey::from_spki(spki.as_ref())?;
        Ok(Self { pair, public })
    }

    /// The public half.
    pub fn public(&self) -> &HostPublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, body: &[u8]) -> Result<Vec<u8>, HostKeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), &[PREFIX, body].concat())?;
        Ok(signature.as_ref().to_vec())
    }
}

/// The public half, as genesis pins it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPublicKey {
    spki: Vec<u8>,
}

impl HostPublicKey {
    /// Takes a SubjectPublicKeyInfo of ECDSA P-256, DER.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn from_spki(spki: &[u8]) -> Result<Self, HostKeyError> {
        match spki.strip_prefix(P256_SPKI) {
            Some(point) if point.len() == 65 && point[0] == 4 => Ok(Self { spki: spki.to_vec() }),
            Some(_) | None => Err(HostKeyError::Public),
        }
    }

    /// Reads PEM of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    ///
    /// When it is not one of ECDSA P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HostKeyError> {
        let (_, der) = pem_rfc7468::decode_vec(pem).map_err(HostKeyError::Pem)?;
        Self::from_spki(&der)
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SubjectPublicKeyInfo, PEM.
    pub fn to_pem(&self) -> String {
        match pem_rfc7468::encode_string(PUBLIC_LABEL, LineEnding::LF, &self.spki) {
            Ok(pem) => pem,
            Err(error) => unreachable!("91 bytes are encoded: {error}"),
        }
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.spki).as_ref());
        bytes
    }

    /// The digest in hex, for people.
    pub fn fingerprint(&self) -> String {
        hex(&self.digest())
    }

    pub(crate) fn verifies(&self, body: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.spki[P256_SPKI.len()..]);
        key.verify(&[PREFIX, body].concat(), signature).is_ok()
    }
}
