//! What a PSD says of value, under its device key: from bytes to a [`Statement`], which only a verified signature makes.

use crate::books::DeviceKey;
use psd::{PsdId, UnixMillis};
use psdd_wire::cose::{CoseError, Sign1, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use psdd_wire::message::ValueRequestClaims;

/// The four things a PSD says to the funds system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It asks for value, or for the postage of a spoiled mark.
    ValueRequest,
    /// It has given up a download for ever.
    ValueVoid,
    /// It asks to be withdrawn.
    WithdrawalRequest,
    /// It is withdrawn and holds nothing.
    WithdrawalReport,
}

/// Bytes that are no statement of that kind by that PSD.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not the fixed form, another content type, or claims that are none.
    #[error("{0}")]
    Malformed(#[source] CoseError),
    /// A number that no PSD counts up to, and the books cannot hold.
    #[error("{0} is above 2^63 - 1")]
    Beyond(&'static str),
    /// The PSD's device key did not sign it.
    #[error("the signature is of none of the device keys certified for {0}")]
    Signature(PsdId),
    /// A device key signed it that is revoked.
    #[error("the device key of {psd} that signed is revoked since {since}")]
    Revoked {
        /// The PSD.
        psd: PsdId,
        /// Since when.
        since: UnixMillis,
    },
}

/// A statement whose signature is not verified yet. Good for finding the PSD it names, and for nothing else.
#[derive(Debug)]
pub struct Unproven {
    kind: Kind,
    message: Sign1,
    claims: ValueRequestClaims,
    bytes: Vec<u8>,
}

/// A statement that a certified device key signed.
#[derive(Clone, Debug)]
pub struct Statement {
    claims: ValueRequestClaims,
    digest: [u8; 32],
    bytes: Vec<u8>,
}

impl Kind {
    /// The content type its COSE message must have.
    pub const fn content_type(self) -> &'static str {
        match self {
            Kind::ValueRequest => VALUE_REQUEST,
            Kind::ValueVoid => VALUE_VOID,
            Kind::WithdrawalRequest => WITHDRAWAL_REQUEST,
            Kind::WithdrawalReport => WITHDRAWAL_REPORT,
        }
    }
}

impl Unproven {
    /// Takes a message apart.
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, StatementError> {
        let message = Sign1::parse(bytes).map_err(StatementError::Malformed)?;
        if message.content_type != kind.content_type() {
            return Err(StatementError::Malformed(CoseError::ContentType(message.content_type)));
        }
        let claims = psdd_wire::read(&message.payload);
        let claims: ValueRequestClaims =
            claims.map_err(|error| StatementError::Malformed(CoseError::Payload(error)))?;
        let leaf = claims.refund.as_ref().map_or(0, |refund| refund.leaf);
        let counted = [
            ("time", claims.time),
            ("sequence", claims.sequence),
            ("the leaf of the refund", leaf),
            ("the piece count", claims.registers.pieces),
        ];
        if let Some((name, _)) = counted.into_iter().find(|(_, number)| i64::try_from(*number).is_err()) {
            return Err(StatementError::Beyond(name));
        }
        Ok(Self { kind, message, claims, bytes: bytes.to_vec() })
    }

    /// The PSD it names.
    pub fn psd(&self) -> PsdId {
        self.claims.psd
    }

    /// Verifies the signature under the device keys that the CA certified for this PSD; a revoked one proves nothing.
    pub fn proven_by(self, device_keys: &[DeviceKey]) -> Result<Statement, StatementError> {
        let psd = self.claims.psd;
        check_signer(&self.message, self.kind.content_type(), psd, device_keys)?;
        Ok(Statement { claims: self.claims, digest: psdd_wire::sha256(&self.bytes), bytes: self.bytes })
    }
}

/// Whether one of these device keys signed, and is not revoked.
pub(crate) fn check_signer(
    message: &Sign1,
    content_type: &str,
    psd: PsdId,
    device_keys: &[DeviceKey],
) -> Result<(), StatementError> {
    // A device key's statement carries no certificate: which key may sign is known here and nowhere else.
    let mut signers = device_keys.iter().filter(|_| message.certificate.is_none());
    let signer = signers.find(|key| message.verify(content_type, &key.spki).is_ok());
    match signer.ok_or(StatementError::Signature(psd))?.revoked {
        Some(since) => Err(StatementError::Revoked { psd, since }),
        None => Ok(()),
    }
}

impl Statement {
    /// What it says.
    pub fn claims(&self) -> &ValueRequestClaims {
        &self.claims
    }

    /// SHA-256 of the message: the same bytes are the same statement.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
