//! Instructions of the postal authority, whoever carries them to whichever door: they prove themselves.

use super::failure::Failure;
use super::vendor::of_value;
use crate::authority::{AuthorityKeys, NotSigned};
use crate::core::{InstructionCommand, ValueReply};
use crate::spine::{Handle, Newest};
use http::StatusCode;
use psd::record::Event;
use psdd_ledger::Durable;
use psdd_wire::message::{Instruction, InstructionResponse};

/// What an instruction is taken with.
pub(super) struct Desk<'a> {
    /// Into the core.
    pub(super) core: &'a Handle,
    /// The authority's keys.
    pub(super) authority: &'a AuthorityKeys,
    /// The newest checkpoint.
    pub(super) newest: &'a Newest,
}

/// Takes an instruction of a client that may carry one.
pub(super) async fn take(
    desk: &Desk<'_>,
    bytes: &[u8],
    may: impl FnOnce() -> Result<(), Failure>,
) -> Result<Vec<u8>, Failure> {
    let message: Instruction = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    may()?;
    let instruction = desk.authority.instruction(&message.instruction).map_err(|error| {
        let code = match error {
            NotSigned::Signer(_) => "instruction-wrong-signer",
            NotSigned::Signature(_) => "instruction-bad-signature",
            NotSigned::Malformed(_) => "instruction-malformed",
        };
        Failure::lasting(StatusCode::BAD_REQUEST, code, error.to_string())
    })?;
    let (purpose, number) = (instruction.purpose, instruction.number);
    let core = desk.core;
    let bytes = message.instruction.as_slice().into();
    let answer = core.instruct(InstructionCommand::new(core.next_request(), instruction, bytes))?;
    match answer.await.ok().ok_or_else(Failure::stopping)? {
        ValueReply::Instructed(durable) => taken(desk, &durable),
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
            taken(desk, &durable)
        }
        other => Err(of_value(other, "")),
    }
}

fn taken(desk: &Desk<'_>, durable: &Durable) -> Result<Vec<u8>, Failure> {
    let record = durable.record();
    let Event::InstructionTaken { purpose, number, .. } = &record.event else { return Err(Failure::stopping()) };
    Ok(psdd_wire::encode(&InstructionResponse {
        leaf: durable.leaf(),
        time: record.at.time.0,
        purpose: purpose.as_str().to_owned(),
        sequence: *number,
        checkpoint: desk.newest.note(),
    }))
}
