//! Judging marks without a connection: a bundle of certificates, a pinned root, and the bytes.

use super::chain::{AuthorityRoot, CertifiedKey, ChainError};
use der::{Decode, Encode};
use psd::custody::RevocationReason;
use psd::indicium::Decoded;
use psd::{MailingDate, UnixMillis};
use std::collections::HashMap;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

/// Longest path tried from a certificate of the bundle to the root.
const MOST_LINKS: usize = 4;
const DAY_MS: u64 = 86_400_000;

/// What a mark is worth as proof.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Verdict {
    /// The signature is of a key that the authority certified, and the certificate covers the day of mailing.
    #[error("valid")]
    Valid,
    /// The signature is not of the certified key: forged or altered.
    #[error("bad signature")]
    BadSignature,
    /// The bundle has no certificate with that serial.
    #[error("unknown certificate {0}")]
    UnknownCertificate(u32),
    /// The certificate does not lead to the authority's root.
    #[error("certificate not from the authority: {0}")]
    NotFromAuthority(ChainError),
    /// The certificate does not cover the day of mailing.
    #[error("certificate not valid on the day of mailing")]
    NotValidThen,
    /// Valid, and its key was revoked after the day of mailing.
    #[error("valid when signed, by its date; key revoked since {since} ({reason})")]
    ValidWhenSigned {
        /// Since when the key is revoked.
        since: UnixMillis,
        /// Why.
        reason: RevocationReason,
    },
    /// Its day of mailing is the day its key was revoked, or a later one.
    #[error("signed after revocation, by its date; key revoked since {since} ({reason})")]
    SignedAfterRevocation {
        /// Since when the key is revoked.
        since: UnixMillis,
        /// Why.
        reason: RevocationReason,
    },
    /// Its key may have been in other hands on the day of mailing.
    #[error("not to be believed: its key may be in other hands since {since}")]
    KeyCompromised {
        /// Since when.
        since: UnixMillis,
    },
    /// The certificate names another device than the mark.
    #[error("certificate is of another device: {0}")]
    OtherDevice(String),
}

impl Verdict {
    /// A stable word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::BadSignature => "bad-signature",
            Verdict::UnknownCertificate(_) => "unknown-certificate",
            Verdict::NotFromAuthority(_) => "not-from-authority",
            Verdict::NotValidThen => "not-valid-then",
            Verdict::ValidWhenSigned { .. } => "valid-when-signed",
            Verdict::SignedAfterRevocation { .. } => "signed-after-revocation",
            Verdict::KeyCompromised { .. } => "key-compromised",
            Verdict::OtherDevice(_) => "other-device",
        }
    }

    /// Whether the mark is good: valid, or valid when it was signed.
    pub const fn is_good(&self) -> bool {
        match self {
            Verdict::Valid | Verdict::ValidWhenSigned { .. } => true,
            Verdict::BadSignature
            | Verdict::UnknownCertificate(_)
            | Verdict::NotFromAuthority(_)
            | Verdict::NotValidThen
            | Verdict::SignedAfterRevocation { .. }
            | Verdict::KeyCompromised { .. }
            | Verdict::OtherDevice(_) => false,
        }
    }
}

/// Certificates by serial, each judged once.
#[derive(Debug)]
pub struct Bundle {
    by_serial: HashMap<u32, Vec<Result<CertifiedKey, ChainError>>>,
}

impl Bundle {
    /// Judges every certificate (DER, in any order, issuers among them) against the root.
    pub fn new<D: AsRef<[u8]>>(certificates: &[D], root: &AuthorityRoot) -> Result<Self, ChainError> {
        let parsed = certificates.iter().map(|der| Certificate::from_der(der.as_ref()));
        let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        let mut by_serial: HashMap<u32, Vec<_>> = HashMap::new();
        for leaf in parsed.iter().filter(|certificate| !is_ca(certificate)) {
            let Some(serial) = serial(leaf) else { continue };
            let chain = chain(leaf, &parsed)?;
            by_serial.entry(serial).or_default().push(root.certify(&chain));
        }
        Ok(Self { by_serial })
    }

    /// How many certificates of PSD keys there are.
    pub fn len(&self) -> usize {
        self.by_serial.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_serial.is_empty()
    }

    /// Judges one mark. Where several certificates share a serial, the best verdict counts.
    pub fn judge(&self, mark: &Decoded) -> Verdict {
        let candidates = self.by_serial.get(&mark.certificate_serial).map_or(&[][..], Vec::as_slice);
        let mut verdicts: Vec<_> = candidates.iter().map(|candidate| judge(mark, candidate)).collect();
        match verdicts.iter().position(|verdict| *verdict == Verdict::Valid) {
            Some(_) => Verdict::Valid,
            None => verdicts.pop().unwrap_or(Verdict::UnknownCertificate(mark.certificate_serial)),
        }
    }
}

fn judge(mark: &Decoded, candidate: &Result<CertifiedKey, ChainError>) -> Verdict {
    let certified = match candidate {
        Ok(certified) => certified,
        Err(error) => return Verdict::NotFromAuthority(error.clone()),
    };
    if !certified.signed(mark) {
        return Verdict::BadSignature;
    }
    if let Some(named) = certified.psd().filter(|named| Some(*named) != mark.psd) {
        return Verdict::OtherDevice(named.to_string());
    }
    if covers(certified, mark.date) { Verdict::Valid } else { Verdict::NotValidThen }
}

/// Whether the certificate was valid at some time of that day, in UTC.
fn covers(certified: &CertifiedKey, yyyymmdd: u32) -> bool {
    let Some(date) = MailingDate::from_yyyymmdd(yyyymmdd) else { return false };
    let Some(begin) = u64::try_from(date.day_number()).ok().and_then(|days| days.checked_mul(DAY_MS)) else {
        return false;
    };
    let (from, to) = certified.window();
    from < UnixMillis(begin + DAY_MS) && to >= UnixMillis(begin)
}

fn is_ca(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    matches!(constraints, Ok(Some((_, constraints))) if constraints.ca)
}

fn serial(certificate: &Certificate) -> Option<u32> {
    let bytes = certificate.tbs_certificate().serial_number().as_bytes();
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    (digits.len() <= 4).then(|| digits.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// The certificate and its issuers as far as the bundle has them.
fn chain(leaf: &Certificate, all: &[Certificate]) -> Result<Vec<Vec<u8>>, ChainError> {
    let mut links = vec![leaf];
    while let Some(last) = links.last().filter(|_| links.len() < MOST_LINKS) {
        let issuer = last.tbs_certificate().issuer();
        let found = all.iter().find(|certificate| {
            let tbs = certificate.tbs_certificate();
            // The root stands outside the chain.
            tbs.subject() == issuer && tbs.subject() != tbs.issuer() && is_ca(certificate)
        });
        match found {
            Some(found) => links.push(found),
            None => break,
        }
    }
    links.into_iter().map(|link| link.to_der().map_err(ChainError::from)).collect()
}
