//! Routes: from a request to the books, and from the outcome to a response.

use super::desk::{Ask, Desk};
use super::problems::Failure;
use crate::config::LimitsSection;
use crate::statement::Kind;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use psdd_wire::funds::{FundsReport, FundsRequest, FundsVoid};
use psdd_wire::{CBOR, DecodeError, PROBLEM};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// One client on one connection.
pub(super) struct Client {
    /// The appliance it speaks for.
    pub(super) appliance: String,
    pub(super) desk: Desk,
    pub(super) limits: LimitsSection,
}

/// Answers one request. Whatever a client sends, the connection lives on.
pub(super) async fn handle(
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (status, media, body, allow) = match route(&client, request).await {
        Ok(body) => (StatusCode::OK, CBOR, body, None),
        Err(failure) => {
            tracing::info!(appliance = client.appliance, %method, path, problem = %failure.problem, "refused");
            (failure.status, PROBLEM, psdd_wire::encode(&failure.problem), failure.allow)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if let Some(method) = allow {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(method));
    }
    Ok(response)
}

async fn route(client: &Client, request: Request<Incoming>) -> Result<Vec<u8>, Failure> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    let kind = match segments.as_slice() {
        ["v1", "value-requests"] => Kind::ValueRequest,
        ["v1", "value-voids"] => Kind::ValueVoid,
        ["v1", "withdrawals"] => Kind::WithdrawalRequest,
        ["v1", "withdrawal-reports"] => Kind::WithdrawalReport,
        ["v1", "licences", licence] if get => {
            return client.desk.ask(&client.appliance, Ask::Account((*licence).to_owned())).await;
        }
        ["v1", "certificates"] if post => {
            let body = body(&client.limits, request).await?;
            let asked = psdd_wire::read(&body).map_err(|error| Failure::malformed(error.to_string()))?;
            return client.desk.ask(&client.appliance, Ask::Certificate(asked)).await;
        }
        ["v1", "certificates"] => return Err(Failure::method_not_allowed("POST")),
        ["v1", "licences", _] => return Err(Failure::method_not_allowed("GET")),
        _ => {
            let detail = "docs/authority.md lists the routes of the funds system";
            return Err(Failure::lasting(StatusCode::NOT_FOUND, "no-such-route", detail));
        }
    };
    if !post {
        return Err(Failure::method_not_allowed("POST"));
    }
    let body = body(&client.limits, request).await?;
    let statement = carried(kind, &body).map_err(|error| Failure::malformed(error.to_string()))?;
    client.desk.ask(&client.appliance, Ask::Statement(kind, statement)).await
}

/// The COSE_Sign1 in a body.
fn carried(kind: Kind, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(match kind {
        Kind::ValueRequest | Kind::WithdrawalRequest => psdd_wire::read::<FundsRequest>(body)?.request,
        Kind::ValueVoid => psdd_wire::read::<FundsVoid>(body)?.statement,
        Kind::WithdrawalReport => psdd_wire::read::<FundsReport>(body)?.report,
    })
}

async fn body(limits: &LimitsSection, request: Request<Incoming>) -> Result<Bytes, Failure> {
    let media = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if media != Some(CBOR.as_bytes()) {
        let detail = format!("a body here is {CBOR}");
        return Err(Failure::lasting(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    let too_large = || {
        let detail = format!("a body here has at most {} bytes", limits.max_body_bytes);
        Failure::lasting(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limits.max_body_bytes) {
        return Err(too_large());
    }
    let collected = Limited::new(request.into_body(), limits.max_body_bytes).collect();
    match tokio::time::timeout(Duration::from_millis(limits.body_timeout_ms), collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::malformed(format!("the body did not arrive: {error}"))),
        Err(_elapsed) => {
            Err(Failure::lasting(StatusCode::REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time"))
        }
    }
}
