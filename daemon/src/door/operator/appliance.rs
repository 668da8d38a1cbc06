//! `GET /v1/appliance`: which appliance this is, and what a ceremony file must name.

use super::OperatorState;
use super::keys::view;
use crate::core::Sight;
use crate::door::failure::Failure;
use psd::governance::Subject;
use psd::key::Residence;
use psdd_wire::operator::{OperatorAppliance, OperatorView, TokenView};

pub(super) async fn appliance(state: &OperatorState) -> Result<Vec<u8>, Failure> {
    let view = view(state, Sight::All).await?;
    let troubles = state.router.troubles(&state.tokens);
    let token = |name: &String| {
        let note = troubles.iter().find(|trouble| trouble.starts_with(&format!("token {name}:"))).cloned();
        TokenView { up: note.is_none(), name: name.clone(), note, residence: Residence::Resident.as_str().to_owned() }
    };
    let governance = &view.governance;
    let operator = |operator: &psd::governance::Operator| OperatorView {
        name: operator.name.to_string(),
        spki: operator.spki.to_vec(),
        revoked: governance.revocation(&Subject::Operator(operator.name.clone())).is_some(),
    };
    Ok(psdd_wire::encode(&OperatorAppliance {
        psds: u64::try_from(view.psds.len()).unwrap_or(u64::MAX),
        time: view.clock.as_ref().map_or(0, |clock| clock.time.0),
        quorum: governance.quorum(),
        tokens: state.tokens.iter().map(token).collect(),
        genesis: state.ceremonies.genesis(),
        appliance: state.appliance.to_string(),
        operators: governance.operators().iter().map(operator).collect(),
        environment: state.environment.to_owned(),
        last_ceremony: governance.newest(),
    }))
}
