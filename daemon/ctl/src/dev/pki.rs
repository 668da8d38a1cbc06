//! The development PKI of the vendor, the operators, the inspectors and the server; the postal authority has its own.
//!
//! A stand-in for two real parties, with keys in files; everything it issues has the form the real ones must issue.

use super::Layout;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Why the PKI could not do it.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A certificate, key or list could not be made or read.
    #[error("{what}: {source}")]
    Make {
        /// Which.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A file.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Files of a client of the vendor door.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
}

fn made(what: &str) -> impl Fn(rcgen::Error) -> PkiError {
    move |source| PkiError::Make { what: what.to_owned(), source }
}

fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    std::fs::write(path, text).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn params(name: &str, organisation: &str, serial: u32) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(made(name))?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    (params.not_before, params.not_after) = validity();
    params.serial_number = Some(SerialNumber::from(u64::from(serial)));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn validity() -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - Duration::hours(1), now + Duration::days(5 * 365))
}

fn ca(name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = params(name, "Development", 1)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn issuer(layout: &Layout, name: &str) -> Result<Issuer<'static, KeyPair>, PkiError> {
    let dir = layout.pki();
    let key = KeyPair::from_pem(&read(&dir.join(format!("{name}.key")))?).map_err(made(name))?;
    Issuer::from_ca_cert_pem(&read(&dir.join(format!("{name}.pem")))?, key).map_err(made(name))
}

/// Makes a self-signed CA and writes `NAME.pem` and `NAME.key`.
fn root(layout: &Layout, name: &str, title: &str) -> Result<Issuer<'static, KeyPair>, PkiError> {
    let key = KeyPair::generate().map_err(made(title))?;
    let params = ca(title)?;
    let certificate = params.self_signed(&key).map_err(made(title))?;
    write(&layout.pki().join(format!("{name}.pem")), &certificate.pem())?;
    write(&layout.pki().join(format!("{name}.key")), &key.serialize_pem())?;
    issuer(layout, name)
}

fn issue(
    layout: &Layout,
    name: &str,
    params: &CertificateParams,
    by: &Issuer<'static, KeyPair>,
) -> Result<ClientIdentity, PkiError> {
    let key = KeyPair::generate().map_err(made(name))?;
    let certificate = params.signed_by(&key, by).map_err(made(name))?;
    let identity = ClientIdentity {
        certificate: layout.pki().join(format!("{name}.pem")),
        key: layout.pki().join(format!("{name}.key")),
    };
    write(&identity.certificate, &certificate.pem())?;
    write(&identity.key, &key.serialize_pem())?;
    Ok(identity)
}

/// Makes the server's certificate, the CAs of vendor, operators and inspectors, and the first client's certificate of each.
pub(super) fn make(layout: &Layout, tenant: &str) -> Result<(), PkiError> {
    let server_ca = root(layout, "server-ca", "Development Server CA")?;
    let mut server =
        CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(made("server"))?;
    server.distinguished_name.push(DnType::CommonName, "psdd development");
    (server.not_before, server.not_after) = validity();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(layout, "server", &server, &server_ca)?;
    root(layout, "vendor-ca", "Development Vendor CA")?;
    issue_client(layout, "client", tenant, 100)?;
    revoke_clients(layout, &[])?;
    root(layout, "operator-ca", "Development Operator CA")?;
    issue_operator_client(layout, "operator", 100)?;
    revoke_operator_clients(layout, &[])?;
    root(layout, "inspector-ca", "Development Inspector CA")?;
    issue_inspector_client(layout, "inspector", 100)?;
    revoke_inspector_clients(layout, &[])
}

/// Issues a client certificate: O is the tenant, CN the client.
pub fn issue_client(layout: &Layout, name: &str, tenant: &str, serial: u32) -> Result<ClientIdentity, PkiError> {
    client(layout, name, (name, tenant), serial, "vendor-ca")
}

/// Issues a client certificate for the operator door: the CN is the operator's name, and the file's.
pub fn issue_operator_client(layout: &Layout, name: &str, serial: u32) -> Result<ClientIdentity, PkiError> {
    client(layout, name, (name, "Development"), serial, "operator-ca")
}

/// Issues a client certificate for the authority door: the CN is the inspector's name, and the file's.
pub fn issue_inspector_client(layout: &Layout, name: &str, serial: u32) -> Result<ClientIdentity, PkiError> {
    client(layout, name, (name, "Development"), serial, "inspector-ca")
}

fn client(
    layout: &Layout,
    file: &str,
    (name, organisation): (&str, &str),
    serial: u32,
    ca: &str,
) -> Result<ClientIdentity, PkiError> {
    let mut params = params(name, organisation, serial)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    issue(layout, file, &params, &issuer(layout, ca)?)
}

/// Writes the vendor CA's CRL with these serials on it, good for a year.
pub fn revoke_clients(layout: &Layout, serials: &[u32]) -> Result<(), PkiError> {
    write_crl(layout, "vendor-ca", serials, &layout.vendor_crl())
}

/// Writes the operator CA's CRL with these serials on it, good for a year.
pub fn revoke_operator_clients(layout: &Layout, serials: &[u32]) -> Result<(), PkiError> {
    write_crl(layout, "operator-ca", serials, &layout.operator_crl())
}

/// Writes the inspector CA's CRL with these serials on it, good for a year.
pub fn revoke_inspector_clients(layout: &Layout, serials: &[u32]) -> Result<(), PkiError> {
    write_crl(layout, "inspector-ca", serials, &layout.inspector_crl())
}

fn write_crl(layout: &Layout, ca: &str, serials: &[u32], path: &Path) -> Result<(), PkiError> {
    let now = OffsetDateTime::now_utc();
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(u64::from(*serial)),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: now - Duration::hours(1),
        next_update: now + Duration::days(365),
        crl_number: SerialNumber::from(u64::try_from(now.unix_timestamp()).unwrap_or(1)),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&issuer(layout, ca)?).map_err(made("CRL"))?;
    write(path, &signed.pem().map_err(made("CRL"))?)
}
