//! What each kind of certificate says (RFC 5280), so that `psdd_wire::certificate` and TLS accept it and nothing takes it for another.

use super::files::{read, write_durably, write_key};
use super::{PkiError, made};
use psd::UnixMillis;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use std::path::Path;
use time::{Duration, OffsetDateTime};

pub(super) const YEAR: Duration = Duration::days(365);

/// A key with its CA certificate.
pub(super) type Ca = Issuer<'static, KeyPair>;

pub(super) fn date_time(now: UnixMillis) -> OffsetDateTime {
    let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    // Beyond the calendar of the library no certificate is valid.
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Subject, serial number and validity; nothing is allowed yet.
pub(super) fn params(
    (name, unit, organisation): (&str, Option<&str>, &str),
    serial: u32,
    (now, life): (UnixMillis, Duration),
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(made(name))?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(unit) = unit {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    }
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    // An hour for clocks that lag.
    params.not_before = date_time(now) - Duration::hours(1);
    params.not_after = date_time(now) + life;
    params.serial_number = Some(SerialNumber::from(u64::from(serial)));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// May issue certificates, with so many CAs below it.
pub(super) fn as_ca(params: &mut CertificateParams, below: u8) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
}

/// May sign statements, and is no CA.
pub(super) fn as_signer(params: &mut CertificateParams) {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
}

/// Makes a self-signed CA in these files.
pub(super) fn root((certificate, key): (&Path, &Path), params: &CertificateParams, what: &str) -> Result<Ca, PkiError> {
    let pair = KeyPair::generate().map_err(made(what))?;
    let signed = params.self_signed(&pair).map_err(made(what))?;
    write_key(key, &pair.serialize_pem())?;
    write_durably(certificate, signed.pem().as_bytes())?;
    issuer(certificate, key)
}

/// Makes a key in these files, certified by a CA.
pub(super) fn certified(
    (certificate, key): (&Path, &Path),
    params: &CertificateParams,
    by: &Ca,
    what: &str,
) -> Result<(), PkiError> {
    let pair = KeyPair::generate().map_err(made(what))?;
    let signed = params.signed_by(&pair, by).map_err(made(what))?;
    write_key(key, &pair.serialize_pem())?;
    Ok(write_durably(certificate, signed.pem().as_bytes())?)
}

/// Reads a CA from its files.
pub(super) fn issuer(certificate: &Path, key: &Path) -> Result<Ca, PkiError> {
    let what = key.display().to_string();
    let pair = KeyPair::from_pem(&read(key)?).map_err(made(&what))?;
    let what = certificate.display().to_string();
    Issuer::from_ca_cert_pem(&read(certificate)?, pair).map_err(made(&what))
}
