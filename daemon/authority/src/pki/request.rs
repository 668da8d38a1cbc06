//! Certification requests (PKCS#10, RFC 2986) of PSD keys: read, held against who asks, and turned into certificates.
//!
//! Reading one verifies its signature: whoever asks has the key. Only key, device, role and generation come from it; whatever else it
//! asks for is not granted.

use super::profile::{Ca, YEAR, as_signer, params};
use super::{PkiError, made};
use crate::books::PsdKey;
use psd::key::Role;
use psd::{PsdId, UnixMillis};
use psdd_wire::profile::kind_allowed;
use psdd_wire::spki::PublicKey;
use rcgen::string::PrintableString;
use rcgen::{CertificateSigningRequestParams, DnType, DnValue, PublicKeyData};

/// Whom a request is for, as its name or the statement with it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Subject {
    pub(super) psd: PsdId,
    pub(super) role: Role,
    pub(super) generation: u8,
}

/// A request that was read.
pub(super) struct Request {
    pub(super) key: PsdKey,
    public: rcgen::PublicKey,
}

/// serialNumber (X.520): which generation of the key it is. The first may leave it out.
fn generation_type() -> DnType {
    DnType::CustomDnType(vec![2, 5, 4, 5])
}

/// Holds a request whose signature is verified against its subject.
pub(super) fn of_subject(read: CertificateSigningRequestParams, subject: Subject) -> Result<Request, &'static str> {
    let Subject { psd, role, generation } = subject;
    let name = &read.params.distinguished_name;
    let text = |kind: &DnType| name.get(kind).and_then(text_of);
    let of_generation = match name.get(&generation_type()) {
        None => generation == 1,
        Some(value) => text_of(value) == Some(generation.to_string().as_str()),
    };
    let named = text(&DnType::CommonName) == Some(psd.to_string().as_str())
        && text(&DnType::OrganizationalUnitName) == Some(role.to_string().as_str());
    if !named || !of_generation {
        return Err(
            "the subject is not CN=PSD,OU=ROLE with serialNumber=GENERATION (which the first generation may leave out)",
        );
    }
    let spki = read.public_key.subject_public_key_info();
    match PublicKey::of_spki(&spki) {
        Some(key) if kind_allowed(role, key.kind()) => {}
        _ => return Err("the key is not on P-256, or for certification on P-384"),
    }
    Ok(Request { key: PsdKey { psd, role, generation, spki }, public: read.public_key })
}

fn text_of(value: &DnValue) -> Option<&str> {
    match value {
        DnValue::Utf8String(text) => Some(text),
        DnValue::PrintableString(text) => Some(text.as_str()),
        _ => None,
    }
}

impl Request {
    /// Its certificate with this serial number, DER.
    pub(super) fn certificate(&self, serial: u32, ca: &Ca, now: UnixMillis) -> Result<Vec<u8>, PkiError> {
        let PsdKey { psd, role, generation, .. } = &self.key;
        let (psd, role) = (psd.to_string(), role.to_string());
        let mut params = params((&psd, Some(&role), "PSD"), serial, (now, YEAR * 5))?;
        if *generation > 1 {
            let digits = PrintableString::try_from(generation.to_string()).map_err(made(&psd))?;
            params.distinguished_name.push(generation_type(), DnValue::PrintableString(digits));
        }
        as_signer(&mut params);
        let signed = params.signed_by(&self.public, ca).map_err(made(&psd))?;
        Ok(signed.der().to_vec())
    }
}
