//! Value downloads: a request signed by the PSD, and its end: an authorisation signed by the authority, or a statement of the PSD that
//! it is void.

use super::connection::Connection;
use super::problems::{Failure, of_value};
use crate::core::{ValueCommand, ValueReply, ValueStep};
use http::StatusCode;
use psd::device::Authorisation;
use psd::record::Event;
use psd::{PostageAmount, PsdId, UnixMillis};
use psdd_ledger::Durable;
use psdd_policy::Action;
use psdd_wire::cose::{CoseError, Sign1, VALUE_AUTHORISATION};
use psdd_wire::item::ItemError;
use psdd_wire::message::{
    ValueAppliedResponse, ValueAuthorisation, ValueAuthorisationClaims, ValueRequest, ValueRequestResponse, ValueVoid,
    ValueVoidedResponse,
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
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    match command(connection, id, ValueStep::Request { amount, nonce }).await? {
        ValueReply::Requested { sequence, amount, request } => {
            Ok(psdd_wire::encode(&ValueRequestResponse { psd: id, amount, request: request.to_vec(), sequence }))
        }
        other => Err(of_value(other, psd)),
    }
}

pub(super) async fn apply(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let message: ValueAuthorisation = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may(id, Action::ApplyValue).ok_or_else(|| Failure::unknown_psd(psd))??;
    let authorisation = verify(connection, &message.authorisation)?;
    let sequence = authorisation.sequence;
    let bytes = message.authorisation.as_slice().into();
    match command(connection, id, ValueStep::Apply { authorisation, bytes }).await? {
        ValueReply::Applied(durable) => applied(connection, &durable),
        ValueReply::EndedBefore => match ending(connection, id, sequence).await? {
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
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    match command(connection, id, ValueStep::Void { sequence, nonce }).await? {
        ValueReply::Voided(durable) => voided(connection, &durable),
        ValueReply::EndedBefore => match ending(connection, id, sequence).await? {
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

/// How the download of this number ended; `None` where newer ones ended the same way since.
async fn ending(connection: &Connection, psd: PsdId, sequence: u64) -> Result<Option<(Ended, Durable)>, Failure> {
    for slot in ["value-applied", "value-voided"] {
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

async fn command(connection: &Connection, psd: PsdId, step: ValueStep) -> Result<ValueReply, Failure> {
    let core = &connection.state.core;
    let tenant = connection.identity.tenant.clone();
    let answer = core.value(ValueCommand { request: core.next_request(), tenant, psd, step })?;
    answer.await.ok().ok_or_else(Failure::stopping)
}

/// Only the authority's funds key, by the certificate installed for that purpose, authorises value.
fn verify(connection: &Connection, bytes: &[u8]) -> Result<Authorisation, Failure> {
    let refused = |code, detail: String| Failure::lasting(StatusCode::BAD_REQUEST, code, detail);
    let Some((certificate, spki)) = &connection.state.funds else {
        return Err(refused("value-wrong-signer", "no funds key of the authority is installed".to_owned()));
    };
    let message = Sign1::parse(bytes).map_err(|error| refused("value-malformed", error.to_string()))?;
    if message.certificate.as_deref() != Some(&**certificate) {
        let detail = "the authorisation does not carry the certificate of the installed funds key";
        return Err(refused("value-wrong-signer", detail.to_owned()));
    }
    message.verify(VALUE_AUTHORISATION, spki).map_err(|error| match error {
        CoseError::Signature => refused("value-bad-signature", error.to_string()),
        CoseError::ContentType(_) | CoseError::Form(_) | CoseError::Payload(_) => {
            refused("value-malformed", error.to_string())
        }
    })?;
    let claims: ValueAuthorisationClaims =
        psdd_wire::read(&message.payload).map_err(|error| refused("value-malformed", error.to_string()))?;
    let appliance = claims.appliance.parse().ok();
    Ok(Authorisation {
        appliance: appliance.ok_or_else(|| refused("value-malformed", "the appliance id is not one".to_owned()))?,
        psd: claims.psd,
        amount: claims.amount,
        control_total: claims.control_total,
        sequence: claims.sequence,
        expires: UnixMillis(claims.expires),
    })
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
