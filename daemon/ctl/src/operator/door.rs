//! The way to the operator door: `[operator]` in psdctl.toml.

use super::OperatorError;
use crate::config::{ConfigError, place};
use crate::error::CtlError;
use psdd_client::{ClientConfig, Files, OperatorClient, Verification};
use serde::Deserialize;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

/// `[operator]`: the operator door. It has CAs of its own, for the server as for clients.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct DoorConfig {
    /// `host:port`.
    pub endpoint: String,
    /// Name in its certificate.
    pub server_name: String,
    /// CA of its certificate, PEM.
    pub server_ca: PathBuf,
    /// Client certificate there, PEM.
    pub client_cert: PathBuf,
    /// Its key, PEM.
    pub client_key: PathBuf,
}

/// What operators need of psdctl.toml; the vendor's fields may be there or not.
#[derive(Deserialize, Debug, Clone)]
pub struct OperatorConfig {
    /// The way to the door.
    #[serde(default)]
    operator: Option<DoorConfig>,
    /// The postal authority's root, PEM.
    #[serde(default)]
    authority_root: Option<PathBuf>,
}

impl OperatorConfig {
    /// Reads the file named, or `psdctl.toml` in the directory named, or in the current one.
    pub fn read(named: Option<&Path>) -> Result<Self, OperatorError> {
        let path = place(named);
        let text = std::fs::read_to_string(&path).map_err(|source| {
            CtlError::from(match source.kind() {
                io::ErrorKind::NotFound => ConfigError::Missing { path: path.clone() },
                _ => ConfigError::Unreadable { path: path.clone(), source },
            })
        })?;
        let malformed = |source| ConfigError::Malformed { path: path.clone(), source: Box::new(source) };
        let mut config: Self = toml::from_str(&text).map_err(|source| CtlError::from(malformed(source)))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let door = config.operator.iter_mut().flat_map(|d| [&mut d.server_ca, &mut d.client_cert, &mut d.client_key]);
        for file in door.chain(&mut config.authority_root) {
            *file = base.join(&*file);
        }
        Ok(config)
    }

    /// The same, but `None` where no file was named and none lies in the current directory, or it names no operator door.
    pub fn read_if_present(named: Option<&Path>) -> Result<Option<Self>, OperatorError> {
        if named.is_none() && !place(None).exists() {
            return Ok(None);
        }
        let config = Self::read(named)?;
        Ok(config.operator.is_some().then_some(config))
    }

    /// A handle on the door.
    pub fn client(&self) -> Result<OperatorClient, OperatorError> {
        let door = self.operator.as_ref().ok_or(OperatorError::NoDoor)?;
        let files = Files {
            server_ca: door.server_ca.clone(),
            client_cert: door.client_cert.clone(),
            client_key: door.client_key.clone(),
            authority_root: None,
        };
        let client = ClientConfig::new(&door.endpoint, &door.server_name, files);
        Ok(OperatorClient::start(&ClientConfig { verification: Verification::Registers, ..client })?)
    }

    /// The file of the postal authority's root.
    pub fn authority_root(&self) -> Result<&Path, OperatorError> {
        self.authority_root.as_deref().ok_or(OperatorError::NoRoot)
    }
}

/// Runs a command that needs connections.
pub(crate) fn within<T>(work: impl Future<Output = Result<T, OperatorError>>) -> Result<T, OperatorError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CtlError::Runtime)?;
    runtime.block_on(work)
}
