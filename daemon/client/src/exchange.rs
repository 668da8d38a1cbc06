//! One call: attempts under a deadline until there is an answer.
//!
//! A call is repeated only after a lost connection, a deadline or a problem that says `retry`; its bytes, and with them its
//! idempotency keys, stay the same.

use crate::config::{ClientConfig, ConfigError};
use crate::connection::{Endpoint, Lease, Pool};
use crate::error::{ClientError, ConnectError, ContractError};
use crate::retry::Retries;
use crate::tls;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use psdd_wire::problem::Problem;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Beyond 4096 results of every field at its longest.
const LONGEST_BODY: usize = 16 << 20;

/// What is asked.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) answer: Expected,
}

/// What an answer of success must be.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) media: &'static str,
    /// Bytes.
    pub(crate) longest: usize,
}

/// A message of the contract.
const MESSAGE: Expected = Expected { media: psdd_wire::CBOR, longest: LONGEST_BODY };
/// Longest problem.
const LONGEST_PROBLEM: usize = 64 << 10;

/// Makes calls over the pool.
pub(crate) struct Exchange {
    pub(crate) pool: Pool,
    pub(crate) authority: Arc<str>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) deadline: Duration,
    pub(crate) most_retries: u32,
}

impl Call {
    pub(crate) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: Bytes::new(), answer: MESSAGE }
    }

    pub(crate) fn post(path: String, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path, body: body.into(), answer: MESSAGE }
    }
}

impl Exchange {
    /// Starts to connect. Must be called inside a tokio runtime with IO and time.
    pub(crate) fn start(config: &ClientConfig) -> Result<Self, ConfigError> {
        let tls = TlsConnector::from(Arc::new(tls::rustls_config(config)?));
        let address: Arc<str> = config.endpoint.as_str().into();
        let name = tls::server_name(config)?;
        let port = config.endpoint.rsplit_once(':').map_or("443", |(_, port)| port);
        let authority = format!("{}:{port}", name.to_str()).into();
        let (deadline, most_retries) = (config.deadline, config.most_retries);
        let endpoint = Endpoint { address: Arc::clone(&address), name, tls, deadline };
        let pool = Pool::start(endpoint, config.connections.get(), config.requests_per_connection.get());
        Ok(Self { pool, authority, endpoint: address, deadline, most_retries })
    }

    /// The decoded answer to a call.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let body = self.answer(call).await?;
        // Problems have integer keys and stand five levels deep, so the strict reader of requests is not for answers.
        serde_cbor::from_slice(&body).map_err(|source| {
            let call = format!("{} {}", call.method, call.path);
            ContractError::Body { call, source }.into()
        })
    }

    /// The bytes of the answer to a call.
    pub(crate) async fn answer(&self, call: &Call) -> Result<Bytes, ClientError> {
        let mut retries = Retries::new(self.most_retries);
        loop {
            let attempt = timeout(self.deadline, self.attempt(call)).await;
            let error = match attempt {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(error)) => error,
                Err(_elapsed) => ClientError::Deadline { deadline: self.deadline, attempts: retries.attempts() },
            };
            if !error.is_retryable() {
                return Err(error);
            }
            let hint_ms = match &error {
                ClientError::Refused(problem) => problem.facts.retry_after_ms,
                _ => None,
            };
            let Some(pause) = retries.next_pause(hint_ms) else { return Err(error) };
            tracing::debug!(path = call.path, %error, ?pause, "attempt failed, another follows");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, ClientError> {
        let mut lease = self.pool.lease().await?;
        let uri = format!("https://{}{}", self.authority, call.path);
        let request = Request::builder()
            .method(call.method.clone())
            .uri(uri)
            .header(ACCEPT, call.answer.media)
            .header(CONTENT_TYPE, psdd_wire::CBOR)
            .body(Full::new(call.body.clone()));
        let request = match request {
            Ok(request) => request,
            // Paths are made of device IDs and keys, and the authority was parsed before.
            Err(error) => unreachable!("a URI of plain ASCII: {error}"),
        };
        let response = match lease.sender.send_request(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.lost(&lease, error).await),
        };
        self.read(&lease, response, call.answer).await
    }

    async fn read(
        &self,
        lease: &Lease<'_>,
        response: Response<Incoming>,
        expected: Expected,
    ) -> Result<Bytes, ClientError> {
        let status = response.status();
        let media = response.headers().get(CONTENT_TYPE);
        let media = media.map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let limit = if status == StatusCode::OK { expected.longest } else { LONGEST_PROBLEM };
        let body = match Limited::new(response.into_body(), limit).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(ContractError::TooLong { limit }.into());
            }
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => return Err(self.lost(lease, *error).await),
                Err(_other) => return Err(self.closed()),
            },
        };
        match (status, media.as_str()) {
            (StatusCode::OK, told) if told == expected.media => Ok(body),
            (StatusCode::OK, _) => Err(ContractError::MediaType { told: media, expected: expected.media }.into()),
            (_, psdd_wire::PROBLEM) => Err(match serde_cbor::from_slice::<Problem>(&body) {
                Ok(problem) => ClientError::Refused(problem),
                Err(source) => ContractError::Body { call: format!("the problem with status {status}"), source }.into(),
            }),
            _ => Err(ContractError::Status { status: status.as_u16() }.into()),
        }
    }

    async fn lost(&self, lease: &Lease<'_>, error: hyper::Error) -> ClientError {
        match lease.epitaph().await {
            Some(told) => told,
            None => ClientError::Connect {
                endpoint: Arc::clone(&self.endpoint),
                source: ConnectError::Lost(Arc::new(error)),
            },
        }
    }

    fn closed(&self) -> ClientError {
        ClientError::Connect { endpoint: Arc::clone(&self.endpoint), source: ConnectError::Closed }
    }
}
