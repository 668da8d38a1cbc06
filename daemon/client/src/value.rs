//! Value downloads: a request signed by the PSD, and the authority's answer brought back, or the request given up.

use crate::client::{Client, is_psd};
use crate::error::ClientError;
use crate::exchange::Call;
use crate::verify::{Book, VerificationError};
use psd::{PostageAmount, PsdId};
use psdd_wire::cose::{CoseError, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST, VALUE_VOID};
use psdd_wire::message::{
    KeyView, RegisterView, ValueAppliedResponse, ValueAuthorisation, ValueAuthorisationClaims, ValueRequest,
    ValueRequestClaims, ValueRequestResponse, ValueVoid, ValueVoidedResponse,
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
        let failed = |source| VerificationError::ValueRequest { psd, source };
        let message = Sign1::parse(authorisation).map_err(failed)?;
        if message.content_type != VALUE_AUTHORISATION {
            return Err(failed(CoseError::ContentType(message.content_type)).into());
        }
        let claims: ValueAuthorisationClaims =
            psdd_wire::read(&message.payload).map_err(|error| failed(CoseError::Payload(error)))?;
        expect(psd, "the amount loaded", told.amount, claims.amount)?;
        expect(psd, "the number loaded", told.sequence, claims.sequence)?;
        expect(psd, "the control total", told.registers.control_total, claims.control_total)?;
        Ok(told)
    }
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
