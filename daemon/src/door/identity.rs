//! Who is at the vendor door: tenant and client name, from the certificate that TLS has verified.

use psd::TenantName;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// A client of the vendor door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorIdentity {
    /// The subject's O: it survives renewal of the certificate, and idempotency keys are scoped by it.
    pub tenant: TenantName,
    /// The subject's CN.
    pub client: String,
}

/// The certificate names no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate, or one that cannot be read.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// No O, several, or one that is no tenant name.
    #[error("the client certificate's O is not a tenant name")]
    Tenant,
    /// No CN, or several.
    #[error("the client certificate has not exactly one CN")]
    Client,
}

impl VendorIdentity {
    /// From the end-entity certificate, DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = Certificate::from_der(der).ok().ok_or(IdentityError::Unreadable)?;
        let only = |oid: ObjectIdentifier| {
            let subject = certificate.tbs_certificate().subject();
            let mut values = subject.iter().filter(|attribute| attribute.oid == oid);
            match (values.next(), values.next()) {
                (Some(attribute), None) => text(AnyRef::from(&attribute.value)),
                _ => None,
            }
        };
        let tenant = only(ORGANIZATION).and_then(|o| o.parse().ok()).ok_or(IdentityError::Tenant)?;
        let client = only(COMMON_NAME).filter(|cn| !cn.is_empty()).ok_or(IdentityError::Client)?;
        Ok(Self { tenant, client })
    }
}

fn text(value: AnyRef<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        _ => None,
    }
}
