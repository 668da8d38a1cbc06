//! HPKE in base mode (RFC 9180), as rustls has it over aws-lc-rs: HKDF-SHA256, AES-256-GCM, to X25519 or P-256.
//!
//! Owns the keys' forms. Private keys stay in locked memory and are copied out for the length of one call.

use crate::locked::{LockError, LockedBytes};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, PublicKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use minicbor::{Decode, Encode};
use rustls::crypto::aws_lc_rs::hpke::{DH_KEM_P256_HKDF_SHA256_AES_256, DH_KEM_X25519_HKDF_SHA256_AES_256};
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

/// SubjectPublicKeyInfo of X25519 up to the key (RFC 8410 §4).
const X25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
/// PrivateKeyInfo of X25519 up to the key (RFC 8410 §7).
const X25519_PKCS8: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];
/// SubjectPublicKeyInfo of P-256 up to the uncompressed point (RFC 5480 §2).
pub(crate) const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point.
const P256_POINT: usize = 65;
const X25519_KEY: usize = 32;

/// The key encapsulation of a recipient.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
#[cbor(index_only)]
pub(crate) enum Kem {
    /// DHKEM(P-256, HKDF-SHA256); the number is that of RFC 9180 §7.1.
    #[n(0x10)]
    P256,
    /// DHKEM(X25519, HKDF-SHA256).
    #[n(0x20)]
    X25519,
}

impl Kem {
    fn suite(self) -> &'static dyn Hpke {
        match self {
            Kem::P256 => DH_KEM_P256_HKDF_SHA256_AES_256,
            Kem::X25519 => DH_KEM_X25519_HKDF_SHA256_AES_256,
        }
    }
}

/// Why something was not sealed, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum HpkeError {
    /// Not a public key to seal to.
    #[error("not a public key of P-256 or X25519 (PEM, SubjectPublicKeyInfo)")]
    PublicKey,
    /// Not a private key to open with.
    #[error("not a private key of P-256 or X25519 (PEM, PKCS#8, not encrypted)")]
    PrivateKey,
    /// The PEM around it.
    #[error("not PEM: {0}")]
    Pem(pem_rfc7468::Error),
    /// It could not be sealed.
    #[error("cannot seal: {0}")]
    Seal(rustls::Error),
    /// It was sealed to another key, for another purpose, or altered.
    #[error("it does not open: sealed to another key or for another purpose, or altered")]
    Open(#[source] rustls::Error),
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// What HPKE gives: the encapsulated key and the ciphertext.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sealed {
    #[n(0)]
    pub(crate) kem: Kem,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) encapsulated: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) ciphertext: Vec<u8>,
}

/// A key that can be sealed to.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct RecipientPublicKey {
    #[n(0)]
    kem: Kem,
    #[cbor(n(1), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

impl RecipientPublicKey {
    /// Reads a public key: PEM of a SubjectPublicKeyInfo of P-256 or X25519, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HpkeError> {
        let (_, der) = pem_rfc7468::decode_vec(pem).map_err(HpkeError::Pem)?;
        let key = |prefix, length, kem| {
            let bytes = der.strip_prefix(prefix).filter(|key: &&[u8]| key.len() == length)?;
            Some(Self { kem, bytes: bytes.to_vec() })
        };
        let found = key(X25519_SPKI, X25519_KEY, Kem::X25519).or_else(|| key(P256_SPKI, P256_POINT, Kem::P256));
        found.ok_or(HpkeError::PublicKey)
    }

    pub(crate) fn seal(&self, info: &[u8], associated: &[u8], plaintext: &[u8]) -> Result<Sealed, HpkeError> {
        let key = HpkePublicKey(self.bytes.clone());
        let (encapsulated, ciphertext) =
            self.kem.suite().seal(info, associated, plaintext, &key).map_err(HpkeError::Seal)?;
        Ok(Sealed { kem: self.kem, encapsulated: encapsulated.0, ciphertext })
    }
}

/// A private key to open with; no Debug, no Clone, in locked memory.
pub struct RecipientKey {
    kem: Kem,
    secret: LockedBytes,
    public: RecipientPublicKey,
}

impl RecipientKey {
    /// A fresh key pair of X25519.
    ///
    /// # Errors
    ///
    /// When there are no random numbers, or the memory cannot be locked.
    pub fn generate() -> Result<Self, HpkeError> {
        let (public, secret) = Kem::X25519.suite().generate_key_pair().map_err(HpkeError::Seal)?;
        let public = RecipientPublicKey { kem: Kem::X25519, bytes: public.0 };
        Ok(Self { kem: Kem::X25519, secret: LockedBytes::copy_of(secret.secret_bytes())?, public })
    }

    /// Reads a private key: PEM of PKCS#8 (RFC 5958), P-256 or X25519, as `openssl genpkey` writes it.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HpkeError> {
        let mut der = LockedBytes::empty()?;
        let (_, written) = pem_rfc7468::decode(pem, der.page_mut()).map_err(HpkeError::Pem)?;
        let length = written.len();
        der.set_length(length);
        match der.as_bytes().strip_prefix(X25519_PKCS8) {
            Some(seed) if seed.len() == X25519_KEY => Self::x25519(seed),
            Some(_) => Err(HpkeError::PrivateKey),
            None => Self::p256(der.as_bytes()),
        }
    }

    fn x25519(seed: &[u8]) -> Result<Self, HpkeError> {
        let key = PrivateKey::from_private_key(&X25519, seed).map_err(|_rejected| HpkeError::PrivateKey)?;
        Self::of(Kem::X25519, LockedBytes::copy_of(seed)?, key.compute_public_key())
    }

    fn p256(der: &[u8]) -> Result<Self, HpkeError> {
        let key = PrivateKey::from_private_key_der(&ECDH_P256, der).map_err(|_rejected| HpkeError::PrivateKey)?;
        let secret: Result<EcPrivateKeyBin<'_>, _> = key.as_be_bytes();
        let secret = LockedBytes::copy_of(secret.map_err(|_unspecified| HpkeError::PrivateKey)?.as_ref())?;
        Self::of(Kem::P256, secret, key.compute_public_key())
    }

    fn of(
        kem: Kem,
        secret: LockedBytes,
        public: Result<PublicKey, aws_lc_rs::error::Unspecified>,
    ) -> Result<Self, HpkeError> {
        let public = public.map_err(|_unspecified| HpkeError::PrivateKey)?;
        let public = RecipientPublicKey { kem, bytes: public.as_ref().to_vec() };
        Ok(Self { kem, secret, public })
    }

    /// The public half.
    pub fn public(&self) -> &RecipientPublicKey {
        &self.public
    }

    pub(crate) fn open(
        &self,
        info: &[u8],
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        if sealed.kem != self.kem {
            return Err(HpkeError::PrivateKey);
        }
        let secret = HpkePrivateKey::from(self.secret.as_bytes().to_vec());
        let encapsulated = EncapsulatedSecret(sealed.encapsulated.clone());
        let opened = self.kem.suite().open(&encapsulated, info, associated, &sealed.ciphertext, &secret);
        opened.map(Zeroizing::new).map_err(HpkeError::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(RecipientKey: std::fmt::Debug, Clone);

    /// Made by `openssl genpkey -algorithm X25519` and `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
    const X25519_PEM: &str = include_str!("../tests/keys/x25519.pem");
    const P256_PEM: &str = include_str!("../tests/keys/p256.pem");

    #[test]
    fn keys_as_openssl_writes_them_are_read_and_fit_their_public_halves() {
        let rows = [
            (X25519_PEM, include_str!("../tests/keys/x25519.pub.pem")),
            (P256_PEM, include_str!("../tests/keys/p256.pub.pem")),
        ];
        for (private, public) in rows {
            let key = RecipientKey::from_pem(private.as_bytes()).expect("a private key");
            let public = RecipientPublicKey::from_pem(public.as_bytes()).expect("a public key");
            assert_eq!(key.public(), &public);
            let sealed = public.seal(b"info", b"associated", b"text").expect("sealed");
            assert_eq!(key.open(b"info", b"associated", &sealed).expect("opened").as_slice(), b"text");
            assert!(matches!(key.open(b"other", b"associated", &sealed), Err(HpkeError::Open(_))));
            assert!(matches!(key.open(b"info", b"other", &sealed), Err(HpkeError::Open(_))));
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        assert!(matches!(RecipientPublicKey::from_pem(X25519_PEM.as_bytes()), Err(HpkeError::PublicKey)));
        assert!(matches!(RecipientKey::from_pem(b"key"), Err(HpkeError::Pem(_))));
        let public = include_str!("../tests/keys/p256.pub.pem");
        assert!(matches!(RecipientKey::from_pem(public.as_bytes()), Err(HpkeError::PrivateKey)));
    }
}
