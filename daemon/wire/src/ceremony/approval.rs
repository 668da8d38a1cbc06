//! An operator's approval: COSE_Sign1 over the whole file, so that what is signed is what was rendered.

use super::{CEREMONY_APPROVAL, Ceremony, GENESIS_APPROVAL, GenesisFile, Operator, P256PublicKey};
use crate::cose::{CoseError, Sign1};
use crate::exact;
use psd::{ApplianceId, OperatorName};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// An operator's own key, in a file or in a token.
pub trait OperatorKey {
    /// The public half.
    fn public_key(&self) -> &P256PublicKey;

    /// ECDSA with SHA-256 over a message: r‖s.
    ///
    /// # Errors
    ///
    /// When the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// The key did not sign.
#[derive(Debug, thiserror::Error)]
#[error("the operator's key did not sign: {0}")]
pub struct SignError(#[source] pub Box<dyn Error + Send + Sync>);

/// What is approved.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A ceremony.
    Ceremony(&'a Ceremony),
    /// A birth.
    Genesis(&'a GenesisFile),
}

/// Payload of an approval.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct ApprovalClaims {
    /// The whole file.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    file: Vec<u8>,
    /// SHA-256 of it.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "exact::byte_vec")]
    digest: Vec<u8>,
    /// Number of the ceremony; absent of a genesis.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "exact::some_number")]
    number: Option<u64>,
    /// Who approves.
    operator: String,
    /// The appliance it is for.
    appliance: String,
}

/// An approval whose signature was verified under the key of an operator who is not revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// Who approved.
    pub operator: OperatorName,
    /// SHA-256 of the file that was approved.
    pub digest: [u8; 32],
    /// The file that was approved.
    pub file: Vec<u8>,
}

/// Why bytes are no approval that counts.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Not the form documented.
    #[error("not an approval: {0}")]
    Malformed(#[source] CoseError),
    /// Its own fields contradict each other.
    #[error("not an approval: {0}")]
    Contradiction(&'static str),
    /// The name is no operator of this appliance.
    #[error("{0:?} is no operator of this appliance")]
    UnknownOperator(String),
    /// The operator is revoked.
    #[error("operator {0} is revoked")]
    RevokedOperator(OperatorName),
    /// Another key, or other bytes.
    #[error("the signature in the name of {0} is not of that operator's key over these bytes")]
    Signature(OperatorName),
}

/// An approval taken apart, before anything in it is proven.
pub(super) struct Claimed {
    message: Sign1,
    claims: ApprovalClaims,
    pub(super) digest: [u8; 32],
}

impl Subject<'_> {
    const fn content_type(self) -> &'static str {
        match self {
            Subject::Ceremony(_) => CEREMONY_APPROVAL,
            Subject::Genesis(_) => GENESIS_APPROVAL,
        }
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Subject::Ceremony(ceremony) => ceremony.bytes(),
            Subject::Genesis(genesis) => genesis.bytes(),
        }
    }

    /// The appliance it is for.
    pub fn appliance(&self) -> &ApplianceId {
        match self {
            Subject::Ceremony(ceremony) => &ceremony.head().appliance,
            Subject::Genesis(genesis) => genesis.appliance(),
        }
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(self.bytes())
    }

    /// The whole effect in words, told from the bytes that are signed.
    pub fn effects(&self) -> Vec<String> {
        match self {
            Subject::Ceremony(ceremony) => ceremony.effects(),
            Subject::Genesis(genesis) => genesis.effects(),
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Subject::Ceremony(ceremony) => Some(ceremony.head().number),
            Subject::Genesis(_) => None,
        }
    }
}

impl Approval {
    /// Approves in the name of an operator: the bytes to be carried to the appliance (COSE_Sign1).
    ///
    /// # Errors
    ///
    /// When the key does not sign.
    pub fn sign(subject: Subject<'_>, operator: &OperatorName, key: &dyn OperatorKey) -> Result<Vec<u8>, SignError> {
        let claims = ApprovalClaims {
            file: subject.bytes().to_vec(),
            digest: subject.digest().to_vec(),
            number: subject.number(),
            operator: operator.as_str().to_owned(),
            appliance: subject.appliance().as_str().to_owned(),
        };
        let payload = crate::encode_with_capacity(&claims, claims.file.len() + 256);
        let message = Sign1::unsigned(subject.content_type(), None, payload);
        let signature = key.sign(&message.to_be_signed())?;
        Ok(message.with_signature(&signature))
    }

    /// Verifies an approval of whatever file it carries: form, operator, revocation, signature, in this order.
    ///
    /// # Errors
    ///
    /// With the first of them that does not hold.
    pub fn verify(bytes: &[u8], operators: &[Operator]) -> Result<Self, ApprovalError> {
        Claimed::read(bytes)?.verify(operators)
    }

    /// In whose name an approval is, unproven: for one that a record has held since it was verified, when its operator may not be on the
    /// list any more.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn in_the_name_of(bytes: &[u8]) -> Result<String, ApprovalError> {
        Claimed::read(bytes).map(|claimed| claimed.claims.operator)
    }
}

impl Claimed {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApprovalError> {
        let message = Sign1::parse(bytes).map_err(ApprovalError::Malformed)?;
        let of_ceremony = match message.content_type.as_str() {
            CEREMONY_APPROVAL => true,
            GENESIS_APPROVAL => false,
            other => return Err(ApprovalError::Malformed(CoseError::ContentType(other.chars().take(80).collect()))),
        };
        if message.certificate.is_some() {
            return Err(ApprovalError::Contradiction("it carries a certificate, and operators have none"));
        }
        let claims: ApprovalClaims =
            crate::read(&message.payload).map_err(|error| ApprovalError::Malformed(CoseError::Payload(error)))?;
        if of_ceremony != claims.number.is_some() {
            return Err(ApprovalError::Contradiction("a ceremony has a number and a genesis has none"));
        }
        let digest = crate::sha256(&claims.file);
        if claims.digest != digest {
            return Err(ApprovalError::Contradiction("its digest is not that of the file in it"));
        }
        Ok(Self { message, claims, digest })
    }

    /// Whether it is for this very file, in all it says.
    pub(super) fn is_of(&self, subject: Subject<'_>) -> bool {
        self.message.content_type == subject.content_type()
            && self.claims.file == subject.bytes()
            && self.claims.appliance == subject.appliance().as_str()
            && self.claims.number == subject.number()
    }

    pub(super) fn verify(self, operators: &[Operator]) -> Result<Approval, ApprovalError> {
        let found = operators.iter().find(|operator| operator.name.as_str() == self.claims.operator);
        let name = || self.claims.operator.chars().take(64).collect();
        let Operator { name, key, revoked } = found.ok_or_else(|| ApprovalError::UnknownOperator(name()))?;
        if *revoked {
            return Err(ApprovalError::RevokedOperator(name.clone()));
        }
        if self.message.verify(&self.message.content_type, key.spki()).is_err() {
            return Err(ApprovalError::Signature(name.clone()));
        }
        Ok(Approval { operator: name.clone(), digest: self.digest, file: self.claims.file })
    }
}
