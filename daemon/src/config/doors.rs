//! `[vendor]` and `[local]`: the listeners.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The vendor door.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct VendorConfig {
    /// Address and port; port 0 takes a free one and logs it.
    pub listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS#8).
    pub key: PathBuf,
    /// The CA of the vendors' client certificates, PEM.
    pub client_ca: PathBuf,
    /// That CA's revocation list, PEM; enforced, its expiry too.
    pub client_crl: PathBuf,
    /// Most connections at a time.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Most streams at a time on one connection.
    #[serde(default = "max_streams")]
    pub max_streams: u32,
    /// Longest request body, in bytes.
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: usize,
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

fn max_body_bytes() -> usize {
    2 * 1024 * 1024
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

impl VendorConfig {
    pub(super) fn paths_mut(&mut self) -> [&mut PathBuf; 4] {
        [&mut self.certificate, &mut self.key, &mut self.client_ca, &mut self.client_crl]
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.max_connections == 0 || self.max_streams == 0 {
            return Err(("vendor.max_connections".to_owned(), "zero lets nobody in".to_owned()));
        }
        if !(4_096..=16 * 1024 * 1024).contains(&self.max_body_bytes) {
            return Err(("vendor.max_body_bytes".to_owned(), "4096 to 16777216".to_owned()));
        }
        Ok(())
    }
}
