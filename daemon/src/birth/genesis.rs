//! Leaf 0, and the authority's certificates that follow it.

use super::{ConsoleClock, ConsoleError, TOKEN_PATIENCE, connect, make_key};
use crate::config::Config;
use psd::ApplianceId;
use psd::clock::ClockSource;
use psd::key::{Algorithm, Role};
use psd::record::{AuthorityPurpose, Environment, Event, Genesis, Record};
use psdd_ledger::{Ledger, OpenError};
use psdd_wire::certificate::{ChainError, verify_end_entity};

/// What an appliance is born with.
#[derive(Clone, Debug)]
pub struct GenesisOptions {
    /// Its name.
    pub appliance: ApplianceId,
    /// Immutable.
    pub environment: Environment,
    /// The postal authority's root certificate, DER.
    pub authority_root: Vec<u8>,
    /// Certificates of the authority by purpose, DER, each signed by the root.
    pub authority_keys: Vec<(AuthorityPurpose, Vec<u8>)>,
    /// Name of the token that gets the log key.
    pub log_token: String,
}

/// Why no appliance was born. There is no ledger then, or the one there was is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Token, ledger or clock.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// A production appliance cannot have a development clock.
    #[error("clock.source is \"development\": a production appliance needs \"host\"")]
    Clock,
    /// A production appliance needs a ceremony by quorum.
    #[error("a production appliance is born by a quorum of operators, which this version cannot do yet")]
    Production,
    /// A certificate of the authority does not hold.
    #[error("authority certificate for {purpose:?}: {source}")]
    Authority {
        /// What for.
        purpose: AuthorityPurpose,
        /// Why not.
        source: ChainError,
    },
}

impl From<OpenError> for GenesisError {
    fn from(error: OpenError) -> Self {
        ConsoleError::from(error).into()
    }
}

/// Makes the ledger, the log key and the first records. Interrupted at any point, it can be repeated.
pub fn bear(config: &Config, options: &GenesisOptions) -> Result<(), GenesisError> {
    if options.environment == Environment::Production {
        let development = config.clock.rules().source == ClockSource::Development;
        return Err(if development { GenesisError::Clock } else { GenesisError::Production });
    }
    let at = ConsoleClock::new(config, None).read().map_err(ConsoleError::from)?;
    for (purpose, certificate) in &options.authority_keys {
        verify_end_entity(&[certificate], &options.authority_root, at.time)
            .map_err(|source| GenesisError::Authority { purpose: *purpose, source })?;
    }
    let link = connect(config, &options.log_token)?;
    let on_token = |source| ConsoleError::Token { token: options.log_token.clone(), source };
    let welcome = link.blocking().wait_up(TOKEN_PATIENCE).map_err(on_token)?;
    let algorithm = if welcome.profile.ed25519 { Algorithm::Ed25519 } else { Algorithm::EcdsaP256 };
    let ledger = Ledger::create(&config.state_dir)?;
    let log_key_id = [&[Role::Log.number()], options.appliance.as_str().as_bytes()].concat();
    let label = format!("log {}", options.appliance);
    let spki = make_key(&link, &options.log_token, (Role::Log, algorithm), &log_key_id, &label)?;
    let genesis = Genesis {
        appliance: options.appliance.clone(),
        environment: options.environment,
        operators: Vec::new(),
        quorum: 0,
        authority_root: options.authority_root.as_slice().into(),
        log_key_id: log_key_id.into(),
        log_spki: spki.into(),
        log_token: options.log_token.as_str().into(),
    };
    let born = Record { at, event: Event::Genesis(genesis) };
    let installed = options.authority_keys.iter().map(|(purpose, certificate)| Record {
        at,
        event: Event::AuthorityKeyInstalled { purpose: *purpose, certificate: certificate.as_slice().into() },
    });
    ledger.bear(&born, installed.collect(), config.ledger.rules())?;
    Ok(())
}
