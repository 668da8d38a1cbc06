//! The state of PSDs by the log, at the records that their reports name.

use super::Audit;
use super::word::{end_of, standing};
use crate::fold::Fold;
use psd::device::CertifiedKey;
use psd::key::{Residence, Role};
use psd::lifecycle::Lifecycle;
use psd::record::key_slot;
use psd::rotation::signed;
use psd::{Psd, PsdId, State};
use psdd_wire::audit::{AuditKey, DownloadLine, Logged, PendingLine};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// What the log knows of a PSD that is audited.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its records before the challenge was sent.
    pub before: u64,
    /// Whether it had a certified device key then and was neither withdrawn nor scrapped: it must answer.
    pub must_answer: bool,
    /// Certificate of its device key and the issuers, DER.
    pub chain: Vec<ByteBuf>,
    /// Leaf of the record that its report is about, once the log covers that.
    pub leaf: Option<u64>,
    /// What a report about that record must say.
    pub logged: Option<Logged>,
    /// The leaves that show it, by the name of the line.
    pub leaves: BTreeMap<String, u64>,
}

/// Waits for the records that reports are about, and takes the state after each.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    wanted: BTreeMap<PsdId, u64>,
    held: BTreeMap<PsdId, Held>,
}

impl Watch {
    /// What the log knows before a challenge is sent.
    pub fn begin(fold: &Fold) -> Self {
        let psds = fold.appliance.iter().flat_map(|appliance| &appliance.psds);
        let held = psds.map(|(id, psd)| {
            let state = psd.state();
            let over = matches!(state.lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped);
            let chain = device_chain(state);
            let must_answer = !over && !chain.is_empty();
            (*id, Held { before: state.sequence, must_answer, chain, ..Held::default() })
        });
        Self { wanted: BTreeMap::new(), held: held.collect() }
    }

    /// Waits for the records that these reports are about. Nothing of them is believed by that.
    pub fn expect(&mut self, audit: &Audit, fold: &Fold) {
        let claims = audit.reports.iter().filter_map(|report| Audit::claimed(report));
        self.wanted.extend(claims.map(|claims| (claims.psd, claims.logged.sequence)));
        let psds: Vec<PsdId> = self.wanted.keys().copied().collect();
        psds.into_iter().for_each(|psd| self.note(fold, psd));
    }

    /// Whether every record that is waited for was seen. One from before the challenge never is.
    pub fn is_complete(&self) -> bool {
        self.wanted.iter().all(|(psd, sequence)| {
            let held = self.held.get(psd);
            held.is_some_and(|held| held.logged.is_some() || *sequence < held.before)
        })
    }

    /// What is known of every PSD.
    pub fn into_held(self) -> BTreeMap<PsdId, Held> {
        self.held
    }

    /// Looks at a PSD whose record the fold took in.
    pub(crate) fn note(&mut self, fold: &Fold, id: PsdId) {
        let Some(wanted) = self.wanted.get(&id) else { return };
        let Some(appliance) = &fold.appliance else { return };
        let Some(psd) = appliance.psds.get(&id).filter(|psd| psd.state().sequence == *wanted) else { return };
        let environment = appliance.genesis.environment.as_str();
        let held = self.held.entry(id).or_default();
        held.leaf = fold.tallies.get(&id).map(|tally| tally.last_leaf);
        held.leaves = leaves(fold, psd);
        held.chain = device_chain(psd.state());
        held.logged = Some(logged(fold, psd, environment));
    }
}

fn device_chain(state: &State) -> Vec<ByteBuf> {
    let device = state.key_in_use(Role::Device);
    device.iter().flat_map(|device| device.chain.iter()).map(|der| ByteBuf::from(der.to_vec())).collect()
}

/// What a report about a PSD in this state must say (docs/protocol.md, "Device audits").
fn logged(fold: &Fold, psd: &Psd, environment: &str) -> Logged {
    let (identity, state) = (psd.identity(), psd.state());
    let download = fold.tallies.get(&identity.psd).and_then(|tally| tally.last_download);
    Logged {
        keys: state.keys.iter().map(|key| key_of(state, key)).collect(),
        locks: state.locks.reasons().map(|reason| reason.as_str().to_owned()).collect(),
        state: state.lifecycle.as_str().to_owned(),
        format: identity.format.name().to_owned(),
        tenant: identity.tenant.clone(),
        licence: identity.licence.clone(),
        pending: state.pending.as_ref().map(|pending| PendingLine {
            amount: pending.amount,
            purpose: pending.purpose.as_str().to_owned(),
            sequence: pending.sequence,
        }),
        currency: identity.currency,
        sequence: state.sequence,
        downloads: state.value_sequence,
        registers: state.registers.into(),
        environment: environment.to_owned(),
        last_download: download.and_then(|last| {
            let amount = psd::PostageAmount::from_mills(last.mills)?;
            Some(DownloadLine { leaf: last.leaf, time: last.time_ms, amount, sequence: last.of })
        }),
    }
}

fn key_of(state: &State, certified: &CertifiedKey) -> AuditKey {
    let (key, life) = (&certified.key, &certified.life);
    let (stands, since) = standing(state, certified);
    let (pieces, value) = signed(state, certified);
    let residence = if certified.wrapped.is_some() { Residence::Wrapped } else { Residence::Resident };
    let certificate = certified.chain.first().map(|der| ByteBuf::from(psdd_wire::sha256(der).to_vec()));
    AuditKey {
        role: key.role.to_string(),
        since,
        state: stands,
        value,
        key_id: key.key_id.to_vec(),
        pieces,
        serial: key.certificate_serial,
        created: life.created.0,
        activated: life.activated.map(|activated| activated.at.0),
        algorithm: key.algorithm.to_string(),
        not_after: end_of(&certified.chain),
        residence: residence.as_str().to_owned(),
        generation: key.generation(),
        certificate,
    }
}

/// The leaves behind the lines of a report, as far as single ones are.
fn leaves(fold: &Fold, psd: &Psd) -> BTreeMap<String, u64> {
    let id = psd.identity().psd;
    let live = |slot: &str| fold.facts.psds.get(&id).and_then(|facts| facts.live.get(slot)).copied();
    let last = fold.tallies.get(&id).map(|tally| tally.last_leaf);
    let created = live("created");
    let changed = live("lifecycle").or(created);
    let value = live("value-applied").max(live("value-voided")).max(live("withdrawn"));
    let lines = [
        ("sequence", last),
        ("registers", last),
        ("state", changed),
        ("locks", changed),
        ("format", created),
        ("tenant", created),
        ("licence", created),
        ("currency", created),
        ("environment", Some(0)),
        ("last download", live("value-applied")),
        ("downloads", value),
        ("pending", live("value-requested")),
    ];
    let lines = lines.into_iter().filter_map(|(name, leaf)| Some((name.to_owned(), leaf?)));
    let keys = psd.state().keys.iter().filter_map(|key| {
        let slot = key_slot(&key.key.key_id);
        let steps = ["destroyed:", "revoked:", "retired:", "activated:", "certificate:", "key:"];
        let leaf = steps.iter().filter_map(|step| live(&slot.replacen("key:", step, 1))).max();
        Some((super::lines::key_name(&key.key.role.to_string(), key.key.generation()), leaf?))
    });
    lines.chain(keys).collect()
}
