//! Who is at the authority door, and its routes: from a request to its handler.

use super::{AuthorityState, audits, log, proofs, reads, scales};
use crate::door::failure::{Answer, Failure, body};
use crate::door::identity::common_name;
use crate::door::instruction::{self, Desk};
use crate::door::listener::{Attendant, NotAdmitted};
use crate::door::operator;
use http::{Method, Request};
use hyper::body::Incoming;
use psd::digital_token::Party;
use std::sync::Arc;

/// One client on one connection.
pub struct InspectorConnection {
    /// The CN of its certificate.
    inspector: String,
    state: Arc<AuthorityState>,
}

impl Attendant for AuthorityState {
    type Visitor = InspectorConnection;

    fn admit(self: &Arc<Self>, certificate: &[u8]) -> Result<InspectorConnection, NotAdmitted> {
        let inspector = common_name(certificate).map_err(NotAdmitted::Nobody)?;
        tracing::info!(inspector, "at the authority door");
        Ok(InspectorConnection { inspector, state: Arc::clone(self) })
    }

    async fn answer(visitor: Arc<InspectorConnection>, request: Request<Incoming>) -> Result<Answer, Failure> {
        let outcome = route(&visitor.state, &visitor.inspector, request).await;
        if let Err(failure) = &outcome {
            tracing::info!(inspector = visitor.inspector, problem = %failure.problem, "refused");
        }
        outcome
    }
}

async fn route(state: &AuthorityState, inspector: &str, request: Request<Incoming>) -> Result<Answer, Failure> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(str::to_owned);
    let query = query.as_deref();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    let message = match segments.as_slice() {
        ["log", "checkpoint"] if get => return log::checkpoint(state),
        ["log", "tile", tile @ ..] if get => return log::tile(state, inspector, tile).await,
        ["v1", "log", "inclusion"] if get => proofs::inclusion(state, inspector, query).await,
        ["v1", "log", "consistency"] if get => proofs::consistency(state, inspector, query).await,
        ["v1", "log", "receipt"] if get => proofs::receipt(state, inspector, query).await,
        ["v1", "appliance"] if get => reads::appliance(state).await,
        ["v1", "psds"] if get => reads::psds(state).await,
        ["v1", "scales"] if get => scales::scales(state, inspector).await,
        ["v1", "psds", psd] if get => reads::psd(state, psd).await,
        ["v1", "psds", psd, "certificates"] if get => reads::certificates(state, psd).await,
        ["v1", "certifications", "numbers", number] if get => reads::certification(state, number).await,
        ["v1", "keys"] if get => operator::keys(&state.core, &state.rotations, query).await,
        ["v1", "status"] if get => operator::status(state.ceremonies.clone(), None).await,
        ["v1", "digital-tokens"] if post => {
            let bytes = body(&state.limits, request).await?;
            let asker = format!("inspector {inspector}");
            state.digital_tokens.judge(&asker, Party::Postal, &bytes, |_| Ok(())).await
        }
        ["v1", "audits"] if post => audits::audit(state, &body(&state.limits, request).await?).await,
        ["v1", "instructions"] if post => {
            let AuthorityState { core, authority, newest, limits, .. } = state;
            let bytes = body(limits, request).await?;
            instruction::take(&Desk { core, authority, newest }, &bytes, || Ok(())).await
        }
        ["v1", "instructions" | "audits" | "digital-tokens"] => Err(Failure::method_not_allowed("POST")),
        ["log", "checkpoint"]
        | ["log", "tile", ..]
        | ["v1", "log", "inclusion" | "consistency" | "receipt"]
        | ["v1", "appliance" | "psds" | "scales" | "keys" | "status"]
        | ["v1", "psds", _]
        | ["v1", "psds", _, "certificates"]
        | ["v1", "certifications", "numbers", _] => Err(Failure::method_not_allowed("GET")),
        _ => Err(Failure::no_such_route()),
    };
    message.map(Answer::from)
}
