//! `[[token]]`: where the workers of `psdd-hsm` listen.

use psdd_hsm::link::LinkConfig;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// A token. Its PIN, module and profile are the business of `psdd-hsm`.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Its name; records refer to it.
    pub name: String,
    /// The socket its keeper binds.
    pub socket: PathBuf,
    /// A frame that is not signed within this time is dropped.
    #[serde(default = "sign_deadline_ms")]
    pub sign_deadline_ms: u64,
    /// Most requests outstanding.
    #[serde(default = "max_outstanding")]
    pub max_outstanding: usize,
}

fn sign_deadline_ms() -> u64 {
    5_000
}

fn max_outstanding() -> usize {
    4_096
}

impl TokenConfig {
    /// For the link.
    pub fn link(&self) -> LinkConfig {
        LinkConfig {
            token: self.name.clone(),
            socket: self.socket.clone(),
            hello_timeout: Duration::from_secs(30),
            request_deadline: Duration::from_millis(self.sign_deadline_ms),
            max_outstanding: self.max_outstanding,
        }
    }
}
