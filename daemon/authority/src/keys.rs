//! The authority's signing keys, one for each purpose, and the one form they sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psdd_wire::cose::Sign1;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};

/// A key of the authority with the certificate that its root issued for it.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    certificate: Vec<u8>,
}

/// A signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or is not PEM.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// Not a P-256 key in PKCS#8.
    #[error("{}: not a P-256 key in PKCS#8", .0.display())]
    NotP256(PathBuf),
}

/// The library did not sign; it does that without randomness only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key did not sign: no randomness on this machine")]
pub struct SignError;

fn pem(path: &Path) -> impl Fn(pem::Error) -> KeyError {
    move |source| KeyError::Pem { path: path.to_owned(), source }
}

/// The certificate (DER) in a PEM file.
pub(crate) fn certificate_of(path: &Path) -> Result<Vec<u8>, KeyError> {
    CertificateDer::from_pem_file(path).map(|certificate| certificate.to_vec()).map_err(pem(path))
}

impl SigningKey {
    /// Reads key and certificate from their PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, KeyError> {
        let certificate = certificate_of(certificate)?;
        let secret = PrivatePkcs8KeyDer::from_pem_file(key).map_err(pem(key))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, secret.secret_pkcs8_der());
        let pair = pair.ok().ok_or_else(|| KeyError::NotP256(key.to_owned()))?;
        Ok(Self { pair, certificate })
    }

    /// A key pair with a certificate, DER. Whether they belong together shows when a signature is verified.
    pub fn new(pair: EcdsaKeyPair, certificate: Vec<u8>) -> Self {
        Self { pair, certificate }
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// A COSE_Sign1 that carries the certificate.
    pub fn sign(&self, content_type: &str, payload: Vec<u8>) -> Result<Vec<u8>, SignError> {
        self.signed(Sign1::unsigned(content_type, Some(&self.certificate), payload))
    }

    /// A COSE_Sign1 without the certificate, for readers that have it pinned.
    pub fn sign_plain(&self, content_type: &str, payload: Vec<u8>) -> Result<Vec<u8>, SignError> {
        self.signed(Sign1::unsigned(content_type, None, payload))
    }

    fn signed(&self, message: Sign1) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), &message.to_be_signed()).ok().ok_or(SignError)?;
        Ok(message.with_signature(signature.as_ref()))
    }
}
