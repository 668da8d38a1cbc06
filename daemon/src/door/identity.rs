//! Who is at a door, from the certificate that TLS has verified: at the vendor door tenant and client name.

use psd::TenantName;
use std::sync::Arc;
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
    pub client: Arc<str>,
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
        let subject = Subject::of(der)?;
        let tenant = subject.only(ORGANIZATION).and_then(|o| o.parse().ok()).ok_or(IdentityError::Tenant)?;
        Ok(Self { tenant, client: subject.name()?.into() })
    }
}

/// The CN of an end-entity certificate, DER. Its O is free.
pub(super) fn common_name(der: &[u8]) -> Result<String, IdentityError> {
    Subject::of(der)?.name()
}

/// Whom a certificate names.
struct Subject(Certificate);

impl Subject {
    /// Of an end-entity certificate, DER.
    fn of(der: &[u8]) -> Result<Self, IdentityError> {
        Certificate::from_der(der).ok().map(Self).ok_or(IdentityError::Unreadable)
    }

    fn name(&self) -> Result<String, IdentityError> {
        self.only(COMMON_NAME).filter(|cn| !cn.is_empty()).ok_or(IdentityError::Client)
    }

    /// An attribute that stands once, as text.
    fn only(&self, oid: ObjectIdentifier) -> Option<String> {
        let mut values = self.0.tbs_certificate().subject().iter().filter(|attribute| attribute.oid == oid);
        match (values.next(), values.next()) {
            (Some(attribute), None) => text(AnyRef::from(&attribute.value)),
            _ => None,
        }
    }
}

fn text(value: AnyRef<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        _ => None,
    }
}
