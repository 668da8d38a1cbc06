//! What the ledger asks to have judged: notes, certificate chains, COSE messages.

use psd::authority::Act;
use psd::record::Genesis;
use psd::{ApplianceId, UnixMillis};
use psdd_ledger::open::ProvenHead;
use psdd_ledger::verify::{Answer, AuthorityKey, Certified, Judge, Refuted, Statement, ValueFacts};
use psdd_wire::certificate::verify_end_entity;
use psdd_wire::checkpoint::{Checkpoint, LogKey, origin};
use psdd_wire::evidence::{verify_answer, verify_instruction, verify_statement};

/// Judges with `psdd-wire`, as the daemon does.
pub(super) struct WireJudge;

fn refuted(error: impl std::error::Error + Send + Sync + 'static) -> Refuted {
    Refuted(Box::new(error))
}

impl Judge for WireJudge {
    fn checkpoint(&self, genesis: &Genesis, note: &str) -> Option<ProvenHead> {
        let key = LogKey::of_spki(&genesis.log_spki);
        let checkpoint = Checkpoint::verified(note, &origin(&genesis.appliance), &key).ok()?;
        Some(ProvenHead { size: checkpoint.size, root: checkpoint.root })
    }

    fn chain(&self, chain: &[&[u8]], root: &[u8], at: UnixMillis) -> Result<Certified, Refuted> {
        let key = verify_end_entity(chain, root, at).map_err(refuted)?;
        Ok(Certified { spki: key.spki.into(), serial: key.serial })
    }

    fn device_statement(
        &self,
        statement: Statement,
        message: &[u8],
        spki: &[u8],
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted> {
        verify_statement(statement, message, spki, facts).map_err(refuted)
    }

    fn instruction(
        &self,
        message: &[u8],
        key: &AuthorityKey,
        appliance: &ApplianceId,
        at: UnixMillis,
    ) -> Result<(u64, Act), Refuted> {
        verify_instruction(message, key, appliance, at).map_err(refuted)
    }

    fn funds_answer(
        &self,
        answer: Answer,
        message: &[u8],
        key: &AuthorityKey,
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted> {
        verify_answer(answer, message, key, facts).map_err(refuted)
    }
}
