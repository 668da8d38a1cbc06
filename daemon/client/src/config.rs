//! What a client must be told, and the files that come with it.

use rustls::pki_types::pem;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a [`crate::Client`] must be told. Start from [`ClientConfig::new`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `host:port` of the vendor door.
    pub endpoint: String,
    /// The name in the server's certificate.
    pub server_name: String,
    /// The PEM files.
    pub files: Files,
    /// How many connections are kept.
    pub connections: NonZeroUsize,
    /// How many requests are under way on one connection; more wait within their deadline.
    pub requests_per_connection: NonZeroUsize,
    /// The time one attempt may take.
    pub deadline: Duration,
    /// How often an attempt is repeated, the first one not counted.
    pub most_retries: u32,
    /// What is checked of every indicium.
    pub verification: Verification,
    /// The newest checkpoint (C2SP note) known from an earlier run, see [`crate::Client::checkpoint`]. A server that is behind it
    /// was rolled back.
    pub checkpoint: Option<String>,
}

/// The PEM files a client is known by and knows others by.
#[derive(Clone, Debug)]
pub struct Files {
    /// PEM file with the CA of the server's certificate.
    pub server_ca: PathBuf,
    /// PEM file with the client's certificate and its issuers.
    pub client_cert: PathBuf,
    /// PEM file with the client's private key.
    pub client_key: PathBuf,
    /// PEM file with the postal authority's root; required by [`Verification::Full`].
    pub authority_root: Option<PathBuf>,
}

/// What is checked of every indicium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// All of [`Verification::Registers`], and the signature under a certificate that leads to the authority's root.
    Full,
    /// Keys, PSD, register arithmetic from result to result, the fields of the indicium, checkpoints.
    Registers,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read or holds no PEM of the kind wanted.
    #[error("{what} in {}: {source}", .path.display())]
    Pem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("{what} in {}: no certificate in the file", .path.display())]
    NoCertificate {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Certificate or key are not usable for TLS.
    #[error("client certificate {} with key {}: {source}", .cert.display(), .key.display())]
    ClientIdentity {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The server CA is no trust anchor.
    #[error("server CA {}: {source}", .path.display())]
    ServerCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The server's name is no DNS name or address.
    #[error("server name {name:?} is neither a DNS name nor an IP address")]
    ServerName {
        /// As configured.
        name: String,
        /// What rustls says.
        source: rustls::pki_types::InvalidDnsNameError,
    },
    /// The library of cryptographic primitives lacks TLS 1.3.
    #[error("TLS 1.3 is not available: {0}")]
    Protocol(#[source] rustls::Error),
    /// Full verification without a root.
    #[error("full verification needs the postal authority's root certificate (authority_root)")]
    NoAuthorityRoot,
    /// The authority's root is no root.
    #[error("authority root {}: {source}", .path.display())]
    AuthorityRoot {
        /// The file.
        path: PathBuf,
        /// Why.
        source: crate::verify::ChainError,
    },
}

impl ClientConfig {
    /// A configuration with the defaults: 2 connections of 128 requests, 10 s, 5 retries, full verification.
    pub fn new(endpoint: impl Into<String>, server_name: impl Into<String>, files: Files) -> Self {
        Self {
            endpoint: endpoint.into(),
            server_name: server_name.into(),
            files,
            connections: NonZeroUsize::MIN.saturating_add(1),
            requests_per_connection: NonZeroUsize::MIN.saturating_add(127),
            deadline: Duration::from_secs(10),
            most_retries: 5,
            verification: Verification::Full,
            checkpoint: None,
        }
    }
}
