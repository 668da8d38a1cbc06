//! What the ledger says the appliance is, as settings of what is started; and whether the configuration fits it.

use super::error::RunError;
use crate::authority::{AuthorityKey, AuthorityKeys};
use crate::config::Config;
use crate::core::EngineSettings;
use crate::tokens::ExpectedKey;
use psd::clock::ClockGuard;
use psd::key::Algorithm;
use psd::record::{AuthorityPurpose, Environment, Genesis};
use psdd_ledger::Appliance;
use psdd_ledger::open::ProvenHead;
use psdd_wire::checkpoint::{Checkpoint, LogKey, origin};
use std::sync::Arc;

/// Verifies a checkpoint of an appliance's own log.
pub(crate) fn verify_note(genesis: &Genesis, note: &str) -> Option<ProvenHead> {
    let checkpoint = Checkpoint::verified(note, &origin(&genesis.appliance), &log_key(genesis)).ok()?;
    Some(ProvenHead { size: checkpoint.size, root: checkpoint.root })
}

pub(super) fn log_key(genesis: &Genesis) -> LogKey {
    // An Ed25519 SPKI has 44 bytes (RFC 8410 §4), a P-256 one 91.
    let algorithm = if genesis.log_spki.len() == 44 { Algorithm::Ed25519 } else { Algorithm::EcdsaP256 };
    LogKey { algorithm, spki: genesis.log_spki.to_vec() }
}

pub(super) fn check_fit(config: &Config, appliance: &Appliance) -> Result<(), RunError> {
    let production = appliance.genesis.environment == Environment::Production;
    if production && config.clock.rules().source == psd::clock::ClockSource::Development {
        return Err(RunError::Unfit(
            "clock.source: a production appliance has no development clock; use \"host\"".to_owned(),
        ));
    }
    let named = |token: &str| config.tokens.iter().any(|config| config.name == token);
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.life.destroyed.is_none());
    let missing = keys.map(|certified| &certified.key.token).find(|token| !named(token));
    missing.map_or(Ok(()), |token| {
        Err(RunError::Unfit(format!("keys are in token {token:?}, which the configuration does not name")))
    })
}

pub(super) fn expected_keys(appliance: &Appliance, token: &str) -> Vec<ExpectedKey> {
    let genesis = &appliance.genesis;
    let log = (&*genesis.log_token == token).then_some((&genesis.log_key_id, &genesis.log_spki, false));
    // What lives wrapped is no object of the token, and what was destroyed is gone from it.
    let keys = appliance.psds.values().flat_map(|psd| psd.state().keys.iter());
    let keys = keys.filter(|certified| certified.wrapped.is_none() && certified.life.destroyed.is_none());
    let of_token = keys.filter(|certified| &*certified.key.token == token);
    let of_token = of_token.map(|certified| (&certified.key.key_id, &certified.key.spki, !certified.life.is_sound()));
    let expected = |(key_id, spki, ended): (&Arc<[u8]>, &Arc<[u8]>, bool)| ExpectedKey {
        key_id: Arc::clone(key_id),
        spki: Arc::clone(spki),
        ended,
    };
    log.into_iter().chain(of_token).map(expected).collect()
}

pub(super) fn resume_clock(config: &Config, appliance: &Appliance) -> ClockGuard {
    ClockGuard::resume(config.clock.rules(), appliance.latest.epoch, appliance.latest.time)
}

/// The keys of the authority that are installed.
pub(super) fn authority_keys(appliance: &Appliance) -> Result<AuthorityKeys, RunError> {
    let purposes = [AuthorityPurpose::Funds, AuthorityPurpose::Inspection, AuthorityPurpose::Policy];
    let installed = purposes.into_iter().filter_map(|purpose| Some((purpose, appliance.authority_key(purpose)?)));
    let keys = installed.map(|(purpose, certificate)| {
        let unreadable = || RunError::Unfit(format!("the authority's {} certificate cannot be read", purpose.as_str()));
        let spki = crate::birth::spki_of(certificate).ok_or_else(unreadable)?;
        Ok(AuthorityKey { purpose, certificate: Arc::clone(certificate), spki })
    });
    keys.collect::<Result<_, RunError>>().map(AuthorityKeys)
}

pub(super) fn engine_settings(config: &Config, genesis: &Genesis) -> EngineSettings {
    let signing = &config.signing;
    EngineSettings {
        appliance: genesis.appliance.clone(),
        environment: genesis.environment,
        window: signing.window(),
        key_retention_ms: u64::from(signing.key_retention_days) * 86_400_000,
        key_skew_ms: u64::from(signing.key_skew_s) * 1_000,
        chunk_items: signing.chunk_items,
        in_flight_items: signing.in_flight_items,
        queued_items_per_tenant: signing.queued_items_per_tenant,
        queued_items: signing.queued_items,
        tokens: config.tokens.iter().map(|token| token.name.as_str().into()).collect(),
        top_ups: config.top_up_rules(),
    }
}
