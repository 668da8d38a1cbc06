//! The operator door, as those see it who answer for keys.
//!
//! What comes back is read strictly by shape; certificates are judged by whoever holds the authority's root, transcripts by whoever
//! holds the log key.

use crate::config::ClientConfig;
use crate::error::{ClientError, ContractError};
use crate::exchange::{Call, Exchange};
use psd::PsdId;
use psdd_wire::message::StatusResponse;
use psdd_wire::operator::{
    CeremonyResponse, CertificateChain, InstallRequest, InstallResponse, InstallResult, KeysResponse, MOST_CHAINS,
    OperatorAppliance, OperatorKeyView, PlanRequest, PlanResponse, RequestView, RequestsResponse, RunRequest,
    RunResponse, UnsealRequest, UnsealResponse, UnsealStatus,
};
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// A handle on the operator door of one appliance. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct OperatorClient {
    exchange: Arc<Exchange>,
}

impl OperatorClient {
    /// Starts to connect, and does not wait for it: each call waits within its own deadline. Of the configuration, `verification` and
    /// `checkpoint` mean nothing here.
    ///
    /// Must be called inside a tokio runtime with IO and time.
    pub fn start(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { exchange: Arc::new(Exchange::start(config)?) })
    }

    /// The appliance: name, genesis, operators, tokens, number of the last ceremony.
    pub async fn appliance(&self) -> Result<OperatorAppliance, ClientError> {
        self.exchange.ask(&Call::get("/v1/appliance".to_owned())).await
    }

    /// What the daemon thinks of a ceremony file. Changes nothing.
    pub async fn plan(&self, file: &[u8]) -> Result<PlanResponse, ClientError> {
        let body = psdd_wire::encode(&PlanRequest { file: file.to_vec() });
        self.exchange.ask(&Call::post("/v1/ceremonies/plan".to_owned(), body)).await
    }

    /// Begins a ceremony, or goes on with it. Repeating it does no step twice.
    pub async fn run(&self, file: &[u8], approvals: &[Vec<u8>]) -> Result<RunResponse, ClientError> {
        let approvals = approvals.iter().cloned().map(ByteBuf::from).collect();
        let body = psdd_wire::encode(&RunRequest { file: file.to_vec(), approvals });
        self.exchange.ask(&Call::post("/v1/ceremonies".to_owned(), body)).await
    }

    /// How a ceremony stands.
    pub async fn ceremony(&self, number: u64) -> Result<CeremonyResponse, ClientError> {
        let told: CeremonyResponse = self.exchange.ask(&Call::get(format!("/v1/ceremonies/{number}"))).await?;
        if told.number == number {
            return Ok(told);
        }
        let (asked, told) = (number.to_string(), told.number.to_string());
        Err(ContractError::OtherSubject { what: "the ceremony", asked, told }.into())
    }

    /// Certification requests of all keys without a certificate.
    pub async fn requests(&self) -> Result<Vec<RequestView>, ClientError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.requests_page(after.as_deref()).await?;
            all.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// A page of them, and what to give as `after` for the next one, if there is one: each is signed in its token when it is asked for.
    pub async fn requests_page(&self, after: Option<&str>) -> Result<(Vec<RequestView>, Option<String>), ClientError> {
        let page: RequestsResponse = self.exchange.ask(&Call::get(paged("/v1/requests", None, after))).await?;
        // A page that leads to itself would never end.
        let next = page.next.filter(|next| after != Some(next.as_str()));
        Ok((page.requests, next))
    }

    /// Brings certificates with their issuers (DER, the key's own first). Repeating it installs nothing twice.
    pub async fn install(&self, chains: Vec<Vec<Vec<u8>>>) -> Result<Vec<InstallResult>, ClientError> {
        let chains =
            chains.into_iter().map(|chain| CertificateChain { chain: chain.into_iter().map(ByteBuf::from).collect() });
        let chains: Vec<CertificateChain> = chains.collect();
        let mut results = Vec::with_capacity(chains.len());
        for part in chains.chunks(MOST_CHAINS) {
            let body = psdd_wire::encode(&InstallRequest { chains: part.to_vec() });
            let told: InstallResponse = self.exchange.ask(&Call::post("/v1/certificates".to_owned(), body)).await?;
            if told.results.len() != part.len() {
                return Err(ContractError::ResultCount { items: part.len(), results: told.results.len() }.into());
            }
            results.extend(told.results);
        }
        Ok(results)
    }

    /// Every generation of every key, of one PSD or of all, with the daemon's time in milliseconds since 1970.
    pub async fn keys(&self, psd: Option<PsdId>) -> Result<(u64, Vec<OperatorKeyView>), ClientError> {
        all_keys(&self.exchange, psd).await
    }

    /// What the appliance says of every key of every tenant, COSE_Sign1 by its log key (`psdd_wire::status`).
    pub async fn status_list(&self) -> Result<Vec<u8>, ClientError> {
        let told: StatusResponse = self.exchange.ask(&Call::get("/v1/status".to_owned())).await?;
        Ok(told.list)
    }

    /// What the keeper says of tokens that wait for shares; opaque to psdd.
    pub async fn unseal_status(&self) -> Result<Vec<u8>, ClientError> {
        let told: UnsealStatus = self.exchange.ask(&Call::get("/v1/unseal".to_owned())).await?;
        Ok(told.status)
    }

    /// Carries a sealed share to the keeper and gives its answer; both opaque to psdd.
    pub async fn unseal(&self, share: &[u8]) -> Result<Vec<u8>, ClientError> {
        let body = psdd_wire::encode(&UnsealRequest { share: share.to_vec() });
        let told: UnsealResponse = self.exchange.ask(&Call::post("/v1/unseal".to_owned(), body)).await?;
        Ok(told.answer)
    }
}

/// All pages of keys, at whichever door shows them.
pub(crate) async fn all_keys(
    exchange: &Exchange,
    psd: Option<PsdId>,
) -> Result<(u64, Vec<OperatorKeyView>), ClientError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page: KeysResponse = exchange.ask(&Call::get(paged("/v1/keys", psd, after.as_deref()))).await?;
        all.extend(page.keys);
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            _ => return Ok((page.time, all)),
        }
    }
}

/// A path with its query; `after` is the daemon's own text and is escaped (RFC 3986 §2.1).
fn paged(path: &str, psd: Option<PsdId>, after: Option<&str>) -> String {
    let psd = psd.map(|psd| format!("psd={psd}"));
    let after = after.map(|after| {
        let escaped = after.bytes().map(|byte| match byte {
            plain if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => char::from(plain).to_string(),
            other => format!("%{other:02X}"),
        });
        format!("after={}", escaped.collect::<String>())
    });
    let query: Vec<String> = psd.into_iter().chain(after).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let psd = Some("PS010000001".parse().unwrap());
        assert_eq!(paged("/v1/keys", None, None), "/v1/keys");
        assert_eq!(paged("/v1/keys", psd, Some("a b&c/1")), "/v1/keys?psd=PS010000000001&after=a%20b%26c%2F1");
    }
}
