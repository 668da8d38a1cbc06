//! Routes of the operator door: from a request to its handler.

use super::{OperatorClient, OperatorDoor, appliance, ceremonies, certificates, keys, unseal};
use crate::door::failure::{Answer, Failure, body};
use crate::door::listener::{Attendant, NotAdmitted};
use http::{Method, Request};
use hyper::body::Incoming;
use std::sync::Arc;

/// One client on one connection.
pub struct OperatorConnection {
    client: OperatorClient,
    door: Arc<OperatorDoor>,
}

impl Attendant for OperatorDoor {
    type Visitor = OperatorConnection;

    fn admit(self: &Arc<Self>, certificate: &[u8]) -> Result<OperatorConnection, NotAdmitted> {
        let client = OperatorClient::from_certificate(certificate).map_err(NotAdmitted::Nobody)?;
        tracing::info!(operator = client.operator, "at the operator door");
        Ok(OperatorConnection { client, door: Arc::clone(self) })
    }

    async fn answer(visitor: Arc<OperatorConnection>, request: Request<Incoming>) -> Result<Answer, Failure> {
        let outcome = route(&visitor, request).await;
        if let Err(failure) = &outcome {
            tracing::info!(operator = visitor.client.operator, problem = %failure.problem, "refused");
        }
        outcome.map(Answer::from)
    }
}

async fn route(connection: &OperatorConnection, request: Request<Incoming>) -> Result<Vec<u8>, Failure> {
    let door = &connection.door;
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(str::to_owned);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    let taken = |request| body(&door.limits, request);
    match segments.as_slice() {
        ["v1", "appliance"] if get => appliance::appliance(door.inside()?).await,
        ["v1", "ceremonies", "plan"] if post => ceremonies::plan(door.inside()?, &taken(request).await?).await,
        ["v1", "ceremonies"] if post => ceremonies::run(door.inside()?, &taken(request).await?).await,
        ["v1", "ceremonies", number] if get && *number != "plan" => ceremonies::one(door.inside()?, number).await,
        ["v1", "requests"] if get => certificates::requests(door.inside()?, query.as_deref()).await,
        ["v1", "certificates"] if post => certificates::install(door.inside()?, &taken(request).await?).await,
        ["v1", "keys"] if get => {
            let state = door.inside()?;
            keys::keys(&state.core, &state.rotations, query.as_deref()).await
        }
        ["v1", "status"] if get => ceremonies::status(door.inside()?.ceremonies.clone(), None).await,
        ["v1", "unseal"] if get => unseal::status(door).await,
        ["v1", "unseal"] if post => unseal::submit(door, &taken(request).await?).await,
        ["v1", "ceremonies" | "certificates"] | ["v1", "ceremonies", "plan"] => {
            Err(Failure::method_not_allowed("POST"))
        }
        ["v1", "unseal"] => Err(Failure::method_not_allowed("GET, POST")),
        ["v1", "appliance" | "requests" | "keys" | "status"] | ["v1", "ceremonies", _] => {
            Err(Failure::method_not_allowed("GET"))
        }
        _ => Err(Failure::no_such_route()),
    }
}
