//! The transcript: who approved, what was done, when, with which public keys; signed by the log key.

use super::desk::Desk;
use super::{CeremonyFailure, Progress};
use psd::key::Role;
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_wire::ceremony::transcript::{MOST_LINES, TRANSCRIPT, TranscriptClaims, TranscriptKey};
use psdd_wire::cose::Sign1;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Signs the transcript of a ceremony that has done all its steps.
pub(super) fn signed(desk: &Desk, progress: &Progress, ended: u64) -> Result<Vec<u8>, CeremonyFailure> {
    let mut lines = progress.lines.clone();
    lines.truncate(MOST_LINES);
    let keys = progress
        .keys
        .iter()
        .take(MOST_LINES)
        .map(|(name, spki)| TranscriptKey { key: name.clone(), digest: sha256(spki) });
    let claims = TranscriptClaims {
        keys: keys.collect(),
        begun: progress.begun,
        ended,
        lines,
        steps: progress.steps_done,
        digest: progress.digest,
        number: progress.number,
        appliance: desk.appliance.to_string(),
        approvers: progress.approvers.clone(),
    };
    let payload = psdd_wire::encode(&claims);
    let message = Sign1::unsigned_by(desk.log_kind, TRANSCRIPT, None, payload);
    let mut messages = Messages::with_capacity(1, 1_024);
    messages.push(&message.to_be_signed());
    let key_id = Arc::clone(&desk.log_key_id);
    let frame = SignFrame { key_id, role: Role::Log, form: Form::CoseSign1, floor: 0, messages };
    let signatures = desk.link(desk.log_token)?.blocking().sign(&frame, PATIENCE)?;
    let signature = signatures.iter().next().unwrap_or_default().to_vec();
    Ok(message.with_signature(&signature))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}
