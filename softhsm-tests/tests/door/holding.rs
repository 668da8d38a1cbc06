//! How a test holds a ceremony: a file for what comes next, approved by operators of a development appliance.

use psd::PsdId;
use psdctl::dev::{self, OPERATORS};
use psdctl::operator::OperatorConfig;
use psdd_client::{ClientError, OperatorClient};
use psdd_wire::operator::{CeremonyState, InstallResult, OperatorKeyView};
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const QUORUM: [&str; 2] = [OPERATORS[0], OPERATORS[1]];

pub(crate) fn door(appliance: &Appliance) -> OperatorClient {
    let config = OperatorConfig::read(Some(&appliance.layout.psdctl_config())).expect("psdctl.toml");
    config.client().expect("a client of the operator door")
}

/// A ceremony file for what comes next on an appliance.
pub(crate) async fn file(door: &OperatorClient, act: &str) -> String {
    dev::ceremony_file(door, act).await.expect("the appliance")
}

pub(crate) async fn hold(appliance: &Appliance, door: &OperatorClient, file: &str) -> CeremonyState {
    let told = tokio::time::timeout(PATIENCE, dev::hold_ceremony(&appliance.layout, door, file)).await;
    told.expect("it ends").unwrap_or_else(|error| panic!("{error:?}\n{file}")).state
}

pub(crate) async fn ended(door: &OperatorClient, number: u64) -> CeremonyState {
    let begun = Instant::now();
    loop {
        let told = door.ceremony(number).await.expect("the ceremony");
        if told.state.has_ended() {
            return told.state;
        }
        assert!(begun.elapsed() < PATIENCE, "ceremony {number}: {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The code by which the door refuses.
pub(crate) fn code(refused: Result<impl std::fmt::Debug, ClientError>) -> String {
    match refused {
        Err(ClientError::Refused(problem)) => problem.facts.code,
        other => panic!("{other:?}"),
    }
}

/// What the authority's CA makes of all requests that wait, installed.
pub(crate) async fn certify(appliance: &Appliance, door: &OperatorClient) -> Vec<InstallResult> {
    dev::certify(&appliance.layout, door).await.expect("certificates")
}

pub(crate) async fn key(door: &OperatorClient, of: PsdId, generation: u8) -> OperatorKeyView {
    let (_, keys) = door.keys(Some(of)).await.expect("keys");
    let found = keys.into_iter().find(|key| key.role == "indicium" && key.generation == generation);
    found.unwrap_or_else(|| panic!("no indicium key {generation} of {of}"))
}

pub(crate) fn rotate(of: PsdId, generation: u8) -> String {
    format!(
        "[rotate-key]\npsd = \"{of}\"\nrole = \"indicium\"\nexpected = {{ state = \"active\", locks = [], generation = {generation} }}\n"
    )
}

pub(crate) const ACTIVE: &str = "expected = { state = \"active\", locks = [] }\n";

/// The log key of the appliance, as leaf 0 names it.
pub(crate) fn log_spki(appliance: &Appliance) -> Vec<u8> {
    let reader = psdd_ledger::Reader::open(&appliance.layout.state()).expect("the ledger");
    let born = reader.record(0).expect("it reads").expect("leaf 0");
    match &born.record().event {
        psd::record::Event::Genesis(genesis) => genesis.log_spki.to_vec(),
        other => panic!("{other:?}"),
    }
}
