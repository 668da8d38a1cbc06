//! What the claims of an instruction ask for: each act has its own fields and no others.

use crate::message::InstructionClaims;
use psd::authority::{Act, Period};
use psd::{LicenceNumber, PostageAmount, PsdId};

/// The claims are not those of an act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// No such act.
    #[error("{0:?} is no act: lock, unlock or ceiling")]
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
        other => Err(InstructionError::Act(other.chars().take(32).collect())),
    }
}

/// The claims of an act, to be signed.
pub fn claims_of(act: &Act, appliance: String, sequence: u64, expires: u64) -> InstructionClaims {
    let (word, psd, ceiling) = match act {
        Act::Lock(psd) => ("lock", Some(psd), None),
        Act::Unlock(psd) => ("unlock", Some(psd), None),
        Act::Ceiling { licence, period, amount } => ("ceiling", None, Some((licence, period, amount))),
    };
    InstructionClaims {
        act: word.to_owned(),
        psd: psd.map(PsdId::to_string),
        amount: ceiling.and_then(|(_, _, amount)| amount.map(|amount| amount.to_string())),
        period: ceiling.map(|(_, period, _)| period.as_str().to_owned()),
        expires,
        licence: ceiling.map(|(licence, ..)| licence.to_string()),
        sequence,
        appliance,
    }
}

fn lock(claims: &InstructionClaims, act: &'static str) -> Result<PsdId, InstructionError> {
    let wrong = |field, problem| InstructionError::Field { act, field, problem };
    let surplus = [
        ("amount", claims.amount.is_some()),
        ("period", claims.period.is_some()),
        ("licence", claims.licence.is_some()),
    ];
    if let Some((field, _)) = surplus.into_iter().find(|(_, there)| *there) {
        return Err(wrong(field, "does not belong to it"));
    }
    let psd = claims.psd.as_deref().ok_or_else(|| wrong("psd", "is missing"))?;
    psd.parse().ok().ok_or_else(|| wrong("psd", "is no device ID"))
}

fn ceiling(claims: &InstructionClaims) -> Result<Act, InstructionError> {
    let wrong = |field, problem| InstructionError::Field { act: "ceiling", field, problem };
    if claims.psd.is_some() {
        return Err(wrong("psd", "does not belong to it"));
    }
    let licence = claims.licence.as_deref().ok_or_else(|| wrong("licence", "is missing"))?;
    let licence: LicenceNumber = licence.parse().ok().ok_or_else(|| wrong("licence", "is no licence number"))?;
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
        let acts = [
            Act::Lock(psd),
            Act::Unlock(psd),
            Act::Ceiling { licence: licence.clone(), period, amount },
            Act::Ceiling { licence, period, amount: None },
        ];
        let claims = acts.clone().map(|act| claims_of(&act, "dev".to_owned(), 1, 2));
        for (act, claims) in acts.iter().zip(&claims) {
            assert_eq!(act_of(claims).as_ref(), Ok(act));
        }
        let [lock, _, ceiling, _] = claims;
        let told = |claims: InstructionClaims| act_of(&claims).unwrap_err().to_string();
        assert!(told(InstructionClaims { act: "erase".to_owned(), ..lock.clone() }).contains("erase"));
        assert!(told(InstructionClaims { psd: None, ..lock.clone() }).contains("psd is missing"));
        assert!(told(InstructionClaims { amount: Some("1".to_owned()), ..lock.clone() }).contains("amount does not"));
        assert!(told(InstructionClaims { licence: None, ..ceiling.clone() }).contains("licence is missing"));
        assert!(told(InstructionClaims { period: Some("week".to_owned()), ..ceiling.clone() }).contains("period"));
        assert!(told(InstructionClaims { amount: Some("-1".to_owned()), ..ceiling.clone() }).contains("no amount"));
        assert!(told(InstructionClaims { psd: lock.psd, ..ceiling }).contains("psd does not"));
    }
}
