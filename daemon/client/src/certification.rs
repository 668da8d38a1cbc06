//! The authority's CA of PSD keys, as `psdd` sees it when a next key is to be certified.
//!
//! The chain that comes back proves itself to the PSD, which judges it (`psdd_wire::profile`); here only its shape is read.

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::exchange::{Call, Exchange};
use psdd_wire::enrolment::{EnrolmentRequest, EnrolmentResponse};
use std::sync::Arc;

/// A handle on the CA. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct CertificationAuthority {
    exchange: Arc<Exchange>,
}

impl CertificationAuthority {
    /// Starts to connect, and does not wait for it: each call waits within its own deadline. Of the configuration, `verification` and
    /// `checkpoint` mean nothing here.
    ///
    /// Must be called inside a tokio runtime with IO and time.
    pub fn start(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { exchange: Arc::new(Exchange::start(config)?) })
    }

    /// Brings a certification request (PKCS#10, DER) with the statement of the PSD's current device key over it (COSE_Sign1). Gives the
    /// key's certificate and its issuers without the root, DER. Repeating it gives the same certificate.
    pub async fn enrol(&self, csr: &[u8], statement: &[u8]) -> Result<Vec<Vec<u8>>, ClientError> {
        let body = psdd_wire::encode(&EnrolmentRequest { csr: csr.to_vec(), statement: statement.to_vec() });
        let answer: EnrolmentResponse = self.exchange.ask(&Call::post("/v1/certificates".to_owned(), body)).await?;
        Ok(answer.chain.into_iter().map(|certificate| certificate.into_vec()).collect())
    }
}
