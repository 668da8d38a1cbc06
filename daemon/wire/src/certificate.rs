//! From a certificate to the postal authority's root (RFC 5280 §6.1, the part a two- or three-link hierarchy needs).
//!
//! Refused rather than guessed: unknown critical extensions, missing key usage, a CA bit where none belongs.

use crate::spki::{KeyKind, PublicKey};
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use psd::indicium::Decoded;
use psd::{PsdId, UnixMillis};
use std::ops::RangeInclusive;
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Most certificates between a PSD's and the root.
const MOST_LINKS: usize = 4;

/// Why a certificate is not one of the authority's for a PSD key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not a certificate.
    #[error("not an X.509 certificate: {0}")]
    Malformed(#[from] der::Error),
    /// No certificate at all.
    #[error("the chain is empty")]
    Empty,
    /// More links than any hierarchy here has.
    #[error("the chain has {0} certificates, at most {MOST_LINKS} are followed")]
    TooLong(usize),
    /// Issuer and subject do not meet.
    #[error(
        "{subject} names the issuer {issuer}, which is not the next certificate of the chain nor the authority's root"
    )]
    Issuer {
        /// Subject of the certificate.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// The signature of a link does not verify.
    #[error("the signature on {subject} is not its issuer's")]
    Signature {
        /// Subject of the certificate.
        subject: String,
    },
    /// A signature algorithm that is not accepted.
    #[error("{subject} is signed with algorithm {oid}, which is not accepted here")]
    Algorithm {
        /// Subject of the certificate.
        subject: String,
        /// Object identifier.
        oid: ObjectIdentifier,
    },
    /// An issuer that is no CA, or may not sign certificates, or not so deep.
    #[error("{subject} is not allowed to issue certificates here: {rule}")]
    NotAnIssuer {
        /// Subject of the certificate.
        subject: String,
        /// What is missing.
        rule: &'static str,
    },
    /// A certificate of a PSD key that is not made for it.
    #[error("{subject} is no certificate for a PSD's key: {rule}")]
    NotAPsdKey {
        /// Subject of the certificate.
        subject: String,
        /// What is missing.
        rule: &'static str,
    },
    /// A critical extension that this code does not know.
    #[error("{subject} has the critical extension {oid}, which is not known here")]
    CriticalExtension {
        /// Subject of the certificate.
        subject: String,
        /// Object identifier.
        oid: ObjectIdentifier,
    },
    /// The serial does not fit the indicium.
    #[error("the serial of {subject} is longer than the 32 bits an indicium has for it")]
    Serial {
        /// Subject of the certificate.
        subject: String,
    },
    /// Not valid at the time asked for.
    #[error("{subject} or an issuer of it is not valid at {at}")]
    NotValid {
        /// Subject of the certificate.
        subject: String,
        /// When it was to be used.
        at: UnixMillis,
    },
    /// The root is not signed by itself.
    #[error("{subject} is not self-signed, so it is no root")]
    NotARoot {
        /// Subject of the certificate.
        subject: String,
    },
}

/// The postal authority's root certificate, pinned.
#[derive(Clone, Debug)]
pub struct AuthorityRoot {
    certificate: Arc<Certificate>,
    der: Arc<[u8]>,
}

/// A PSD's key whose certificate leads to the root.
#[derive(Debug)]
pub struct CertifiedKey {
    serial: u32,
    subject: String,
    psd: Option<PsdId>,
    not_before: UnixMillis,
    not_after: UnixMillis,
    spki: Vec<u8>,
    key: ParsedPublicKey,
}

impl AuthorityRoot {
    /// Takes a self-signed CA certificate, DER.
    pub fn from_der(der: &[u8]) -> Result<Self, ChainError> {
        let certificate = parsed(der)?;
        check_issuer(&certificate, MOST_LINKS)?;
        if names(&certificate).0 != names(&certificate).1 {
            return Err(ChainError::NotARoot { subject: subject(&certificate) });
        }
        check_signature(&certificate, &certificate)?;
        Ok(Self { certificate: Arc::new(certificate), der: der.into() })
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Subject of the certificate as text (RFC 4514).
    pub fn subject(&self) -> String {
        subject(&self.certificate)
    }

    /// Public key, SPKI DER.
    pub fn spki(&self) -> Vec<u8> {
        // What was read from DER is written to memory: that cannot fail, and without a key nothing verifies.
        self.certificate.tbs_certificate().subject_public_key_info().to_der().unwrap_or_default()
    }

    /// Follows a chain (the PSD key's certificate, then its issuers without the root, DER) up to this root.
    ///
    /// Time is not judged here but for each signature, see [`CertifiedKey::valid_at`].
    pub fn certify<D: AsRef<[u8]>>(&self, chain: &[D]) -> Result<CertifiedKey, ChainError> {
        let (leaf, not_before, not_after) = self.follow(chain)?;
        certified(&leaf, not_before, not_after)
    }

    /// The first certificate of a chain that leads here, and when all of the chain is valid.
    pub(crate) fn follow<D: AsRef<[u8]>>(
        &self,
        chain: &[D],
    ) -> Result<(Certificate, UnixMillis, UnixMillis), ChainError> {
        if chain.len() > MOST_LINKS {
            return Err(ChainError::TooLong(chain.len()));
        }
        let certificates = chain.iter().map(|der| parsed(der.as_ref()));
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
        let (leaf, issuers) = certificates.split_first().ok_or(ChainError::Empty)?;
        let (mut not_before, mut not_after) = window(&self.certificate);
        let with_root = issuers.iter().chain([&*self.certificate]);
        for (below, (certificate, issuer)) in certificates.iter().zip(with_root).enumerate() {
            if names(certificate).1 != names(issuer).0 {
                let (subject, issuer) = (subject(certificate), certificate.tbs_certificate().issuer().to_string());
                return Err(ChainError::Issuer { subject, issuer });
            }
            check_issuer(issuer, below)?;
            check_signature(certificate, issuer)?;
            let (from, to) = window(certificate);
            (not_before, not_after) = (not_before.max(from), not_after.min(to));
        }
        Ok((leaf.clone(), not_before, not_after))
    }
}

impl CertifiedKey {
    /// Serial of the certificate, as an indicium carries it.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Subject of the certificate as text (RFC 4514).
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The device the certificate names in its common name, where that is a device ID.
    pub fn psd(&self) -> Option<PsdId> {
        self.psd
    }

    /// Public key, SPKI DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// First and last instant at which every certificate of the chain is valid.
    pub fn window(&self) -> (UnixMillis, UnixMillis) {
        (self.not_before, self.not_after)
    }

    /// Whether every certificate of the chain is valid at this time.
    pub fn valid_at(&self, time: UnixMillis) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Whether the indicium's signature is of this key.
    #[must_use]
    pub fn signed(&self, indicium: &Decoded) -> bool {
        self.verifies(&indicium.signed, &indicium.signature)
    }

    /// Whether a signature over these bytes is of this key. ECDSA signatures are r‖s.
    #[must_use]
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(signed, signature).is_ok()
    }
}

/// Follows a chain (certificate, then issuers without the root, DER) up to a root and asks that all of it is valid at a time.
pub fn verify_chain(chain: &[&[u8]], root: &[u8], at: UnixMillis) -> Result<CertifiedKey, ChainError> {
    let certified = AuthorityRoot::from_der(root)?.certify(chain)?;
    if certified.valid_at(at) {
        return Ok(certified);
    }
    Err(ChainError::NotValid { subject: certified.subject, at })
}

/// Reads a certificate whose bytes are the only ones it has: what a reader overlooks would not be under the signature.
pub(crate) fn parsed(bytes: &[u8]) -> Result<Certificate, der::Error> {
    let certificate = Certificate::from_der(bytes)?;
    if certificate.to_der()? == bytes {
        return Ok(certificate);
    }
    Err(der::ErrorKind::Noncanonical { tag: der::Tag::Sequence }.into())
}

/// The key of an end entity whose certificate leads to the root, whatever its serial number.
#[derive(Clone, Debug)]
pub struct EndEntity {
    /// Public key on P-256 or P-384, SPKI DER.
    pub spki: Vec<u8>,
    /// Serial number, where it has at most 32 bits; a PSD's certificate must, an authority's need not.
    pub serial: Option<u32>,
}

/// As [`verify_chain`], for certificates of the authority's own keys as well: their serial numbers may be of any length.
pub fn verify_end_entity(chain: &[&[u8]], root: &[u8], at: UnixMillis) -> Result<EndEntity, ChainError> {
    let (leaf, key, window) = end_entity(chain, root)?;
    if !window.contains(&at) {
        return Err(ChainError::NotValid { subject: subject(&leaf), at });
    }
    Ok(key)
}

/// A certificate that leads to the root, its key, and when all of the chain is valid.
pub(crate) fn end_entity(
    chain: &[&[u8]],
    root: &[u8],
) -> Result<(Certificate, EndEntity, RangeInclusive<UnixMillis>), ChainError> {
    let (leaf, not_before, not_after) = AuthorityRoot::from_der(root)?.follow(chain)?;
    let (_, spki) = end_entity_key(&leaf)?;
    let key = EndEntity { spki, serial: short_serial(&leaf) };
    Ok((leaf, key, not_before..=not_after))
}

fn certified(leaf: &Certificate, not_before: UnixMillis, not_after: UnixMillis) -> Result<CertifiedKey, ChainError> {
    let (key, spki) = end_entity_key(leaf)?;
    let subject = subject(leaf);
    let Some(serial) = short_serial(leaf) else { return Err(ChainError::Serial { subject }) };
    let psd = subject.split([',', '+']).find_map(|part| part.trim().strip_prefix("CN=")?.parse().ok());
    Ok(CertifiedKey { serial, psd, not_before, not_after, spki, key, subject })
}

/// The key of a certificate that is an end entity's and may sign, and its SPKI.
fn end_entity_key(leaf: &Certificate) -> Result<(ParsedPublicKey, Vec<u8>), ChainError> {
    let refused = |rule| ChainError::NotAPsdKey { subject: subject(leaf), rule };
    let tbs = leaf.tbs_certificate();
    check_critical(leaf)?;
    if tbs.get_extension::<BasicConstraints>()?.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(refused("it is a CA's"));
    }
    if !tbs.get_extension::<KeyUsage>()?.is_some_and(|(_, usage)| usage.digital_signature()) {
        return Err(refused("its key usage does not allow digital signatures"));
    }
    let spki = tbs.subject_public_key_info().to_der()?;
    let key = PublicKey::of_spki(&spki).and_then(|key| match key.kind() {
        KeyKind::P256 => Some(ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key.raw())),
        KeyKind::P384 => Some(ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key.raw())),
        KeyKind::Ed25519 => None,
    });
    let key = key.ok_or_else(|| refused("its key is neither on P-256 nor on P-384"))?;
    Ok((key.ok().ok_or_else(|| refused("its key is no point on its curve"))?, spki))
}

/// The serial number, where it has at most 32 bits.
pub(crate) fn short_serial(certificate: &Certificate) -> Option<u32> {
    let digits = certificate.tbs_certificate().serial_number().as_bytes();
    let digits = &digits[digits.iter().take_while(|byte| **byte == 0).count()..];
    (digits.len() <= 4).then(|| digits.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
}

/// Whether a certificate may issue with so many issuers below it.
pub(crate) fn check_issuer(issuer: &Certificate, below: usize) -> Result<(), ChainError> {
    let refused = |rule| ChainError::NotAnIssuer { subject: subject(issuer), rule };
    check_critical(issuer)?;
    let tbs = issuer.tbs_certificate();
    let constraints = tbs.get_extension::<BasicConstraints>()?.map(|(_, constraints)| constraints);
    let constraints = constraints.filter(|constraints| constraints.ca).ok_or_else(|| refused("it is no CA"))?;
    if !tbs.get_extension::<KeyUsage>()?.is_some_and(|(_, usage)| usage.key_cert_sign()) {
        return Err(refused("its key usage does not allow signing certificates"));
    }
    // A root is read before it is known how much it will stand above.
    if below < MOST_LINKS && constraints.path_len_constraint.is_some_and(|most| usize::from(most) < below) {
        return Err(refused("its path length is exceeded"));
    }
    Ok(())
}

pub(crate) fn check_critical(certificate: &Certificate) -> Result<(), ChainError> {
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut unknown = extensions.filter(|e| e.critical && ![BASIC_CONSTRAINTS, KEY_USAGE].contains(&e.extn_id));
    match unknown.next() {
        Some(e) => Err(ChainError::CriticalExtension { subject: subject(certificate), oid: e.extn_id }),
        None => Ok(()),
    }
}

fn check_signature(certificate: &Certificate, issuer: &Certificate) -> Result<(), ChainError> {
    let oid = certificate.signature_algorithm().oid;
    let refused = || ChainError::Algorithm { subject: subject(certificate), oid };
    if certificate.signature_algorithm() != certificate.tbs_certificate().signature() {
        return Err(refused());
    }
    let algorithm = algorithm(oid, issuer).ok_or_else(refused)?;
    let key = issuer.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes().unwrap_or_default();
    let signed = certificate.tbs_certificate().to_der()?;
    let verified =
        UnparsedPublicKey::new(algorithm, key).verify(&signed, certificate.signature().as_bytes().unwrap_or_default());
    verified.ok().ok_or_else(|| ChainError::Signature { subject: subject(certificate) })
}

pub(crate) fn algorithm(oid: ObjectIdentifier, issuer: &Certificate) -> Option<&'static dyn VerificationAlgorithm> {
    let key = issuer.tbs_certificate().subject_public_key_info().algorithm.oid;
    Some(match (oid, curve(issuer)) {
        (ECDSA_SHA256, Some(P256)) => &signature::ECDSA_P256_SHA256_ASN1,
        (ECDSA_SHA384, Some(P256)) => &signature::ECDSA_P256_SHA384_ASN1,
        (ECDSA_SHA256, Some(P384)) => &signature::ECDSA_P384_SHA256_ASN1,
        (ECDSA_SHA384, Some(P384)) => &signature::ECDSA_P384_SHA384_ASN1,
        (RSA_SHA256, None) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (ED25519, None) if key == ED25519 => &signature::ED25519,
        _ => return None,
    })
}

fn curve(certificate: &Certificate) -> Option<ObjectIdentifier> {
    let algorithm = &certificate.tbs_certificate().subject_public_key_info().algorithm;
    let parameters = algorithm.parameters.as_ref().filter(|_| algorithm.oid == EC_KEY)?;
    parameters.decode_as().ok()
}

/// Subject and issuer.
fn names(certificate: &Certificate) -> (&x509_cert::name::Name, &x509_cert::name::Name) {
    (certificate.tbs_certificate().subject(), certificate.tbs_certificate().issuer())
}

pub(crate) fn subject(certificate: &Certificate) -> String {
    certificate.tbs_certificate().subject().to_string()
}

pub(crate) fn window(certificate: &Certificate) -> (UnixMillis, UnixMillis) {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    // The last second belongs to the validity (RFC 5280 §4.1.2.5).
    let end = seconds(validity.not_after).saturating_mul(1000).saturating_add(999);
    (UnixMillis(seconds(validity.not_before).saturating_mul(1000)), UnixMillis(end))
}
