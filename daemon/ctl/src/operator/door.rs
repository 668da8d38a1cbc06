//! The way to the operator door: `[operator]` in psdctl.toml.

use super::OperatorError;
use crate::config::{DoorConfig, place, read_as};
use crate::error::CtlError;
use psdd_client::OperatorClient;
use serde::Deserialize;
use std::future::Future;
use std::path::{Path, PathBuf};

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
        let (mut config, base) = read_as::<Self>(named).map_err(CtlError::from)?;
        let door = config.operator.iter_mut().flat_map(DoorConfig::paths_mut);
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
        Ok(OperatorClient::start(&door.client())?)
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
