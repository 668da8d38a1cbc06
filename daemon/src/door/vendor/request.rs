//! Who is served at the vendor door, and its routes: from a request to its handler.

use super::connection::Connection;
use super::{VendorState, certify, reads, refund, runs, sign, value, withdrawal};
use crate::door::failure::{self, Answer, Failure};
use crate::door::identity::VendorIdentity;
use crate::door::instruction::{self, Desk};
use crate::door::listener::{Attendant, NotAdmitted};
use crate::door::operator;
use http::{Method, Request};
use hyper::body::{Bytes, Incoming};
use psd::PsdId;
use psd::digital_token::Party;
use psdd_policy::{Action, ApplianceAction};
use std::sync::Arc;

impl Attendant for VendorState {
    type Visitor = Connection;

    fn admit(self: &Arc<Self>, certificate: &[u8]) -> Result<Connection, NotAdmitted> {
        let identity = VendorIdentity::from_certificate(certificate).map_err(NotAdmitted::Nobody)?;
        let place = self.places.take(&identity.tenant).map_err(NotAdmitted::Told)?;
        tracing::debug!(tenant = %identity.tenant, client = &*identity.client, "connected");
        Ok(Connection::new(identity, place, Arc::clone(self)))
    }

    async fn answer(connection: Arc<Connection>, request: Request<Incoming>) -> Result<Answer, Failure> {
        let outcome = route(&connection, request).await;
        if let Err(failure) = &outcome {
            tracing::debug!(tenant = %connection.identity.tenant, problem = %failure.problem, "refused");
        }
        outcome.map(Answer::from)
    }
}

async fn route(connection: &Connection, request: Request<Incoming>) -> Result<Vec<u8>, Failure> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let get = request.method() == Method::GET;
    let post = request.method() == Method::POST;
    match segments.as_slice() {
        ["v1", "indicia"] if post => sign::sign(connection, &body(connection, request).await?).await,
        ["v1", "indicia", key] if get => reads::piece(connection, key).await,
        ["v1", "digital-tokens"] if post => judge_token(connection, &body(connection, request).await?).await,
        ["v1", "certifications", "numbers", number] if get => reads::numbered(connection, number).await,
        ["v1", "certifications", key] if get => reads::certification(connection, key).await,
        ["v1", "psds", psd, "certifications"] if post => {
            certify::certify(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "runs"] if post => runs::open(connection, psd, &body(connection, request).await?).await,
        ["v1", "psds", psd, "runs"] if get => runs::list(connection, psd).await,
        ["v1", "psds", psd, "runs", run] if get => runs::one(connection, psd, run).await,
        ["v1", "psds", psd, "runs", run, "close"] if post => runs::close(connection, psd, run).await,
        ["v1", "psds"] if get => reads::psds(connection).await,
        ["v1", "psds", psd] if get => reads::psd(connection, psd).await,
        ["v1", "psds", psd, "certificates"] if get => reads::certificates(connection, psd).await,
        ["v1", "appliance"] if get => reads::appliance(connection).await,
        ["v1", "status"] if get => {
            let tenant = Some(connection.identity.tenant.clone());
            operator::status(connection.state.ceremonies.clone(), tenant).await
        }
        ["v1", "psds", psd, "value-requests"] if post => {
            value::request(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "value-authorisations"] if post => {
            value::apply(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "value-voids"] if post => {
            value::void(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "refund-requests"] if post => {
            refund::request(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "withdrawals"] if post => {
            withdrawal::request(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "psds", psd, "withdrawal-acknowledgements"] if post => {
            withdrawal::acknowledge(connection, psd, &body(connection, request).await?).await
        }
        ["v1", "instructions"] if post => carry(connection, &body(connection, request).await?).await,
        ["v1", "psds", _, "runs"] => Err(Failure::method_not_allowed("GET, POST")),
        ["v1", "indicia" | "instructions" | "digital-tokens"]
        | ["v1", "psds", _, "runs", _, "close"]
        | [
            "v1",
            "psds",
            _,
            "certifications"
            | "value-requests"
            | "value-authorisations"
            | "value-voids"
            | "refund-requests"
            | "withdrawals"
            | "withdrawal-acknowledgements",
        ] => Err(Failure::method_not_allowed("POST")),
        ["v1", "indicia" | "certifications", _]
        | ["v1", "certifications", "numbers", _]
        | ["v1", "psds"]
        | ["v1", "psds", _]
        | ["v1", "psds", _, "certificates"]
        | ["v1", "psds", _, "runs", _]
        | ["v1", "appliance" | "status"] => Err(Failure::method_not_allowed("GET")),
        _ => Err(Failure::no_such_route()),
    }
}

/// The vendor's half, of PSDs whose results the client may read. Clients of a tenant share their tries: more certificates are no more tries.
async fn judge_token(connection: &Connection, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let may = |psd: PsdId| {
        let unknown = || Failure::unknown_psd(psd.text().as_str());
        connection.may(psd, Action::ReadResult).ok_or_else(unknown)?.map(drop)
    };
    let asker = format!("tenant {}", connection.identity.tenant);
    connection.state.digital_tokens.judge(&asker, Party::Vendor, body, may).await
}

async fn carry(connection: &Connection, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let VendorState { core, authority, newest, .. } = &*connection.state;
    let may = || connection.may_on_appliance(ApplianceAction::CarryInstruction);
    instruction::take(&Desk { core, authority, newest }, body, may).await
}

async fn body(connection: &Connection, request: Request<Incoming>) -> Result<Bytes, Failure> {
    failure::body(&connection.state.limits, request).await
}
