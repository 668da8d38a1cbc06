//! The authority's funds system, as those see it who carry a PSD's statements there.
//!
//! What comes back proves itself to the PSD, which judges it; here only its shape is read.

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::exchange::{Call, Exchange};
use psd::LicenceNumber;
use psdd_wire::funds::{
    AccountResponse, FundsAcknowledgement, FundsAuthorisation, FundsClosed, FundsReport, FundsRequest, FundsVoid,
    FundsVoided,
};
use std::sync::Arc;

/// A handle on the funds system. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct FundsSystem {
    exchange: Arc<Exchange>,
}

impl FundsSystem {
    /// Starts to connect, and does not wait for it: each call waits within its own deadline. Of the configuration, `verification` and
    /// `checkpoint` mean nothing here.
    ///
    /// Must be called inside a tokio runtime with IO and time.
    pub fn start(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { exchange: Arc::new(Exchange::start(config)?) })
    }

    /// Brings a value request, of new value or of a spoiled mark's postage. Repeating it gives an authorisation of the same download.
    pub async fn authorise(&self, request: &[u8]) -> Result<FundsAuthorisation, ClientError> {
        let body = psdd_wire::encode(&FundsRequest { request: request.to_vec() });
        self.exchange.ask(&Call::post("/v1/value-requests".to_owned(), body)).await
    }

    /// Brings the statement that a download is void. Repeating it credits nothing twice.
    pub async fn void(&self, statement: &[u8]) -> Result<FundsVoided, ClientError> {
        let body = psdd_wire::encode(&FundsVoid { statement: statement.to_vec() });
        self.exchange.ask(&Call::post("/v1/value-voids".to_owned(), body)).await
    }

    /// Brings a request for withdrawal. Repeating it credits nothing twice.
    pub async fn withdraw(&self, request: &[u8]) -> Result<FundsAcknowledgement, ClientError> {
        let body = psdd_wire::encode(&FundsRequest { request: request.to_vec() });
        self.exchange.ask(&Call::post("/v1/withdrawals".to_owned(), body)).await
    }

    /// Brings the final report of a PSD.
    pub async fn report(&self, report: &[u8]) -> Result<FundsClosed, ClientError> {
        let body = psdd_wire::encode(&FundsReport { report: report.to_vec() });
        self.exchange.ask(&Call::post("/v1/withdrawal-reports".to_owned(), body)).await
    }

    /// The prepaid account of a licence.
    pub async fn account(&self, licence: &LicenceNumber) -> Result<AccountResponse, ClientError> {
        self.exchange.ask(&Call::get(format!("/v1/licences/{licence}"))).await
    }
}
