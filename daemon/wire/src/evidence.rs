//! Signed messages against the records that hold them: what a device key says of value, what the authority answers and instructs.
//!
//! Called by the verification of a ledger and by inspectors. What they must agree with is in `psd::evidence`.

use crate::cose::{
    CoseError, INSTRUCTION, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_ACKNOWLEDGEMENT,
    WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST,
};
use crate::instruction::{InstructionError, act_of};
use crate::message::{InstructionClaims, RefundClaims, RegisterView, ValueAuthorisationClaims, ValueRequestClaims};
use crate::strict::DecodeError;
use psd::authority::Act;
use psd::evidence::{Answer, AuthorityKey, Statement, ValueFacts};
use psd::{ApplianceId, UnixMillis};

/// Why a signed message is not that of its record.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// No message, or not signed by that key.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The payload is not read.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// The payload instructs nothing.
    #[error(transparent)]
    Act(#[from] InstructionError),
    /// A claim.
    #[error("its {0} is not that of the record")]
    Claim(&'static str),
    /// The header.
    #[error("the certificate in its header is not the one the authority installed")]
    Certificate,
    /// The time.
    #[error("it was taken after it had expired")]
    Expired,
    /// The time from which on a key is revoked.
    #[error("it revokes a key from a time on that was yet to come")]
    Ahead,
}

fn same<T: PartialEq>(what: &'static str, claimed: &T, recorded: &T) -> Result<(), EvidenceError> {
    if claimed == recorded { Ok(()) } else { Err(EvidenceError::Claim(what)) }
}

/// Verifies what a device key (SPKI DER) says of value.
pub fn verify_statement(
    statement: Statement,
    message: &[u8],
    spki: &[u8],
    facts: &ValueFacts<'_>,
) -> Result<(), EvidenceError> {
    let content_type = match statement {
        Statement::Request => VALUE_REQUEST,
        Statement::Void => VALUE_VOID,
        Statement::WithdrawalRequest => WITHDRAWAL_REQUEST,
        Statement::WithdrawalReport => WITHDRAWAL_REPORT,
    };
    let message = Sign1::parse(message)?;
    message.verify(content_type, spki)?;
    let claims: ValueRequestClaims = crate::read(&message.payload)?;
    same("PSD", &claims.psd, &facts.psd)?;
    same("appliance", &claims.appliance.as_str(), &facts.appliance.as_str())?;
    same("number", &claims.sequence, &facts.sequence)?;
    same("amount", &claims.amount, &facts.amount)?;
    let spoiled = facts.refund.map(|(leaf, piece)| RefundClaims {
        key: *piece.key.as_bytes(),
        leaf,
        indicium: piece.indicium.clone(),
    });
    same("spoiled mark", &claims.refund, &spoiled)?;
    // Pieces may have been debited between signing and the record; value cannot have come.
    let recorded = RegisterView::from(facts.registers);
    let (asked, now) = (&claims.registers, &recorded);
    let sum = asked.ascending.checked_add(asked.descending);
    let before = asked.ascending <= now.ascending && asked.pieces <= now.pieces;
    same("registers", &(sum, before), &(Some(now.control_total), true))?;
    same("control total", &asked.control_total, &now.control_total)?;
    same("time", &(claims.time <= facts.at.0), &true)
}

/// Verifies what the authority's funds key answers.
pub fn verify_answer(
    answer: Answer,
    message: &[u8],
    key: &AuthorityKey,
    facts: &ValueFacts<'_>,
) -> Result<(), EvidenceError> {
    let content_type = match answer {
        Answer::Authorisation => VALUE_AUTHORISATION,
        Answer::Acknowledgement => WITHDRAWAL_ACKNOWLEDGEMENT,
    };
    let message = of_the_authority(content_type, message, key)?;
    let claims: ValueAuthorisationClaims = crate::read(&message.payload)?;
    same("PSD", &claims.psd, &facts.psd)?;
    same("appliance", &claims.appliance.as_str(), &facts.appliance.as_str())?;
    same("number", &claims.sequence, &facts.sequence)?;
    same("amount", &claims.amount, &facts.amount)?;
    same("spoiled mark", &claims.refund, &facts.refund.map(|(leaf, _)| leaf))?;
    same("control total", &claims.control_total, &facts.registers.control_total())?;
    if facts.at.0 > claims.expires { Err(EvidenceError::Expired) } else { Ok(()) }
}

/// Verifies an instruction of the authority to this appliance, taken at this time: its number, and what it wants.
pub fn verify_instruction(
    message: &[u8],
    key: &AuthorityKey,
    appliance: &ApplianceId,
    at: UnixMillis,
) -> Result<(u64, Act), EvidenceError> {
    let message = of_the_authority(INSTRUCTION, message, key)?;
    let claims: InstructionClaims = crate::read(&message.payload)?;
    same("appliance", &claims.appliance.as_str(), &appliance.as_str())?;
    if at.0 > claims.expires {
        return Err(EvidenceError::Expired);
    }
    let act = act_of(&claims)?;
    match &act {
        Act::RevokeKey { revocation, .. } if revocation.since > at => Err(EvidenceError::Ahead),
        _ => Ok((claims.sequence, act)),
    }
}

/// A message by this key of the authority, which names it by its certificate.
fn of_the_authority(content_type: &str, message: &[u8], key: &AuthorityKey) -> Result<Sign1, EvidenceError> {
    let message = Sign1::parse(message)?;
    message.verify(content_type, &key.spki)?;
    if message.certificate.as_deref() != Some(&*key.certificate) {
        return Err(EvidenceError::Certificate);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::claims_of;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use psd::custody::{Revocation, RevocationReason};
    use psd::key::Role;
    use psd::{ApplianceId, PostageAmount, Registers};

    fn mills(mills: u64) -> PostageAmount {
        PostageAmount::from_mills(mills).unwrap()
    }

    fn signed(key: &EcdsaKeyPair, kind: &str, certificate: Option<&[u8]>, payload: Vec<u8>) -> Vec<u8> {
        let message = Sign1::unsigned(kind, certificate, payload);
        let signature = key.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    #[test]
    fn a_message_holds_only_for_its_own_record() {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki = key.public_key().as_der().unwrap();
        let appliance: ApplianceId = "dev-1".parse().unwrap();
        let registers = Registers::from_parts(mills(30), mills(70), mills(100), 2).unwrap();
        let psd = "PS010001000001".parse().unwrap();
        let facts = ValueFacts {
            appliance: &appliance,
            psd,
            sequence: 3,
            amount: mills(50),
            refund: None,
            registers,
            at: UnixMillis(1_000),
        };
        let asked = Registers::from_parts(mills(10), mills(90), mills(100), 1).unwrap();
        let claims = ValueRequestClaims {
            psd,
            time: 1_000,
            nonce: [1; 16],
            amount: mills(50),
            refund: None,
            sequence: 3,
            appliance: "dev-1".to_owned(),
            registers: asked.into(),
        };
        let request = |claims: &ValueRequestClaims| signed(&key, VALUE_REQUEST, None, crate::encode(claims));
        let says = |statement, bytes: &[u8]| verify_statement(statement, bytes, spki.as_ref(), &facts).is_ok();
        let judged = |bytes: &[u8]| says(Statement::Request, bytes);
        assert!(judged(&request(&claims)));
        let void = signed(&key, VALUE_VOID, None, crate::encode(&claims));
        assert!(says(Statement::Void, &void));
        assert!(!judged(&void), "the end of a download is no request for one");
        assert!(!says(Statement::Void, &request(&claims)), "nor the reverse");
        assert!(!says(Statement::WithdrawalRequest, &request(&claims)), "nor a request for withdrawal");
        let later = Registers::from_parts(mills(31), mills(69), mills(100), 2).unwrap();
        let other = Registers::from_parts(mills(10), mills(80), mills(90), 1).unwrap();
        let changes: [fn(&mut ValueRequestClaims); 6] = [
            |claims| claims.refund = Some(RefundClaims { key: [1; 16], leaf: 1, indicium: Vec::new() }),
            |claims| claims.psd = "PS010001000002".parse().unwrap(),
            |claims| claims.time = 1_001,
            |claims| claims.amount = mills(51),
            |claims| claims.sequence = 4,
            |claims| claims.appliance = "dev-2".to_owned(),
        ];
        for change in changes {
            let mut claims = claims.clone();
            change(&mut claims);
            assert!(!judged(&request(&claims)), "{claims:?}");
        }
        for registers in [later, other] {
            assert!(!judged(&request(&ValueRequestClaims { registers: registers.into(), ..claims.clone() })));
        }
        let mut bytes = request(&claims);
        *bytes.last_mut().unwrap() ^= 1;
        assert!(!judged(&bytes));

        let claims = ValueAuthorisationClaims {
            psd,
            amount: mills(50),
            refund: None,
            expires: 1_000,
            sequence: 3,
            appliance: "dev-1".to_owned(),
            control_total: mills(100),
        };
        let judged = |claims: &ValueAuthorisationClaims, header: &[u8]| {
            let bytes = signed(&key, VALUE_AUTHORISATION, Some(header), crate::encode(claims));
            let key = AuthorityKey { certificate: b"funds"[..].into(), spki: spki.as_ref().into() };
            let acknowledged = verify_answer(Answer::Acknowledgement, &bytes, &key, &facts);
            assert!(acknowledged.is_err(), "an authorisation acknowledges nothing");
            verify_answer(Answer::Authorisation, &bytes, &key, &facts).is_ok()
        };
        assert!(judged(&claims, b"funds"));
        assert!(!judged(&claims, b"other"));
        let changes: [fn(&mut ValueAuthorisationClaims); 7] = [
            |claims| claims.refund = Some(1),
            |claims| claims.psd = "PS010001000002".parse().unwrap(),
            |claims| claims.expires = 999,
            |claims| claims.amount = mills(51),
            |claims| claims.sequence = 4,
            |claims| claims.appliance = "dev-2".to_owned(),
            |claims| claims.control_total = mills(101),
        ];
        for change in changes {
            let mut claims = claims.clone();
            change(&mut claims);
            assert!(!judged(&claims, b"funds"), "{claims:?}");
        }
    }

    #[test]
    fn an_instruction_revokes_from_no_later_time_on_than_that_of_its_record() {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki = key.public_key().as_der().unwrap();
        let appliance: ApplianceId = "dev-1".parse().unwrap();
        let revocation = Revocation { since: UnixMillis(1_000), reason: RevocationReason::KeyCompromise };
        let psd = "PS010000000001".parse().unwrap();
        let act = Act::RevokeKey { psd, role: Role::Device, serial: 7, revocation };
        let claims = claims_of(&act, appliance.to_string(), 3, 2_000);
        let bytes = signed(&key, INSTRUCTION, Some(b"inspection"), crate::encode(&claims));
        let authority = AuthorityKey { certificate: b"inspection"[..].into(), spki: spki.as_ref().into() };
        let judged = |at| verify_instruction(&bytes, &authority, &appliance, UnixMillis(at));
        assert!(matches!(judged(999), Err(EvidenceError::Ahead)));
        for at in [1_000, 2_000] {
            assert_eq!(judged(at).unwrap(), (3, act.clone()), "at {at}");
        }
        assert!(matches!(judged(2_001), Err(EvidenceError::Expired)));
    }
}
