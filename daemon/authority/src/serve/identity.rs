//! Who is at the door: the appliance in the client certificate that TLS has verified.

use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The certificate names no appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client certificate has not exactly one CN")]
pub(super) struct NoIdentity;

/// The subject's CN of an end-entity certificate, DER.
pub(super) fn appliance(der: &[u8]) -> Result<String, NoIdentity> {
    let certificate = Certificate::from_der(der).ok().ok_or(NoIdentity)?;
    let mut names = certificate.tbs_certificate().subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
    match (names.next(), names.next()) {
        (Some(attribute), None) => text(AnyRef::from(&attribute.value)).ok_or(NoIdentity),
        _ => Err(NoIdentity),
    }
}

fn text(value: AnyRef<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        _ => None,
    }
}
