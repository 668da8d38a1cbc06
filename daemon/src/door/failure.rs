//! Answers of a door: CBOR, or a problem with its HTTP status. What a request must look like before any handler sees it.

use super::listener::Limits;
use crate::spine::Unavailable;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use psdd_wire::problem::Problem;
use psdd_wire::{CBOR, PROBLEM};

/// A problem and the status of the response it makes.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Of the response.
    pub status: StatusCode,
    /// Its body.
    pub problem: Problem,
    /// The one method that the route has, where another was used (RFC 9110 §15.5.6 wants it in the answer).
    pub allow: Option<&'static str>,
}

/// An answer of success, and how long it may be kept.
pub struct Answer {
    body: Bytes,
    media: &'static str,
    caching: &'static str,
}

impl Answer {
    /// Of another media type than that of messages; nobody keeps it.
    pub fn of(media: &'static str, body: Bytes) -> Self {
        Self { body, media, caching: "no-store" }
    }

    /// What is never another under its path: the client may keep it, and nobody between.
    pub fn immutable(self) -> Self {
        Self { caching: "private, max-age=31536000, immutable", ..self }
    }
}

/// An encoded message.
impl From<Vec<u8>> for Answer {
    fn from(message: Vec<u8>) -> Self {
        Self::of(CBOR, message.into())
    }
}

/// When to come back after an overload or a fault of the token.
pub const SOON_MS: u64 = 100;

impl Failure {
    /// A problem that repeating does not solve.
    pub fn lasting(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, problem: Problem::lasting(code, detail), allow: None }
    }

    /// A problem that may be gone soon, 503: the request can be made again as it is, after so many milliseconds.
    pub fn passing(code: &'static str, detail: impl Into<String>, retry_after_ms: u64) -> Self {
        Self::unavailable(Problem::passing(code, detail, retry_after_ms))
    }

    /// Any problem, with 503.
    pub fn unavailable(problem: Problem) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, problem, allow: None }
    }

    /// The route exists with this method only.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this route has {allow} only");
        Self { allow: Some(allow), ..Self::lasting(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail) }
    }

    /// There is no such route; docs/protocol.md lists those there are.
    pub fn no_such_route() -> Self {
        Self::lasting(StatusCode::NOT_FOUND, "no-such-route", "docs/protocol.md lists the routes of this door")
    }

    /// The body is not the message of the route.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::lasting(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// Queues are full.
    pub fn overloaded() -> Self {
        Self::passing("overloaded", "too much is waiting; nothing was debited", SOON_MS)
    }

    /// The daemon stops.
    pub fn stopping() -> Self {
        Self::passing("stopping", "the daemon is stopping; nothing was debited", 1_000)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Full => Self::overloaded(),
            Unavailable::Stopping => Self::stopping(),
        }
    }
}

/// The response of an outcome: an answer, or a problem.
///
/// The answer to HEAD has no content (RFC 9110 §9.3.2), whatever it says.
pub(super) fn respond(outcome: Result<Answer, Failure>, head: bool) -> Response<Full<Bytes>> {
    let (status, answer, allow) = match outcome {
        Ok(answer) => (StatusCode::OK, answer, None),
        Err(failure) => {
            let problem = psdd_wire::encode(&failure.problem);
            (failure.status, Answer::of(PROBLEM, problem.into()), failure.allow)
        }
    };
    let Answer { body, media, caching } = answer;
    let mut response = Response::new(Full::new(if head { Bytes::new() } else { body }));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static(caching));
    if let Some(method) = allow {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(method));
    }
    response
}

/// The body of a request, CBOR by its media type, within the door's bounds of length and time.
pub async fn body(limits: &Limits, request: Request<Incoming>) -> Result<Bytes, Failure> {
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
