//! Certification requests (PKCS#10, RFC 2986), signed in the token.

use der::Sequence;
use psd::PsdId;
use psd::key::Role;
use psdd_hsm::link::{CallError, Link, SignFrame};
use psdd_hsm::protocol::{Form, Messages};
use std::str::FromStr;
use std::time::Duration;
use x509_cert::der::asn1::{BitString, SetOfVec, UintRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode, Encode, EncodePem};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// id-ecPublicKey, secp256r1 and secp384r1 (RFC 5480 §2.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// ecdsa-with-SHA256 and ecdsa-with-SHA384 (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The token did not sign it.
    #[error("the token did not sign the request: {0}")]
    Sign(#[from] CallError),
    /// It cannot be written.
    #[error(transparent)]
    Der(#[from] Unwritable),
}

/// Why a request cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// DER.
    #[error("encoding the request: {0}")]
    Der(#[from] x509_cert::der::Error),
    /// The key is none that a request is signed with.
    #[error("the public key is not on P-256 or P-384, so there is no request for it")]
    Curve,
    /// The token's signature is not one of the key's curve.
    #[error("the token gave {got} bytes of signatures; one of {wanted} bytes is needed")]
    Length {
        /// In bytes.
        got: usize,
        /// In bytes.
        wanted: usize,
    },
}

/// ECDSA-Sig-Value (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The key's subject. From the second generation on it says which one it is (serialNumber, RFC 4519 §2.31).
fn subject(psd: PsdId, role: Role, key_id: &[u8]) -> Result<Name, x509_cert::der::Error> {
    match key_id.last() {
        Some(generation @ 2..) => {
            let digits: String = generation.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
            // A PrintableString, as RFC 4514 §2.4 writes a value of a type without a name.
            Name::from_str(&format!("CN={psd},OU={role},2.5.4.5=#13{:02x}{digits}", digits.len() / 2))
        }
        Some(_) | None => Name::from_str(&format!("CN={psd},OU={role}")),
    }
}

/// A request for a certificate over a P-256 or P-384 key, PEM; signed with SHA-256 or SHA-384, as the token signs with such keys.
///
/// # Errors
///
/// When the key is of another kind, or the token does not sign.
pub fn certification_request(
    link: &Link,
    psd: PsdId,
    role: Role,
    key_id: &[u8],
    spki: &[u8],
) -> Result<String, RequestError> {
    let info = information(subject(psd, role, key_id).map_err(Unwritable::from)?, spki)?;
    // Before the token is asked.
    Curve::of(&info.public_key)?;
    let der = info.to_der().map_err(Unwritable::from)?;
    let mut messages = Messages::with_capacity(1, der.len());
    messages.push(&der);
    let form = Form::CertificationRequest;
    let frame = SignFrame { key_id: key_id.into(), role, form, floor: 0, messages };
    let signatures = link.blocking().sign(&frame, Duration::from_secs(30))?;
    Ok(signed(info, &signatures.into_bytes())?)
}

/// The curve of a key, which says how a request is signed.
#[derive(Clone, Copy)]
enum Curve {
    P256,
    P384,
}

impl Curve {
    fn of(spki: &SubjectPublicKeyInfoOwned) -> Result<Self, Unwritable> {
        let named = spki.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        match named.filter(|_| spki.algorithm.oid == EC_PUBLIC_KEY) {
            Some(curve) if curve == P256 => Ok(Curve::P256),
            Some(curve) if curve == P384 => Ok(Curve::P384),
            Some(_) | None => Err(Unwritable::Curve),
        }
    }

    /// The bytes of r, and of s.
    const fn scalar_len(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
        }
    }

    const fn signature_algorithm(self) -> ObjectIdentifier {
        match self {
            Curve::P256 => ECDSA_WITH_SHA256,
            Curve::P384 => ECDSA_WITH_SHA384,
        }
    }
}

/// What is to be signed.
fn information(subject: Name, spki: &[u8]) -> Result<CertReqInfo, Unwritable> {
    Ok(CertReqInfo {
        version: Version::V1,
        subject,
        public_key: SubjectPublicKeyInfoOwned::from_der(spki)?,
        attributes: SetOfVec::new(),
    })
}

/// The request, with the token's signature r‖s over it.
fn signed(info: CertReqInfo, signature: &[u8]) -> Result<String, Unwritable> {
    let curve = Curve::of(&info.public_key)?;
    let wanted = 2 * curve.scalar_len();
    if signature.len() != wanted {
        return Err(Unwritable::Length { got: signature.len(), wanted });
    }
    let (r, s) = signature.split_at(curve.scalar_len());
    let value = EcdsaSigValue { r: UintRef::new(r)?, s: UintRef::new(s)? }.to_der()?;
    let request = CertReq {
        info,
        algorithm: AlgorithmIdentifierOwned { oid: curve.signature_algorithm(), parameters: None },
        signature: BitString::from_bytes(&value)?,
    };
    Ok(request.to_pem(LineEnding::LF)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey,
    };
    use x509_cert::der::DecodePem;

    fn name() -> Name {
        let psd = "PS010000000001".parse().expect("a device ID");
        subject(psd, Role::Certification, &[2, 1]).expect("a name")
    }

    #[test]
    fn a_request_is_signed_as_its_curve_demands() {
        let rows = [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1, ECDSA_WITH_SHA256, 64),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_ASN1, ECDSA_WITH_SHA384, 96),
        ];
        for (signing, verifying, algorithm, length) in rows {
            // Many, because one r in 256 begins with a zero, which DER leaves out.
            for _ in 0..300 {
                let pair = EcdsaKeyPair::generate(signing).expect("generated");
                let spki = pair.public_key().as_der().expect("encoded");
                let info = information(name(), spki.as_ref()).expect("a key");
                let message = info.to_der().expect("DER");
                let signature = pair.sign(&SystemRandom::new(), &message).expect("signed");
                assert_eq!(signature.as_ref().len(), length);
                let request = CertReq::from_pem(signed(info, signature.as_ref()).expect("encoded")).expect("a request");
                assert_eq!(request.algorithm.oid, algorithm);
                assert_eq!(request.algorithm.parameters, None);
                let key = UnparsedPublicKey::new(verifying, pair.public_key().as_ref());
                let message = request.info.to_der().expect("DER");
                assert!(key.verify(&message, request.signature.raw_bytes()).is_ok(), "{algorithm}");
            }
        }
    }

    #[test]
    fn a_signature_of_another_length_or_a_key_of_another_kind_is_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("generated");
        let spki = pair.public_key().as_der().expect("encoded");
        for got in [0, 64, 95, 97, 192] {
            let info = information(name(), spki.as_ref()).expect("a key");
            let refused = signed(info, &vec![1; got]);
            assert!(matches!(refused, Err(Unwritable::Length { got: bytes, wanted: 96 }) if bytes == got));
        }
        let pair = Ed25519KeyPair::generate().expect("generated");
        let spki = pair.public_key().as_der().expect("encoded");
        let info = information(name(), spki.as_ref()).expect("a key");
        assert!(matches!(Curve::of(&info.public_key), Err(Unwritable::Curve)));
    }
}
