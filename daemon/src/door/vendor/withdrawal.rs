//! Withdrawal: all that is left goes back to the authority, and the PSD ends with registers that read zero.

use super::connection::Connection;
use super::problems::{Failure, of_value};
use super::value::{command, nonce, not_signed, requested};
use crate::core::{ValueReply, ValueStep};
use http::StatusCode;
use psd::PsdId;
use psd::record::Event;
use psdd_ledger::Durable;
use psdd_policy::Action;
use psdd_wire::cose::WITHDRAWAL_ACKNOWLEDGEMENT;
use psdd_wire::message::{Withdrawal, WithdrawalAcknowledgement, WithdrawnResponse};

pub(super) async fn request(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let Withdrawal {} = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may(id, Action::Withdraw).ok_or_else(|| Failure::unknown_psd(psd))??;
    requested(id, command(connection, id, ValueStep::Withdraw { nonce: nonce() }).await?, psd)
}

pub(super) async fn acknowledge(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let message: WithdrawalAcknowledgement =
        psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may(id, Action::Withdraw).ok_or_else(|| Failure::unknown_psd(psd))??;
    let answer = connection.state.authority.answer(WITHDRAWAL_ACKNOWLEDGEMENT, &message.acknowledgement);
    let acknowledgement = answer.map_err(not_signed)?;
    let sequence = acknowledgement.sequence;
    let bytes = message.acknowledgement.as_slice().into();
    match command(connection, id, ValueStep::Acknowledge { acknowledgement, bytes, nonce: nonce() }).await? {
        ValueReply::Withdrawn(durable) => withdrawn(connection, &durable),
        ValueReply::EndedBefore => match stored(connection, id, sequence).await? {
            Some(durable) => withdrawn(connection, &durable),
            None => {
                let detail = format!("{sequence} is no withdrawal of this PSD");
                Err(Failure::lasting(StatusCode::CONFLICT, "value-wrong-sequence", detail))
            }
        },
        other => Err(of_value(other, psd)),
    }
}

/// The end of the withdrawal of this number. Whoever brings an acknowledgement of it again gets the same report, whichever it was.
async fn stored(connection: &Connection, psd: PsdId, sequence: u64) -> Result<Option<Durable>, Failure> {
    let durable = connection.state.core.live(psd.to_string(), "withdrawn".to_owned())?.await.ok().flatten();
    Ok(durable.filter(|durable| {
        matches!(durable.record().event, Event::Withdrawn { value_sequence, .. } if value_sequence == sequence)
    }))
}

fn withdrawn(connection: &Connection, durable: &Durable) -> Result<Vec<u8>, Failure> {
    let record = durable.record();
    let Event::Withdrawn { stamp, value_sequence, amount, report, .. } = &record.event else {
        return Err(Failure::stopping());
    };
    Ok(psdd_wire::encode(&WithdrawnResponse {
        psd: stamp.psd,
        leaf: durable.leaf(),
        time: record.at.time.0,
        amount: *amount,
        report: report.to_vec(),
        sequence: *value_sequence,
        registers: stamp.registers.into(),
        checkpoint: connection.state.newest.note(),
    }))
}
