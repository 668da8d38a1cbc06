//! What the postal authority signed: answers of its funds system, and instructions. Verified under the keys installed for each purpose,
//! whoever carries it.

use psd::UnixMillis;
use psd::authority::Instruction;
use psd::device::Authorisation;
use psd::record::AuthorityPurpose;
use psdd_wire::cose::{CoseError, INSTRUCTION, Sign1};
use psdd_wire::instruction::act_of;
use psdd_wire::message::{InstructionClaims, ValueAuthorisationClaims};
use std::sync::Arc;

/// A key of the authority, as the ledger says it was installed.
#[derive(Clone, Debug)]
pub struct AuthorityKey {
    /// What it may sign.
    pub purpose: AuthorityPurpose,
    /// Its certificate, DER.
    pub certificate: Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub spki: Vec<u8>,
}

/// All keys of the authority.
#[derive(Clone, Debug, Default)]
pub struct AuthorityKeys(pub Vec<AuthorityKey>);

/// Why bytes are nothing that the authority signed.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// No key is installed for it, or the header names another one.
    #[error("{0}")]
    Signer(String),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(CoseError),
    /// Not the message it should be.
    #[error("{0}")]
    Malformed(String),
}

fn malformed(error: impl std::fmt::Display) -> NotSigned {
    NotSigned::Malformed(error.to_string())
}

impl AuthorityKeys {
    /// An answer of the funds system of this content type.
    pub fn answer(&self, content_type: &str, bytes: &[u8]) -> Result<Authorisation, NotSigned> {
        let funds = self.0.iter().find(|key| key.purpose == AuthorityPurpose::Funds);
        let funds = funds.ok_or_else(|| NotSigned::Signer("no funds key of the authority is installed".to_owned()))?;
        let message = Sign1::parse(bytes).map_err(malformed)?;
        if message.certificate.as_deref() != Some(&*funds.certificate) {
            let detail = "the answer does not carry the certificate of the installed funds key";
            return Err(NotSigned::Signer(detail.to_owned()));
        }
        let payload = verified(message, content_type, &funds.spki)?;
        let claims: ValueAuthorisationClaims = psdd_wire::read(&payload).map_err(malformed)?;
        let appliance = claims.appliance.parse().ok();
        Ok(Authorisation {
            appliance: appliance.ok_or_else(|| malformed("the appliance id is not one"))?,
            psd: claims.psd,
            amount: claims.amount,
            refund: claims.refund,
            control_total: claims.control_total,
            sequence: claims.sequence,
            expires: UnixMillis(claims.expires),
        })
    }

    /// An instruction, by whichever key its header names.
    pub fn instruction(&self, bytes: &[u8]) -> Result<Instruction, NotSigned> {
        let message = Sign1::parse(bytes).map_err(malformed)?;
        let key = self.0.iter().find(|key| message.certificate.as_deref() == Some(&*key.certificate));
        let key = key.ok_or_else(|| {
            NotSigned::Signer("the instruction carries the certificate of no key that is installed".to_owned())
        })?;
        let payload = verified(message, INSTRUCTION, &key.spki)?;
        let claims: InstructionClaims = psdd_wire::read(&payload).map_err(malformed)?;
        Ok(Instruction {
            purpose: key.purpose,
            act: act_of(&claims).map_err(malformed)?,
            appliance: claims.appliance.parse().map_err(malformed)?,
            number: claims.sequence,
            expires: UnixMillis(claims.expires),
        })
    }
}

fn verified(message: Sign1, content_type: &str, spki: &[u8]) -> Result<Vec<u8>, NotSigned> {
    match message.verify(content_type, spki) {
        Ok(()) => Ok(message.payload),
        Err(error @ CoseError::Signature) => Err(NotSigned::Signature(error)),
        Err(error @ (CoseError::ContentType(_) | CoseError::Form(_) | CoseError::Payload(_))) => Err(malformed(error)),
    }
}
