//! Leaf 0, by a ceremony at the local console: all operators have approved the file, and the authority has countersigned it.

use super::{ConsoleClock, ConsoleError, TOKEN_PATIENCE, WantedKey, connect, make_key};
use crate::config::Config;
use psd::ApplianceId;
use psd::clock::ClockSource;
use psd::governance::Operator;
use psd::key::{Algorithm, Residence, Role};
use psd::record::{Charter, Environment, Event, Genesis, Record};
use psdd_ledger::{Ledger, OpenError};
use psdd_wire::ceremony::{CeremonyError, GenesisFile, QuorumRefusal, unanimous};
use psdd_wire::certificate::{AuthorityRoot, ChainError, verify_end_entity};
use psdd_wire::countersignature::{Countersignature, CountersignatureError};

/// What an appliance is born by, as it was read from files.
#[derive(Clone, Debug)]
pub struct GenesisOptions {
    /// The reviewed file.
    pub file: Vec<u8>,
    /// Approvals, one of each operator it names.
    pub approvals: Vec<Vec<u8>>,
    /// By the authority's root.
    pub countersignature: Vec<u8>,
}

/// Why no appliance was born. There is no ledger then, or the one there was is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Token, ledger or clock.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The file cannot be read.
    #[error("genesis file: {0}")]
    File(#[from] CeremonyError),
    /// Not all operators have approved it.
    #[error("{0}")]
    Quorum(#[from] QuorumRefusal),
    /// The authority's root or a certificate of it does not hold.
    #[error("authority: {0}")]
    Authority(#[from] ChainError),
    /// The authority has not countersigned this file.
    #[error("countersignature: {0}")]
    Countersignature(#[from] CountersignatureError),
    /// A production appliance cannot have a development clock.
    #[error("clock.source is \"development\": a production appliance needs \"host\"")]
    Clock,
    /// A software token keeps nothing from whoever has the host.
    #[error(
        "{0} is a software token: a production appliance refuses it without the authority's permit in the countersignature"
    )]
    SoftwareToken(String),
}

impl From<OpenError> for GenesisError {
    fn from(error: OpenError) -> Self {
        ConsoleError::from(error).into()
    }
}

/// Makes the ledger, the log key and the first records; gives the appliance's name. Interrupted at any point, it can be repeated.
pub fn bear(config: &Config, options: &GenesisOptions) -> Result<ApplianceId, GenesisError> {
    let file = GenesisFile::read(&options.file)?;
    let (appliance, environment) = (file.appliance().clone(), file.environment());
    let production = environment == Environment::Production;
    if production && config.clock.rules().source == ClockSource::Development {
        return Err(GenesisError::Clock);
    }
    let at = ConsoleClock::new(config, None).read().map_err(ConsoleError::from)?;
    let approved = unanimous(&file, &options.approvals, at.time)?;
    let root = AuthorityRoot::from_der(file.authority_root())?;
    let named = (appliance.as_str(), environment);
    let permit = Countersignature::verify(&options.countersignature, &root, &options.file, named)?;
    for (_, certificate) in file.authority_keys() {
        verify_end_entity(&[certificate], file.authority_root(), at.time)?;
    }
    let log_token = file.log_token().as_str();
    let link = connect(config, log_token)?;
    let on_token = |source| ConsoleError::Token { token: log_token.to_owned(), source };
    let welcome = link.blocking().wait_up(TOKEN_PATIENCE).map_err(on_token)?;
    if production && !welcome.profile.hardware && !permit.permit_software_token {
        return Err(GenesisError::SoftwareToken(welcome.profile.name.clone()));
    }
    let algorithm = if welcome.profile.ed25519 { Algorithm::Ed25519 } else { Algorithm::EcdsaP256 };
    let ledger = Ledger::create(&config.state_dir)?;
    let log_key_id = [&[Role::Log.number()], appliance.as_str().as_bytes()].concat();
    let label = format!("log {appliance}");
    let (role, residence) = (Role::Log, Residence::Resident);
    let made =
        make_key(&link, log_token, &WantedKey { role, algorithm, key_id: &log_key_id, label: &label, residence })?;
    let operator = |operator: &psdd_wire::ceremony::NewOperator| Operator {
        name: operator.name.clone(),
        spki: operator.public_key.spki().into(),
    };
    let genesis = Genesis {
        appliance: appliance.clone(),
        environment,
        operators: file.operators().iter().map(operator).collect(),
        quorum: file.quorum(),
        authority_root: file.authority_root().into(),
        log_key_id: log_key_id.into(),
        log_spki: made.spki.into(),
        log_token: log_token.into(),
        charter: Charter {
            file: options.file.as_slice().into(),
            approvals: options.approvals.iter().map(|approval| approval.as_slice().into()).collect(),
            countersignature: options.countersignature.as_slice().into(),
            hosts: file.host_key().map(|key| key.spki().into()).into_iter().collect(),
        },
    };
    tracing::info!(%appliance, operators = approved.approvers().len(), "approved by all operators");
    let born = Record { at, event: Event::Genesis(genesis) };
    let installed = file.authority_keys().into_iter().map(|(purpose, certificate)| Record {
        at,
        event: Event::AuthorityKeyInstalled { purpose, certificate: certificate.into() },
    });
    ledger.bear(&born, installed.collect(), config.ledger.rules())?;
    Ok(appliance)
}

/// Whether the authority let a production appliance have a software token, as leaf 0 says.
pub(crate) fn permits_software_token(genesis: &Genesis) -> bool {
    let named = (genesis.appliance.as_str(), genesis.environment);
    let charter = &genesis.charter;
    AuthorityRoot::from_der(&genesis.authority_root).is_ok_and(|root| {
        let countersigned = Countersignature::verify(&charter.countersignature, &root, &charter.file, named);
        countersigned.is_ok_and(|permit| permit.permit_software_token)
    })
}
