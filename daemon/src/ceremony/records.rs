//! What the log says of a ceremony: when it began and by whom, its steps, its end.

use super::CeremonyFailure;
use super::desk::Desk;
use crate::spine::Unavailable;
use psd::governance::CeremonyEnd;
use psd::record::Event;
use psdd_ledger::{DoneStep, Durable};
use psdd_wire::ceremony::Approval;

/// How a ceremony began.
pub(super) struct Begun {
    /// The leaf of the record.
    pub(super) leaf: u64,
    /// When, milliseconds since 1970.
    pub(super) at: u64,
    /// SHA-256 of its file.
    pub(super) digest: [u8; 32],
    /// Who approved, in the order of the approvals.
    pub(super) approvers: Vec<String>,
}

impl Desk {
    /// How the ceremony of this number began; none where there was none.
    pub(super) fn begun(&self, number: u64) -> Result<Option<Begun>, CeremonyFailure> {
        let Some(begun) = self.live(format!("ceremony:{number}"))? else { return Ok(None) };
        let Event::CeremonyBegun { digest, approvals, .. } = &begun.record().event else { return Ok(None) };
        // They were judged when it began, by the operators there were then.
        let approvers = approvals.iter().map(|approval| Approval::in_the_name_of(approval)).collect::<Result<_, _>>();
        let approvers =
            approvers.map_err(|error| CeremonyFailure::Refused(format!("record {}: {error}", begun.leaf())))?;
        Ok(Some(Begun { leaf: begun.leaf(), at: begun.record().at.time.0, digest: *digest, approvers }))
    }

    /// How the ceremony of this number ended; none where it has not.
    pub(super) fn ended(&self, number: u64) -> Result<Option<CeremonyEnd>, CeremonyFailure> {
        let ended = self.live(format!("ceremony-ended:{number}"))?;
        Ok(ended.and_then(|ended| match &ended.record().event {
            Event::CeremonyEnded { end, .. } => Some(*end),
            _ => None,
        }))
    }

    /// Its steps that are recorded, with the first `most_keys` keys that were made in them.
    pub(super) fn steps_of(&self, number: u64, most_keys: usize) -> Result<Vec<DoneStep>, CeremonyFailure> {
        let answer = self.core.ceremony_steps(number, most_keys)?;
        answer.blocking_recv().ok().ok_or(CeremonyFailure::Unavailable(Unavailable::Stopping))
    }

    fn live(&self, slot: String) -> Result<Option<Durable>, CeremonyFailure> {
        let answer = self.core.live(String::new(), slot)?;
        answer.blocking_recv().ok().ok_or(CeremonyFailure::Unavailable(Unavailable::Stopping))
    }
}
