//! What a ceremony does, in steps: a pure function of the reviewed file, so that one that was interrupted goes on where it was.

use super::CeremonyFailure;
use psd::custody::RevocationReason;
use psd::device::Identity;
use psd::key::{Key, Role};
use psd::{PsdId, State};
use psdd_wire::ceremony::{Act, Expected, ExpectedKey};
use psdd_wire::ceremony::{Ceremony, act};
use std::sync::Arc;

/// PSDs that are made and recorded together: enough to share a sync, few enough that an interruption repeats little.
const PSDS_A_STEP: usize = 32;

/// A step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Step<'a> {
    /// Make these PSDs of a group, with their keys.
    Create(&'a act::CreatePsds, usize, usize, usize),
    /// Make the next generation of a key.
    MakeKey(PsdId, Role, u8),
    /// Have that generation take over.
    Activate(&'a act::RotateKey, u8),
    /// Revoke a generation.
    RevokeKey(PsdId, Role, u8, RevocationReason),
    /// Retire a generation.
    RetireKey(PsdId, Role, u8),
    /// Destroy a generation.
    DestroyKey(PsdId, Role, u8),
    /// Revoke every key of a PSD.
    RevokePsd(PsdId, RevocationReason),
    /// The operators' lock.
    Lock(PsdId),
    /// Its end.
    Unlock(PsdId),
    /// End a PSD's life; its keys are retired.
    Scrap(PsdId),
    /// Destroy what is left of its keys.
    DestroyAll(PsdId),
    /// Anything that is one fact about the appliance.
    Appliance(&'a Act),
    /// Copy the ledger.
    BackUp(&'a act::BackUp),
}

/// The steps of a ceremony.
pub(super) fn steps(ceremony: &Ceremony) -> Result<Vec<Step<'_>>, CeremonyFailure> {
    let act = ceremony.act();
    let at_the_console = |command| Err(CeremonyFailure::AtTheConsole { act: act.table(), command });
    Ok(match act {
        Act::CreatePsds(create) => {
            let batches = |(group, psds): (usize, usize)| {
                let starts = (0..psds).step_by(PSDS_A_STEP);
                starts.map(move |from| Step::Create(create, group, from, psds.min(from + PSDS_A_STEP)))
            };
            let sizes = create.groups.iter().map(|group| group.psds.len()).enumerate();
            sizes.flat_map(batches).collect()
        }
        Act::RotateKey(rotate) => {
            let next = rotate.expected.generation.saturating_add(1);
            vec![Step::MakeKey(rotate.psd, rotate.role, next), Step::Activate(rotate, next)]
        }
        Act::RevokeKey(key) => vec![Step::RevokeKey(key.psd, key.role, key.generation, key.reason)],
        Act::RetireKey(key) => vec![Step::RetireKey(key.psd, key.role, key.generation)],
        Act::DestroyKey(key) => vec![Step::DestroyKey(key.psd, key.role, key.generation)],
        Act::RevokePsd(revoke) => vec![Step::RevokePsd(revoke.psd, revoke.reason)],
        Act::Lock(lock) => vec![Step::Lock(lock.psd)],
        Act::Unlock(lock) => vec![Step::Unlock(lock.psd)],
        Act::Scrap(scrap) => vec![Step::Scrap(scrap.psd), Step::DestroyAll(scrap.psd)],
        Act::Operators(_) | Act::RevokeOperator(_) | Act::RevokeClient(_) | Act::RevokeAccount(_) | Act::Abandon(_) => {
            vec![Step::Appliance(act)]
        }
        Act::BackUp(back_up) => vec![Step::BackUp(back_up)],
        Act::InitialiseToken(_) => return at_the_console("psdd-hsm init-token"),
        Act::SplitPin(_) => return at_the_console("psdd-hsm split-pin"),
    })
}

/// The newest generation of a role.
pub(super) fn newest_generation(state: &State, role: Role) -> u8 {
    state.newest_key(role).map_or(0, Key::generation)
}

/// Whether the PSDs are as their approvers knew them. Asked before the first step only.
pub(super) fn expected(ceremony: &Ceremony, psds: &[(Arc<Identity>, State)]) -> Result<(), CeremonyFailure> {
    let state_of = |psd: PsdId| {
        let found = psds.iter().find(|(identity, _)| identity.psd == psd).map(|(_, state)| state);
        found.ok_or_else(|| CeremonyFailure::Unexpected(format!("there is no PSD {psd}")))
    };
    let plain = |psd: PsdId, expected: &Expected| {
        let state = state_of(psd)?;
        if (state.lifecycle, state.locks) == (expected.state, expected.locks) {
            return Ok(());
        }
        let is = Expected { state: state.lifecycle, locks: state.locks };
        Err(CeremonyFailure::Unexpected(format!("{psd}: approved was that {expected}; now {is}")))
    };
    match ceremony.act() {
        Act::CreatePsds(create) => {
            let there = |psd: &&PsdId| psds.iter().any(|(identity, _)| identity.psd == **psd);
            match create.groups.iter().flat_map(|group| &group.psds).find(there) {
                Some(psd) => Err(CeremonyFailure::Unexpected(format!("there is a PSD {psd} already"))),
                None => Ok(()),
            }
        }
        Act::RotateKey(rotate) => {
            let ExpectedKey { state, locks, generation } = rotate.expected;
            plain(rotate.psd, &Expected { state, locks })?;
            let newest = newest_generation(state_of(rotate.psd)?, rotate.role);
            if newest == generation {
                return Ok(());
            }
            let (psd, role) = (rotate.psd, rotate.role);
            let what = format!("{psd}: the newest {role} key is generation {newest}, approved was {generation}");
            Err(CeremonyFailure::Unexpected(what))
        }
        Act::RevokeKey(key) => plain(key.psd, &key.expected),
        Act::RetireKey(key) | Act::DestroyKey(key) => plain(key.psd, &key.expected),
        Act::RevokePsd(revoke) => plain(revoke.psd, &revoke.expected),
        Act::Lock(lock) | Act::Unlock(lock) | Act::Scrap(lock) => plain(lock.psd, &lock.expected),
        Act::Operators(_)
        | Act::RevokeOperator(_)
        | Act::RevokeClient(_)
        | Act::RevokeAccount(_)
        | Act::BackUp(_)
        | Act::InitialiseToken(_)
        | Act::SplitPin(_)
        | Act::Abandon(_) => Ok(()),
    }
}
