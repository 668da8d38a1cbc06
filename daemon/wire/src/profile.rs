//! The profile of a PSD key's certificate: what the daemon asks of one before the key signs anything that leaves the appliance.
//!
//! [`crate::certificate`] follows a chain to the root; here the certificate is held against the key, the PSD, the role and the time it
//! is wanted for. Each thing that can be wrong has an error of its own, found in the order of [`ProfileError`].

use crate::certificate::{AuthorityRoot, ChainError, check_critical, parsed, short_serial, subject, window};
use crate::spki::{KeyKind, PublicKey};
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, PrintableStringRef, Utf8StringRef};
use der::{Encode, Tag, Tagged};
use psd::key::Role;
use psd::{PsdId, UnixMillis};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
pub(crate) const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const YEAR_MS: u64 = 366 * 86_400_000;

/// The key that a certificate must be for.
#[derive(Clone, Copy, Debug)]
pub struct WantedKey<'a> {
    /// The PSD: the subject's CN.
    pub psd: PsdId,
    /// What the key signs: the subject's OU.
    pub role: Role,
    /// Generation of the key: the subject's serialNumber, which the first generation may leave out.
    pub generation: u8,
    /// SubjectPublicKeyInfo of the key in the token, DER.
    pub spki: &'a [u8],
}

/// What is asked of the lifetime.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// The certificate and all issuers must be valid now.
    pub now: UnixMillis,
    /// The longest a certificate may last, in years of at most 366 days.
    pub most_years: u8,
}

/// A certificate that is as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfiledKey {
    /// Its serial number, as an indicium carries it.
    pub serial: u32,
    /// The first instant at which all of the chain is valid.
    pub not_before: UnixMillis,
    /// The last.
    pub not_after: UnixMillis,
}

/// Why a certificate is not installed, in the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not a certificate, or none.
    #[error("not a certificate: {0}")]
    Malformed(#[source] ChainError),
    /// For another key.
    #[error("{subject} certifies another key than the {role} key of {psd}; was it issued for an older request?")]
    Key {
        /// Subject of the certificate.
        subject: String,
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
    },
    /// A key of a kind that no such role has.
    #[error("a {role} key is not on the curve that {subject} has")]
    KeyKind {
        /// Subject of the certificate.
        subject: String,
        /// The role.
        role: Role,
    },
    /// Another subject.
    #[error("the subject {subject} is not CN={psd},OU={role} with serialNumber={generation}")]
    Subject {
        /// Subject of the certificate.
        subject: String,
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// The generation.
        generation: u8,
    },
    /// The chain does not lead to the authority's root.
    #[error("the issuer: {0}")]
    Issuer(#[source] ChainError),
    /// The key may do other things than sign, or may not sign.
    #[error("the usage of {subject}: {rule}")]
    Usage {
        /// Subject of the certificate.
        subject: String,
        /// What is wrong.
        rule: &'static str,
    },
    /// The serial number does not fit an indicium.
    #[error("the serial of {subject} is zero or longer than the 32 bits an indicium has for it")]
    Serial {
        /// Subject of the certificate.
        subject: String,
    },
    /// Not valid yet, by itself or by an issuer.
    #[error("{subject} or an issuer of it is valid from {from} only, and now is {now}")]
    NotYetValid {
        /// Subject of the certificate.
        subject: String,
        /// From when.
        from: UnixMillis,
        /// When it was to be used.
        now: UnixMillis,
    },
    /// Not valid any more, by itself or by an issuer.
    #[error("{subject} or an issuer of it expired at {expired}, and now is {now}")]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// When.
        expired: UnixMillis,
        /// When it was to be used.
        now: UnixMillis,
    },
    /// It would last longer than policy lets a key live.
    #[error("{subject} lasts longer than {most_years} years")]
    TooLong {
        /// Subject of the certificate.
        subject: String,
        /// The bound.
        most_years: u8,
    },
}

impl AuthorityRoot {
    /// Holds a chain (the PSD key's certificate, then its issuers without the root, DER) against all that is asked of a key of a PSD.
    pub fn profile<D: AsRef<[u8]>>(
        &self,
        chain: &[D],
        wanted: &WantedKey<'_>,
        lifetime: &Lifetime,
    ) -> Result<ProfiledKey, ProfileError> {
        let first = chain.first().ok_or(ProfileError::Malformed(ChainError::Empty))?;
        let leaf = parsed(first.as_ref()).map_err(|error| ProfileError::Malformed(error.into()))?;
        check_key(&leaf, wanted)?;
        check_subject(&leaf, wanted)?;
        let (_, not_before, not_after) = self.follow(chain).map_err(ProfileError::Issuer)?;
        check_usage(&leaf)?;
        let subject = subject(&leaf);
        let serial = short_serial(&leaf).filter(|serial| *serial > 0);
        let serial = serial.ok_or_else(|| ProfileError::Serial { subject: subject.clone() })?;
        let Lifetime { now, most_years } = *lifetime;
        if now < not_before {
            return Err(ProfileError::NotYetValid { subject, from: not_before, now });
        }
        if now > not_after {
            return Err(ProfileError::Expired { subject, expired: not_after, now });
        }
        let (from, to) = window(&leaf);
        if to.0.saturating_sub(from.0) > u64::from(most_years) * YEAR_MS {
            return Err(ProfileError::TooLong { subject, most_years });
        }
        Ok(ProfiledKey { serial, not_before, not_after })
    }
}

/// Whether keys of a role may be of this kind.
pub const fn kind_allowed(role: Role, kind: KeyKind) -> bool {
    match role {
        Role::Indicium | Role::Device => matches!(kind, KeyKind::P256),
        Role::Certification => matches!(kind, KeyKind::P256 | KeyKind::P384),
        // These are never certified.
        Role::TokenMac | Role::PostalMac | Role::Log => false,
    }
}

fn check_key(leaf: &Certificate, wanted: &WantedKey<'_>) -> Result<(), ProfileError> {
    let spki = leaf.tbs_certificate().subject_public_key_info().to_der();
    let spki = spki.map_err(|error| ProfileError::Malformed(error.into()))?;
    if spki != wanted.spki {
        return Err(ProfileError::Key { subject: subject(leaf), psd: wanted.psd, role: wanted.role });
    }
    match PublicKey::of_spki(&spki) {
        Some(key) if kind_allowed(wanted.role, key.kind()) => Ok(()),
        _ => Err(ProfileError::KeyKind { subject: subject(leaf), role: wanted.role }),
    }
}

fn check_subject(leaf: &Certificate, wanted: &WantedKey<'_>) -> Result<(), ProfileError> {
    let WantedKey { psd, role, generation, spki: _ } = *wanted;
    let says = |kind, text: &str| only(leaf, kind).as_deref() == Some(text);
    let of_generation = match only(leaf, SERIAL_NUMBER) {
        Some(text) => text == generation.to_string(),
        None => generation == 1 && !has(leaf, SERIAL_NUMBER),
    };
    if says(COMMON_NAME, &psd.to_string()) && says(UNIT, &role.to_string()) && of_generation {
        return Ok(());
    }
    Err(ProfileError::Subject { subject: subject(leaf), psd, role, generation })
}

fn has(leaf: &Certificate, kind: ObjectIdentifier) -> bool {
    leaf.tbs_certificate().subject().iter().any(|attribute| attribute.oid == kind)
}

/// The one attribute of its kind in the subject, where it is text.
pub(crate) fn only(leaf: &Certificate, kind: ObjectIdentifier) -> Option<String> {
    let mut found = leaf.tbs_certificate().subject().iter().filter(|attribute| attribute.oid == kind);
    let (Some(attribute), None) = (found.next(), found.next()) else { return None };
    let value = AnyRef::from(&attribute.value);
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

fn check_usage(leaf: &Certificate) -> Result<(), ProfileError> {
    let refused = |rule| ProfileError::Usage { subject: subject(leaf), rule };
    let malformed = |error: der::Error| ProfileError::Malformed(error.into());
    check_critical(leaf).map_err(ProfileError::Issuer)?;
    let tbs = leaf.tbs_certificate();
    let constraints = tbs.get_extension::<BasicConstraints>().map_err(malformed)?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(refused("it is a CA's"));
    }
    let usage = tbs.get_extension::<KeyUsage>().map_err(malformed)?;
    let (critical, usage) = usage.ok_or_else(|| refused("it says none"))?;
    if !usage.digital_signature() {
        return Err(refused("it does not allow digital signatures"));
    }
    if usage.0 != KeyUsages::DigitalSignature {
        return Err(refused("it allows more than digital signatures"));
    }
    if !critical {
        return Err(refused("it is not marked critical (RFC 5280 §4.2.1.3)"));
    }
    Ok(())
}
