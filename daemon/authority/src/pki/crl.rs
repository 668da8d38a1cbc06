//! X.509 revocation lists (RFC 5280 §5): of the CA of PSD keys, and of the root for its subordinates.

use super::files::{FileError, write_durably};
use super::profile::{date_time, issuer};
use super::{PkiError, made};
use crate::books::{Books, CrlIssuer, KeyRevocation, StoredList};
use crate::directory::AuthorityDir;
use psd::UnixMillis;
use psd::custody::RevocationReason;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason as Code, RevokedCertParams, SerialNumber};
use time::Duration;

/// Signs and writes the list that the books give, good for so many days. The root's takes the root's key, which is carried away.
pub fn write_list(
    dir: &AuthorityDir,
    books: &mut Books,
    of: CrlIssuer,
    days: u16,
    now: UnixMillis,
) -> Result<StoredList, PkiError> {
    let (certificate, key, path) = match of {
        CrlIssuer::PsdCa => (dir.psd_ca(), dir.psd_ca_key(), dir.psd_crl()),
        CrlIssuer::Root => (dir.root_certificate(), dir.root_key(), dir.root_crl()),
    };
    let ca = issuer(&certificate, &key)?;
    // Of two at once the later number is written last.
    let turn = path.with_extension("lock");
    let turn = std::fs::File::create(&turn).and_then(|file| file.lock().map(|()| file));
    let _turn = turn.map_err(|source| FileError { path: path.clone(), source })?;
    let next_update = UnixMillis(now.0.saturating_add(u64::from(days) * 86_400_000));
    let stored = books.store_list(of, (now, next_update), |number, revoked| {
        let list = CertificateRevocationListParams {
            this_update: date_time(now),
            next_update: date_time(now) + Duration::days(i64::from(days)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok::<_, PkiError>(list.signed_by(&ca).map_err(made("revocation list"))?.der().to_vec())
    })??;
    write_durably(&path, list_pem(&stored.der).as_bytes())?;
    Ok(stored)
}

/// A list as PEM (RFC 7468 §6).
pub fn list_pem(der: &[u8]) -> String {
    super::issue::pem("X509 CRL", der)
}

fn entry((serial, revocation): &(u32, KeyRevocation)) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from(u64::from(*serial)),
        revocation_time: date_time(revocation.since),
        reason_code: code(revocation.reason),
        invalidity_date: revocation.invalid_since.map(date_time),
    }
}

/// "Unspecified" is told by saying nothing (RFC 5280 §5.3.1).
const fn code(reason: RevocationReason) -> Option<Code> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(Code::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(Code::AffiliationChanged),
        RevocationReason::Superseded => Some(Code::Superseded),
        RevocationReason::CessationOfOperation => Some(Code::CessationOfOperation),
        RevocationReason::PrivilegeWithdrawn => Some(Code::PrivilegeWithdrawn),
    }
}
