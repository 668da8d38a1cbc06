//! What inspectors need of psdctl.toml.

use super::InspectError;
use crate::config::{AuthorityDoor, ConfigError, read_as};
use crate::error::CtlError;
use psdd_client::AuthorityClient;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the mirror lies by default, beside psdctl.toml.
const MIRROR: &str = "inspection";

/// The other fields may be there or not.
#[derive(Deserialize, Debug, Clone)]
struct Written {
    #[serde(default)]
    authority: Option<AuthorityDoor>,
    #[serde(default)]
    authority_root: Option<PathBuf>,
}

/// The way to an appliance, and what is believed of it.
pub(super) struct InspectorConfig {
    pub(super) door: AuthorityDoor,
    pub(super) authority_root: Option<PathBuf>,
    pub(super) mirror: PathBuf,
}

impl InspectorConfig {
    pub(super) fn read(named: Option<&Path>) -> Result<Self, InspectError> {
        let (written, base) = read_as::<Written>(named).map_err(CtlError::from)?;
        let mut door = written.authority.ok_or(InspectError::NoDoor)?;
        for file in door.paths_mut() {
            *file = base.join(&*file);
        }
        let mirror = base.join(door.mirror.as_deref().unwrap_or(Path::new(MIRROR)));
        let authority_root = written.authority_root.map(|file| base.join(file));
        Ok(Self { door, authority_root, mirror })
    }

    /// Must be called inside a runtime.
    pub(super) fn client(&self) -> Result<AuthorityClient, InspectError> {
        Ok(AuthorityClient::start(&self.door.door().client())?)
    }
}

/// The authority's root of psdctl.toml, if there is such a file.
pub(super) fn authority_root(named: Option<&Path>) -> Result<Option<PathBuf>, InspectError> {
    match read_as::<Written>(named) {
        Ok((written, base)) => Ok(written.authority_root.map(|file| base.join(file))),
        Err(ConfigError::Missing { .. }) if named.is_none() => Ok(None),
        Err(error) => Err(CtlError::from(error).into()),
    }
}
