//! Value downloads: a request signed by the PSD, and its end: an authorisation signed by the authority, or a statement of the PSD that
//! it is void.

use super::connection::Connection;
use super::problems::{Failure, of_value};
use crate::authority::NotSigned;
use crate::core::{ValueCommand, ValueReply, ValueStep};
use http::StatusCode;
use psd::record::Event;
use psd::{PostageAmount, PsdId};
use psdd_ledger::Durable;
use psdd_policy::Action;
use psdd_wire::cose::VALUE_AUTHORISATION;
use psdd_wire::item::ItemError;
use psdd_wire::message::{
    ValueAppliedResponse, ValueAuthorisation, ValueRequest, ValueRequestResponse, ValueVoid, ValueVoidedResponse,
};
use rand::RngCore;
use std::sync::Arc;

pub(super) async fn request(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let request: ValueRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    let amount: PostageAmount = request.amount.parse().map_err(|error| {
        let error = ItemError::Postage(error);
        Failure::lasting(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    })?;
    connection.may(id, Action::RequestValue { amount }).ok_or_else(|| Failure::unknown_psd(psd))??;
    requested(id, command(connection, id, ValueStep::Request { amount, nonce: nonce() }).await?, psd)
}

pub(super) async fn apply(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let message: ValueAuthorisation = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may(id, Action::ApplyValue).ok_or_else(|| Failure::unknown_psd(psd))??;
    let authorisation = connection.state.authority.answer(VALUE_AUTHORISATION, &message.authorisation);
    let authorisation = authorisation.map_err(not_signed)?;
    let (sequence, refund) = (authorisation.sequence, authorisation.refund);
    let bytes = message.authorisation.as_slice().into();
    match command(connection, id, ValueStep::Apply { authorisation, bytes }).await? {
        ValueReply::Applied(durable) => applied(connection, &durable),
        ValueReply::EndedBefore => match ending(connection, id, sequence, refund).await? {
            Some((Ended::Applied(authorisation), durable)) if *authorisation == *message.authorisation => {
                applied(connection, &durable)
            }
            Some((Ended::Void, _)) => {
                let detail = format!("download {sequence} was given up; it loads nothing, whoever authorised it");
                Err(Failure::lasting(StatusCode::CONFLICT, "value-void", detail))
            }
            Some((Ended::Applied(_), _)) | None => {
                let detail =
                    format!("download {sequence} was applied before, by another authorisation, or ended long ago");
                Err(Failure::lasting(StatusCode::CONFLICT, "value-wrong-sequence", detail))
            }
        },
        other => Err(of_value(other, psd)),
    }
}

pub(super) async fn void(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let message: ValueVoid = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may(id, Action::VoidValue).ok_or_else(|| Failure::unknown_psd(psd))??;
    let sequence = message.sequence;
    match command(connection, id, ValueStep::Void { sequence, nonce: nonce() }).await? {
        ValueReply::Voided(durable) => voided(connection, &durable),
        ValueReply::EndedBefore => match ending(connection, id, sequence, None).await? {
            Some((Ended::Void, durable)) => voided(connection, &durable),
            Some((Ended::Applied(_), _)) => {
                let detail = format!("download {sequence} was applied; its value is in the registers");
                Err(Failure::lasting(StatusCode::CONFLICT, "value-applied", detail))
            }
            None => {
                let detail = format!("download {sequence} ended long ago");
                Err(Failure::lasting(StatusCode::CONFLICT, "value-wrong-sequence", detail))
            }
        },
        other => Err(of_value(other, psd)),
    }
}

/// How a download ended: by which authorisation, or by none.
enum Ended {
    Applied(Arc<[u8]>),
    Void,
}

/// How the download of this number ended; `None` where newer ones ended the same way since. `refund` is the leaf of the spoiled mark, where
/// it was a refund.
async fn ending(
    connection: &Connection,
    psd: PsdId,
    sequence: u64,
    refund: Option<u64>,
) -> Result<Option<(Ended, Durable)>, Failure> {
    let applied = refund.map_or_else(|| "value-applied".to_owned(), |leaf| format!("refunded:{leaf}"));
    for slot in [applied, "value-voided".to_owned()] {
        let stored = connection.state.core.live(psd.to_string(), slot)?.await.ok().flatten();
        let ended = stored.and_then(|durable| match &durable.record().event {
            Event::ValueApplied { value_sequence, authorisation, .. } if *value_sequence == sequence => {
                Some((Ended::Applied(Arc::clone(authorisation)), durable))
            }
            Event::ValueVoided { value_sequence, .. } if *value_sequence == sequence => Some((Ended::Void, durable)),
            _ => None,
        });
        if ended.is_some() {
            return Ok(ended);
        }
    }
    Ok(None)
}

/// The answer to whoever asked for value, a refund or withdrawal.
pub(super) fn requested(id: PsdId, reply: ValueReply, psd: &str) -> Result<Vec<u8>, Failure> {
    let ValueReply::Requested { sequence, amount, purpose, request } = reply else { return Err(of_value(reply, psd)) };
    let purpose = purpose.as_str().to_owned();
    Ok(psdd_wire::encode(&ValueRequestResponse { psd: id, amount, purpose, request: request.to_vec(), sequence }))
}

/// Fresh randomness for a statement.
pub(super) fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    nonce
}

/// The bytes are no answer of the funds system.
pub(super) fn not_signed(error: NotSigned) -> Failure {
    let code = match error {
        NotSigned::Signer(_) => "value-wrong-signer",
        NotSigned::Signature(_) => "value-bad-signature",
        NotSigned::Malformed(_) => "value-malformed",
    };
    Failure::lasting(StatusCode::BAD_REQUEST, code, error.to_string())
}

pub(super) async fn command(connection: &Connection, psd: PsdId, step: ValueStep) -> Result<ValueReply, Failure> {
    let core = &connection.state.core;
    let tenant = connection.identity.tenant.clone();
    let client = Some(Arc::clone(&connection.identity.client));
    let answer = core.value(ValueCommand { request: core.next_request(), tenant, client, psd, step })?;
    answer.await.ok().ok_or_else(Failure::stopping)
}

fn applied(connection: &Connection, durable: &Durable) -> Result<Vec<u8>, Failure> {
    let record = durable.record();
    let Event::ValueApplied { stamp, value_sequence, amount, .. } = &record.event else {
        return Err(Failure::stopping());
    };
    Ok(psdd_wire::encode(&ValueAppliedResponse {
        psd: stamp.psd,
        leaf: durable.leaf(),
        time: record.at.time.0,
        amount: *amount,
        sequence: *value_sequence,
        registers: stamp.registers.into(),
        checkpoint: connection.state.newest.note(),
    }))
}

fn voided(connection: &Connection, durable: &Durable) -> Result<Vec<u8>, Failure> {
    let record = durable.record();
    let Event::ValueVoided { stamp, value_sequence, amount, statement, .. } = &record.event else {
        return Err(Failure::stopping());
    };
    Ok(psdd_wire::encode(&ValueVoidedResponse {
        psd: stamp.psd,
        leaf: durable.leaf(),
        time: record.at.time.0,
        amount: *amount,
        sequence: *value_sequence,
        statement: statement.to_vec(),
        checkpoint: connection.state.newest.note(),
    }))
}
