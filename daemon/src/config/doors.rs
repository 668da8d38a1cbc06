//! `[vendor]`, `[operator]`, `[authority]` and `[local]`: the listeners.

use crate::door::listener::Limits;
use psdd_tls::ServerFiles;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The vendor door, the operator door or the authority door.
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
    /// Longest request body, in bytes; 2 MiB, and 16 MiB at the operator door, where it is absent.
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

/// Longest body of the vendor and the authority door where nothing is said, bytes.
const USUAL_BODY: usize = 2 * 1024 * 1024;
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

    /// Its bounds as the vendor door or the authority door.
    pub fn usual_limits(&self) -> Limits {
        self.limits(USUAL_BODY)
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

    /// What two doors, each with its name, may not have in common: the second is at fault. The client CAs are compared by their keys when
    /// their files are read.
    pub(super) fn check_apart(
        (first, theirs): (&str, &Self),
        (second, ours): (&str, &Self),
    ) -> Result<(), (String, String)> {
        let wrong = |field: &str, problem: String| Err((format!("{second}.{field}"), problem));
        let (own, other) = (ours.listen, theirs.listen);
        let meet = own.ip() == other.ip() || own.ip().is_unspecified() || other.ip().is_unspecified();
        if own.port() != 0 && own.port() == other.port() && meet {
            return wrong("listen", format!("{own} is taken by {first}.listen {other}; give it another port"));
        }
        if ours.client_ca == theirs.client_ca {
            let ca = ours.client_ca.display();
            return wrong("client_ca", format!("{ca} is that of the {first} door; each door needs a CA of its own"));
        }
        Ok(())
    }

    /// Only the vendor door has tenants.
    pub(super) fn check_without_tenants(&self, door: &str) -> Result<(), (String, String)> {
        match self.max_connections_per_tenant {
            None => Ok(()),
            Some(_) => {
                let problem = "there are no tenants at this door; remove it".to_owned();
                Err((format!("{door}.max_connections_per_tenant"), problem))
            }
        }
    }
}
