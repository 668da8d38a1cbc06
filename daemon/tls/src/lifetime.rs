//! When certificates and lists end.

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

/// When what a listener was built of ends: of several in a file, the first that does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// `notAfter` of the server's chain (RFC 5280 §4.1.2.5).
    pub certificate: UnixTime,
    /// `notAfter` of the client CA.
    pub client_ca: UnixTime,
    /// `nextUpdate` of the CRL (RFC 5280 §5.1.2.5).
    pub crl: UnixTime,
}

/// It does not say when it ends, or not readably.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A certificate.
    #[error("a certificate in it cannot be read: {0}")]
    Certificate(x509_cert::der::Error),
    /// A list.
    #[error("a revocation list in it cannot be read: {0}")]
    List(x509_cert::der::Error),
    /// A list without nextUpdate, which RFC 5280 §5.1.2.5 demands.
    #[error("a revocation list in it has no nextUpdate")]
    Endless,
    /// There is none.
    #[error("it holds nothing")]
    Nothing,
}

/// When the first certificate of a chain ends.
pub fn not_after(chain: &[CertificateDer<'_>]) -> Result<UnixTime, Unreadable> {
    first(chain.iter().map(|der| {
        let certificate = Certificate::from_der(der).map_err(Unreadable::Certificate)?;
        Ok(UnixTime::since_unix_epoch(certificate.tbs_certificate().validity().not_after.to_unix_duration()))
    }))
}

/// When the first list ends.
pub(crate) fn next_update(lists: &[CertificateRevocationListDer<'_>]) -> Result<UnixTime, Unreadable> {
    first(lists.iter().map(|der| {
        let list: CertificateList = CertificateList::from_der(der.as_ref()).map_err(Unreadable::List)?;
        let next = list.tbs_cert_list.next_update.ok_or(Unreadable::Endless)?;
        Ok(UnixTime::since_unix_epoch(next.to_unix_duration()))
    }))
}

fn first(ends: impl Iterator<Item = Result<UnixTime, Unreadable>>) -> Result<UnixTime, Unreadable> {
    let ends = ends.collect::<Result<Vec<_>, _>>()?;
    ends.into_iter().min_by_key(UnixTime::as_secs).ok_or(Unreadable::Nothing)
}
