//! A report that is to be accepted: of the PSD named, under a device key that the authority certified and did not revoke.
//!
//! Whether what it says is good the inspector has judged (`psdctl inspect`). Here nothing is accepted that no PSD has said.

use crate::books::{Books, Fault};
use psd::{ApplianceId, PsdId, UnixMillis};
use psdd_wire::audit::{AuditClaims, AuditError};

/// Why a file is no report to accept.
#[derive(Debug, thiserror::Error)]
pub enum ReportRefusal {
    /// No device key is certified.
    #[error("no device key of {0} is certified here; `psdctl authority keys` lists what is")]
    NoKey(PsdId),
    /// Not signed by the device key in use.
    #[error("it is no audit report of {psd}: {source}; `psdctl inspect --reports DIR` writes reports")]
    NoReport {
        /// The PSD.
        psd: PsdId,
        /// By its newest key.
        source: AuditError,
    },
    /// By a key that is not trusted any more.
    #[error("the device key of {psd} that signed it is revoked since {since}")]
    Revoked {
        /// The PSD.
        psd: PsdId,
        /// Since when.
        since: UnixMillis,
    },
    /// Of another appliance.
    #[error("the report is of appliance {0:?}")]
    Appliance(String),
}

/// Judges a report, and gives the SHA-256 that its acceptance names.
///
/// # Errors
///
/// The books fail; or, inside, why it is not to be accepted.
pub fn check_report(
    books: &mut Books,
    appliance: &ApplianceId,
    psd: PsdId,
    report: &[u8],
) -> Result<Result<[u8; 32], ReportRefusal>, Fault> {
    let keys = books.enter(|entry| entry.device_keys(psd))?;
    let mut newest = None;
    for key in &keys {
        match AuditClaims::signed_by(report, &key.spki) {
            Ok(claims) => {
                // A device key is of one PSD, so that the report is of it.
                let other = (claims.appliance != appliance.as_str()).then_some(claims.appliance);
                return Ok(match (key.revoked, other) {
                    (Some(since), _) => Err(ReportRefusal::Revoked { psd, since }),
                    (None, Some(other)) => Err(ReportRefusal::Appliance(other)),
                    (None, None) => Ok(psdd_wire::sha256(report)),
                });
            }
            Err(source) => newest = newest.or(Some(source)),
        }
    }
    Ok(Err(newest.map_or(ReportRefusal::NoKey(psd), |source| ReportRefusal::NoReport { psd, source })))
}
