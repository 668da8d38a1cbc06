//! Numbers of signed instructions: each key counts for each appliance, and a number is used up before its instruction exists.

use super::fault::Fault;
use super::rows::{column, parsed, unsigned};
use super::{Books, CertifiedView, Entry};
use psd::{ApplianceId, PsdId, UnixMillis};

/// An instruction to be numbered, signed and kept.
#[derive(Clone, Debug)]
pub struct StoredInstruction<'a> {
    /// Which key signs: `funds`, `inspection` or `policy`.
    pub purpose: &'a str,
    /// The appliance it is for.
    pub appliance: &'a ApplianceId,
    /// `lock`, `unlock`, `ceiling`, `acknowledge`, `inspection-periods`, `accept-audit`, `revoke-key`, `change-key` or `policy`.
    pub act: &'a str,
    /// The PSD, the licence, the PSD and the serial number of a certificate or the role of a key, or the version of a policy.
    pub subject: &'a str,
    /// The certificate that it speaks of, which must have been issued to a PSD of the appliance.
    pub certificate: Option<NamedCertificate>,
    /// When it ends.
    pub expires: UnixMillis,
}

/// A certificate that an instruction speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedCertificate {
    /// The PSD.
    pub psd: PsdId,
    /// The serial number.
    pub serial: u32,
    /// Whether the instruction vouches for it: then it must not be revoked.
    pub vouched: bool,
}

/// Why the authority does not instruct anything about a certificate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CertificateRefusal {
    /// Nothing of that kind was issued.
    #[error("certificate {serial} of {psd} was not issued here; `psdctl authority keys` lists those that were")]
    Unknown {
        /// The PSD.
        psd: PsdId,
        /// The serial number.
        serial: u32,
    },
    /// The appliance has no such PSD.
    #[error("{psd} is registered for appliance {appliance}: name that one")]
    Elsewhere {
        /// The PSD.
        psd: PsdId,
        /// Its appliance.
        appliance: String,
    },
    /// It is not to be trusted.
    #[error("certificate {serial} of {psd} is revoked since {since}: no verifier is to take what its key signs")]
    Revoked {
        /// The PSD.
        psd: PsdId,
        /// The serial number.
        serial: u32,
        /// Since when.
        since: UnixMillis,
    },
}

impl Books {
    /// Takes the next number, has the instruction signed with it and with the certified key it speaks of, if it does, and keeps it. Number and
    /// bytes are durable when they are given out.
    pub fn instruct(
        &mut self,
        instruction: &StoredInstruction<'_>,
        now: UnixMillis,
        sign: impl FnOnce(u64, Option<&CertifiedView>) -> Result<Vec<u8>, Fault>,
    ) -> Result<Result<(u64, Vec<u8>), CertificateRefusal>, Fault> {
        let StoredInstruction { purpose, appliance, act, subject, certificate, expires } = instruction;
        self.enter(|entry| {
            let key = match certificate.map(|named| entry.named(named, appliance)).transpose()? {
                Some(Err(refusal)) => return Ok(Err(refusal)),
                Some(Ok(key)) => Some(key),
                None => None,
            };
            let sql = "SELECT coalesce(max(sequence), 0) + 1 FROM instruction WHERE purpose = ?1 AND appliance = ?2";
            let sequence: i64 = entry.value(sql, (purpose, appliance.as_str()))?;
            let bytes = sign(unsigned(sequence)?, key.as_ref())?;
            entry.write(
                "INSERT INTO instruction (purpose, appliance, sequence, act, subject, time, expires, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (purpose, appliance.as_str(), sequence, act, subject, column(now.0)?, column(expires.0)?, &bytes),
            )?;
            Ok(Ok((unsigned(sequence)?, bytes)))
        })
    }
}

impl Books {
    /// The version of the policy that was last signed for an appliance, whether it was taken there or not; 0 where none was.
    pub fn newest_policy(&mut self, appliance: &ApplianceId) -> Result<u64, Fault> {
        // Of what is signed under rising numbers the last counts: a version that was never taken may have been signed again.
        let sql = "SELECT subject FROM instruction WHERE purpose = 'policy' AND act = 'policy' AND appliance = ?1
                   ORDER BY sequence DESC LIMIT 1";
        let newest: Option<String> = self.enter(|entry| entry.one(sql, [appliance.as_str()], |row| row.get(0)))?;
        newest.map_or(Ok(0), |version| parsed(&version))
    }
}

impl Entry<'_> {
    fn named(
        &self,
        NamedCertificate { psd, serial, vouched }: NamedCertificate,
        wanted: &ApplianceId,
    ) -> Result<Result<CertifiedView, CertificateRefusal>, Fault> {
        let Some(key) = self.certified(Some(psd))?.into_iter().find(|key| key.serial == serial) else {
            return Ok(Err(CertificateRefusal::Unknown { psd, serial }));
        };
        let appliance: String = self.value("SELECT appliance FROM psd WHERE id = ?1", [psd.to_string()])?;
        if appliance != wanted.as_str() {
            return Ok(Err(CertificateRefusal::Elsewhere { psd, appliance }));
        }
        if let Some(revocation) = key.revocation.filter(|_| vouched) {
            return Ok(Err(CertificateRefusal::Revoked { psd, serial, since: revocation.since }));
        }
        Ok(Ok(key))
    }
}
