//! The two doors that judge what stands on a piece: the vendor's, of one tenant, and the authority's, of all.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::CtlError;
use crate::inspect::{InspectError, inspector};
use psdd_client::{AuthorityClient, Client, ClientError};

/// Who is asked.
pub enum Door {
    /// As a vendor's client.
    Vendor(Client),
    /// As an inspector.
    Authority(AuthorityClient),
}

impl Door {
    /// The door that an `--authority` option, or its absence, names. Fails where the configuration has no such door, or the vendor's cannot be reached.
    pub async fn of(global: &Global, authority: bool) -> Result<Self, CtlError> {
        if authority {
            return Ok(Self::Authority(inspector(global)?));
        }
        let config = CtlConfig::read(global.config.as_deref())?;
        Ok(Self::Vendor(Client::connect(config.client()).await?))
    }

    /// What its error means to whoever ran the command.
    pub fn failed(&self, error: ClientError) -> CtlError {
        match self {
            Self::Vendor(_) => error.into(),
            Self::Authority(_) => InspectError::from(error).into(),
        }
    }
}
