//! Value in and out: what the PSD signs for the authority, and the authority's answers brought back.

use crate::client::{Client, is_psd};
use crate::error::ClientError;
use crate::exchange::Call;
use crate::verify::{Book, VerificationError};
use psd::{PieceKey, PostageAmount, PsdId};
use psdd_wire::cose::{
    CoseError, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_ACKNOWLEDGEMENT, WITHDRAWAL_REPORT,
    WITHDRAWAL_REQUEST,
};
use psdd_wire::message::{
    Instruction, InstructionResponse, KeyView, RefundRequest, RegisterView, ValueAppliedResponse, ValueAuthorisation,
    ValueAuthorisationClaims, ValueRequest, ValueRequestClaims, ValueRequestResponse, ValueVoid, ValueVoidedResponse,
    Withdrawal, WithdrawalAcknowledgement, WithdrawnResponse,
};
use std::borrow::Cow;
use std::fmt::Display;

const DEVICE: &str = "device";

impl Client {
    /// Asks the PSD for a value request, to be carried to the authority's funds system. Repeating it while it is under way gives the
    /// same request again; another amount is refused until then.
    ///
    /// With full verification its signature is checked under the PSD's device key.
    pub async fn request_value(&self, psd: PsdId, amount: PostageAmount) -> Result<ValueRequestResponse, ClientError> {
        let body = psdd_wire::encode(&ValueRequest { amount: Cow::Owned(amount.to_string()) });
        let call = Call::post(format!("/v1/psds/{psd}/value-requests"), body);
        let told: ValueRequestResponse = self.shared.exchange.ask(&call).await?;
        is_psd(psd, told.psd)?;
        expect(psd, "the amount", told.amount, amount)?;
        self.check_statement(VALUE_REQUEST, psd, (told.sequence, told.amount), &told.request).await?;
        Ok(told)
    }

    /// Asks the PSD for a request that the postage of a spoiled mark comes back. It goes to the authority's funds system and ends like a
    /// download: with [`Client::apply_value`] or [`Client::void_value`]. Repeating it while it is under way gives the same request again.
    ///
    /// With full verification its signature is checked under the PSD's device key.
    pub async fn request_refund(&self, psd: PsdId, key: PieceKey) -> Result<ValueRequestResponse, ClientError> {
        let body = psdd_wire::encode(&RefundRequest { key: Cow::Borrowed(key.as_bytes()) });
        let call = Call::post(format!("/v1/psds/{psd}/refund-requests"), body);
        let told: ValueRequestResponse = self.shared.exchange.ask(&call).await?;
        is_psd(psd, told.psd)?;
        self.check_statement(VALUE_REQUEST, psd, (told.sequence, told.amount), &told.request).await?;
        Ok(told)
    }

    /// Asks that all that is left in the PSD goes back to the authority. From then on it signs nothing, for ever; repeating it gives the same
    /// request again.
    ///
    /// With full verification its signature is checked under the PSD's device key.
    pub async fn request_withdrawal(&self, psd: PsdId) -> Result<ValueRequestResponse, ClientError> {
        let call = Call::post(format!("/v1/psds/{psd}/withdrawals"), psdd_wire::encode(&Withdrawal {}));
        let told: ValueRequestResponse = self.shared.exchange.ask(&call).await?;
        is_psd(psd, told.psd)?;
        self.check_statement(WITHDRAWAL_REQUEST, psd, (told.sequence, told.amount), &told.request).await?;
        Ok(told)
    }

    /// Brings the authority's acknowledgement (COSE_Sign1) of a withdrawal. The PSD ends with registers that read zero; its report goes to
    /// the authority. Repeating it gives the same report.
    ///
    /// With full verification the report's signature is checked under the PSD's device key.
    pub async fn acknowledge_withdrawal(
        &self,
        psd: PsdId,
        acknowledgement: &[u8],
    ) -> Result<WithdrawnResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let body = psdd_wire::encode(&WithdrawalAcknowledgement { acknowledgement: acknowledgement.to_vec() });
        let call = Call::post(format!("/v1/psds/{psd}/withdrawal-acknowledgements"), body);
        let told: WithdrawnResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_psd(psd, told.psd)?;
        adds_up(psd, &told.registers)?;
        let claims = answer(psd, WITHDRAWAL_ACKNOWLEDGEMENT, acknowledgement)?;
        expect(psd, "the amount that went back", told.amount, claims.amount)?;
        expect(psd, "the number of the withdrawal", told.sequence, claims.sequence)?;
        expect(psd, "what is left", told.registers.descending, PostageAmount::ZERO)?;
        self.check_statement(WITHDRAWAL_REPORT, psd, (told.sequence, told.amount), &told.report).await?;
        Ok(told)
    }

    /// Carries an instruction of the postal authority (COSE_Sign1) to the appliance. Repeating it gives the same answer for as long as it is the
    /// newest of its key.
    pub async fn carry_instruction(&self, instruction: &[u8]) -> Result<InstructionResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let body = psdd_wire::encode(&Instruction { instruction: instruction.to_vec() });
        let told: InstructionResponse =
            self.shared.exchange.ask(&Call::post("/v1/instructions".to_owned(), body)).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        Ok(told)
    }

    /// Gives up the download of this number for ever: no authorisation for it loads anything afterwards, and the PSD's statement of it lets
    /// the authority credit the amount again. Repeating it gives the same statement.
    ///
    /// With full verification its signature is checked under the PSD's device key.
    pub async fn void_value(&self, psd: PsdId, sequence: u64) -> Result<ValueVoidedResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let call = Call::post(format!("/v1/psds/{psd}/value-voids"), psdd_wire::encode(&ValueVoid { sequence }));
        let told: ValueVoidedResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_psd(psd, told.psd)?;
        expect(psd, "the number given up", told.sequence, sequence)?;
        self.check_statement(VALUE_VOID, psd, (sequence, told.amount), &told.statement).await?;
        Ok(told)
    }

    /// What the device key signed says what was told beside it.
    async fn check_statement(
        &self,
        content_type: &str,
        psd: PsdId,
        (sequence, amount): (u64, PostageAmount),
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        let failed = |source| VerificationError::ValueRequest { psd, source };
        let message = Sign1::parse(bytes).map_err(failed)?;
        if message.content_type != content_type {
            return Err(failed(CoseError::ContentType(message.content_type)).into());
        }
        let claims: ValueRequestClaims =
            psdd_wire::read(&message.payload).map_err(|error| failed(CoseError::Payload(error)))?;
        expect(psd, "the device signed", claims.psd, psd)?;
        expect(psd, "the amount signed", claims.amount, amount)?;
        expect(psd, "the number signed", claims.sequence, sequence)?;
        expect(psd, "the appliance signed", claims.appliance.as_str(), self.appliance_name())?;
        adds_up(psd, &claims.registers)?;
        let Some(book) = &self.shared.book else { return Ok(()) };
        let keys = self.certificates(psd).await?.keys;
        let mut devices = keys.iter().filter(|key| key.role == DEVICE);
        let signer = devices.find(|key| message.verify(content_type, &key.spki).is_ok());
        check_device_key(book, psd, signer.ok_or_else(|| failed(CoseError::Signature))?)
    }

    /// Brings the authority's authorisation (COSE_Sign1). Repeating it loads nothing twice and gives the same answer.
    pub async fn apply_value(&self, psd: PsdId, authorisation: &[u8]) -> Result<ValueAppliedResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let body = psdd_wire::encode(&ValueAuthorisation { authorisation: authorisation.to_vec() });
        let call = Call::post(format!("/v1/psds/{psd}/value-authorisations"), body);
        let told: ValueAppliedResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_psd(psd, told.psd)?;
        adds_up(psd, &told.registers)?;
        let claims = answer(psd, VALUE_AUTHORISATION, authorisation)?;
        expect(psd, "the amount loaded", told.amount, claims.amount)?;
        expect(psd, "the number loaded", told.sequence, claims.sequence)?;
        expect(psd, "the control total", told.registers.control_total, claims.control_total)?;
        Ok(told)
    }
}

/// What an answer of the funds system says. Whether it may, the daemon judges.
fn answer(psd: PsdId, content_type: &str, bytes: &[u8]) -> Result<ValueAuthorisationClaims, VerificationError> {
    let failed = |source| VerificationError::ValueRequest { psd, source };
    let message = Sign1::parse(bytes).map_err(failed)?;
    if message.content_type != content_type {
        return Err(failed(CoseError::ContentType(message.content_type)));
    }
    psdd_wire::read(&message.payload).map_err(|error| failed(CoseError::Payload(error)))
}

/// A device key that has a certificate must lead to the root like any other.
fn check_device_key(book: &Book, psd: PsdId, key: &KeyView) -> Result<(), ClientError> {
    if key.chain.is_empty() { Ok(()) } else { book.certify(psd, key).map(drop) }
}

fn adds_up(psd: PsdId, registers: &RegisterView) -> Result<(), VerificationError> {
    let sum = registers.ascending.checked_add(registers.descending);
    let sum = sum.unwrap_or(PostageAmount::MAX);
    expect(psd, "the control total", registers.control_total, sum)
}

fn expect<T: PartialEq + Display>(
    psd: PsdId,
    what: &'static str,
    told: T,
    expected: T,
) -> Result<(), VerificationError> {
    if told == expected {
        return Ok(());
    }
    Err(VerificationError::Value { psd, what, told: told.to_string(), expected: expected.to_string() })
}
