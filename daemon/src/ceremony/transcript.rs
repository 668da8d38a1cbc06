//! The transcript: who approved, what was done, when, with which public keys; told from the records, signed by the log key.

use super::CeremonyFailure;
use super::desk::Desk;
use crate::birth::key_label;
use psd::key::generation;
use psd::record::Event;
use psdd_ledger::{DoneStep, Durable};
use psdd_wire::ceremony::transcript::{MOST_LINES, TRANSCRIPT, TranscriptClaims, TranscriptKey};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Signs the transcript of a ceremony whose steps are all recorded. Whoever did them, and however often it was interrupted, it tells of all.
pub(super) fn signed(desk: &Desk, number: u64, ended: u64) -> Result<Vec<u8>, CeremonyFailure> {
    let missing = || CeremonyFailure::Refused(format!("there is no record of the beginning of ceremony no. {number}"));
    let begun = desk.begun(number)?.ok_or_else(missing)?;
    let steps = desk.steps_of(number, MOST_LINES)?;
    let keys = steps.iter().flat_map(|step| &step.keys).filter_map(key).take(MOST_LINES);
    let claims = TranscriptClaims {
        keys: keys.collect(),
        begun: begun.at,
        ended,
        lines: steps.iter().take(MOST_LINES).map(|step| line(step).to_owned()).collect(),
        steps: u64::try_from(steps.len()).unwrap_or(u64::MAX),
        digest: begun.digest,
        number,
        appliance: desk.appliance.to_string(),
        approvers: begun.approvers,
    };
    desk.sign_as_log(TRANSCRIPT, psdd_wire::encode(&claims), PATIENCE)
}

/// What was done in a step, in words.
pub fn line(step: &DoneStep) -> &str {
    match &step.record.record().event {
        Event::CeremonyStep { text, .. } => text,
        _ => "",
    }
}

fn key(made: &Durable) -> Option<TranscriptKey> {
    let Event::KeyCreated { stamp, key_id, role, spki, .. } = &made.record().event else { return None };
    Some(TranscriptKey { key: key_label(stamp.psd, *role, generation(key_id)), digest: psdd_wire::sha256(spki) })
}
