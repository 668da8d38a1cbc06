//! Routes: from a request to its handler, and from the outcome to a response.

use super::connection::Connection;
use super::problems::Failure;
use super::{instruction, reads, refund, sign, value, withdrawal};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use psdd_wire::{CBOR, PROBLEM};
use std::convert::Infallible;
use std::sync::Arc;

/// Answers one request. Whatever a client sends, the connection lives on.
pub(super) async fn handle(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = route(&connection, request).await;
    let (status, media, body, allow) = match outcome {
        Ok(body) => (StatusCode::OK, CBOR, body, None),
        Err(failure) => {
            tracing::debug!(tenant = %connection.identity.tenant, problem = %failure.problem, "refused");
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

async fn route(connection: &Connection, request: Request<Incoming>) -> Result<Vec<u8>, Failure> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let get = request.method() == Method::GET;
    let post = request.method() == Method::POST;
    match segments.as_slice() {
        ["v1", "indicia"] if post => sign::sign(connection, &body(connection, request).await?).await,
        ["v1", "indicia", key] if get => reads::piece(connection, key).await,
        ["v1", "psds"] if get => reads::psds(connection).await,
        ["v1", "psds", psd] if get => reads::psd(connection, psd).await,
        ["v1", "psds", psd, "certificates"] if get => reads::certificates(connection, psd).await,
        ["v1", "appliance"] if get => reads::appliance(connection),
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
        ["v1", "instructions"] if post => instruction::take(connection, &body(connection, request).await?).await,
        ["v1", "indicia" | "instructions"]
        | [
            "v1",
            "psds",
            _,
            "value-requests"
            | "value-authorisations"
            | "value-voids"
            | "refund-requests"
            | "withdrawals"
            | "withdrawal-acknowledgements",
        ] => Err(Failure::method_not_allowed("POST")),
        ["v1", "indicia", _]
        | ["v1", "psds"]
        | ["v1", "psds", _]
        | ["v1", "psds", _, "certificates"]
        | ["v1", "appliance"] => Err(Failure::method_not_allowed("GET")),
        _ => Err(Failure::lasting(
            StatusCode::NOT_FOUND,
            "no-such-route",
            "docs/protocol.md lists the routes of this door",
        )),
    }
}

async fn body(connection: &Connection, request: Request<Incoming>) -> Result<Bytes, Failure> {
    let limits = &connection.state.limits;
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
    match tokio::time::timeout(limits.body_timeout, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::malformed(format!("the body did not arrive: {error}"))),
        Err(_elapsed) => {
            Err(Failure::lasting(StatusCode::REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time"))
        }
    }
}
