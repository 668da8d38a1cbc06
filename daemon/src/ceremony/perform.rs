//! One step of a ceremony: what it asks of tokens, then its change, recorded with the step.

use super::CeremonyFailure;
use super::desk::Desk;
use super::steps::{Step, newest_generation};
use crate::birth::{WantedKey, key_id, key_label, make_key, psd_created};
use crate::core::{Change, NewPsd, Sight, StepDone};
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::device::{CertifiedKey, Change as PsdChange};
use psd::governance::{Operator, Subject};
use psd::key::{Algorithm, Residence, Role};
use psd::lifecycle::Lifecycle;
use psd::record::Event;
use psd::{PsdId, State};
use psdd_hsm::link::WrappedKey;
use psdd_ledger::Body;
use psdd_wire::ceremony::Act;
use psdd_wire::ceremony::act::RotateKey;
use rand::RngCore;
use std::sync::Arc;
use std::time::Duration;

const DESTROY_PATIENCE: Duration = Duration::from_secs(60);

type Recorded<'r> = &'r dyn Fn(String) -> StepDone;

pub(super) fn perform(desk: &Desk, step: &Step<'_>, recorded: Recorded<'_>) -> Result<(), CeremonyFailure> {
    match step {
        Step::Create(create, group, from, to) => create_psds(desk, create, (*group, *from, *to), recorded),
        Step::MakeKey(psd, role, generation) => add_key(desk, (*psd, *role, *generation), recorded),
        Step::Activate(rotate, generation) => activate(desk, rotate, *generation, recorded),
        Step::RevokeKey(psd, role, generation, reason) => {
            let key = the_key(&desk.state(*psd)?, (*psd, *role, *generation))?.key.key_id;
            let line = format!("the {role} key of {psd}, generation {generation}, is revoked: {reason}");
            of_psd(desk, *psd, vec![step_of(key, KeyStep::Revoked, Some(*reason))], line, recorded)
        }
        Step::RetireKey(psd, role, generation) => {
            let key = the_key(&desk.state(*psd)?, (*psd, *role, *generation))?.key.key_id;
            let line = format!("the {role} key of {psd}, generation {generation}, is retired");
            of_psd(desk, *psd, vec![step_of(key, KeyStep::Retired, None)], line, recorded)
        }
        Step::DestroyKey(psd, role, generation) => {
            let certified = the_key(&desk.state(*psd)?, (*psd, *role, *generation))?;
            if certified.life.retired.is_none() && certified.life.revoked.is_none() {
                let what = format!("the {role} key of {psd}, generation {generation}, is neither retired nor revoked");
                return Err(CeremonyFailure::Refused(what));
            }
            destroy(desk, &certified)?;
            let line = format!("the {role} key of {psd}, generation {generation}, is destroyed");
            of_psd(desk, *psd, vec![step_of(certified.key.key_id, KeyStep::Destroyed, None)], line, recorded)
        }
        Step::RevokePsd(psd, reason) => {
            let state = desk.state(*psd)?;
            let open = state.keys.iter().filter(|certified| certified.life.revoked.is_none());
            let revoke =
                |certified: &CertifiedKey| step_of(Arc::clone(&certified.key.key_id), KeyStep::Revoked, Some(*reason));
            of_psd(desk, *psd, open.map(revoke).collect(), format!("every key of {psd} is revoked: {reason}"), recorded)
        }
        Step::Lock(psd) => of_psd(desk, *psd, vec![PsdChange::Lock], format!("{psd} is locked"), recorded),
        Step::Unlock(psd) => {
            of_psd(desk, *psd, vec![PsdChange::Unlock], format!("the operators' lock of {psd} is cleared"), recorded)
        }
        Step::Scrap(psd) => {
            let state = desk.state(*psd)?;
            let mut changes = vec![PsdChange::Become(Lifecycle::Scrapped)];
            let open = state.keys.iter().filter(|certified| certified.life.is_sound());
            changes.extend(open.map(|certified| step_of(Arc::clone(&certified.key.key_id), KeyStep::Retired, None)));
            of_psd(desk, *psd, changes, format!("{psd} is scrapped and its keys are retired"), recorded)
        }
        Step::DestroyAll(psd) => {
            let state = desk.state(*psd)?;
            let left = || state.keys.iter().filter(|certified| certified.life.destroyed.is_none());
            left().try_for_each(|certified| destroy(desk, certified))?;
            let gone = |certified: &CertifiedKey| step_of(Arc::clone(&certified.key.key_id), KeyStep::Destroyed, None);
            let line = format!("the keys of {psd} are destroyed");
            of_psd(desk, *psd, left().map(gone).collect(), line, recorded)
        }
        Step::Appliance(act) => of_appliance(desk, act, recorded),
        Step::BackUp(back_up) => {
            let StepDone { number, .. } = recorded(String::new());
            let begun = desk.begun(number)?;
            // Without it any copy, however old, would pass for the one that was ordered.
            let begun = begun
                .ok_or_else(|| CeremonyFailure::Refused(format!("no record says that ceremony {number} began")))?;
            let copied = psdd_ledger::back_up(&desk.state_dir, &back_up.directory, begun.leaf);
            let size = copied.map_err(|error| CeremonyFailure::BackUp(error.to_string()))?;
            let line = format!("the ledger, {size} records, is copied to {}", back_up.directory.display());
            let StepDone { number, step, text } = recorded(line);
            desk.change(Change::Appliance { events: vec![Event::CeremonyStep { number, step, text }] }).map(drop)
        }
    }
}

pub(super) fn step_of(key_id: Arc<[u8]>, step: KeyStep, reason: Option<RevocationReason>) -> PsdChange {
    PsdChange::Key { key_id, step, since: None, reason }
}

fn the_key(state: &State, (psd, role, generation): (PsdId, Role, u8)) -> Result<CertifiedKey, CeremonyFailure> {
    let found = state.key(&key_id(psd, role, generation)).cloned();
    found.ok_or_else(|| CeremonyFailure::Refused(format!("{psd} has no {role} key of generation {generation}")))
}

/// Only what is retired or revoked may go; the record follows once nothing of it is left.
pub(super) fn destroy(desk: &Desk, certified: &CertifiedKey) -> Result<(), CeremonyFailure> {
    let link = desk.link_named(&certified.key.token)?;
    Ok(link.blocking().destroy(&certified.key.key_id, DESTROY_PATIENCE)?)
}

fn of_psd(
    desk: &Desk,
    psd: PsdId,
    changes: Vec<PsdChange>,
    line: String,
    recorded: Recorded<'_>,
) -> Result<(), CeremonyFailure> {
    let changes = changes.into_iter().map(|change| (change, None)).collect();
    desk.change(Change::Psd { psd, changes, step: Some(recorded(line)) }).map(drop)
}

/// A key made in a token, as a change, with what the token wrapped of it.
fn made(
    desk: &Desk,
    token: &Arc<str>,
    (psd, role, generation): (PsdId, Role, u8),
    algorithm: Algorithm,
    residence: Residence,
) -> Result<(PsdChange, Option<Body>), CeremonyFailure> {
    let id: Arc<[u8]> = key_id(psd, role, generation).into();
    let link = desk.link_named(token)?;
    let label = key_label(psd, role, generation);
    let generated = make_key(link, token, &WantedKey { role, algorithm, key_id: &id, label: &label, residence })?;
    let spki: Arc<[u8]> = generated.spki.into();
    let body = generated.wrapped.map(|wrapped| {
        let (key_id, spki, blob) = (Arc::clone(&id), Arc::clone(&spki), Arc::from(wrapped.as_slice()));
        link.adopt(WrappedKey { key_id, role, algorithm, spki, wrapped: blob });
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        Body { salt, body: wrapped.into() }
    });
    let wrapped = body.as_ref().map(Body::commitment);
    Ok((PsdChange::AddKey { key_id: id, role, algorithm, token: Arc::clone(token), spki, wrapped }, body))
}

fn create_psds(
    desk: &Desk,
    create: &psdd_wire::ceremony::act::CreatePsds,
    (group, from, to): (usize, usize, usize),
    recorded: Recorded<'_>,
) -> Result<(), CeremonyFailure> {
    let group = &create.groups[group];
    let token: Arc<str> = group.token.as_str().into();
    let mut psds = Vec::with_capacity(to - from);
    for psd in &group.psds[from..to] {
        let key = |role: &Role| made(desk, &token, (*psd, *role, 1), create.algorithm(*role), create.residence);
        let keys = create.roles.iter().map(key).collect::<Result<_, _>>()?;
        psds.push(NewPsd { created: psd_created(group, *psd), keys });
    }
    let made = create.roles.len() * psds.len();
    let line = match group.psds[from..to] {
        [only] => format!("{only} is made, with {made} keys"),
        [first, .., last] => format!("{first} to {last} are made, with {made} keys"),
        [] => "nothing is made".to_owned(),
    };
    desk.change(Change::Create { psds, step: Some(recorded(line)) }).map(drop)
}

fn add_key(
    desk: &Desk,
    (psd, role, generation): (PsdId, Role, u8),
    recorded: Recorded<'_>,
) -> Result<(), CeremonyFailure> {
    let change = next_key(desk, (psd, role, generation))?;
    let line = format!("the {role} key of {psd}, generation {generation}, is made");
    desk.change(Change::Psd { psd, changes: vec![change], step: Some(recorded(line)) }).map(drop)
}

/// The next key of a role, made in the token of the one before, with its algorithm and residence.
pub(super) fn next_key(
    desk: &Desk,
    (psd, role, generation): (PsdId, Role, u8),
) -> Result<(PsdChange, Option<Body>), CeremonyFailure> {
    let state = desk.state(psd)?;
    let before = state.keys.iter().rev().find(|certified| certified.key.role == role);
    let before = before.ok_or_else(|| CeremonyFailure::Refused(format!("{psd} has no {role} key")))?;
    let newest = newest_generation(&state, role);
    if newest.checked_add(1) != Some(generation) {
        return Err(CeremonyFailure::Refused(format!("the newest {role} key of {psd} is generation {newest}")));
    }
    let residence = if before.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    made(desk, &before.key.token, (psd, role, generation), before.key.algorithm, residence)
}

fn activate(desk: &Desk, rotate: &RotateKey, generation: u8, recorded: Recorded<'_>) -> Result<(), CeremonyFailure> {
    let RotateKey { psd, role, without_acknowledgement, .. } = *rotate;
    let (identity, state) = desk.psd(psd)?;
    let certified = the_key(&state, (psd, role, generation))?;
    if !certified.is_certified() {
        return Err(CeremonyFailure::AwaitingCertificate { psd, role });
    }
    if desk.lacks_acknowledgement(&identity, &certified) && !without_acknowledgement {
        return Err(CeremonyFailure::AwaitingAcknowledgement { psd, role, serial: certified.key.certificate_serial });
    }
    let line = format!("the {role} key of {psd}, generation {generation}, has taken over");
    of_psd(desk, psd, vec![step_of(certified.key.key_id, KeyStep::Activated, None)], line, recorded)
}

fn of_appliance(desk: &Desk, act: &Act, recorded: Recorded<'_>) -> Result<(), CeremonyFailure> {
    let since = desk.view(Sight::Appliance)?.clock?.time;
    let revoked = |subject: Subject, reason| {
        let line = format!("{subject} is revoked: {reason}");
        (vec![Event::Revoked { subject, revocation: Revocation { since, reason } }], line)
    };
    let (mut events, line) = match act {
        Act::Operators(new) => {
            let operator = |operator: &psdd_wire::ceremony::NewOperator| Operator {
                name: operator.name.clone(),
                spki: operator.public_key.spki().into(),
            };
            let operators: Vec<_> = new.operators.iter().map(operator).collect();
            let line = format!("{} of {} operators make a quorum from now on", new.quorum, operators.len());
            (vec![Event::OperatorsChanged { operators, quorum: new.quorum }], line)
        }
        Act::RevokeOperator(revoke) => revoked(Subject::Operator(revoke.name.clone()), revoke.reason),
        Act::RevokeClient(revoke) => {
            let (tenant, client) = (revoke.tenant.clone(), revoke.client.as_str().into());
            revoked(Subject::Client { tenant, client }, revoke.reason)
        }
        Act::RevokeAccount(revoke) => revoked(Subject::Account(revoke.tenant.clone()), revoke.reason),
        Act::Abandon(abandon) => (Vec::new(), format!("ceremony no. {} is given up", abandon.number)),
        Act::CreatePsds(_)
        | Act::RotateKey(_)
        | Act::RevokeKey(_)
        | Act::RetireKey(_)
        | Act::DestroyKey(_)
        | Act::RevokePsd(_)
        | Act::Lock(_)
        | Act::Unlock(_)
        | Act::Scrap(_)
        | Act::BackUp(_)
        | Act::InitialiseToken(_)
        | Act::SplitPin(_) => return Err(CeremonyFailure::Refused("no fact about the appliance".to_owned())),
    };
    let StepDone { number, step, text } = recorded(line);
    events.push(Event::CeremonyStep { number, step, text });
    desk.change(Change::Appliance { events }).map(drop)
}
