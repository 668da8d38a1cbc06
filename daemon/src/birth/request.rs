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

/// ecdsa-with-SHA256 (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The token did not sign it.
    #[error("the token did not sign the request: {0}")]
    Sign(#[from] CallError),
    /// DER.
    #[error("encoding the request: {0}")]
    Der(#[from] x509_cert::der::Error),
}

/// ECDSA-Sig-Value (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// A request for a certificate over a P-256 key, PEM.
pub fn certification_request(
    link: &Link,
    psd: PsdId,
    role: Role,
    key_id: &[u8],
    spki: &[u8],
) -> Result<String, RequestError> {
    let info = CertReqInfo {
        version: Version::V1,
        subject: Name::from_str(&format!("CN={psd},OU={role}"))?,
        public_key: SubjectPublicKeyInfoOwned::from_der(spki)?,
        attributes: SetOfVec::new(),
    };
    let der = info.to_der()?;
    let mut messages = Messages::with_capacity(1, der.len());
    messages.push(&der);
    let form = Form::CertificationRequest;
    let frame = SignFrame { key_id: key_id.into(), role, form, floor: 0, messages };
    let signatures = link.blocking().sign(&frame, Duration::from_secs(30))?;
    let signature = signatures.iter().next().copied().unwrap_or([0; 64]);
    let (r, s) = signature.split_at(32);
    let value = EcdsaSigValue { r: UintRef::new(r)?, s: UintRef::new(s)? }.to_der()?;
    let request = CertReq {
        info,
        algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
        signature: BitString::from_bytes(&value)?,
    };
    Ok(request.to_pem(LineEnding::LF)?)
}
