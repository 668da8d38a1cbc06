//! `[vendor]`, `[operator]` and `[local]`: the listeners.

use crate::door::listener::Limits;
use psdd_tls::ServerFiles;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The vendor door, or the operator door.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct DoorConfig {
    /// Address and port; port 0 takes a free one and logs it.
    pub listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS#8).
    pub key: PathBuf,
    /// The CA of the door's client certificates, PEM. No other door has it.
    pub client_ca: PathBuf,
    /// That CA's revocation list, PEM; enforced, its expiry too.
    pub client_crl: PathBuf,
    /// Most connections at a time.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Most of them for one tenant; a quarter of all where it is absent. Vendor door only.
    pub max_connections_per_tenant: Option<usize>,
    /// Most streams at a time on one connection.
    #[serde(default = "max_streams")]
    pub max_streams: u32,
    /// Longest request body, in bytes; 2 MiB at the vendor door, 16 MiB at the operator door where it is absent.
    pub max_body_bytes: Option<usize>,
    /// The TLS handshake must be finished, and headers must have come, within this time.
    #[serde(default = "header_timeout_ms")]
    pub header_timeout_ms: u64,
    /// A body must have come within this time.
    #[serde(default = "body_timeout_ms")]
    pub body_timeout_ms: u64,
    /// An idle HTTP/2 connection is pinged this often; one that does not answer is closed.
    #[serde(default = "keep_alive_ms")]
    pub keep_alive_ms: u64,
}

/// The local door: health and metrics, without secrets, for this machine only.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct LocalConfig {
    /// Unix socket.
    pub socket: PathBuf,
}

fn max_connections() -> usize {
    256
}

fn max_streams() -> u32 {
    256
}

fn header_timeout_ms() -> u64 {
    10_000
}

fn body_timeout_ms() -> u64 {
    30_000
}

fn keep_alive_ms() -> u64 {
    20_000
}

/// Longest body of the vendor door where nothing is said, bytes.
const VENDOR_BODY: usize = 2 * 1024 * 1024;
/// Longest body of any door, and of the operator door where nothing is said: ceremonies with their approvals, certificates of many PSDs.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

impl DoorConfig {
    pub(super) fn paths_mut(&mut self) -> [&mut PathBuf; 4] {
        [&mut self.certificate, &mut self.key, &mut self.client_ca, &mut self.client_crl]
    }

    /// The files of its TLS.
    pub fn tls(&self) -> ServerFiles {
        ServerFiles {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_ca: self.client_ca.clone(),
            client_crl: self.client_crl.clone(),
        }
    }

    /// Its bounds as the vendor door.
    pub fn vendor_limits(&self) -> Limits {
        self.limits(VENDOR_BODY)
    }

    /// Its bounds as the operator door.
    pub fn operator_limits(&self) -> Limits {
        self.limits(LARGEST_BODY)
    }

    fn limits(&self, body: usize) -> Limits {
        Limits {
            max_connections: self.max_connections,
            max_streams: self.max_streams,
            max_body_bytes: self.max_body_bytes.unwrap_or(body),
            header_timeout: Duration::from_millis(self.header_timeout_ms),
            body_timeout: Duration::from_millis(self.body_timeout_ms),
            keep_alive: Duration::from_millis(self.keep_alive_ms),
        }
    }

    /// Most connections of one tenant.
    pub fn per_tenant(&self) -> usize {
        self.max_connections_per_tenant.unwrap_or_else(|| (self.max_connections / 4).max(1))
    }

    pub(super) fn check(&self, door: &str) -> Result<(), (String, String)> {
        let wrong = |field: &str, problem: &str| Err((format!("{door}.{field}"), problem.to_owned()));
        if self.max_connections == 0 || self.max_streams == 0 {
            return wrong("max_connections", "zero lets nobody in");
        }
        if self.max_connections_per_tenant == Some(0) {
            return wrong("max_connections_per_tenant", "zero lets nobody in");
        }
        if self.max_body_bytes.is_some_and(|bytes| !(4_096..=LARGEST_BODY).contains(&bytes)) {
            return wrong("max_body_bytes", "4096 to 16777216");
        }
        Ok(())
    }

    /// What two doors may not have in common. The client CAs are compared by their keys when their files are read.
    pub(super) fn check_apart(vendor: &Self, operator: &Self) -> Result<(), (String, String)> {
        let wrong = |field: &str, problem: String| Err((format!("operator.{field}"), problem));
        if operator.max_connections_per_tenant.is_some() {
            return wrong("max_connections_per_tenant", "operators have no tenants; remove it".to_owned());
        }
        let (ours, theirs) = (operator.listen, vendor.listen);
        let meet = ours.ip() == theirs.ip() || ours.ip().is_unspecified() || theirs.ip().is_unspecified();
        if ours.port() != 0 && ours.port() == theirs.port() && meet {
            return wrong("listen", format!("{ours} is taken by vendor.listen {theirs}; give it another port"));
        }
        if operator.client_ca == vendor.client_ca {
            let ca = operator.client_ca.display();
            return wrong("client_ca", format!("{ca} is that of the vendor door; operators need a CA of their own"));
        }
        Ok(())
    }
}
