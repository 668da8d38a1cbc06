//! What the claims of an instruction ask for: each act has its own fields and no others.

use crate::ceremony::act::PSD_ROLES;
use crate::message::InstructionClaims;
use psd::authority::{Act, Period};
use psd::custody::{Revocation, RevocationReason};
use psd::inspection::{InspectionPeriods, PeriodsError};
use psd::key::Role;
use psd::policy::PolicyText;
use psd::{LicenceNumber, PostageAmount, PsdId, UnixMillis};
use serde_bytes::ByteBuf;

/// The claims are not those of an act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// No such act.
    #[error(
        "{0:?} is no act: lock, unlock, ceiling, acknowledge, inspection-periods, accept-audit, revoke-key, change-key or policy"
    )]
    Act(String),
    /// A field that the act must have is missing or not valid, or one that it has not is there.
    #[error("{act}: {field} {problem}")]
    Field {
        /// The act.
        act: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The act that the claims describe.
pub fn act_of(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    match claims.act.as_str() {
        "lock" => lock(claims, "lock").map(Act::Lock),
        "unlock" => lock(claims, "unlock").map(Act::Unlock),
        "ceiling" => ceiling(claims),
        "acknowledge" => acknowledge(claims),
        "inspection-periods" => inspection_periods(claims),
        "accept-audit" => accept_audit(claims),
        "revoke-key" => revoke_key(claims),
        "change-key" => change_key(claims),
        "policy" => policy(claims),
        other => Err(InstructionError::Act(other.chars().take(32).collect())),
    }
}

/// The claims of an act, to be signed.
pub fn claims_of(act: &Act, appliance: String, sequence: u64, expires: u64) -> InstructionClaims {
    let mut claims = InstructionClaims {
        act: String::new(),
        psd: None,
        role: None,
        text: None,
        warn: None,
        block: None,
        since: None,
        amount: None,
        digest: None,
        period: None,
        reason: None,
        serial: None,
        expires,
        licence: None,
        version: None,
        sequence,
        appliance,
    };
    let (word, psd) = match act {
        Act::Lock(psd) => ("lock", Some(psd)),
        Act::Unlock(psd) => ("unlock", Some(psd)),
        Act::Ceiling { licence, period, amount } => {
            claims.licence = Some(licence.to_string());
            claims.period = Some(period.as_str().to_owned());
            claims.amount = amount.map(|amount| amount.to_string());
            ("ceiling", None)
        }
        Act::Acknowledge { psd, role, serial } => {
            claims.role = Some(role.to_string());
            claims.serial = Some(*serial);
            ("acknowledge", Some(psd))
        }
        Act::InspectionPeriods { licence, periods } => {
            claims.licence = Some(licence.to_string());
            claims.warn = periods.map(InspectionPeriods::warn_hours);
            claims.block = periods.map(InspectionPeriods::block_hours);
            ("inspection-periods", None)
        }
        Act::AcceptAudit { psd, digest } => {
            claims.digest = Some(ByteBuf::from(digest.to_vec()));
            ("accept-audit", Some(psd))
        }
        Act::RevokeKey { psd, role, serial, revocation } => {
            claims.role = Some(role.to_string());
            claims.serial = Some(*serial);
            claims.since = Some(revocation.since.0);
            claims.reason = Some(revocation.reason.to_string());
            ("revoke-key", Some(psd))
        }
        Act::ChangeKey { psd, role } => {
            claims.role = Some(role.to_string());
            ("change-key", Some(psd))
        }
        Act::Policy { version, text } => {
            claims.text = Some(text.as_str().to_owned());
            claims.version = Some(*version);
            ("policy", None)
        }
    };
    claims.act = word.to_owned();
    claims.psd = psd.map(PsdId::to_string);
    claims
}

/// None of the fields that only some acts have, but these, may be there.
fn only(claims: &InstructionClaims, act: &'static str, its: &[&str]) -> Result<(), InstructionError> {
    let fields = [
        ("psd", claims.psd.is_some()),
        ("role", claims.role.is_some()),
        ("text", claims.text.is_some()),
        ("warn", claims.warn.is_some()),
        ("block", claims.block.is_some()),
        ("since", claims.since.is_some()),
        ("amount", claims.amount.is_some()),
        ("digest", claims.digest.is_some()),
        ("period", claims.period.is_some()),
        ("reason", claims.reason.is_some()),
        ("serial", claims.serial.is_some()),
        ("licence", claims.licence.is_some()),
        ("version", claims.version.is_some()),
    ];
    match fields.into_iter().find(|(field, there)| *there && !its.contains(field)) {
        Some((field, _)) => Err(InstructionError::Field { act, field, problem: "does not belong to it" }),
        None => Ok(()),
    }
}

fn psd(claims: &InstructionClaims, act: &'static str) -> Result<PsdId, InstructionError> {
    let wrong = |problem| InstructionError::Field { act, field: "psd", problem };
    let psd = claims.psd.as_deref().ok_or_else(|| wrong("is missing"))?;
    psd.parse().ok().ok_or_else(|| wrong("is no device ID"))
}

fn lock(claims: &InstructionClaims, act: &'static str) -> Result<PsdId, InstructionError> {
    only(claims, act, &["psd"])?;
    psd(claims, act)
}

fn acknowledge(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "acknowledge";
    only(claims, act, &["psd", "role", "serial"])?;
    let (psd, (role, serial)) = (psd(claims, act)?, certificate(claims, act)?);
    Ok(Act::Acknowledge { psd, role, serial })
}

/// Role and serial number of a certificate.
fn certificate(claims: &InstructionClaims, act: &'static str) -> Result<(Role, u32), InstructionError> {
    let wrong = |field, problem| InstructionError::Field { act, field, problem };
    let role = claims.role.as_deref().ok_or_else(|| wrong("role", "is missing"))?;
    let role = Role::certified_named(role);
    let role = role.ok_or_else(|| wrong("role", "is not indicium, certification or device"))?;
    let serial = claims.serial.ok_or_else(|| wrong("serial", "is missing"))?;
    Ok((role, serial))
}

fn revoke_key(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "revoke-key";
    let wrong = |field, problem| InstructionError::Field { act, field, problem };
    only(claims, act, &["psd", "role", "since", "reason", "serial"])?;
    let (psd, (role, serial)) = (psd(claims, act)?, certificate(claims, act)?);
    let since = UnixMillis(claims.since.ok_or_else(|| wrong("since", "is missing"))?);
    let reason = claims.reason.as_deref().ok_or_else(|| wrong("reason", "is missing"))?;
    let reason: RevocationReason =
        reason.parse().ok().ok_or_else(|| wrong("reason", "is no reason of a revocation"))?;
    Ok(Act::RevokeKey { psd, role, serial, revocation: Revocation { since, reason } })
}

fn change_key(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "change-key";
    let wrong = |problem| InstructionError::Field { act, field: "role", problem };
    only(claims, act, &["psd", "role"])?;
    let psd = psd(claims, act)?;
    let role = claims.role.as_deref().ok_or_else(|| wrong("is missing"))?;
    let role = PSD_ROLES.into_iter().find(|known| known.to_string() == role);
    let role = role.ok_or_else(|| wrong("is not indicium, certification, device, token-mac or postal-mac"))?;
    Ok(Act::ChangeKey { psd, role })
}

fn licence(claims: &InstructionClaims, act: &'static str) -> Result<LicenceNumber, InstructionError> {
    let wrong = |problem| InstructionError::Field { act, field: "licence", problem };
    let licence = claims.licence.as_deref().ok_or_else(|| wrong("is missing"))?;
    licence.parse().ok().ok_or_else(|| wrong("is no licence number"))
}

fn inspection_periods(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "inspection-periods";
    let wrong = |field, problem| InstructionError::Field { act, field, problem };
    only(claims, act, &["warn", "block", "licence"])?;
    let licence = licence(claims, act)?;
    let periods = match (claims.warn, claims.block) {
        (None, None) => None,
        (None, Some(_)) => return Err(wrong("warn", "is missing")),
        (Some(_), None) => return Err(wrong("block", "is missing")),
        (Some(warn), Some(block)) => Some(InspectionPeriods::new(warn, block).map_err(|error| match error {
            PeriodsError::Block => wrong("block", "is not 72 to 2880 hours (3 to 120 days)"),
            PeriodsError::Warn => wrong("warn", "is not at least an hour and less than block"),
        })?),
    };
    Ok(Act::InspectionPeriods { licence, periods })
}

fn accept_audit(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "accept-audit";
    let wrong = |problem| InstructionError::Field { act, field: "digest", problem };
    only(claims, act, &["psd", "digest"])?;
    let psd = psd(claims, act)?;
    let digest = claims.digest.as_deref().ok_or_else(|| wrong("is missing"))?;
    let digest = digest.as_slice().try_into().ok().ok_or_else(|| wrong("is not the 32 bytes of a SHA-256"))?;
    Ok(Act::AcceptAudit { psd, digest })
}

fn policy(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let act = "policy";
    let wrong = |field, problem| InstructionError::Field { act, field, problem };
    only(claims, act, &["text", "version"])?;
    let text = claims.text.as_deref().ok_or_else(|| wrong("text", "is missing"))?;
    let text = PolicyText::new(text).ok().ok_or_else(|| wrong("text", "is longer than 24576 bytes"))?;
    let version = claims.version.ok_or_else(|| wrong("version", "is missing"))?;
    Ok(Act::Policy { version, text })
}

fn ceiling(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let wrong = |field, problem| InstructionError::Field { act: "ceiling", field, problem };
    only(claims, "ceiling", &["amount", "period", "licence"])?;
    let licence = licence(claims, "ceiling")?;
    let period = claims.period.as_deref().ok_or_else(|| wrong("period", "is missing"))?;
    let period = Period::named(period).ok_or_else(|| wrong("period", "is not day, month or year"))?;
    let amount = claims.amount.as_deref().map(str::parse::<PostageAmount>).transpose();
    let amount = amount.ok().ok_or_else(|| wrong("amount", "is no amount"))?;
    Ok(Act::Ceiling { licence, period, amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_act_has_its_own_fields() {
        let psd: PsdId = "PS010000000001".parse().unwrap();
        let (licence, period) = ("L-1".parse::<LicenceNumber>().unwrap(), Period::Month);
        let amount = Some("1000.00".parse().unwrap());
        let revocation = Revocation { since: UnixMillis(5), reason: RevocationReason::KeyCompromise };
        let acts = [
            Act::Lock(psd),
            Act::Unlock(psd),
            Act::Ceiling { licence: licence.clone(), period, amount },
            Act::Ceiling { licence: licence.clone(), period, amount: None },
            Act::Acknowledge { psd, role: Role::Certification, serial: u32::MAX },
            Act::InspectionPeriods { licence: licence.clone(), periods: InspectionPeriods::new(48, 72).ok() },
            Act::InspectionPeriods { licence, periods: None },
            Act::AcceptAudit { psd, digest: [9; 32] },
            Act::RevokeKey { psd, role: Role::Device, serial: 7, revocation },
            Act::ChangeKey { psd, role: Role::TokenMac },
            Act::Policy { version: 3, text: PolicyText::new("// nothing").unwrap() },
            Act::Policy { version: u64::MAX, text: PolicyText::default() },
        ];
        let claims = acts.clone().map(|act| claims_of(&act, "dev".to_owned(), 1, 2));
        for (act, claims) in acts.iter().zip(&claims) {
            assert_eq!(act_of(claims).as_ref(), Ok(act));
        }
        let [lock, _, ceiling, _, word, periods, _, accept, revoke, change, policy, _] = claims;
        let told = |claims: InstructionClaims| act_of(&claims).unwrap_err().to_string();
        assert!(told(InstructionClaims { act: "erase".to_owned(), ..lock.clone() }).contains("erase"));
        assert!(told(InstructionClaims { psd: None, ..lock.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { amount: Some("1".to_owned()), ..lock.clone() }).contains("amount does not"));
        assert!(told(InstructionClaims { licence: None, ..ceiling.clone() }).contains("licence is missing"));
        assert!(told(InstructionClaims { period: Some("week".to_owned()), ..ceiling.clone() }).contains("period"));
        assert!(told(InstructionClaims { amount: Some("-1".to_owned()), ..ceiling.clone() }).contains("no amount"));
        assert!(told(InstructionClaims { serial: Some(1), ..lock.clone() }).contains("serial does not"));
        assert!(
            told(InstructionClaims { role: Some("device".to_owned()), ..ceiling.clone() }).contains("role does not")
        );
        assert!(told(InstructionClaims { psd: lock.psd.clone(), ..ceiling }).contains("psd does not"));
        assert!(told(InstructionClaims { psd: None, ..word.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { role: None, ..word.clone() }).contains("role is missing"));
        assert!(told(InstructionClaims { role: Some("log".to_owned()), ..word.clone() }).contains("role is not"));
        assert!(told(InstructionClaims { serial: None, ..word.clone() }).contains("serial is missing"));
        assert!(told(InstructionClaims { licence: Some("L-1".to_owned()), ..word }).contains("licence does not"));
        assert!(told(InstructionClaims { licence: None, ..periods.clone() }).contains("licence is missing"));
        assert!(told(InstructionClaims { warn: None, ..periods.clone() }).contains("warn is missing"));
        assert!(told(InstructionClaims { block: None, ..periods.clone() }).contains("block is missing"));
        assert!(told(InstructionClaims { block: Some(71), ..periods.clone() }).contains("block is not 72 to 2880"));
        assert!(told(InstructionClaims { block: Some(2_881), ..periods.clone() }).contains("block is not 72 to 2880"));
        assert!(told(InstructionClaims { warn: Some(72), ..periods.clone() }).contains("warn is not at least"));
        assert!(told(InstructionClaims { warn: Some(0), ..periods.clone() }).contains("warn is not at least"));
        assert!(told(InstructionClaims { psd: accept.psd.clone(), ..periods }).contains("psd does not"));
        assert!(told(InstructionClaims { psd: None, ..accept.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { digest: None, ..accept.clone() }).contains("digest is missing"));
        let short = Some(ByteBuf::from(vec![9; 31]));
        assert!(told(InstructionClaims { digest: short, ..accept.clone() }).contains("digest is not the 32"));
        assert!(told(InstructionClaims { warn: Some(1), ..accept }).contains("warn does not"));
        assert!(told(InstructionClaims { psd: None, ..revoke.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { role: None, ..revoke.clone() }).contains("role is missing"));
        let secret = Some("token-mac".to_owned());
        assert!(told(InstructionClaims { role: secret, ..revoke.clone() }).contains("role is not indicium"));
        assert!(told(InstructionClaims { serial: None, ..revoke.clone() }).contains("serial is missing"));
        assert!(told(InstructionClaims { since: None, ..revoke.clone() }).contains("since is missing"));
        assert!(told(InstructionClaims { reason: None, ..revoke.clone() }).contains("reason is missing"));
        for reason in ["certificateHold", "keycompromise", "1"] {
            let reason = Some(reason.to_owned());
            assert!(told(InstructionClaims { reason, ..revoke.clone() }).contains("reason is no reason"));
        }
        assert!(told(InstructionClaims { warn: Some(1), ..revoke.clone() }).contains("warn does not"));
        assert!(told(InstructionClaims { since: Some(1), ..lock.clone() }).contains("since does not"));
        assert!(
            told(InstructionClaims { reason: revoke.reason.clone(), ..change.clone() }).contains("reason does not")
        );
        assert!(told(InstructionClaims { serial: Some(7), ..change.clone() }).contains("serial does not"));
        assert!(told(InstructionClaims { psd: None, ..change.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { role: None, ..change.clone() }).contains("role is missing"));
        assert!(told(InstructionClaims { role: Some("log".to_owned()), ..change }).contains("role is not indicium"));
        assert!(told(InstructionClaims { text: None, ..policy.clone() }).contains("text is missing"));
        assert!(told(InstructionClaims { version: None, ..policy.clone() }).contains("version is missing"));
        let long = Some("a".repeat(24_577));
        assert!(told(InstructionClaims { text: long, ..policy.clone() }).contains("text is longer than 24576 bytes"));
        assert!(told(InstructionClaims { psd: lock.psd.clone(), ..policy.clone() }).contains("psd does not"));
        let on_a_lock = InstructionClaims { text: policy.text.clone(), ..lock.clone() };
        assert!(told(on_a_lock).contains("text does not"));
        assert!(told(InstructionClaims { version: Some(1), ..lock }).contains("version does not"));
    }
}
