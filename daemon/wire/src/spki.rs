//! Public keys as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): the three kinds that sign anything here, each in its one DER form.
//!
//! Refused rather than guessed: compressed points, other curves, bytes before or after the key.

use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// First line of a public key in PEM (RFC 7468 §13).
pub(crate) const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
/// Its last line.
pub(crate) const PEM_END: &str = "-----END PUBLIC KEY-----";

/// Before an uncompressed point on P-256 (RFC 5480 §2).
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Before an uncompressed point on P-384 (RFC 5480 §2).
const P384_PREFIX: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];
/// Before an Ed25519 key (RFC 8410 §4).
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// First byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What kind of key signs, and with it the only algorithm it signs with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256; signatures are r‖s, 64 bytes.
    P256,
    /// Ed25519; signatures have 64 bytes (RFC 8032).
    Ed25519,
    /// ECDSA on P-384 with SHA-384; signatures are r‖s, 96 bytes.
    P384,
}

/// A public key of a known kind. That its bytes are a point of the curve shows when a signature is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey<'a> {
    kind: KeyKind,
    raw: &'a [u8],
}

impl KeyKind {
    /// Bits of security (NIST SP 800-57 part 1, table 2): what may not fall from one generation of a key to the next.
    pub const fn strength_bits(self) -> u16 {
        match self {
            KeyKind::P256 | KeyKind::Ed25519 => 128,
            KeyKind::P384 => 192,
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            KeyKind::P256 => "P-256",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::P384 => "P-384",
        }
    }

    /// Length of a signature, bytes.
    pub const fn signature_length(self) -> usize {
        match self {
            KeyKind::P256 | KeyKind::Ed25519 => 64,
            KeyKind::P384 => 96,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            KeyKind::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            KeyKind::Ed25519 => &signature::ED25519,
            KeyKind::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        }
    }
}

impl<'a> PublicKey<'a> {
    /// The key in an SPKI, DER; `None` for every other kind and form.
    pub fn of_spki(spki: &'a [u8]) -> Option<Self> {
        let point = |prefix: &[u8], length: usize| {
            let raw = spki.strip_prefix(prefix)?;
            (raw.len() == length && raw[0] == UNCOMPRESSED).then_some(raw)
        };
        let ed25519 = || spki.strip_prefix(ED25519_PREFIX).filter(|raw| raw.len() == 32);
        let p256 = point(P256_PREFIX, 65).map(|raw| Self { kind: KeyKind::P256, raw });
        p256.or_else(|| point(P384_PREFIX, 97).map(|raw| Self { kind: KeyKind::P384, raw }))
            .or_else(|| ed25519().map(|raw| Self { kind: KeyKind::Ed25519, raw }))
    }

    /// Its kind.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The point or the key itself, without the SPKI around it.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether its bytes are a point of the curve, which no signature has to show first.
    #[must_use]
    pub fn is_point(&self) -> bool {
        ParsedPublicKey::new(self.kind.algorithm(), self.raw).is_ok()
    }

    /// Whether this key signed the message. ECDSA signatures are r‖s.
    #[must_use]
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.kind.algorithm(), self.raw).verify(message, signature).is_ok()
    }
}

/// The SPKI (DER) in a PEM block of a public key (RFC 7468 §13) and nothing else; `None` where the text is none.
pub fn spki_of_pem(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PublicKeyData};

    #[test]
    fn each_kind_is_known_in_its_one_form() {
        let rows = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(KeyKind::P256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(KeyKind::P384)),
            (&rcgen::PKCS_ED25519, Some(KeyKind::Ed25519)),
            (&rcgen::PKCS_ECDSA_P521_SHA512, None),
        ];
        for (algorithm, kind) in rows {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let spki = pair.subject_public_key_info();
            let key = PublicKey::of_spki(&spki);
            assert_eq!(key.map(|key| key.kind()), kind);
            if let Some(key) = key {
                assert_eq!(key.raw(), pair.der_bytes());
                assert!(key.is_point());
            }
            assert_eq!(spki_of_pem(&pair.public_key_pem()), Some(spki.clone()));
            for wrong in [&spki[1..], &spki[..spki.len() - 1], &[&spki[..], &[0]].concat()] {
                assert_eq!(PublicKey::of_spki(wrong), None, "{kind:?}");
            }
        }
        let spki = KeyPair::generate().unwrap().subject_public_key_info();
        let mut hybrid = spki.clone();
        hybrid[P256_PREFIX.len()] = 6;
        assert_eq!(PublicKey::of_spki(&hybrid), None);
        let mut beside = spki.clone();
        beside[P256_PREFIX.len() + 1] ^= 1;
        let beside = PublicKey::of_spki(&beside).map(|key| key.is_point());
        assert_eq!((beside, spki_of_pem("-----BEGIN PUBLIC KEY-----"), spki_of_pem("MAA=")), (Some(false), None, None));
        assert_eq!(PublicKey::of_spki(&[]), None);
    }
}
