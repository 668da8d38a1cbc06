//! Instructions of the postal authority, whoever carries them: they prove themselves.

use super::connection::Connection;
use super::problems::{Failure, of_value};
use crate::authority::NotSigned;
use crate::core::{InstructionCommand, ValueReply};
use http::StatusCode;
use psd::record::Event;
use psdd_ledger::Durable;
use psdd_policy::ApplianceAction;
use psdd_wire::message::{Instruction, InstructionResponse};

pub(super) async fn take(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let message: Instruction = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    connection.may_on_appliance(ApplianceAction::CarryInstruction)?;
    let instruction = connection.state.authority.instruction(&message.instruction).map_err(|error| {
        let code = match error {
            NotSigned::Signer(_) => "instruction-wrong-signer",
            NotSigned::Signature(_) => "instruction-bad-signature",
            NotSigned::Malformed(_) => "instruction-malformed",
        };
        Failure::lasting(StatusCode::BAD_REQUEST, code, error.to_string())
    })?;
    let (purpose, number) = (instruction.purpose, instruction.number);
    let core = &connection.state.core;
    let bytes = message.instruction.as_slice().into();
    let answer = core.instruct(InstructionCommand { request: core.next_request(), instruction, bytes })?;
    match answer.await.ok().ok_or_else(Failure::stopping)? {
        ValueReply::Instructed(durable) => taken(connection, &durable),
        ValueReply::EndedBefore => {
            let slot = format!("instruction:{}", purpose.number());
            let newest = core.live(String::new(), slot)?.await.ok().flatten();
            let same = newest.filter(|durable| match &durable.record().event {
                Event::InstructionTaken { instruction, .. } => **instruction == *message.instruction,
                _ => false,
            });
            let durable = same.ok_or_else(|| {
                let detail = format!("another instruction {number} of this key was taken before");
                Failure::lasting(StatusCode::CONFLICT, "instruction-stale", detail)
            })?;
            taken(connection, &durable)
        }
        other => Err(of_value(other, "")),
    }
}

fn taken(connection: &Connection, durable: &Durable) -> Result<Vec<u8>, Failure> {
    let record = durable.record();
    let Event::InstructionTaken { purpose, number, .. } = &record.event else { return Err(Failure::stopping()) };
    Ok(psdd_wire::encode(&InstructionResponse {
        leaf: durable.leaf(),
        time: record.at.time.0,
        purpose: purpose.as_str().to_owned(),
        sequence: *number,
        checkpoint: connection.state.newest.note(),
    }))
}
