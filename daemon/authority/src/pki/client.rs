//! Clients of the funds system: a TLS certificate names the appliance it speaks for, and a list names those that are revoked.

use super::files::write_durably;
use super::profile::{YEAR, as_signer, certified, date_time, issuer, params};
use super::{PkiError, made};
use crate::books::Books;
use crate::directory::AuthorityDir;
use psd::{ApplianceId, UnixMillis};
use rcgen::{CertificateRevocationListParams, ExtendedKeyUsagePurpose, KeyIdMethod, RevokedCertParams, SerialNumber};
use std::path::Path;
use time::Duration;

/// Issues a client certificate with a new key into two files. Its CN is the appliance. Gives its serial number.
pub fn issue_client(
    dir: &AuthorityDir,
    books: &mut Books,
    appliance: &ApplianceId,
    (certificate, key): (&Path, &Path),
    now: UnixMillis,
) -> Result<u32, PkiError> {
    let ca = issuer(&dir.client_ca(), &dir.client_ca_key())?;
    let serial = books.add_client(appliance, now)?;
    let mut client = params((appliance.as_str(), None, "appliance"), serial, (now, YEAR * 2))?;
    as_signer(&mut client);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    certified((certificate, key), &client, &ca, "client certificate")?;
    write_crl(dir, books, now)?;
    Ok(serial)
}

/// Revokes a client certificate. A running funds system takes the new list on SIGHUP.
pub fn revoke_client(dir: &AuthorityDir, books: &mut Books, serial: u32, now: UnixMillis) -> Result<(), PkiError> {
    if !books.revoke_client(serial, now)? {
        return Err(PkiError::UnknownClient(serial));
    }
    write_crl(dir, books, now)
}

/// Writes the revocation list that the books give, good for a year: beyond it no client is let in.
pub fn write_crl(dir: &AuthorityDir, books: &mut Books, now: UnixMillis) -> Result<(), PkiError> {
    let revoked = books.clients()?.into_iter().filter_map(|client| {
        let at = client.revoked?;
        Some(RevokedCertParams {
            serial_number: SerialNumber::from(u64::from(client.serial)),
            revocation_time: date_time(at),
            reason_code: None,
            invalidity_date: None,
        })
    });
    let list = CertificateRevocationListParams {
        this_update: date_time(now) - Duration::hours(1),
        next_update: date_time(now) + YEAR,
        crl_number: SerialNumber::from(now.0),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&issuer(&dir.client_ca(), &dir.client_ca_key())?).map_err(made("revocation list"))?;
    let pem = signed.pem().map_err(made("revocation list"))?;
    Ok(write_durably(&dir.client_crl(), pem.as_bytes())?)
}
