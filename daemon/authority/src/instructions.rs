//! Signed instructions to an appliance: locks by the inspection key or the funds key, ceilings and policies by the policy key, the inspection key's
//! word that verifiers know the certificate of a next key, of which the books know that it exists and is not revoked, how often PSDs
//! are inspected and which report of an audit was good, and which keys of theirs are revoked or are to change.
//!
//! Numbers rise for each key and appliance. One is used up, and its instruction kept, before the bytes are given out: what was carried
//! halfway can be carried again, and nothing is ever signed twice under one number.

use crate::books::{Books, CertificateRefusal, CertifiedView, Fault, NamedCertificate, StoredInstruction};
use crate::directory::AuthorityDir;
use crate::keys::{KeyError, SigningKey};
use psd::custody::Revocation;
use psd::inspection::InspectionPeriods;
use psd::key::Role;
use psd::policy::PolicyText;
use psd::{ApplianceId, LicenceNumber, PostageAmount, PsdId, UnixMillis};
use psdd_wire::cose::INSTRUCTION;
use psdd_wire::message::InstructionClaims;

/// Which key of the authority signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Lock reason `funds`.
    Funds,
    /// Lock reason `authority`, acknowledgements of verifiers, periods of inspection, acceptances of audit reports, revocations and changes of keys.
    Inspection,
    /// Ceilings, and the authority's own policy.
    Policy,
}

/// Who locks: the reason that is set, and that only the same key clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockBy {
    /// The inspectors.
    Inspection,
    /// The funds system.
    Funds,
}

/// How often a ceiling begins anew, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    /// At midnight.
    Day,
    /// On the first of a month.
    Month,
    /// On 1 January.
    Year,
}

/// What an appliance is told to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// No value moves and nothing is signed.
    Lock(PsdId, LockBy),
    /// The lock of the same key ends.
    Unlock(PsdId, LockBy),
    /// Most value that is loaded under a licence in a period; none lifts the ceiling.
    Ceiling(LicenceNumber, Option<PostageAmount>, Period),
    /// Verifiers know the certificate of this serial number of a PSD's key.
    Acknowledge(PsdId, u32),
    /// How often the PSDs of a licence are inspected; none lifts that.
    InspectionPeriods(LicenceNumber, Option<InspectionPeriods>),
    /// The audit report of a PSD with this SHA-256 is good.
    AcceptAudit(PsdId, [u8; 32]),
    /// The key of a PSD whose certificate has this serial number is not to be trusted from a time on.
    RevokeKey(PsdId, u32, Revocation),
    /// A new key of a role takes over at a PSD.
    ChangeKey(PsdId, Role),
    /// The authority's own policy, under this version; an empty text forbids nothing more.
    Policy(u64, PolicyText),
}

/// A signed instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Which key signed.
    pub purpose: Purpose,
    /// Its number.
    pub sequence: u64,
    /// COSE_Sign1.
    pub bytes: Vec<u8>,
}

/// Why there is no instruction.
#[derive(Debug, thiserror::Error)]
pub enum InstructionError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The books.
    #[error(transparent)]
    Books(#[from] Fault),
    /// A certificate that it is not to speak of.
    #[error(transparent)]
    Certificate(#[from] CertificateRefusal),
    /// No appliance would take it.
    #[error("the key cannot be revoked since {0}, which is yet to come")]
    SinceAhead(UnixMillis),
}

impl Purpose {
    /// As responses and tables have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Funds => "funds",
            Purpose::Inspection => "inspection",
            Purpose::Policy => "policy",
        }
    }

    /// The key of this purpose.
    pub fn key(self, dir: &AuthorityDir) -> Result<SigningKey, KeyError> {
        let (certificate, key) = match self {
            Purpose::Funds => (dir.funds(), dir.funds_key()),
            Purpose::Inspection => (dir.inspection(), dir.inspection_key()),
            Purpose::Policy => (dir.policy(), dir.policy_key()),
        };
        SigningKey::read(&certificate, &key)
    }
}

impl From<LockBy> for Purpose {
    fn from(by: LockBy) -> Self {
        match by {
            LockBy::Inspection => Purpose::Inspection,
            LockBy::Funds => Purpose::Funds,
        }
    }
}

impl Act {
    /// The key that may order it.
    pub fn purpose(&self) -> Purpose {
        match self {
            Act::Lock(_, by) | Act::Unlock(_, by) => (*by).into(),
            Act::Ceiling(..) | Act::Policy(..) => Purpose::Policy,
            Act::Acknowledge(..)
            | Act::InspectionPeriods(..)
            | Act::AcceptAudit(..)
            | Act::RevokeKey(..)
            | Act::ChangeKey(..) => Purpose::Inspection,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Act::Lock(..) => "lock",
            Act::Unlock(..) => "unlock",
            Act::Ceiling(..) => "ceiling",
            Act::Acknowledge(..) => "acknowledge",
            Act::InspectionPeriods(..) => "inspection-periods",
            Act::AcceptAudit(..) => "accept-audit",
            Act::RevokeKey(..) => "revoke-key",
            Act::ChangeKey(..) => "change-key",
            Act::Policy(..) => "policy",
        }
    }

    fn subject(&self) -> String {
        match self {
            Act::Lock(psd, _) | Act::Unlock(psd, _) | Act::AcceptAudit(psd, _) => psd.to_string(),
            Act::Ceiling(licence, ..) | Act::InspectionPeriods(licence, _) => licence.to_string(),
            Act::Acknowledge(psd, serial) | Act::RevokeKey(psd, serial, _) => format!("{psd} certificate {serial}"),
            Act::ChangeKey(psd, role) => format!("{psd} {role}"),
            Act::Policy(version, _) => version.to_string(),
        }
    }

    /// The certificate it speaks of.
    fn certificate(&self) -> Option<NamedCertificate> {
        match self {
            Act::Lock(..)
            | Act::Unlock(..)
            | Act::Ceiling(..)
            | Act::InspectionPeriods(..)
            | Act::AcceptAudit(..)
            | Act::ChangeKey(..)
            | Act::Policy(..) => None,
            Act::Acknowledge(psd, serial) => Some(NamedCertificate { psd: *psd, serial: *serial, vouched: true }),
            Act::RevokeKey(psd, serial, _) => Some(NamedCertificate { psd: *psd, serial: *serial, vouched: false }),
        }
    }

    fn claims(
        &self,
        appliance: &ApplianceId,
        sequence: u64,
        expires: UnixMillis,
        key: Option<&CertifiedView>,
    ) -> InstructionClaims {
        let mut claims = InstructionClaims {
            act: self.name().to_owned(),
            psd: None,
            role: key.map(|key| key.role.clone()),
            text: None,
            warn: None,
            block: None,
            since: None,
            amount: None,
            digest: None,
            period: None,
            reason: None,
            serial: key.map(|key| key.serial),
            expires: expires.0,
            licence: None,
            version: None,
            sequence,
            appliance: appliance.to_string(),
        };
        match self {
            Act::Lock(psd, _) | Act::Unlock(psd, _) | Act::Acknowledge(psd, _) => claims.psd = Some(psd.to_string()),
            Act::InspectionPeriods(licence, periods) => {
                claims.licence = Some(licence.to_string());
                claims.warn = periods.map(InspectionPeriods::warn_hours);
                claims.block = periods.map(InspectionPeriods::block_hours);
            }
            Act::RevokeKey(psd, _, revocation) => {
                claims.psd = Some(psd.to_string());
                claims.since = Some(revocation.since.0);
                claims.reason = Some(revocation.reason.to_string());
            }
            Act::ChangeKey(psd, role) => {
                claims.psd = Some(psd.to_string());
                claims.role = Some(role.to_string());
            }
            Act::AcceptAudit(psd, digest) => {
                claims.psd = Some(psd.to_string());
                claims.digest = Some(digest.to_vec().into());
            }
            Act::Policy(version, text) => {
                claims.text = Some(text.as_str().to_owned());
                claims.version = Some(*version);
            }
            Act::Ceiling(licence, amount, period) => {
                claims.licence = Some(licence.to_string());
                claims.amount = amount.map(|amount| amount.to_string());
                let period = match period {
                    Period::Day => "day",
                    Period::Month => "month",
                    Period::Year => "year",
                };
                claims.period = Some(period.to_owned());
            }
        }
        claims
    }
}

/// Numbers, signs and keeps an instruction.
pub fn instruct(
    dir: &AuthorityDir,
    books: &mut Books,
    appliance: &ApplianceId,
    act: &Act,
    expires: UnixMillis,
    now: UnixMillis,
) -> Result<Signed, InstructionError> {
    if let Act::RevokeKey(_, _, Revocation { since, .. }) = act
        && *since > now
    {
        return Err(InstructionError::SinceAhead(*since));
    }
    let purpose = act.purpose();
    let key = purpose.key(dir)?;
    let subject = act.subject();
    let (purpose_name, act_name, certificate) = (purpose.as_str(), act.name(), act.certificate());
    let stored =
        StoredInstruction { purpose: purpose_name, appliance, act: act_name, subject: &subject, certificate, expires };
    let (sequence, bytes) = books.instruct(&stored, now, |sequence, certified| {
        Ok(key.sign(INSTRUCTION, psdd_wire::encode(&act.claims(appliance, sequence, expires, certified)))?)
    })??;
    Ok(Signed { purpose, sequence, bytes })
}
