//! An operator's key in a file: PKCS#8 in PEM, readable by its owner alone.

use super::OperatorError;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psdd_wire::ceremony::{OperatorKey, P256PublicKey, SignError};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A key that was read from a file, or was just made.
pub struct KeyFile {
    pair: EcdsaKeyPair,
    public: P256PublicKey,
}

impl KeyFile {
    /// Makes a key and writes it to a new file of mode 0600.
    pub fn create(path: &Path) -> Result<Self, OperatorError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .ok()
            .ok_or(OperatorError::Crypto("no key could be made"))?;
        let der = pair.to_pkcs8v1().ok().ok_or(OperatorError::Crypto("no PKCS#8"))?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => OperatorError::Exists(path.to_owned()),
            _ => OperatorError::File { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Self::of(pair).ok_or(OperatorError::Crypto("the new key has no public half on P-256"))
    }

    /// Reads a key, unless others can read it too.
    pub fn read(path: &Path) -> Result<Self, OperatorError> {
        let failed = |source| OperatorError::File { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(OperatorError::Exposed { path: path.to_owned(), mode });
        }
        let wrong = |problem: String| OperatorError::Key { path: path.to_owned(), problem };
        let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|error| wrong(error.to_string()))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
        let pair = pair.map_err(|error| wrong(error.to_string()))?;
        Self::of(pair).ok_or_else(|| wrong("its public half is not on P-256".to_owned()))
    }

    fn of(pair: EcdsaKeyPair) -> Option<Self> {
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).ok()?;
        let public = P256PublicKey::from_spki(spki.as_ref()).ok()?;
        Some(Self { pair, public })
    }
}

impl OperatorKey for KeyFile {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|error| SignError(error.into()))?;
        signature.as_ref().try_into().map_err(|error: std::array::TryFromSliceError| SignError(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_read_back_and_kept_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ada.pem");
        let made = KeyFile::create(&path).unwrap();
        assert!(matches!(KeyFile::create(&path), Err(OperatorError::Exists(_))));
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.public_key(), made.public_key());
        assert!(made.public_key().verifies(b"x", &read.sign(b"x").unwrap()));
        assert!(!made.public_key().verifies(b"y", &read.sign(b"x").unwrap()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(OperatorError::Exposed { mode: 0o640, .. })));
    }
}
