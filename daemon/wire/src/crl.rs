//! Certificate revocation lists (RFC 5280 §5), as far as a verifier of marks needs them.
//!
//! Refused rather than guessed: critical extensions (delta lists and partial ones among them), other versions, lists without a next
//! update, reasons that end trust for a while only.

use crate::certificate::{AuthorityRoot, ChainError, algorithm, check_issuer, parsed, subject};
use aws_lc_rs::signature::UnparsedPublicKey;
use const_oid::ObjectIdentifier;
use der::asn1::GeneralizedTime;
use der::{Decode, Encode};
use psd::UnixMillis;
use psd::custody::RevocationReason;
use std::collections::BTreeMap;
use x509_cert::Certificate;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::pkix::{CrlReason, KeyUsage};
use x509_cert::time::Time;

const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// A list that was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crl {
    /// When it was made.
    pub this_update: UnixMillis,
    /// By when there is a newer one.
    pub next_update: UnixMillis,
    /// Revoked certificates by serial number; those with more than 32 bits are of no PSD's key.
    pub revoked: BTreeMap<u32, RevokedCertificate>,
}

/// One revoked certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevokedCertificate {
    /// Since when it is revoked.
    pub since: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
    /// Since when the private key may be in other hands (RFC 5280 §5.3.2), where the CA says it.
    pub invalid_since: Option<UnixMillis>,
}

/// Why the bytes are no list to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not a list.
    #[error("not an X.509 revocation list: {0}")]
    Malformed(#[from] der::Error),
    /// The issuer's certificate does not lead to the authority's root.
    #[error("the issuer of the list: {0}")]
    Issuer(#[source] ChainError),
    /// No certificate given is the issuer's.
    #[error("the list is issued by {0}, whose certificate is not among those given")]
    UnknownIssuer(String),
    /// The issuer may not sign lists.
    #[error("{0} may not sign revocation lists")]
    Usage(String),
    /// The signature does not verify.
    #[error("the signature on the list is not that of {0}")]
    Signature(String),
    /// Something in it that is not understood and may change its meaning.
    #[error("the list has the critical extension {0}, which is not known here")]
    Critical(ObjectIdentifier),
    /// A reason that ends trust for a while only, or none of RFC 5280.
    #[error("the list gives a reason for certificate {0} that is not accepted here")]
    Reason(u32),
    /// No promise of a newer list.
    #[error("the list does not say when the next comes (RFC 5280 §5.1.2.5)")]
    NoNextUpdate,
    /// A newer one is due.
    #[error("the list was good until {until}, and now is {now}; fetch a new one")]
    Stale {
        /// By when a newer one was promised.
        until: UnixMillis,
        /// Now.
        now: UnixMillis,
    },
}

impl Crl {
    /// Verifies a list (DER) under the one of `issuers` (DER, each with its issuers after it) that it names, which must lead to the root
    /// or be the root itself, and that it is current.
    pub fn verify<D: AsRef<[u8]>>(
        der: &[u8],
        issuers: &[D],
        root: &AuthorityRoot,
        now: UnixMillis,
    ) -> Result<Self, CrlError> {
        let list = CertificateList::from_der(der)?;
        if list.to_der()? != der {
            return Err(CrlError::Malformed(der::ErrorKind::Noncanonical { tag: der::Tag::Sequence }.into()));
        }
        let issuer = issuer_of(&list, issuers, root)?;
        check_signature(&list, &issuer)?;
        let tbs = &list.tbs_cert_list;
        if let Some(critical) = tbs.crl_extensions.iter().flatten().find(|extension| extension.critical) {
            return Err(CrlError::Critical(critical.extn_id));
        }
        let next_update = millis(tbs.next_update.ok_or(CrlError::NoNextUpdate)?);
        if next_update < now {
            return Err(CrlError::Stale { until: next_update, now });
        }
        let mut revoked = BTreeMap::new();
        for entry in tbs.revoked_certificates.iter().flatten() {
            if let Some(serial) = serial_of(entry) {
                revoked.insert(serial, read_entry(entry, serial)?);
            }
        }
        Ok(Self { this_update: millis(tbs.this_update), next_update, revoked })
    }
}

fn issuer_of<D: AsRef<[u8]>>(
    list: &CertificateList,
    issuers: &[D],
    root: &AuthorityRoot,
) -> Result<Certificate, CrlError> {
    let name = &list.tbs_cert_list.issuer;
    let anchor = parsed(root.der())?;
    if anchor.tbs_certificate().subject() == name {
        return Ok(anchor);
    }
    for (at, candidate) in issuers.iter().enumerate() {
        let certificate = parsed(candidate.as_ref())?;
        if certificate.tbs_certificate().subject() == name && check_issuer(&certificate, 0).is_ok() {
            // Its own chain begins at it; what stands there beyond the links needed would not lead to the root.
            let chain = chain_of(&certificate, &issuers[at..]);
            root.follow(&chain).map_err(CrlError::Issuer)?;
            return Ok(certificate);
        }
    }
    Err(CrlError::UnknownIssuer(name.to_string()))
}

/// The certificate and those after it, as long as each is the issuer of the one before.
fn chain_of<D: AsRef<[u8]>>(first: &Certificate, rest: &[D]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    let mut wanted = first.tbs_certificate().subject().clone();
    for der in rest {
        let Ok(certificate) = parsed(der.as_ref()) else { break };
        if *certificate.tbs_certificate().subject() != wanted {
            break;
        }
        wanted = certificate.tbs_certificate().issuer().clone();
        chain.push(der.as_ref().to_vec());
    }
    chain
}

fn check_signature(list: &CertificateList, issuer: &Certificate) -> Result<(), CrlError> {
    let name = subject(issuer);
    let usage = issuer.tbs_certificate().get_extension::<KeyUsage>()?;
    if !usage.is_some_and(|(_, usage)| usage.crl_sign()) {
        return Err(CrlError::Usage(name));
    }
    let refused = || CrlError::Signature(name.clone());
    if list.signature_algorithm != list.tbs_cert_list.signature {
        return Err(refused());
    }
    let algorithm = algorithm(list.signature_algorithm.oid, issuer).ok_or_else(refused)?;
    let key = issuer.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes();
    let (Some(key), Some(signature)) = (key, list.signature.as_bytes()) else { return Err(refused()) };
    let signed = list.tbs_cert_list.to_der()?;
    UnparsedPublicKey::new(algorithm, key).verify(&signed, signature).ok().ok_or_else(refused)
}

fn read_entry(entry: &RevokedCert, serial: u32) -> Result<RevokedCertificate, CrlError> {
    let mut read = RevokedCertificate {
        since: millis(entry.revocation_date),
        reason: RevocationReason::Unspecified,
        invalid_since: None,
    };
    for extension in entry.crl_entry_extensions.iter().flatten() {
        match extension.extn_id {
            REASON => {
                let reason = CrlReason::from_der(extension.extn_value.as_bytes())?;
                read.reason = accepted(reason).ok_or(CrlError::Reason(serial))?;
            }
            INVALIDITY_DATE => {
                let date = GeneralizedTime::from_der(extension.extn_value.as_bytes())?;
                read.invalid_since = Some(millis(Time::GeneralTime(date)));
            }
            oid if extension.critical => return Err(CrlError::Critical(oid)),
            _ => {}
        }
    }
    Ok(read)
}

/// The reasons that end trust for good.
fn accepted(reason: CrlReason) -> Option<RevocationReason> {
    match reason {
        CrlReason::Unspecified => Some(RevocationReason::Unspecified),
        CrlReason::KeyCompromise => Some(RevocationReason::KeyCompromise),
        CrlReason::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
        CrlReason::Superseded => Some(RevocationReason::Superseded),
        CrlReason::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
        CrlReason::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
        CrlReason::CaCompromise | CrlReason::CertificateHold | CrlReason::RemoveFromCRL | CrlReason::AaCompromise => {
            None
        }
    }
}

fn serial_of(entry: &RevokedCert) -> Option<u32> {
    let digits = entry.serial_number.as_bytes();
    let digits = &digits[digits.iter().take_while(|byte| **byte == 0).count()..];
    (digits.len() <= 4).then(|| digits.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
}

fn millis(time: Time) -> UnixMillis {
    UnixMillis(time.to_unix_duration().as_secs().saturating_mul(1000))
}
