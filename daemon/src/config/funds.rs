//! `[funds]` and `[[top_up]]`: the authority's funds system, and when to ask it for value.

use psd::{LicenceNumber, PostageAmount};
use psdd_client::{ClientConfig, Files, Verification};
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// How the authority's funds system is reached.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct FundsConfig {
    /// `host:port`.
    pub endpoint: String,
    /// The name in its certificate.
    pub server_name: String,
    /// The CA of its certificate, PEM.
    pub server_ca: PathBuf,
    /// The certificate this appliance is known by there, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS#8).
    pub key: PathBuf,
    /// One request may take so long.
    #[serde(default = "deadline_ms")]
    pub deadline_ms: u64,
    /// Most requests at a time.
    #[serde(default = "most_requests")]
    pub most_requests: usize,
}

/// When the PSDs of a licence are topped up.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct TopUpConfig {
    /// The licence; all that no other rule names where absent.
    pub licence: Option<String>,
    /// Below this descending register value is asked for, decimal text.
    pub below: String,
    /// How much, decimal text.
    pub amount: String,
    /// A request short of funds waits so long for them; with 0 it is refused at once.
    #[serde(default)]
    pub wait_ms: u64,
}

/// A rule that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopUpRule {
    /// The licence; all others where absent.
    pub licence: Option<LicenceNumber>,
    /// Below this descending register value is asked for.
    pub below: PostageAmount,
    /// How much.
    pub amount: PostageAmount,
    /// How long a request short of funds waits for them, milliseconds.
    pub wait_ms: u64,
}

fn deadline_ms() -> u64 {
    10_000
}

fn most_requests() -> usize {
    2
}

impl FundsConfig {
    pub(super) fn paths_mut(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.server_ca, &mut self.certificate, &mut self.key]
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if !(100..=120_000).contains(&self.deadline_ms) {
            return Err(("funds.deadline_ms".to_owned(), "100 to 120000".to_owned()));
        }
        if !(1..=256).contains(&self.most_requests) {
            return Err(("funds.most_requests".to_owned(), "1 to 256".to_owned()));
        }
        Ok(())
    }

    /// The configuration of the client. Whether and when to ask again is decided by whoever asks, so it repeats nothing.
    pub fn client(&self) -> ClientConfig {
        let files = Files {
            server_ca: self.server_ca.clone(),
            client_cert: self.certificate.clone(),
            client_key: self.key.clone(),
            authority_root: None,
        };
        ClientConfig {
            connections: NonZeroUsize::MIN,
            deadline: Duration::from_millis(self.deadline_ms),
            most_retries: 0,
            verification: Verification::Registers,
            ..ClientConfig::new(&self.endpoint, &self.server_name, files)
        }
    }
}

impl TopUpConfig {
    pub(super) fn check(&self) -> Result<TopUpRule, (String, String)> {
        let amount = |field: &str, text: &str| {
            text.parse::<PostageAmount>().map_err(|error| (format!("top_up.{field}"), error.to_string()))
        };
        let licence = self.licence.as_deref().map(str::parse::<LicenceNumber>).transpose();
        let rule = TopUpRule {
            licence: licence.map_err(|error| ("top_up.licence".to_owned(), error.to_string()))?,
            below: amount("below", &self.below)?,
            amount: amount("amount", &self.amount)?,
            wait_ms: self.wait_ms,
        };
        if rule.wait_ms > 30_000 {
            return Err(("top_up.wait_ms".to_owned(), "at most 30000".to_owned()));
        }
        if rule.amount == PostageAmount::ZERO || rule.below == PostageAmount::ZERO {
            return Err(("top_up".to_owned(), "below and amount must be above zero".to_owned()));
        }
        Ok(rule)
    }
}
